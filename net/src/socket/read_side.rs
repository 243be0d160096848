//! The read side of a stream socket.
//!
//! At any moment exactly one of these holds, and every call that reads looks at them in this order:
//!
//! 1. the **stash** holds bytes or an error that a receive brought and nobody has taken;
//! 2. a **receive** is under way in the ring; until it ends, the socket counts as not readable, and nobody
//!    else takes bytes from the kernel, so their order is kept;
//! 3. neither: the kernel's own queue is next. If the socket is **believed** readable, the caller tries
//!    `recv(2)`; if not, he waits, by a receive or by a poll.
//!
//! What waits is decided by the [`Style`]. A socket begins with receives. The first call that asks for read
//! readiness (`readable`, `ready`, `poll_read_ready`, `try_io`, `async_io`) turns it to polls for good, because
//! its owner means to take bytes from the descriptor by his own calls, and a receive would take them before.
//!
//! A receive asks for no more than its reader has room for. So a reader who gets what he asked for leaves the
//! stash empty and the rest in the kernel, and the stash is used only when a read was dropped while it waited.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringway_runtime::driver::{self, Op, ProvidedBuf, SharedFd};

use super::readiness::was_cancelled;
use super::sink::Sink;
use super::{Readiness, Side, SideState, Waiters, Wakes, Who};
use crate::op::{Received, RecvProvided, Take};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// What makes a socket give up raw access while bytes of its stream are in our hands.
const BYTES_AT_HAND: &str = "bytes of this stream have been received by a read that was dropped before it \
                             returned them; take them with a read or try_read first";

/// The read side of a stream socket.
#[derive(Debug)]
pub(crate) struct ReadSide {
    side: Side<ReadState>,
}

/// What waits for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Style {
    /// A receive, which brings the bytes with its completion.
    #[default]
    Receive,
    /// A poll, which leaves the bytes in the kernel.
    Poll,
}

/// What a receive has brought and nobody has taken.
#[derive(Debug, Default)]
enum Stash {
    #[default]
    Empty,
    /// The bytes from `taken` on. Never none.
    Bytes { buffer: ProvidedBuf, taken: usize },
    /// An error of the socket, which the kernel tells only once.
    Failed(io::Error),
}

#[derive(Debug, Default)]
pub(crate) struct ReadState {
    style: Style,
    stash: Stash,
    receive: Option<Op<RecvProvided>>,
    /// The kernel could not carry out the last receive, as a rule for want of a buffer: wait by a poll, once.
    short_of_buffers: bool,
    readiness: Readiness,
}

/// Where the next bytes are.
enum Source {
    Stash,
    Kernel,
}

impl SideState for ReadState {
    const WAKES: Wakes = Wakes::All;

    fn waiters(&mut self) -> &mut Waiters {
        self.readiness.waiters()
    }
}

impl ReadSide {
    /// `believed` is what the first read goes by: [`Ready::READABLE`] makes it try before it waits.
    pub(crate) fn new(believed: Ready) -> ReadSide {
        let readiness = Readiness::new(believed);
        ReadSide {
            side: Side::new(ReadState {
                readiness,
                ..ReadState::default()
            }),
        }
    }

    /// The side itself, for places among its waiters.
    pub(crate) fn side(&self) -> &Side<ReadState> {
        &self.side
    }

    /// Reads into `sink`, or sees to it that `who` is woken when that may succeed. Zero is the end of the
    /// stream, or a sink without room.
    pub(crate) fn poll_fill(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
        sink: &mut impl Sink,
    ) -> Poll<io::Result<usize>> {
        let room = sink.room();
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut state = self.side.lock();
        let mut operations = self.side.context();
        loop {
            match state.source(fd, room, sink.take(), &mut operations) {
                Poll::Ready(Ok(Source::Stash)) => return Poll::Ready(state.unstash(fd, sink)),
                Poll::Ready(Ok(Source::Kernel)) => match state.receive_now(fd, sink) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                },
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let stale = state.waiters().register(who, cx.waker());
                    drop(state);
                    drop(stale);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Says what the socket is believed ready for, or sees to it that `who` is woken when it is.
    pub(crate) fn poll_ready(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<Ready>> {
        let mut state = self.side.lock();
        state.style = Style::Poll;
        let result = state.source(fd, 0, Take::Nothing, &mut self.side.context());
        let readable = Ready::answering(Interest::READABLE);
        match result {
            Poll::Ready(Ok(Source::Stash)) => Poll::Ready(Ok(Ready::READABLE)),
            Poll::Ready(Ok(Source::Kernel)) => {
                Poll::Ready(Ok(state.readiness.believed() & readable))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let stale = state.waiters().register(who, cx.waker());
                drop(state);
                drop(stale);
                Poll::Pending
            }
        }
    }

    /// Reads what is there now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there, and those of the socket.
    pub(crate) fn try_fill(&self, fd: &SharedFd, sink: &mut impl Sink) -> io::Result<usize> {
        let mut state = self.side.lock();
        state.settle(&mut self.side.context())?;
        match state.stash {
            Stash::Empty if state.receive.is_some() => Err(io::ErrorKind::WouldBlock.into()),
            Stash::Empty => state.receive_now(fd, sink),
            _ => state.unstash(fd, sink),
        }
    }

    /// Lets the caller take bytes from the descriptor by his own calls, in `call`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there, those of `call`, and one that names the remedy if a dropped read has
    /// bytes that `call` would overtake.
    pub(crate) fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let mut state = self.side.lock();
        state.style = Style::Poll;
        state.settle(&mut self.side.context())?;
        state.check_raw_access()?;
        if state.receive.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        drop(state);
        let result = call();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.side.lock().doubt_readable();
        }
        result
    }

    /// Ends our part in the stream, so that its descriptor can be given away.
    ///
    /// # Errors
    ///
    /// One that names the remedy, if bytes of the stream are in our hands or may come into them.
    pub(crate) fn release(&self) -> io::Result<()> {
        let mut state = self.side.lock();
        state.settle(&mut self.side.context())?;
        state.check_raw_access()?;
        if state.receive.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "a read of this stream was dropped while it waited, and the kernel still holds its receive; \
                 read until it returns, or wait with readable() instead of read() before giving the socket away",
            ));
        }
        Ok(())
    }
}

