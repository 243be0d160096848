//! Messages received in bursts, without a runtime: by recvmmsg(2) when a poll in the ring has told of them, and by one
//! multishot recvmsg into provided buffers.

use std::alloc::{Layout, alloc_zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, RecvMsgOut};
use io_uring::{IoUring, cqueue, opcode, types};

use crate::Run;

/// Messages in a batch.
pub const MESSAGES: u64 = 8_192;
/// The length of a message.
pub const MESSAGE_BYTES: usize = 64;
/// The most in a burst, and the number of provided buffers.
const BURST_MAX: usize = 64;
/// Room for one message, its header and its sender.
const BUFFER_BYTES: usize = 2_048;
const GROUP: u16 = 7;

/// Two sockets, the first of which sends to the second.
fn pair() -> (UdpSocket, UdpSocket) {
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    receiver.set_nonblocking(true).unwrap();
    (sender, receiver)
}

fn blank<T: Copy>() -> T {
    // SAFETY: it is called for `msghdr` and `mmsghdr` only: numbers and pointers, of which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// The headers of a burst, each with a buffer of its own.
struct Headers {
    headers: Vec<libc::mmsghdr>,
    _pieces: Vec<libc::iovec>,
    _bytes: Vec<u8>,
    senders: Vec<libc::sockaddr_in>,
}

impl Headers {
    fn new(count: usize, length: usize, with_sender: bool) -> Headers {
        let mut bytes = vec![7; count * length];
        let mut pieces: Vec<libc::iovec> = bytes
            .chunks_mut(length)
            .map(|chunk| libc::iovec {
                iov_base: chunk.as_mut_ptr().cast(),
                iov_len: length,
            })
            .collect();
        let address = libc::sockaddr_in {
            sin_family: 0,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: 0 },
            sin_zero: [0; 8],
        };
        let mut senders = vec![address; count];
        let mut headers = vec![blank::<libc::mmsghdr>(); count];
        for ((header, piece), sender) in headers.iter_mut().zip(&mut pieces).zip(&mut senders) {
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            if with_sender {
                header.msg_hdr.msg_name = (&raw mut *sender).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
        }
        Headers {
            headers,
            _pieces: pieces,
            _bytes: bytes,
            senders,
        }
    }

    fn send(&mut self, socket: &UdpSocket) {
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as u32);
        // SAFETY: each header points to a piece, and that to bytes, which live as long as self.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, 0) };
        assert_eq!(sent, count as i32);
    }

    fn receive(&mut self, socket: &UdpSocket) -> usize {
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as u32);
        let none = std::ptr::null_mut();
        // SAFETY: as above, and of the senders.
        let came = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, 0, none) };
        std::hint::black_box(&self.senders);
        usize::try_from(came).unwrap_or(0)
    }
}

fn ring() -> IoUring {
    let mut builder = IoUring::builder();
    builder.setup_coop_taskrun().setup_taskrun_flag();
    builder.build(64).expect("a ring")
}

/// Bursts of `burst` messages, by recvmmsg when a multishot poll has told of them.
pub fn by_recvmmsg(burst: usize) -> Run {
    let (sender, receiver) = pair();
    let mut outgoing = Headers::new(burst, MESSAGE_BYTES, false);
    let mut incoming = Headers::new(BURST_MAX, BUFFER_BYTES, true);
    let mut ring = ring();
    let mut is_armed = false;
    Box::new(move |batches| {
        for _ in 0..batches * MESSAGES / burst as u64 {
            outgoing.send(&sender);
            let mut left = burst;
            while left > 0 {
                if !is_armed {
                    let fd = types::Fd(receiver.as_raw_fd());
                    let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true);
                    // SAFETY: it points to no memory.
                    unsafe { ring.submission().push(&poll.build()) }.unwrap();
                    is_armed = true;
                }
                ring.submit_and_wait(1).unwrap();
                for answer in ring.completion() {
                    is_armed = cqueue::more(answer.flags());
                }
                // Until it would block, as a runtime has to.
                loop {
                    match incoming.receive(&receiver) {
                        0 => break,
                        count => left -= count,
                    }
                }
            }
        }
    })
}

/// Buffers that the kernel takes, and gets back when they have been looked at.
struct Provided {
    entries: *mut BufRingEntry,
    bytes: Vec<u8>,
    tail: u16,
}

impl Provided {
    fn new(ring: &IoUring) -> Provided {
        let layout = Layout::from_size_align(BURST_MAX * size_of::<BufRingEntry>(), 4096).unwrap();
        // SAFETY: the layout is not empty.
        let entries = unsafe { alloc_zeroed(layout) }.cast::<BufRingEntry>();
        let submitter = ring.submitter();
        // SAFETY: the entries are whole pages, and are never freed.
        unsafe {
            submitter.register_buf_ring_with_flags(entries as u64, BURST_MAX as u16, GROUP, 0)
        }
        .expect("Linux 5.19");
        let mut provided = Provided {
            entries,
            bytes: vec![0; BURST_MAX * BUFFER_BYTES],
            tail: 0,
        };
        for buffer in 0..BURST_MAX as u16 {
            provided.give(buffer);
        }
        provided
    }

    fn room(&self, buffer: u16) -> &[u8] {
        &self.bytes[usize::from(buffer) * BUFFER_BYTES..][..BUFFER_BYTES]
    }

    fn give(&mut self, buffer: u16) {
        let index = usize::from(self.tail) % BURST_MAX;
        let address = self.room(buffer).as_ptr() as u64;
        let entry = self.entries.wrapping_add(index);
        // SAFETY: the index is below the number of entries, and the kernel has not got this one yet.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the entries are a ring of buffers, which begins here.
        let tail = unsafe { BufRingEntry::tail(self.entries) }.cast_mut();
        // SAFETY: the tail lies in the first entry, which is never freed, and the kernel reads it as an atomic.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // Release: publishes the entry; the kernel's own load of the tail is its partner.
        tail.store(self.tail, Ordering::Release);
    }
}

/// Bursts of `burst` messages, by one multishot recvmsg.
pub fn by_multishot(burst: usize) -> Run {
    let (sender, receiver) = pair();
    let mut outgoing = Headers::new(burst, MESSAGE_BYTES, false);
    let mut ring = ring();
    let mut provided = Provided::new(&ring);
    let mut header = Box::new(blank::<libc::msghdr>());
    header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let mut is_armed = false;
    Box::new(move |batches| {
        for _ in 0..batches * MESSAGES / burst as u64 {
            outgoing.send(&sender);
            let mut left = burst;
            while left > 0 {
                if !is_armed {
                    let fd = types::Fd(receiver.as_raw_fd());
                    let receive = opcode::RecvMsgMulti::new(fd, &raw const *header, GROUP);
                    // SAFETY: the header lives as long as the ring, and the buffers are never freed before it.
                    unsafe { ring.submission().push(&receive.build()) }.unwrap();
                    is_armed = true;
                }
                ring.submit_and_wait(1).unwrap();
                let answers: Vec<_> = ring.completion().collect();
                for answer in answers {
                    is_armed = cqueue::more(answer.flags());
                    let Some(buffer) = cqueue::buffer_select(answer.flags()) else {
                        continue;
                    };
                    let message = RecvMsgOut::parse(provided.room(buffer), &header).unwrap();
                    assert_eq!(message.payload_data().len(), MESSAGE_BYTES);
                    provided.give(buffer);
                    left -= 1;
                }
            }
        }
    })
}
