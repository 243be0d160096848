//! The state word of a task: every transition, named.
//!
//! No other file touches the bits. Low bits are flags, the rest counts references:
//!
//! - RUNNING: a thread polls or drops the future; it alone may touch it.
//! - COMPLETE: the future is gone; never cleared.
//! - NOTIFIED: a [`super::Notified`] exists, or the running thread owes one more poll.
//! - CANCELLED: the next thread to get RUNNING drops the future instead of polling it.
//! - JOIN_INTEREST: the join handle lives.
//! - JOIN_WAKER: the join handle has stored a waker, which all may read and none may write.
//!
//! RUNNING and COMPLETE are never set together. NOTIFIED without RUNNING goes with exactly one reference of
//! the notification; NOTIFIED with RUNNING goes with none, for the runner's own reference will be reused.
//!
//! Every transition is one read-modify-write with AcqRel: what the loser of a race wrote to the task before
//! it is seen by the winner after it, whichever transitions the two are.

use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::loom::atomic::AtomicUsize;

const RUNNING: usize = 1;
const COMPLETE: usize = 1 << 1;
const NOTIFIED: usize = 1 << 2;
const CANCELLED: usize = 1 << 3;
const JOIN_INTEREST: usize = 1 << 4;
const JOIN_WAKER: usize = 1 << 5;

/// One reference.
const REFERENCE: usize = 1 << 6;
/// More references than this mean that some were leaked in a loop; the process is aborted before the count
/// can wrap and free a task that is in use.
const REFERENCES_MAX: usize = (isize::MAX as usize) / REFERENCE;

/// Owned set, join handle, first notification.
const INITIAL: usize = (3 * REFERENCE) | JOIN_INTEREST | NOTIFIED;

const _: () = assert!(
    JOIN_WAKER < REFERENCE,
    "flags and references do not overlap"
);

/// The state word.
pub(super) struct State(AtomicUsize);

/// A reading of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot(usize);

/// What a thread with a notification may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum BeginPoll {
    /// Poll the future.
    Poll,
    /// Drop the future and complete as cancelled.
    Cancel,
    /// Nothing; the notification's reference was given up.
    Nothing,
    /// As `Nothing`, and it was the last reference: free the task.
    Free,
}

/// What a thread whose poll returned `Pending` owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum EndPoll {
    /// Nothing; the reference was given up.
    Idle,
    /// Schedule the task again with the same reference.
    Reschedule,
    /// Still running: drop the future and complete as cancelled.
    Cancel,
    /// The last reference went: free the task.
    Free,
}

/// What a wake owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Wake {
    /// Schedule the task with one reference.
    Submit,
    /// Nothing.
    Nothing,
    /// The last reference went: free the task.
    Free,
}

/// What the join handle's drop owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct DropHandle {
    /// The task is complete: the output is the handle's to drop.
    pub(super) drop_output: bool,
    /// The waker is the handle's to drop.
    pub(super) drop_waker: bool,
}

