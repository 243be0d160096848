//! A DNS server for tests: it replies to what it is asked by UDP and TCP as the test says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};

/// An upstream, which runs until the test ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// An upstream that replies by what `reply` returns, in this order. Each question is replied to in a thread of its
    /// own, so that `reply` may wait.
    pub(crate) fn start(
        reply: impl Fn(&Asked) -> Vec<Message> + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let socket = UdpSocket::bind(address).expect("the same port");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let reply = Arc::new(reply);
        let note = {
            let asked = Arc::clone(&asked);
            move |packet: &[u8], source, by_tcp| {
                let message = Message::from_vec(packet).expect("it is asked properly");
                let question = Asked {
                    message,
                    source,
                    by_tcp,
                };
                asked.lock().expect("no panic").push(question.clone());
                let replies = reply(&question);
                replies.iter().map(encode).collect::<Vec<_>>()
            }
        };
        let note = Arc::new(note);
        let by_tcp = Arc::clone(&note);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let source = stream.peer_addr().expect("connected");
                let packet = read_framed(&mut stream).expect("a question");
                for message in by_tcp(&packet, source, true) {
                    stream.write_all(&framed(&message)).expect("sends");
                }
            }
        });
        thread::spawn(move || {
            let mut packet = [0; 4096];
            while let Ok((length, source)) = socket.recv_from(&mut packet) {
                let (note, packet) = (Arc::clone(&note), packet[..length].to_vec());
                let socket = socket.try_clone().expect("a descriptor");
                thread::spawn(move || {
                    for message in note(&packet, source, false) {
                        // Who has asked may have given up.
                        let _ = socket.send_to(&message, source);
                    }
                });
            }
        });
        Upstream { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }
}

/// What an upstream was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) message: Message,
    pub(crate) source: SocketAddr,
    pub(crate) by_tcp: bool,
}

impl Asked {
    /// A reply without records.
    pub(crate) fn reply(&self) -> Message {
        let mut reply = self.message.clone().into_response();
        reply.metadata.recursion_available = true;
        reply
    }

    /// A reply with one address that lives for `ttl` seconds.
    pub(crate) fn address(&self, ttl: u32) -> Message {
        let name = self.message.queries[0].name().clone();
        let mut reply = self.reply();
        reply.add_answer(Record::from_rdata(
            name,
            ttl,
            RData::A(A::new(192, 0, 2, 1)),
        ));
        reply
    }
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("short");
    [&length.to_be_bytes()[..], message].concat()
}

pub(crate) fn read_framed(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

pub(crate) fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("encodes")
}
