//! A descriptor that is read and written: both directions over it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{Op, SharedFd};
use ringway_runtime::task::coop;
use socket2::SockRef;
use tokio::io::ReadBuf;

use super::direction::would_block;
use super::{Direction, Way, Who};
use crate::op::{self, Filled, PollOnce, Room};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// A system call that reads: `op::recv`, `op::peek_from`, `op::read` and others.
pub(crate) type Receive<A> = fn(&SharedFd, &mut Room) -> io::Result<Filled<A>>;

/// A socket or pipe. Reading and writing are independent of each other.
///
/// # Closing
///
/// Dropping it is `close(2)`: what has been written is still sent, and the peer sees the end of the stream (or
/// a reset, if bytes were left unread). When somebody waits for the socket by [`Way::Direct`], or has given up
/// waiting, a poll is under way that keeps the file open. The drop cancels it, and the file goes at the next turn of
/// the worker that has the poll; if that worker sleeps, it is woken. `shutdown(2)` would not wait for that turn, and
/// would be wrong: it would cut off others that share the connection, such as a child process or a duplicate of the
/// descriptor.
#[derive(Debug)]
pub(crate) struct Duplex {
    read: Direction,
    write: Direction,
    at: SharedFd,
}

impl Duplex {
    /// Takes a descriptor that does not block. `first_read` says whether the first read is tried before anybody
    /// waits; the first write always is.
    pub(crate) fn new(at: SharedFd, first_read: Ready, way: Way) -> Duplex {
        let read = Direction::new(Interest::READABLE, first_read, way);
        let write = Direction::new(Interest::WRITABLE, Ready::WRITABLE, way);
        Duplex { read, write, at }
    }

    /// Says that a read may leave something although it brings less than there was room for, and that nobody tells: the
    /// kernel returns one packet of a pipe.
    pub(crate) fn read_in_pieces(mut self) -> Duplex {
        self.read = self.read.in_pieces();
        self
    }