impl State {
    #[inline]
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(INITIAL))
    }

    #[inline]
    pub(super) fn load(&self) -> Snapshot {
        // Acquire: pairs with the Release of any transition, so that a reader that sees COMPLETE sees the
        // output.
        Snapshot(self.0.load(Acquire))
    }

    /// A notification is about to be run. Sets RUNNING, clears NOTIFIED.
    #[inline]
    pub(super) fn begin_poll(&self) -> BeginPoll {
        self.update(|now| {
            debug_assert!(now.is(NOTIFIED), "only a notified task is run");
            if now.is(RUNNING) || now.is(COMPLETE) {
                let next = now.without(NOTIFIED).minus_reference();
                let then = if next.references() == 0 {
                    BeginPoll::Free
                } else {
                    BeginPoll::Nothing
                };
                return (then, Some(next));
            }
            let next = now.without(NOTIFIED).with(RUNNING);
            (
                if now.is(CANCELLED) {
                    BeginPoll::Cancel
                } else {
                    BeginPoll::Poll
                },
                Some(next),
            )
        })
    }

    /// The poll returned `Pending`. Clears RUNNING unless the task is to be cancelled.
    #[inline]
    pub(super) fn end_poll(&self) -> EndPoll {
        self.update(|now| {
            debug_assert!(now.is(RUNNING), "only a running task stops running");
            if now.is(CANCELLED) {
                return (EndPoll::Cancel, None);
            }
            if now.is(NOTIFIED) {
                return (EndPoll::Reschedule, Some(now.without(RUNNING)));
            }
            let next = now.without(RUNNING).minus_reference();
            (
                if next.references() == 0 {
                    EndPoll::Free
                } else {
                    EndPoll::Idle
                },
                Some(next),
            )
        })
    }

    /// The output is in place. RUNNING becomes COMPLETE.
    pub(super) fn complete(&self) -> Snapshot {
        // AcqRel: Release publishes the output to the join handle's Acquire; Acquire pairs with the handle's
        // Release of its waker.
        let before = Snapshot(self.0.fetch_xor(RUNNING | COMPLETE, AcqRel));
        debug_assert!(
            before.is(RUNNING) && !before.is(COMPLETE),
            "only a running task completes"
        );
        Snapshot(before.0 ^ (RUNNING | COMPLETE))
    }

    /// As [`Self::complete`], giving up `references` too, if nobody waits for the output: one transition for the
    /// most common end. `Ok` says whether the references were the last. `Err`: there is more to do, since a joiner
    /// is to be woken, or the handle has gone since the caller looked, and nothing was changed.
    #[inline]
    pub(super) fn complete_quietly(&self, seen: Snapshot, references: usize) -> Result<bool, ()> {
        self.update(|now| {
            debug_assert!(
                now.is(RUNNING) && !now.is(COMPLETE),
                "only a running task completes"
            );
            if now.is(JOIN_WAKER) || now.is(JOIN_INTEREST) != seen.is(JOIN_INTEREST) {
                return (Err(()), None);
            }
            let next = Snapshot((now.0 ^ (RUNNING | COMPLETE)) - references * REFERENCE);
            (Ok(next.references() == 0), Some(next))
        })
    }

    /// The join waker was woken: gives it back to the handle. The reading tells whether the handle is gone,
    /// and the waker is the completer's to drop.
    pub(super) fn return_join_waker(&self) -> Snapshot {
        // AcqRel: Release ends our reading of the waker before the handle's Acquire; Acquire the other way.
        let before = Snapshot(self.0.fetch_and(!JOIN_WAKER, AcqRel));
        debug_assert!(
            before.is(COMPLETE) && before.is(JOIN_WAKER),
            "only a completer gives the waker back"
        );
        Snapshot(before.0 & !JOIN_WAKER)
    }

    /// Gives up `count` references; returns whether they were the last.
    #[inline]
    pub(super) fn drop_references(&self, count: usize) -> bool {
        // AcqRel: Release orders our use of the task before the free, Acquire (of the last) after all uses.
        let before = Snapshot(self.0.fetch_sub(count * REFERENCE, AcqRel));
        debug_assert!(
            before.references() >= count,
            "a reference was given up twice"
        );
        before.references() == count
    }

    /// One more reference.
    #[inline]
    pub(super) fn add_reference(&self) {
        // Relaxed: the caller has a reference, so the task cannot go away meanwhile.
        let before = Snapshot(self.0.fetch_add(REFERENCE, Relaxed));
        if before.references() > REFERENCES_MAX / 2 {
            std::process::abort();
        }
    }

    /// A waker is consumed.
    #[inline]
    pub(super) fn wake_by_value(&self) -> Wake {
        self.update(|now| {
            if now.is(RUNNING) {
                let next = now.with(NOTIFIED).minus_reference();
                debug_assert!(next.references() > 0, "the runner has a reference");
                return (Wake::Nothing, Some(next));
            }
            if now.is(COMPLETE) || now.is(NOTIFIED) {
                let next = now.minus_reference();
                return (
                    if next.references() == 0 {
                        Wake::Free
                    } else {
                        Wake::Nothing
                    },
                    Some(next),
                );
            }
            (Wake::Submit, Some(now.with(NOTIFIED)))
        })
    }

    /// A waker is used and kept.
    #[inline]
    pub(super) fn wake_by_reference(&self) -> Wake {
        self.update(|now| {
            if now.is(COMPLETE) || now.is(NOTIFIED) {
                return (Wake::Nothing, None);
            }
            if now.is(RUNNING) {
                return (Wake::Nothing, Some(now.with(NOTIFIED)));
            }
            (Wake::Submit, Some(now.with(NOTIFIED).plus_reference()))
        })
    }

    /// An abort from any thread: the task is cancelled when it next runs, which this wake brings about.
    pub(super) fn abort(&self) -> Wake {
        self.update(|now| {
            if now.is(CANCELLED) || now.is(COMPLETE) {
                return (Wake::Nothing, None);
            }
            if now.is(RUNNING) {
                // The runner sees CANCELLED when its poll ends.
                return (Wake::Nothing, Some(now.with(CANCELLED).with(NOTIFIED)));
            }
            if now.is(NOTIFIED) {
                return (Wake::Nothing, Some(now.with(CANCELLED)));
            }
            (
                Wake::Submit,
                Some(now.with(CANCELLED).with(NOTIFIED).plus_reference()),
            )
        })
    }

    /// The runtime shuts down. `true`: nobody runs the task, and RUNNING is now ours, to drop the future.
    pub(super) fn begin_shutdown(&self) -> bool {
        self.update(|now| {
            let idle = !now.is(RUNNING) && !now.is(COMPLETE);
            let next = if idle { now.with(RUNNING) } else { now };
            (idle, Some(next.with(CANCELLED)))
        })
    }

    /// The common drop of a join handle, before the task has run: one try, no loop.
    #[inline]
    pub(super) fn drop_handle_fast(&self) -> bool {
        let next = (INITIAL - REFERENCE) & !JOIN_INTEREST;
        // Release: orders the handle's use before a later free. Relaxed failure: the slow way looks again.
        self.0
            .compare_exchange_weak(INITIAL, next, Release, Relaxed)
            .is_ok()
    }

    /// The join handle is dropped: JOIN_INTEREST goes, and with it, before completion, JOIN_WAKER.
    pub(super) fn drop_handle(&self) -> DropHandle {
        self.update(|now| {
            debug_assert!(now.is(JOIN_INTEREST), "a task has one join handle");
            let mut next = now.without(JOIN_INTEREST);
            if !now.is(COMPLETE) {
                next = next.without(JOIN_WAKER);
            }
            let then = DropHandle {
                drop_output: now.is(COMPLETE),
                drop_waker: !next.is(JOIN_WAKER),
            };
            (then, Some(next))
        })
    }

    /// The join handle has stored a waker. Fails if the task has completed: the waker is not looked at.
    pub(super) fn offer_join_waker(&self) -> Result<(), Snapshot> {
        self.update(|now| {
            debug_assert!(
                now.is(JOIN_INTEREST) && !now.is(JOIN_WAKER),
                "the waker is the handle's to offer"
            );
            if now.is(COMPLETE) {
                (Err(now), None)
            } else {
                (Ok(()), Some(now.with(JOIN_WAKER)))
            }
        })
    }

    /// The join handle wants to change its waker. Fails if the task has completed.
    pub(super) fn withdraw_join_waker(&self) -> Result<(), Snapshot> {
        self.update(|now| {
            debug_assert!(
                now.is(JOIN_INTEREST),
                "the waker is the handle's to withdraw"
            );
            if now.is(COMPLETE) {
                (Err(now), None)
            } else {
                (Ok(()), Some(now.without(JOIN_WAKER)))
            }
        })
    }

    /// One transition: `step` says what it means for the caller and what the word becomes.
    #[inline]
    fn update<R>(&self, mut step: impl FnMut(Snapshot) -> (R, Option<Snapshot>)) -> R {
        // Acquire: pairs with the Release of the transition that we read.
        let mut now = self.0.load(Acquire);
        loop {
            let (then, next) = step(Snapshot(now));
            let Some(next) = next else { return then };
            // AcqRel, Acquire: see the module's prose.
            match self.0.compare_exchange_weak(now, next.0, AcqRel, Acquire) {
                Ok(_) => return then,
                Err(found) => now = found,
            }
        }
    }
}

