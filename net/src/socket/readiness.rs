//! What a side is believed to be ready for, and the poll operation that renews the belief.
//!
//! At most one poll operation is under way. It is level-triggered: the kernel looks when it gets the operation,
//! so it does not matter what happened before it was armed.
//!
//! # Through a watch
//!
//! An operation in flight keeps the file that it names open. Where that would show after the drop (an address
//! stays taken, a queue of connections stays open) the operation polls a [`Watch`] instead: an epoll instance with
//! the socket as its only member, which does not keep its member open.
//!
//! A watch also ends what would be a busy loop. Some states are reported by poll(2) though the call fails: an
//! error queue that nobody reads, or a Unix datagram socket that has room to send while its receiver has none. A
//! level-triggered poll is over at once then, and the call is made again in vain, for ever. So the second call
//! in vain turns the side to a watch for *edges*, which reports only what is new.

use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringway_runtime::driver::{self, Op, SharedFd};

use super::{SideState, Waiters, Wakes};
use crate::op::{self, PollOnce, Trigger, Watch};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// What the poll operations of a side name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The socket itself, which stays open until the operation has gone.
    Direct,
    /// A watch on the socket, if there is a descriptor left for one.
    Aside,
}

/// Beliefs, the operation that renews them, and those who wait for it.
#[derive(Debug)]
pub(crate) struct Readiness {
    interest: Interest,
    way: Way,
    believed: Ready,
    poll: Option<Op<PollOnce>>,
    watch: Option<Watch>,
    /// A poll has ended since the last call, so that a call that would block now was made in vain.
    fired: bool,
    /// How many polls have ended: who calls without the lock learns by it that his result is out of date.
    polls_ended: u32,
    waiters: Waiters,
}

impl Readiness {
    pub(crate) fn new(interest: Interest, believed: Ready, way: Way) -> Readiness {
        Readiness {
            interest,
            way,
            believed,
            poll: None,
            watch: None,
            fired: false,
            polls_ended: 0,
            waiters: Waiters::default(),
        }
    }

    /// What the side is believed ready for, of what it is there for.
    pub(crate) fn believed(&self) -> Ready {
        self.believed & Ready::answering(self.interest)
    }

    pub(crate) fn polls_ended(&self) -> u32 {
        self.polls_ended
    }

    /// A call has moved something. `was_short` says that the next one would block.
    pub(crate) fn note_success(&mut self, was_short: bool) {
        self.fired = false;
        if was_short {
            // The queue is empty, or the buffer full; whether the direction is closed does not show.
            self.believed = self.believed - (Ready::READABLE | Ready::WRITABLE);
        }
    }

    /// A call has blocked, or would have. If a poll had promised otherwise, only edges are believed from now on.
    pub(crate) fn note_block(&mut self, at: &SharedFd) {
        self.believed = self.believed - Ready::answering(self.interest);
        let in_vain = mem::take(&mut self.fired);
        if in_vain && !self.watches_edges() && self.is_reported_ready(at) {
            self.poll = None;
            self.watch = Watch::new(at, at.home(), poll_events(self.interest), Trigger::Edge).ok();
        }
    }

    fn watches_edges(&self) -> bool {
        matches!(&self.watch, Some(watch) if watch.trigger() == Trigger::Edge)
    }

    fn is_reported_ready(&self, at: &SharedFd) -> bool {
        !matches!(op::poll_now(at, poll_events(self.interest)), Ok(0))
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
                Ok(events) => {
                    self.fired = true;
                    self.polls_ended = self.polls_ended.wrapping_add(1);
                    self.believed |= self.news(events)?;
                }
                Err(error) if was_cancelled(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What a poll that has ended with `events` says of the socket.
    fn news(&self, events: u32) -> io::Result<Ready> {
        match &self.watch {
            None => Ok(Ready::from_poll(events)),
            Some(watch) => match watch.trigger() {
                Trigger::Edge => watch.take_events().map(Ready::from_poll),
                // The watch has something to tell. What, the next call will show.
                Trigger::Level => Ok(Ready::answering(self.interest) - Ready::CLOSED),
            },
        }
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
    pub(crate) fn arm(&mut self, at: &SharedFd, cx: &mut Context<'_>) -> io::Result<()> {
        if self.poll.is_none() {
            let events = poll_events(self.interest);
            if self.way == Way::Aside && self.watch.is_none() {
                self.watch = Watch::new(at, at.home(), events, Trigger::Level).ok();
            }
            self.poll = Some(match &self.watch {
                Some(watch) => Op::new(watch.poll()),
                None => Op::new(PollOnce::new(at.clone(), events)),
            });
            self.settle(cx)?;
        }
        Ok(())
    }
}

impl Default for Readiness {
    fn default() -> Readiness {
        Readiness::new(Interest::READABLE, Ready::EMPTY, Way::Direct)
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
pub(super) fn was_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED) && !driver::is_shutdown(error)
}
