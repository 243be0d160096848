//! Asking an upstream: by UDP, again if nothing comes, and by TCP if the reply is too long.
//!
//! Each try has a socket of its own, so that the kernel gives it a port that nobody can guess, and an id
//! of its own from a generator that nobody can foretell (RFC 5452). The socket is connected: the kernel
//! drops what others send. A reply has to have the id and the question too.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{self, Edns, Message, ResponseCode};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpStream, UdpSocket};
use ringway::time::timeout;

use crate::counters::Counters;
use crate::limits::{EDNS_BYTES, REPLY_BYTES_MAX, STRAY_REPLIES_MAX, TRIES};
use crate::wire::{
    self, CODES_AT, FLAGS_AT, HEADER_BYTES, OPCODE, QUESTIONS_AT, RESPONSE, RESPONSE_CODE,
    TRUNCATED,
};

/// Those that are asked.
#[derive(Debug)]
pub(crate) struct Upstreams {
    addresses: Vec<SocketAddr>,
    /// Which of them is asked first: the one that has replied where another had not, so that one that is gone costs one
    /// question its time and not each.
    first: AtomicUsize,
    /// For a reply.
    patience: Duration,
}

/// What an upstream is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) question: op::Query,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
}

/// A request as it is sent.
struct Sent {
    bytes: Vec<u8>,
    with_edns: bool,
}

impl Upstreams {
    pub(crate) fn new(addresses: Vec<SocketAddr>, patience: Duration) -> Upstreams {
        assert!(!addresses.is_empty(), "somebody has to be asked");
        Upstreams {
            addresses,
            first: AtomicUsize::new(0),
            patience,
        }
    }

    /// What an upstream replies, whole: that it cannot tell only if no other has told.
    ///
    /// # Errors
    ///
    /// If none has said anything that is of use, however often it was asked.
    pub(crate) async fn ask(&self, request: &Request, counters: &Counters) -> io::Result<Message> {
        let mut with_edns = true;
        let mut last_error = None;
        let mut failures = Vec::new();
        // Relaxed, here and below: whichever is read, it can be asked.
        let mut index = self.first.load(Ordering::Relaxed);
        for number in 0..self.tries() {
            counters.retries.add_if(number > 0);
            let upstream = self.addresses[index];
            match self.try_once(upstream, request, with_edns, counters).await {
                // It does not know EDNS (RFC 6891, 7), and is asked again.
                Ok(reply) if with_edns && is_without_edns(&reply) => with_edns = false,
                // Another may be able to tell.
                Ok(reply) if is_failure(&reply) => {
                    failures.push(reply);
                    if failures.len() == self.addresses.len() {
                        break;
                    }
                    index = self.after(index);
                }
                Ok(reply) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(reply);
                }
                Err(error) => {
                    index = self.after(index);
                    counters
                        .timeouts
                        .add_if(error.kind() == io::ErrorKind::TimedOut);
                    last_error = Some(error);
                }
            }
        }
        match failures.into_iter().next() {
            Some(failure) => Ok(failure),
            None => {
                Err(last_error.unwrap_or_else(|| io::Error::other("no upstream understands us")))
            }
        }
    }

    fn after(&self, index: usize) -> usize {
        (index + 1) % self.addresses.len()
    }

    /// Each is asked once at least.
    fn tries(&self) -> usize {
        TRIES.max(self.addresses.len())
    }

    async fn try_once(
        &self,
        upstream: SocketAddr,
        request: &Request,
        with_edns: bool,
        counters: &Counters,
    ) -> io::Result<Message> {
        let sent = Sent::new(request, with_edns)?;
        counters.asked_udp.add();
        let reply = timeout(self.patience, by_udp(upstream, &sent, counters)).await??;
        let reply = if reply[FLAGS_AT] & TRUNCATED == 0 {
            reply
        } else {
            counters.asked_tcp.add();
            timeout(self.patience, by_tcp(upstream, &sent, counters)).await??
        };
        Message::from_vec(&reply).map_err(|error| {
            counters.bad_replies.add();
            bad_reply(error)
        })
    }
}

