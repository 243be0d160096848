//! A connected stream socket: a descriptor and its two sides.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ringway_runtime::driver::{Op, SharedFd};
use ringway_runtime::task::coop;
use socket2::SockRef;
use tokio::io::ReadBuf;

use super::{Direction, Place, Readiness, Who};
use crate::op::{self, PollOnce, Take};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// A connected stream socket. Reading and writing are independent of each other.
///
/// # Closing
///
/// Dropping it is `close(2)`: what has been written is still sent, and the peer sees the end of the stream (or
/// a reset, if bytes were left unread). When somebody waits for the socket, or has given up waiting, a poll is
/// under way that keeps the file open. The drop cancels it, and the file goes at the next turn of the worker
/// that has the poll; if that worker sleeps, it is woken. `shutdown(2)` would not wait for that turn, and would be
/// wrong: it would cut off others that share the connection, such as a child process or a duplicate of the
/// descriptor.
#[derive(Debug)]
pub(crate) struct StreamSocket {
    read: Direction,
    write: Direction,
    fd: SharedFd,
}

impl StreamSocket {
    /// Takes a connected socket. `first_belief` says whether the first read is tried before anybody waits.
    pub(crate) fn new(fd: SharedFd, first_belief: Ready) -> StreamSocket {
        let read = Direction::new(Interest::READABLE, first_belief);
        let write = Direction::new(Interest::WRITABLE, Ready::WRITABLE);
        StreamSocket { read, write, fd }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.fd
    }

    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.fd)
    }

    /// Gives the descriptor away, still non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `dup(2)`, which is needed while a poll that has just been cancelled still holds the file.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        let StreamSocket { read, write, fd } = self;
        drop((read, write));
        fd.try_into_owned()
            .or_else(|fd| fd.as_fd().try_clone_to_owned())
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let receive = || op::recv_into(&self.fd, buffer, Take::Bytes);
        self.read
            .poll_io(&self.fd, cx, Who::Last, room, receive)
            .map_ok(drop)
    }

    pub(crate) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        who: Who<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let look = || op::recv_into(&self.fd, buffer, Take::Nothing);
        self.read.poll_io(&self.fd, cx, who, 0, look)
    }

    pub(crate) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut place = self.read.side().place();
        let mut buffer = ReadBuf::new(buffer);
        poll_fn(|cx| self.poll_peek(cx, place.who(), &mut buffer)).await
    }

    /// Makes a system call that reads, once.
    pub(crate) fn try_read<R>(
        &self,
        call: impl FnOnce(&SharedFd) -> io::Result<R>,
    ) -> io::Result<R> {
        self.read.try_io(|| call(&self.fd))
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let send = || op::send(&self.fd, bytes);
        self.write
            .poll_io(&self.fd, cx, Who::Last, bytes.len(), send)
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let send = || op::send_vectored(&self.fd, slices);
        self.write.poll_io(&self.fd, cx, Who::Last, 0, send)
    }

    /// Makes a system call that writes, once.
    pub(crate) fn try_write<R>(
        &self,
        call: impl FnOnce(&SharedFd) -> io::Result<R>,
    ) -> io::Result<R> {
        self.write.try_io(|| call(&self.fd))
    }

    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read.poll_ready(&self.fd, cx, Who::Last).map_ok(drop)
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.poll_ready(&self.fd, cx, Who::Last).map_ok(drop)
    }

    /// Waits for one of the events of `interest`, and says which of them the kernel sees.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let believed = self.readiness(interest).await?;
        let seen = Ready::from_poll(op::poll_now(&self.fd, poll_events(interest))?);
        Ok((believed | seen) & Ready::answering(interest))
    }

    /// Waits for one of the events of `interest`, as far as the socket's own beliefs go.
    pub(crate) async fn readiness(&self, interest: Interest) -> io::Result<Ready> {
        let mut read_place = self.read.side().place();
        let mut write_place = None;
        let mut rare =
            rare_events(interest).map(|events| Op::new(PollOnce::new(self.fd.clone(), events)));
        poll_fn(|cx| {
            let mut found = Ready::EMPTY;
            if interest.is_readable()
                && let Poll::Ready(ready) = self.read.poll_ready(&self.fd, cx, read_place.who())
            {
                found |= ready?;
            }
            if interest.is_writable()
                && let Poll::Ready(ready) = self.poll_writable(cx, &mut write_place)
            {
                found |= ready?;
            }
            if let Some(poll) = &mut rare
                && let Poll::Ready(ready) = Pin::new(poll).poll(cx)
            {
                // A hang-up ends this operation too, and is neither: then neither will come any more.
                rare = None;
                found |= ready? & Ready::answering(interest);
            }
            if found.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(found))
            }
        })
        .await
    }

    /// Lets the caller use the descriptor by his own calls, once.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        if interest.is_readable() {
            self.read.try_io(call)
        } else if interest.is_writable() {
            self.write.try_io(call)
        } else {
            call()
        }
    }

    /// Lets the caller use the descriptor by his own calls, until they do not block.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.readiness(interest).await?;
            match self.try_io(interest, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Ends one or both directions. A connection that is gone already is no error.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.options().shutdown(how) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    fn poll_writable<'a>(
        &'a self,
        cx: &mut Context<'_>,
        place: &mut Option<Place<'a, Readiness>>,
    ) -> Poll<io::Result<Ready>> {
        if self.write.is_untouched() {
            ready!(coop::poll_charge(cx));
            return Poll::Ready(Ok(Ready::WRITABLE));
        }
        let place = place.get_or_insert_with(|| self.write.side().place());
        self.write.poll_ready(&self.fd, cx, place.who())
    }
}

/// The poll events of an interest that no side of the socket answers.
fn rare_events(interest: Interest) -> Option<u32> {
    let rare = interest.is_priority() || interest.is_error();
    let sides = Interest::READABLE | Interest::WRITABLE;
    rare.then(|| interest.remove(sides).map_or(0, poll_events))
}