impl ReadState {
    /// Finds out where the next bytes are, and starts an operation that waits for them if there are none.
    ///
    /// `room` is how many bytes the caller can take. Who only looks is never served by a receive.
    fn source(
        &mut self,
        fd: &SharedFd,
        room: usize,
        take: Take,
        operations: &mut Context<'_>,
    ) -> Poll<io::Result<Source>> {
        self.settle(operations)?;
        loop {
            if !matches!(self.stash, Stash::Empty) {
                return Poll::Ready(Ok(Source::Stash));
            }
            if self.receive.is_some() {
                return Poll::Pending;
            }
            if self.readiness.believed().is_readable() {
                return Poll::Ready(Ok(Source::Kernel));
            }
            if self.readiness.is_armed() {
                return Poll::Pending;
            }
            self.arm(fd, room, take, operations)?;
        }
    }

    /// Starts the operation that fits. It may be over at once.
    fn arm(
        &mut self,
        fd: &SharedFd,
        room: usize,
        take: Take,
        operations: &mut Context<'_>,
    ) -> io::Result<()> {
        let by_poll = self.style == Style::Poll || take == Take::Nothing || self.short_of_buffers;
        if by_poll {
            self.short_of_buffers = false;
            return self
                .readiness
                .arm(fd, poll_events(Interest::READABLE), operations);
        }
        self.receive = Some(Op::new(RecvProvided::new(fd.clone(), room)));
        self.settle(operations)
    }

    /// Takes the results of operations that have ended.
    fn settle(&mut self, operations: &mut Context<'_>) -> io::Result<()> {
        if let Some(receive) = &mut self.receive
            && let Poll::Ready(received) = Pin::new(receive).poll(operations)
        {
            self.receive = None;
            self.absorb(received)?;
        }
        self.readiness.settle(operations)
    }

    /// Puts a receive's result where the next reader finds it.
    fn absorb(&mut self, received: Received) -> io::Result<()> {
        match received.bytes {
            Ok(Some(buffer)) => {
                self.stash = Stash::Bytes { buffer, taken: 0 };
                if received.more {
                    self.readiness.believe(Ready::READABLE);
                }
            }
            Ok(None) => self.readiness.believe(Ready::READABLE | Ready::READ_CLOSED),
            Err(error) if driver::is_shutdown(&error) => return Err(error),
            Err(error) if was_cancelled(&error) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => self.short_of_buffers = true,
                _ => {
                    self.stash = Stash::Failed(error);
                    self.readiness.believe(Ready::READABLE);
                }
            },
        }
        Ok(())
    }

    /// Fills `sink` from the stash, and then from the kernel if the kernel has said that it has more.
    fn unstash(&mut self, fd: &SharedFd, sink: &mut impl Sink) -> io::Result<usize> {
        let (mut count, emptied) = match &mut self.stash {
            Stash::Empty => return Ok(0),
            Stash::Failed(_) => return self.take_failure(),
            Stash::Bytes { buffer, taken } => {
                let count = sink.store(&buffer[*taken..]);
                if sink.take() == Take::Bytes {
                    *taken += count;
                }
                (count, *taken == buffer.len())
            }
        };
        if emptied {
            self.stash = Stash::Empty;
            if self.readiness.believed().is_readable() && sink.room() > 0 {
                match self.receive_now(fd, sink) {
                    Ok(more) => count += more,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => self.stash = Stash::Failed(error),
                }
            }
        }
        Ok(count)
    }

    fn take_failure(&mut self) -> io::Result<usize> {
        match std::mem::take(&mut self.stash) {
            Stash::Failed(error) => Err(error),
            other => {
                self.stash = other;
                Ok(0)
            }
        }
    }

    /// Receives straight from the kernel, and learns from the result. Nothing may be stashed or under way.
    fn receive_now(&mut self, fd: &SharedFd, sink: &mut impl Sink) -> io::Result<usize> {
        debug_assert!(self.receive.is_none(), "a receive would be overtaken");
        let room = sink.room();
        let result = sink.receive(fd);
        match &result {
            Ok(0) if room > 0 => self.readiness.believe(Ready::READABLE | Ready::READ_CLOSED),
            // A short read has emptied the queue; one that only looked has not.
            Ok(count) if *count < room && sink.take() == Take::Bytes => {
                self.readiness.doubt(Ready::READABLE);
            }
            Ok(_) => self.readiness.believe(Ready::READABLE),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.doubt_readable(),
            Err(_) => {}
        }
        result
    }

    /// The kernel has nothing to read and has not closed the direction either.
    fn doubt_readable(&mut self) {
        self.readiness.doubt(Ready::READABLE | Ready::READ_CLOSED);
    }

    fn check_raw_access(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.stash) {
            Stash::Empty => Ok(()),
            Stash::Failed(error) => Err(error),
            bytes @ Stash::Bytes { .. } => {
                self.stash = bytes;
                Err(io::Error::new(io::ErrorKind::ResourceBusy, BYTES_AT_HAND))
            }
        }
    }
}