async fn by_udp(upstream: SocketAddr, sent: &Sent, counters: &Counters) -> io::Result<Vec<u8>> {
    let any_port: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any_port).await?;
    socket.connect(upstream).await?;
    socket.send(&sent.bytes).await?;
    let mut reply = vec![0; REPLY_BYTES_MAX];
    for _ in 0..STRAY_REPLIES_MAX {
        let length = socket.recv(&mut reply).await?;
        if sent.is_answered_by(&reply[..length]) {
            reply.truncate(length);
            return Ok(reply);
        }
        counters.bad_replies.add();
    }
    Err(bad_reply("too many replies that answer nothing"))
}

async fn by_tcp(upstream: SocketAddr, sent: &Sent, counters: &Counters) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(sent.bytes.len()).map_err(io::Error::other)?;
    // In one write, so that it leaves in one packet.
    let message = [&length.to_be_bytes()[..], &sent.bytes].concat();
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    // There is no way left to ask for what is missing.
    if !sent.is_answered_by(&reply) || reply[FLAGS_AT] & TRUNCATED != 0 {
        counters.bad_replies.add();
        return Err(bad_reply("a reply to something else, or a part of one"));
    }
    Ok(reply)
}

fn bad_reply(why: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Sent {
    fn new(request: &Request, with_edns: bool) -> io::Result<Sent> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = request.checking_disabled;
        // Whether the upstream has validated its reply (RFC 6840, 5.7): clients that did not ask are not told.
        message.metadata.authentic_data = true;
        message.add_query(request.question.clone());
        if with_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(EDNS_BYTES);
            edns.set_dnssec_ok(request.dnssec_ok);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().map_err(io::Error::other)?;
        Ok(Sent { bytes, with_edns })
    }

    /// Whether `reply` has the id and the question of this request.
    fn is_answered_by(&self, reply: &[u8]) -> bool {
        let is_response =
            reply.len() >= HEADER_BYTES && reply[FLAGS_AT] & (RESPONSE | OPCODE) == RESPONSE;
        if !is_response || reply[..2] != self.bytes[..2] {
            return false;
        }
        match wire::u16_at(reply, QUESTIONS_AT) {
            Some(1) => self.has_question_of(reply),
            // Who does not understand a request may return its header alone.
            Some(0) => self.with_edns && is_misunderstood(reply),
            _ => false,
        }
    }

    fn has_question_of(&self, reply: &[u8]) -> bool {
        let ends = (wire::question_end(&self.bytes), wire::question_end(reply));
        let (Some(end), Some(reply_end)) = ends else {
            return false;
        };
        // The name may come back in another case; type and class are numbers.
        let name_end = end - 4;
        end == reply_end
            && self.bytes[HEADER_BYTES..name_end]
                .eq_ignore_ascii_case(&reply[HEADER_BYTES..name_end])
            && self.bytes[name_end..end] == reply[name_end..end]
    }
}

fn is_misunderstood(reply: &[u8]) -> bool {
    let code = ResponseCode::from_low(reply[CODES_AT] & RESPONSE_CODE);
    matches!(code, ResponseCode::FormErr | ResponseCode::NotImp)
}

/// Whether who replies could not find out, or does not want to tell.
fn is_failure(reply: &Message) -> bool {
    matches!(
        reply.response_code,
        ResponseCode::ServFail | ResponseCode::Refused
    )
}

/// Whether a reply is of one who does not know EDNS. A reply without a question is nothing else, whatever it has besides.
fn is_without_edns(reply: &Message) -> bool {
    let is_misunderstood = matches!(
        reply.response_code,
        ResponseCode::FormErr | ResponseCode::NotImp
    );
    is_misunderstood && (reply.edns.is_none() || reply.queries.is_empty())
}
