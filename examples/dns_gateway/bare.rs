//! The same answers from a loop without a runtime: recvmmsg(2), answer, sendmmsg(2). What the kernel and the
//! load generator leave, and so what the gateway is held to.
//!
//! It takes what the kernel has, up to [`BATCH`] packets, and waits if there is none.

#![expect(
    unsafe_code,
    reason = "the standard library has neither of the two calls"
)]

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;
use std::thread;

use crate::limits::QUERY_BYTES_MAX;
use crate::resolver::Resolver;
use crate::server::{Outcome, Sockets};

/// Packets for one system call.
const BATCH: usize = 64;

/// Answers with so many threads, each of which receives from the first of the sockets, until the process is
/// killed.
pub(crate) fn serve(
    resolver: Resolver,
    sockets: Vec<Sockets>,
    threads: usize,
) -> io::Result<Outcome> {
    let Some(sockets) = sockets.into_iter().next() else {
        return Ok(Outcome::Finished);
    };
    let socket = sockets.into_udp()?;
    socket.set_nonblocking(false)?;
    let serve = || answer_all(&socket, &resolver);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(serve)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    Ok(Outcome::Finished)
}

fn answer_all(socket: &UdpSocket, resolver: &Resolver) -> io::Result<()> {
    let mut batch = Batch::new();
    loop {
        let received = batch.receive(socket)?;
        let replies = batch.answer(received, resolver);
        batch.send(socket, replies)?;
    }
}

/// Packets, where they come from, and what goes back.
struct Batch {
    packets: Vec<[u8; QUERY_BYTES_MAX]>,
    lengths: Vec<usize>,
    clients: Vec<libc::sockaddr_storage>,
    replies: Vec<Vec<u8>>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    fn new() -> Batch {
        // SAFETY: it is plain numbers, of which zero is one.
        let client: libc::sockaddr_storage = unsafe { mem::zeroed() };
        // SAFETY: it is numbers, and pointers that may be null.
        let header: libc::mmsghdr = unsafe { mem::zeroed() };
        let vector = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Batch {
            packets: vec![[0; QUERY_BYTES_MAX]; BATCH],
            lengths: vec![0; BATCH],
            clients: vec![client; BATCH],
            replies: Vec::with_capacity(BATCH),
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }

    /// Points the header at `index` to `client`'s place and `bytes`.
    fn point(&mut self, index: usize, client: usize, bytes: *mut u8, length: usize) {
        self.vectors[index] = libc::iovec {
            iov_base: bytes.cast(),
            iov_len: length,
        };
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = (&raw mut self.clients[client]).cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_iov = &raw mut self.vectors[index];
        header.msg_iovlen = 1;
    }

    /// Waits for packets; returns how many have come.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for index in 0..BATCH {
            let bytes = self.packets[index].as_mut_ptr();
            self.point(index, index, bytes, QUERY_BYTES_MAX);
        }
        let headers = self.headers.as_mut_ptr();
        let (fd, flags) = (socket.as_raw_fd(), libc::MSG_WAITFORONE);
        // SAFETY: each header names a packet, a client and a vector of this batch, none of which moves or is used
        // during the call.
        let received = unsafe { libc::recvmmsg(fd, headers, BATCH as u32, flags, ptr::null_mut()) };
        let received = counted(received)?;
        for index in 0..received {
            self.lengths[index] = self.headers[index].msg_len as usize;
        }
        Ok(received)
    }

    /// Answers what can be answered without waiting; returns how many replies there are.
    fn answer(&mut self, received: usize, resolver: &Resolver) -> usize {
        self.replies.clear();
        for index in 0..received {
            let packet = &self.packets[index][..self.lengths[index]];
            if let Some(reply) = resolver.reply_now(packet) {
                // A client's place is not needed any more once it is behind the last reply.
                self.clients[self.replies.len()] = self.clients[index];
                self.replies.push(reply);
            }
        }
        self.replies.len()
    }

    fn send(&mut self, socket: &UdpSocket, replies: usize) -> io::Result<()> {
        for index in 0..replies {
            let reply = &mut self.replies[index];
            let (bytes, length) = (reply.as_mut_ptr(), reply.len());
            self.point(index, index, bytes, length);
        }
        let mut sent = 0;
        while sent < replies {
            let headers = self.headers[sent..replies].as_mut_ptr();
            let (fd, count) = (socket.as_raw_fd(), (replies - sent) as u32);
            // SAFETY: as in `receive`; the kernel reads `count` headers and what they name.
            let taken = unsafe { libc::sendmmsg(fd, headers, count, 0) };
            // A client that is gone costs its own reply only.
            sent += counted(taken).unwrap_or(1).max(1);
        }
        Ok(())
    }
}

fn counted(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