    /// Believes nothing to begin with. The first read waits, for a try could mislead; the first write is tried, but
    /// nobody is told that it could be made before the kernel has said so.
    pub(crate) fn wait_first(mut self, way: Way) -> Duplex {
        self.read.wait_first();
        self.write = Direction::new(Interest::WRITABLE, Ready::EMPTY, way);
        self
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.at
    }

    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(self.fd())
    }

    /// Gives the descriptor away, still non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `dup(2)`, which is needed while a poll that has just been cancelled still holds the file.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        let Duplex { read, write, at } = self;
        drop((read, write));
        at.try_into_owned()
            .or_else(|fd| fd.as_fd().try_clone_to_owned())
    }

    /// Reads what there is of a stream.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        receive: Receive<()>,
    ) -> Poll<io::Result<()>> {
        op::fill_read_buf(buffer, |room| {
            let size = room.len();
            let is_short = |filled: &Filled<()>| filled.is_short_of(size);
            let call = || receive(self.fd(), room);
            self.read.poll_io(&self.at, cx, Who::Last, is_short, call)
        })
    }

    /// Receives one message, or looks at what there is.
    pub(crate) fn poll_receive<A>(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        receive: Receive<A>,
    ) -> Poll<io::Result<A>> {
        op::fill_read_buf(buffer, |room| self.poll_fill(cx, Who::Last, room, receive))
    }

    /// Receives one message, or looks at what there is.
    pub(crate) async fn receive<A>(
        &self,
        buffer: &mut impl BufMut,
        receive: Receive<A>,
    ) -> io::Result<(usize, A)> {
        let mut waiting = self.read.waiting();
        poll_fn(|cx| {
            op::fill_buf_mut(buffer, |room| {
                self.poll_fill(cx, waiting.who(), room, receive)
            })
        })
        .await
    }

    fn poll_fill<A>(
        &self,
        cx: &mut Context<'_>,
        who: Who<'_>,
        room: &mut Room,
        receive: Receive<A>,
    ) -> Poll<io::Result<Filled<A>>> {
        let call = || receive(self.fd(), room);
        self.read.poll_io(&self.at, cx, who, |_| false, call)
    }

    /// Receives what is there now.
    pub(crate) fn try_receive<A>(
        &self,
        buffer: &mut impl BufMut,
        receive: Receive<A>,
    ) -> io::Result<(usize, A)> {
        let filled = op::fill_buf_mut(buffer, |room| {
            Poll::Ready(self.try_read(|fd| receive(fd, room)))
        });
        let Poll::Ready(result) = filled else {
            unreachable!("it does not wait")
        };
        result
    }

    /// Makes a system call that reads, until it does not block.
    pub(crate) fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&SharedFd) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let call = || call(self.fd());
        self.read.poll_io(&self.at, cx, Who::Last, |_| false, call)
    }

    /// Makes a system call that reads, until it does not block.
    pub(crate) async fn read_with<R>(
        &self,
        mut call: impl FnMut(&SharedFd) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut waiting = self.read.waiting();
        poll_fn(|cx| {
            let call = || call(self.fd());
            self.read
                .poll_io(&self.at, cx, waiting.who(), |_| false, call)
        })
        .await
    }

    /// Makes a system call that reads, once.
    pub(crate) fn try_read<R>(
        &self,
        call: impl FnOnce(&SharedFd) -> io::Result<R>,
    ) -> io::Result<R> {
        self.read.try_io(&self.at, || call(self.fd()))
    }

    /// Makes a system call that writes up to `wanted` bytes of a stream, until it does not block.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        mut call: impl FnMut(&SharedFd) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let is_short = |written: &usize| 0 < *written && *written < wanted;
        let call = || call(self.fd());
        self.write.poll_io(&self.at, cx, Who::Last, is_short, call)
    }

    /// Makes a system call that sends one message, until it does not block.
    pub(crate) async fn send(
        &self,
        mut call: impl FnMut(&SharedFd) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut waiting = self.write.waiting();
        poll_fn(|cx| {
            let call = || call(self.fd());
            self.write
                .poll_io(&self.at, cx, waiting.who(), |_| false, call)
        })
        .await
    }

    /// Makes a system call that writes, once.
    pub(crate) fn try_write<R>(
        &self,
        call: impl FnOnce(&SharedFd) -> io::Result<R>,
    ) -> io::Result<R> {
        self.write.try_io(&self.at, || call(self.fd()))
    }

    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read.poll_ready(&self.at, cx, Who::Last).map_ok(drop)
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.poll_ready(&self.at, cx, Who::Last).map_ok(drop)
    }

    /// Waits for one of the events of `interest`, and says which of them the kernel sees.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let believed = self.readiness(interest).await?;
        let seen = Ready::from_poll(op::poll_now(self.fd(), poll_events(interest))?);
        Ok((believed | seen) & Ready::answering(interest))
    }

    /// Waits for one of the events of `interest`, as far as the socket's own beliefs go.
    pub(crate) async fn readiness(&self, interest: Interest) -> io::Result<Ready> {
        let mut reading = self.read.waiting();
        let mut writing = self.write.waiting();
        let mut rare =
            rare_events(interest).map(|events| Op::new(PollOnce::new(self.at.clone(), events)));
        poll_fn(|cx| {
            let mut found = Ready::EMPTY;
            if interest.is_readable()
                && let Poll::Ready(ready) = self.read.poll_readiness(&self.at, cx, reading.who())
            {
                found |= ready?;
            }
            if interest.is_writable()
                && let Poll::Ready(ready) = self.write.poll_readiness(&self.at, cx, writing.who())
            {
                found |= ready?;
            }
            if let Some(poll) = &mut rare
                && let Poll::Ready(events) = Pin::new(poll).poll(cx)
            {
                // A hang-up ends this operation too, and is neither: then neither will come any more.
                rare = None;
                found |= Ready::from_poll(events?) & Ready::answering(interest);
            }
            if found.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(found))
            }
        })
        .await
    }

    /// Lets the caller use the descriptor by his own calls, once, if it may be ready for what he says that he tries.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let at = &self.at;
        let (read, write) = (&self.read, &self.write);
        let sides = match (interest.is_readable(), interest.is_writable()) {
            (true, true) => [Some(read), Some(write)],
            (true, false) => [Some(read), None],
            (false, true) => [None, Some(write)],
            (false, false) => return call(),
        };
        let mut may_be_ready = false;
        for side in sides.into_iter().flatten() {
            may_be_ready |= side.may_be_ready(at)?;
        }
        if !may_be_ready {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = match sides {
            [Some(_), Some(_)] => read.try_io(at, || write.try_io(at, call)),
            [Some(_), None] => read.try_io(at, call),
            [None, _] => write.try_io(at, call),
        };
        if would_block(&result) {
            for side in sides.into_iter().flatten() {
                side.expect_news(at);
            }
        }
        result
    }

    /// Lets the caller use the descriptor by his own calls, until they do not block.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.readiness(interest).await?;
            poll_fn(coop::poll_charge).await;
            match self.try_io(interest, &mut call) {
                result if would_block(&result) => {}
                result => return result,
            }
        }
    }

    /// Ends one or both directions of a connection. One that is gone already is no error.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.options().shutdown(how) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// The poll events of an interest that no side of the socket answers.
fn rare_events(interest: Interest) -> Option<u32> {
    let rare = interest.is_priority() || interest.is_error();
    let sides = Interest::READABLE | Interest::WRITABLE;
    rare.then(|| interest.remove(sides).map_or(0, poll_events))
}