impl Snapshot {
    pub(super) fn is_running(self) -> bool {
        self.is(RUNNING)
    }

    pub(super) fn is_notified(self) -> bool {
        self.is(NOTIFIED)
    }

    #[inline]
    pub(super) fn is_complete(self) -> bool {
        self.is(COMPLETE)
    }

    #[inline]
    pub(super) fn has_join_interest(self) -> bool {
        self.is(JOIN_INTEREST)
    }

    #[inline]
    pub(super) fn has_join_waker(self) -> bool {
        self.is(JOIN_WAKER)
    }

    #[inline]
    fn is(self, flag: usize) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    fn with(self, flag: usize) -> Self {
        Self(self.0 | flag)
    }

    #[inline]
    fn without(self, flag: usize) -> Self {
        Self(self.0 & !flag)
    }

    #[inline]
    fn references(self) -> usize {
        self.0 / REFERENCE
    }

    #[inline]
    fn plus_reference(self) -> Self {
        if self.references() > REFERENCES_MAX / 2 {
            std::process::abort();
        }
        Self(self.0 + REFERENCE)
    }

    #[inline]
    fn minus_reference(self) -> Self {
        debug_assert!(self.references() > 0, "a reference was given up twice");
        Self(self.0 - REFERENCE)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("running", &self.is(RUNNING))
            .field("complete", &self.is(COMPLETE))
            .field("notified", &self.is(NOTIFIED))
            .field("cancelled", &self.is(CANCELLED))
            .field("join_interest", &self.is(JOIN_INTEREST))
            .field("join_waker", &self.is(JOIN_WAKER))
            .field("references", &self.references())
            .finish()
    }
}
