//! Receiving whole messages, with or without their sender.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::task::{Poll, ready};

use bytes::BufMut;
use socket2::SockAddr;
use tokio::io::ReadBuf;

use super::sys::{recv_from_raw, recv_raw, recv_told};

/// That the kernel has filled so many bytes from the start of the room that it was given, and what else it said.
#[derive(Debug)]
pub(crate) struct Filled<A> {
    count: usize,
    sender: A,
    /// The kernel stopped where there may be more.
    at_boundary: bool,
}

impl Filled<()> {
    /// So many bytes of a stream, which has no sender.
    pub(super) fn of_stream(count: usize) -> Filled<()> {
        Filled {
            count,
            sender: (),
            at_boundary: false,
        }
    }
}

impl<A> Filled<A> {
    /// Whether the room, of `size` bytes, was larger than what there was.
    pub(crate) fn is_short_of(&self, size: usize) -> bool {
        0 < self.count && self.count < size && !self.at_boundary
    }
}

/// Room for what the kernel brings. One receive fills one message in, as far as there is room.
pub(crate) type Room = [MaybeUninit<u8>];

/// Receives one message, or what there is of a stream.
pub(crate) fn recv(fd: &impl AsFd, room: &mut Room) -> io::Result<Filled<()>> {
    recv_flagged(fd, room, libc::MSG_DONTWAIT)
}

/// As [`recv`], of a Unix stream, and knows whether that was all there is. The kernel stops behind a message with
/// descriptors or credentials, and says that there was no room for them.
pub(crate) fn recv_to_boundary(fd: &impl AsFd, room: &mut Room) -> io::Result<Filled<()>> {
    let (count, flags) = recv_told(fd, room)?;
    Ok(Filled {
        count,
        sender: (),
        at_boundary: flags & libc::MSG_CTRUNC != 0,
    })
}

/// As [`recv`], and leaves it there for the next receive.
pub(crate) fn peek(fd: &impl AsFd, room: &mut Room) -> io::Result<Filled<()>> {
    recv_flagged(fd, room, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

#[inline]
fn recv_flagged(fd: &impl AsFd, room: &mut Room, flags: libc::c_int) -> io::Result<Filled<()>> {
    recv_raw(fd, room, flags).map(Filled::of_stream)
}

/// Receives one message, and says who sent it.
pub(crate) fn recv_from(fd: &impl AsFd, room: &mut Room) -> io::Result<Filled<SockAddr>> {
    recv_from_flagged(fd, room, libc::MSG_DONTWAIT)
}

/// As [`recv_from`], and leaves it there for the next receive.
pub(crate) fn peek_from(fd: &impl AsFd, room: &mut Room) -> io::Result<Filled<SockAddr>> {
    recv_from_flagged(fd, room, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn recv_from_flagged(
    fd: &impl AsFd,
    room: &mut Room,
    flags: libc::c_int,
) -> io::Result<Filled<SockAddr>> {
    let (count, sender) = recv_from_raw(fd, room, flags)?;
    Ok(Filled {
        count,
        sender,
        at_boundary: false,
    })
}

/// Who sent the message that is received next.
pub(crate) fn peek_sender(fd: &impl AsFd) -> io::Result<SockAddr> {
    peek_from(fd, &mut []).map(|filled| filled.sender)
}

/// Lends `receive` the unfilled part of `buffer`, and advances it by what was filled.
///
/// `receive` fills the room that it is lent and no other.
pub(crate) fn fill_read_buf<A>(
    buffer: &mut ReadBuf<'_>,
    receive: impl FnOnce(&mut Room) -> Poll<io::Result<Filled<A>>>,
) -> Poll<io::Result<A>> {
    // SAFETY: nothing but the kernel writes through the slice, and the kernel writes initialized bytes only.
    let room = unsafe { buffer.unfilled_mut() };
    let filled = ready!(receive(room))?;
    // SAFETY: the kernel has just filled `count` bytes from the start of the unfilled part.
    unsafe { buffer.assume_init(filled.count) };
    buffer.advance(filled.count);
    Poll::Ready(Ok(filled.sender))
}

/// Lends `receive` the next chunk of `buffer`, and advances it by what was filled. `buffer`'s own code runs before
/// and after `receive`, not during it.
///
/// `receive` fills the room that it is lent and no other.
pub(crate) fn fill_buf_mut<A>(
    buffer: &mut impl BufMut,
    receive: impl FnOnce(&mut Room) -> Poll<io::Result<Filled<A>>>,
) -> Poll<io::Result<(usize, A)>> {
    // SAFETY: nothing but the kernel writes through the slice, and the kernel writes initialized bytes only.
    let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let filled = ready!(receive(room))?;
    // SAFETY: the kernel has just filled `count` bytes from the start of the chunk.
    unsafe { buffer.advance_mut(filled.count) };
    Poll::Ready(Ok((filled.count, filled.sender)))
}
