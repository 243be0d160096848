//! The memory of a task: one allocation of header and stage.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;

use super::error::JoinError;
use super::id::Id;
use super::raw::{Notified, Vtable};
use super::state::State;
use crate::hooks::TaskMeta;
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

    /// The task has completed: takes it out of its owned set. Returns whether it was there, and its
    /// reference is now the caller's.
    fn release(task: &Header) -> bool;

    /// The task's future has panicked in its poll. The panic goes to the join handle afterwards.
    fn panicked(_: &Header) {}
}

/// Which runtime a task belongs to, and which part of its owned set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The runtime's number.
    pub runtime: u32,
    /// The part of the owned set.
    pub shard: u32,
}

/// The part of a task that does not depend on its future's type.
#[repr(C)]
pub struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    pub(super) links: UnsafeCell<Links>,
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
    pub(super) placement: Placement,
    pub(super) id: Id,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) witness: Witness,
}

impl Header {
    /// The runtime and the part of the owned set that the task belongs to.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// What hooks are told of the task.
    pub(crate) fn meta(&self) -> TaskMeta<'_> {
        TaskMeta::new(self.id, self.spawned_at, None)
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

/// Neighbours in the owned set. A task that is in no set has `linked` false.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    pub(super) previous: Option<NonNull<Header>>,
    pub(super) next: Option<NonNull<Header>>,
    pub(super) linked: bool,
}

/// A task. The header is first, so that a pointer to the cell is one to the header.
#[repr(C)]
pub(super) struct Cell<F: Future> {
    pub(super) header: Header,
    pub(super) stage: UnsafeCell<Stage<F>>,
}

/// What the task holds.
pub(super) enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Gone,
}

const _: () = {
    // A task that does nothing is to fit into 112 bytes of heap.
    assert!(IS_MODEL || size_of::<Header>() <= 80);
    assert!(IS_MODEL || size_of::<Cell<std::future::Ready<()>>>() <= 112);
};
