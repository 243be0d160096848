//! Messages with the address of who sends or receives them: recvfrom(2), sendto(2).

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use ringway_runtime::driver::{
    Completion, Home, IoBuf, IoBufMut, Operation, Piece, SharedFd, opcode, squeue, types,
};
use socket2::{SockAddr, SockAddrStorage};

use super::{Verdict, call_len, cancelled, ecanceled, poll};
use crate::Address;
use crate::request::{Round, Rounds};

/// The header of a message. It is written when an SQE is made, and read by the kernel alone.
#[derive(Debug)]
pub(super) struct Header(libc::msghdr);

// SAFETY: the pointers in the header are not followed by this program, and the kernel follows them whichever thread
// submits.
unsafe impl Send for Header {}
// SAFETY: as above; through a shared reference nothing can be done with it.
unsafe impl Sync for Header {}

impl Default for Header {
    fn default() -> Self {
        // SAFETY: numbers and pointers, of which zero is a value.
        Self(unsafe { std::mem::zeroed() })
    }
}

impl Header {
    /// Names the pieces and no address.
    pub(super) fn of_pieces(
        &mut self,
        pieces: *const libc::iovec,
        count: u32,
    ) -> *mut libc::msghdr {
        self.of_message(pieces, count, ptr::null(), 0)
    }

    fn of_message(
        &mut self,
        pieces: *const libc::iovec,
        count: u32,
        address: *const SockAddrStorage,
        address_len: libc::socklen_t,
    ) -> *mut libc::msghdr {
        self.0.msg_iov = pieces.cast_mut();
        self.0.msg_iovlen = count as _;
        self.0.msg_name = address.cast_mut().cast();
        self.0.msg_namelen = address_len;
        &raw mut self.0
    }
}

/// Receives one message and its sender: the request behind [`recv_from`](crate::recv_from).
#[derive(Debug)]
pub struct RecvFrom<B> {
    fd: SharedFd,
    buf: B,
    piece: Piece,
    header: Header,
    sender: SockAddrStorage,
    waits: bool,
}

impl<B: IoBufMut> RecvFrom<B> {
    pub(crate) fn new(fd: &SharedFd, buf: B) -> Self {
        Self {
            fd: fd.clone(),
            buf,
            piece: Piece::new(ptr::null(), 0),
            header: Header::default(),
            sender: SockAddrStorage::zeroed(),
            waits: false,
        }
    }

    fn sender(&mut self) -> Address {
        let sender = std::mem::replace(&mut self.sender, SockAddrStorage::zeroed());
        // SAFETY: the kernel has written an address of this length, which it keeps within the storage, or none; the
        // storage was zeroed, which is an address of no family.
        Address::from_kernel(unsafe { SockAddr::new(sender, self.header.0.msg_namelen) })
    }
}

// SAFETY: the buffer is owned by self, and its bytes do not move with it (IoBufMut); the piece lies within its room.
// Piece, header and address are in self. The descriptor is held by self.
unsafe impl<B: IoBufMut> Operation for RecvFrom<B> {
    type Output = Round<Self, (io::Result<(usize, Address)>, B)>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.waits {
            return poll(fd, libc::POLLIN);
        }
        let len = call_len(self.buf.room()) as usize;
        self.piece = Piece::new(self.buf.stable_mut_ptr(), len);
        let header = self.header.of_message(
            (&raw const self.piece).cast(),
            1,
            &raw const self.sender,
            size_of::<SockAddrStorage>() as libc::socklen_t,
        );
        opcode::RecvMsg::new(fd, header).build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let waited = std::mem::take(&mut self.waits);
        let verdict = match completion.result {
            Ok(_) if waited => Verdict::Again,
            Ok(count) => {
                let count = count as usize;
                // SAFETY: the kernel wrote so many bytes, within the room that `entry` gave it.
                unsafe { self.buf.set_initialized(count) };
                return Round::Done((Ok((count, self.sender())), self.buf));
            }
            Err(error) if waited => Verdict::of_wait(Err(error)),
            Err(error) => Verdict::of(error, &mut self.waits),
        };
        match verdict {
            Verdict::Again => Round::Again(self),
            Verdict::Cancelled => Round::Done(self.give_up()),
            Verdict::Failed(error) => Round::Done((Err(error), self.buf)),
        }
    }
}

impl<B: IoBufMut> Rounds for RecvFrom<B> {
    type Done = (io::Result<(usize, Address)>, B);

    fn give_up(self) -> Self::Done {
        (Err(ecanceled()), self.buf)
    }
}

/// Sends one message to an address: the request behind [`send_to`](crate::send_to).
#[derive(Debug)]
pub struct SendTo<B> {
    fd: SharedFd,
    buf: B,
    target: Address,
    piece: Piece,
    header: Header,
    waits: bool,
}

impl<B: IoBuf> SendTo<B> {
    pub(crate) fn new(fd: &SharedFd, buf: B, target: Address) -> Self {
        Self {
            fd: fd.clone(),
            buf,
            target,
            piece: Piece::new(ptr::null(), 0),
            header: Header::default(),
            waits: false,
        }
    }
}

// SAFETY: the buffer is owned by self, its bytes do not move with it (IoBuf) and nobody writes them. Piece, header and
// address are in self. The descriptor is held by self.
unsafe impl<B: IoBuf> Operation for SendTo<B> {
    type Output = Round<Self, (io::Result<usize>, B)>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.waits {
            return poll(fd, libc::POLLOUT);
        }
        // Not cut to what one call may move: the kernel says that a message is too long.
        self.piece = Piece::new(self.buf.stable_ptr(), self.buf.initialized());
        let target = self.target.as_kernel();
        let header = self.header.of_message(
            (&raw const self.piece).cast(),
            1,
            target.as_ptr(),
            target.len(),
        );
        opcode::SendMsg::new(fd, header)
            .flags(libc::MSG_NOSIGNAL as u32)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let waited = std::mem::take(&mut self.waits);
        let verdict = match completion.result {
            Ok(_) if waited => Verdict::Again,
            Ok(count) => return Round::Done((Ok(count as usize), self.buf)),
            Err(error) if waited => Verdict::of_wait(Err(error)),
            Err(error) => Verdict::of(error, &mut self.waits),
        };
        match verdict {
            Verdict::Again => Round::Again(self),
            Verdict::Cancelled => Round::Done(self.give_up()),
            Verdict::Failed(error) => Round::Done((Err(error), self.buf)),
        }
    }
}

impl<B: IoBuf> Rounds for SendTo<B> {
    type Done = (io::Result<usize>, B);

    fn give_up(self) -> Self::Done {
        (cancelled(0), self.buf)
    }
}
