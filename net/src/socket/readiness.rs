//! What a side is believed to be ready for, and the poll operation that renews the belief.
//!
//! At most one poll operation is under way. It is level-triggered: the kernel looks when it gets the operation,
//! so it does not matter what happened before it was armed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringway_runtime::driver::{self, Op, SharedFd};

use super::{SideState, Waiters, Wakes};
use crate::Ready;
use crate::op::PollOnce;

/// Beliefs, the operation that renews them, and those who wait for it.
#[derive(Debug)]
pub(crate) struct Readiness {
    believed: Ready,
    poll: Option<Op<PollOnce>>,
    waiters: Waiters,
}

impl Readiness {
    pub(crate) fn new(believed: Ready) -> Readiness {
        Readiness {
            believed,
            poll: None,
            waiters: Waiters::default(),
        }
    }

    pub(crate) fn believed(&self) -> Ready {
        self.believed
    }

    /// Takes a belief back, because the kernel has just shown that it is wrong.
    pub(crate) fn doubt(&mut self, ready: Ready) {
        self.believed = self.believed - ready;
    }

    /// Takes the result of the poll operation, if there is one and it has ended.
    ///
    /// # Errors
    ///
    /// The operation's own, above all that the runtime is shutting down. Nothing is under way then.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(poll) = &mut self.poll else {
            return Ok(());
        };
        if let Poll::Ready(result) = Pin::new(poll).poll(cx) {
            self.poll = None;
            match result {
                Ok(ready) => self.believed |= ready,
                Err(error) if was_cancelled(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether somebody who waits now will be woken.
    pub(crate) fn is_armed(&self) -> bool {
        self.poll.is_some()
    }

    /// Starts a poll operation if none is under way. Look at the belief again after it: it may be over at once.
    ///
    /// # Errors
    ///
    /// As [`settle`](Readiness::settle).
    pub(crate) fn arm(
        &mut self,
        fd: &SharedFd,
        events: u32,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        if self.poll.is_none() {
            self.poll = Some(Op::new(PollOnce::new(fd.clone(), events)));
            self.settle(cx)?;
        }
        Ok(())
    }
}

impl Default for Readiness {
    fn default() -> Readiness {
        Readiness::new(Ready::EMPTY)
    }
}

impl SideState for Readiness {
    const WAKES: Wakes = Wakes::All;

    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }
}

/// Whether an operation ended because the kernel gave it up, and not because of the socket or of a shutdown.
/// It is then simply armed again.
fn was_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED) && !driver::is_shutdown(error)
}
