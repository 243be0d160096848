//! The poll operation of a side, of which there is at most one.
//!
//! The first waits take an operation each, which is over with its event: who has waited so rarely may be gone soon, and an
//! operation that nobody waits for any more costs a cancel and keeps the file open for a moment. After that one operation
//! stays armed and tells of each event, so that to wait costs neither an SQE nor a system call. It does so also when
//! nobody waits, and tells only what is new: that is for the side to mind.
//!
//! What it tells while nobody waits is in vain, and costs the kernel as much as a new operation for the next wait would: work
//! at the end of the next system call, and a completion. Of a socket whose messages come from another processor, faster than
//! its task waits, that is one for almost each of them. So an operation that has told more in vain than not is given up, and
//! the next waits take one each again, for which what comes in between is no event.
//!
//! An operation stays with the ring that it was submitted to, and its events with the thread that submitted it. So one that
//! has told of [`EVENTS_MAX`] events is armed anew, where its task is now.
//!
//! What it tells comes with the wake, and is kept here until the side looks. The operation itself is asked only when its
//! waker was called, at its end, for whoever asks takes the lock of its shard.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use ringway_runtime::Process;
use ringway_runtime::driver::{self, Feature, Many, Op, SharedFd};

use super::Lent;
use crate::op::{PollMany, PollOnce};

/// The operation, or none.
#[derive(Debug)]
pub(crate) struct Armed {
    operation: Operation,
    /// How many are to be armed that end with their first event, before one stays.
    singles: u8,
    /// What is left to tell of, of the [`EVENTS_MAX`].
    left: u8,
    /// How many events more were told in vain than to somebody who waited.
    in_vain: u8,
    /// What it has told since the side looked: `POLL…` bits.
    told: u32,
    /// Its waker was called since it was asked.
    has_news: bool,
    /// Where it was armed: in a child of that process no waker is ever called.
    process: Process,
}

#[derive(Debug, Default)]
enum Operation {
    #[default]
    None,
    Once(Op<PollOnce>),
    Many(Many<PollMany>),
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The `POLL…` bits.
    pub(crate) events: u32,
    /// Nothing is armed any more. The next operation will tell of these events too, if they are still there.
    pub(crate) is_last: bool,
}

/// How often a side waits by an operation that is over with its first event, before it keeps one armed.
const SINGLE_POLLS: u8 = 2;

/// So many events in vain say that they are the rule: more than come while a task that has been woken waits for its turn.
const IN_VAIN_MAX: u8 = 16;

/// How often a side waits by an operation of its own after one that told in vain. So often that the next attempt, with up
/// to [`IN_VAIN_MAX`] events in vain and a cancel, does not show; and soon over, should one event be one wait by then.
const SINGLE_POLLS_AFTER: u8 = 64;

/// After so many events an operation is armed anew. Often enough that a task which has moved to another worker is not
/// served by the former for long, and so rarely that it does not show: it costs about two waits.
const EVENTS_MAX: u8 = 255;

/// How a side wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polls {
    /// Of what is there, each time it waits.
    Once,
    /// Of what is new, after the first waits.
    Many,
}

impl Default for Armed {
    fn default() -> Armed {
        Armed {
            operation: Operation::None,
            singles: SINGLE_POLLS,
            left: 0,
            in_vain: 0,
            told: 0,
            has_news: false,
            process: Process::default(),
        }
    }
}

impl Armed {
    /// Whether somebody who waits now will be woken.
    pub(crate) fn is_armed(&self) -> bool {
        match self.operation {
            Operation::None => false,
            Operation::Once(_) => true,
            Operation::Many(_) => self.left > 0,
        }
    }

    /// Whether the operation, just armed or not, tells of what is there, and not only of what is new.
    pub(crate) fn tells_of_what_is_there(&self) -> bool {
        matches!(self.operation, Operation::Once(_))
    }

    /// The operation's waker was called, or would have been.
    pub(crate) fn note_news(&mut self) {
        self.has_news = true;
    }

    /// Whether its waker was called since it was asked.
    pub(crate) fn has_news(&self) -> bool {
        self.has_news
    }

    /// The operation has told `events`, to somebody who waited or in vain, and goes on. One that was given up may do so too,
    /// late.
    pub(crate) fn note_told(&mut self, events: u32, to_somebody: bool) {
        if matches!(self.operation, Operation::Many(_)) {
            self.told |= events;
            self.in_vain = match to_somebody {
                true => self.in_vain.saturating_sub(1),
                false => self.in_vain.saturating_add(1),
            };
        }
    }

    /// Arms an operation. Look for what it tells after it: it may be over at once.
    pub(crate) fn arm(&mut self, at: SharedFd, events: u32, polls: Polls, lent: &Lent<'_>) {
        let many = polls == Polls::Many && self.singles == 0;
        self.operation = if many && driver::features().has(Feature::MultishotPoll) {
            self.left = EVENTS_MAX;
            Operation::Many(Many::new(PollMany::new(at, events, lent.teller())))
        } else {
            self.singles = self.singles.saturating_sub(1);
            Operation::Once(Op::new(PollOnce::new(at, events)))
        };
        self.told = 0;
        self.has_news = true;
        self.process = Process::current();
    }

    /// Gives the operation up.
    pub(crate) fn disarm(&mut self) {
        self.operation = Operation::None;
        self.told = 0;
    }

    /// What the operation has told since this was asked last. Nothing is armed after an error, of which there is none if the
    /// kernel has just given the operation up. In a child of the process that armed it, the operation is asked as soon as
    /// nothing is left that it has told, and says what is wrong.
    pub(crate) fn poll(&mut self, lent: &mut Lent<'_>) -> io::Result<Option<Told>> {
        if self.told != 0 {
            self.left = self.left.saturating_sub(1);
            let events = std::mem::take(&mut self.told);
            if self.in_vain >= IN_VAIN_MAX {
                self.in_vain = 0;
                self.singles = SINGLE_POLLS_AFTER;
                self.disarm();
            }
            return Ok(Some(Told {
                events,
                is_last: false,
            }));
        }
        if !std::mem::take(&mut self.has_news) && self.process.is_current() {
            return Ok(None);
        }
        let result = match &mut self.operation {
            Operation::None => return Ok(None),
            Operation::Once(poll) => match Pin::new(poll).poll(&mut lent.cx) {
                Poll::Pending => return Ok(None),
                Poll::Ready(result) => Some(result),
            },
            Operation::Many(poll) => match poll.poll_next(&mut lent.cx) {
                Poll::Pending => return Ok(None),
                Poll::Ready(result) => result,
            },
        };
        self.disarm();
        match result {
            Some(Ok(events)) => {
                let is_last = true;
                Ok(Some(Told { events, is_last }))
            }
            Some(Err(error)) if !was_cancelled(&error) => Err(error),
            Some(Err(_)) | None => Ok(None),
        }
    }
}

/// Whether an operation ended because the kernel gave it up, and not because of the socket or of a shutdown.
/// It is then simply armed again.
fn was_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED) && !driver::is_shutdown(error)
}
