//! The write side of a stream socket.
//!
//! Writes go to the kernel at once. As long as none has found the send buffer full, the side has no state: no
//! lock, no memory. From the first time on it keeps a belief and the poll operation that waits for room.

use std::io;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use ringway_runtime::driver::SharedFd;

use super::{Readiness, Side, SideState, Who};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// The write side of a stream socket.
#[derive(Debug, Default)]
pub(crate) struct WriteSide {
    /// Made when a write first finds no room; believed writable until then.
    side: OnceLock<Side<Readiness>>,
}

impl WriteSide {
    /// The side's state, made if need be, for places among its waiters.
    pub(crate) fn side(&self) -> &Side<Readiness> {
        self.side
            .get_or_init(|| Side::new(Readiness::new(Ready::WRITABLE)))
    }

    /// Whether a write has ever found the send buffer full.
    pub(crate) fn is_plain(&self) -> bool {
        self.side.get().is_none()
    }

    /// Calls `send` until it does not block, or sees to it that `who` is woken when it may not.
    ///
    /// `wanted` is how many bytes it would send if there were room: fewer mean that the buffer is full now.
    pub(crate) fn poll_send(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        mut who: Who<'_>,
        wanted: usize,
        mut send: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.is_plain() {
                std::task::ready!(self.poll_ready(fd, cx, who.again()))?;
            }
            match self.try_io(&mut send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    if matches!(result, Ok(sent) if 0 < sent && sent < wanted) {
                        self.doubt_writable();
                    }
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Calls `call` once, and learns from it if it would block. A write that was cut short proves nothing here:
    /// the caller is to try again until one would block, as he would with `write(2)`.
    pub(crate) fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let result = call();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.doubt_writable();
        }
        result
    }

    /// Says what the socket is believed ready for, or sees to it that `who` is woken when it is.
    pub(crate) fn poll_ready(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<Ready>> {
        let Some(side) = self.side.get() else {
            return Poll::Ready(Ok(Ready::WRITABLE));
        };
        let mut state = side.lock();
        let mut operations = side.context();
        state.settle(&mut operations)?;
        loop {
            if state.believed().is_writable() {
                let writable = Ready::answering(Interest::WRITABLE);
                return Poll::Ready(Ok(state.believed() & writable));
            }
            if state.is_armed() {
                let stale = state.waiters().register(who, cx.waker());
                drop(state);
                drop(stale);
                return Poll::Pending;
            }
            state.arm(fd, poll_events(Interest::WRITABLE), &mut operations)?;
        }
    }

    /// The kernel has no room, so neither is the direction closed.
    fn doubt_writable(&self) {
        self.side()
            .lock()
            .doubt(Ready::WRITABLE | Ready::WRITE_CLOSED);
    }
}
