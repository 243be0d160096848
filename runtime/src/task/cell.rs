//! The memory of a task: one allocation of header, stage and extras.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32};
use std::task::Waker;

use super::error::Cause;
use super::id::Id;
use super::poll_time::PollTime;
use super::raw::{Notified, TaskRef, Vtable};
use super::state::State;
use crate::loom::{IS_MODEL, UnsafeCell, Witness};

/// What a task asks of whoever runs it.
///
/// The functions get the task's [`Placement`] through the task and find their runtime by it; the task holds no
/// reference to the runtime, so that spawning touches no count that all spawns share.
pub trait Schedule: 'static {
    /// Sees to it that `task` is run.
    fn schedule(task: Notified);

    /// As `schedule`, for a task that was woken while it ran: it goes behind the others.
    fn reschedule(task: Notified);

    /// A poll of the task has returned, and the task waits for more. Nobody else has got it yet.
    fn polled(task: &Header) {
        let _ = task;
    }

    /// The task has completed: takes it out of its owned set. Returns whether it was there, and its
    /// reference is now the caller's.
    fn release(task: TaskRef<'_>) -> bool;

    /// The task's future has panicked in its poll. The panic goes to the join handle afterwards.
    fn panicked(_: &Header) {}
}

/// Which runtime a task belongs to, and which part of its owned set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The runtime's number.
    pub runtime: u32,
    /// The part of the owned set.
    pub shard: u16,
}

/// What is known of a task when it is spawned.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Where it belongs.
    pub placement: Placement,
    /// Its number.
    pub id: Id,
    /// Who spawned it.
    pub spawned_at: &'static Location<'static>,
    /// When, in milliseconds of the runtime's coarse clock.
    pub born: u32,
}

/// What only some tasks carry, such as a name. Most carry `()`, which takes no room.
pub trait Extras: Send + Sync + 'static {
    /// The task's name, if it was given one.
    fn name(&self) -> Option<&str> {
        None
    }

    /// The number of the task's span, if it has one.
    fn span(&self) -> Option<u64> {
        None
    }

    /// Calls `poll`, which polls the future or drops it.
    #[inline]
    fn in_poll<R>(&self, poll: impl FnOnce() -> R) -> R {
        poll()
    }
}

impl Extras for () {}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// It is being polled, or its future dropped.
    Running,
    /// It is queued, to be polled.
    Scheduled,
    /// It waits to be woken.
    Idle,
    /// It has just completed.
    Complete,
}

/// The part of a task that does not depend on its future's type.
#[repr(C)]
pub struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    pub(super) links: UnsafeCell<Links>,
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
    pub(super) runtime: u32,
    pub(super) shard: u16,
    pub(super) poll_times: PollTimes,
    pub(super) id: Id,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) born: u32,
    pub(super) polls: Polls,
    pub(super) witness: Witness,
}

impl Header {
    /// The runtime and the part of the owned set that the task belongs to.
    pub fn placement(&self) -> Placement {
        Placement {
            runtime: self.runtime,
            shard: self.shard,
        }
    }

    /// The task's number.
    pub fn id(&self) -> Id {
        self.id
    }

    /// What the task is doing.
    pub(crate) fn activity(&self) -> Activity {
        let state = self.state.load();
        if state.is_complete() {
            Activity::Complete
        } else if state.is_running() {
            Activity::Running
        } else if state.is_notified() {
            Activity::Scheduled
        } else {
            Activity::Idle
        }
    }

    /// Who spawned the task.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// When the task was spawned, in milliseconds of the runtime's coarse clock.
    pub fn born(&self) -> u32 {
        self.born
    }

    /// How often the task has been polled, modulo 2^32.
    pub fn polls(&self) -> u32 {
        self.polls.0.load(Relaxed)
    }

    /// How long the last poll took, and the longest.
    pub fn poll_times(&self) -> (PollTime, PollTime) {
        let PollTimes { last, longest } = &self.poll_times;
        let read = |time: &AtomicU8| PollTime::from_bits(time.load(Relaxed));
        (read(last), read(longest))
    }

    /// A poll has taken `time`. The caller polled the task, and has not given it up yet.
    pub fn note_poll_time(&self, time: PollTime) {
        let PollTimes { last, longest } = &self.poll_times;
        last.store(time.to_bits(), Relaxed);
        if time.to_bits() > longest.load(Relaxed) {
            longest.store(time.to_bits(), Relaxed);
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("spawned_at", &self.spawned_at)
            .finish_non_exhaustive()
    }
}

/// How often a task was polled. Written by who has RUNNING; others may look, and see some recent value.
///
/// Not of the loom facade: no decision hangs on it.
#[derive(Debug, Default)]
pub(super) struct Polls(AtomicU32);

impl Polls {
    #[inline]
    pub(super) fn count(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// How long polls took. Written and read as [`Polls`].
#[derive(Debug, Default)]
pub(super) struct PollTimes {
    last: AtomicU8,
    longest: AtomicU8,
}

/// Neighbours in the owned set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) previous: Option<NonNull<Header>>,
    pub(super) next: Option<NonNull<Header>>,
}

impl Links {
    /// Those of a task that is in no set. No task lies at the address, which is not that of any allocation.
    pub(super) const NONE: Self = Self {
        previous: Some(NonNull::dangling()),
        next: None,
    };
}

/// A task. The header is first, so that a pointer to the cell is one to the header.
#[repr(C)]
pub(super) struct Cell<F: Future, E> {
    pub(super) header: Header,
    pub(super) stage: UnsafeCell<Stage<F>>,
    pub(super) extras: E,
}

/// What the task holds.
pub(super) enum Stage<F: Future> {
    Future(F),
    Done(F::Output),
    Failed(Cause),
    Gone,
}

const _: () = {
    // A task that does nothing is to fit into 96 bytes of heap.
    assert!(IS_MODEL || size_of::<Header>() <= 80);
    assert!(IS_MODEL || size_of::<Cell<std::future::Ready<()>, ()>>() <= 96);
};
