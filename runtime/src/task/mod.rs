//! The task: one allocation that holds a future, then its output, and the one word that says who may touch it.
//!
//! This module knows no queue and no ring. It calls one function, [`Schedule::schedule`], when a task is to be
//! polled, and whoever has a [`Notified`] may run it.
//!
//! # References
//!
//! A task is born with three: the owned set's ([`Task`]), the [`JoinHandle`]'s, and the first notification's
//! ([`Notified`]). Wakers hold one each. The last to go frees the memory, whichever thread that is on; by then
//! the future and the output are gone.
//!
//! # Who may touch what
//!
//! 1. `stage` (future or output): while RUNNING is set, the thread that set it; after COMPLETE, the join handle
//!    if JOIN_INTEREST is set, and whoever cleared that bit otherwise.
//! 2. `join_waker`: while JOIN_WAKER is clear, the join handle; while it is set, everybody may read, and
//!    nobody may write. The handle sets the bit after it has stored a waker and clears it before it stores
//!    another; both fail once the task is COMPLETE. After completion the completing thread wakes through it,
//!    clears the bit, and drops the waker if the handle is gone by then.
//! 3. `links`: the owned set, under the lock of the task's shard.
//! 4. The counts of polls and their times: written by the thread that has RUNNING, read by anybody.
//! 5. Everything else in the header, and the extras, are written before the task is shared.
//!
//! # Panics
//!
//! A panic of the future, or of its drop, becomes the task's output; one of the output's drop is swallowed.
//! The worker goes on.
//!
//! # Chains
//!
//! An output may own the handle of a task whose output owns the next, for any number of them: such outputs are dropped
//! one after the other, not one inside the other (`unnested.rs`).
//!
//! # Abort
//!
//! An abort sets a bit and schedules the task: the future is dropped by the thread that would have polled it,
//! never by the aborter.

mod abort;
mod abort_on_drop;
mod cell;
mod error;
mod harness;
mod id;
mod join;
mod local_key;
mod memory;
mod owned;
mod poll_time;
mod raw;
mod state;
mod unnested;
mod waker;
mod yield_now;

pub mod coop;

/// Futures of this module's functions that have a name.
pub mod futures {
    pub use super::local_key::TaskLocalFuture;
}

pub use abort::AbortHandle;
pub use abort_on_drop::AbortOnDrop;
pub use cell::Activity;
pub use error::JoinError;
pub use id::{Id, id, try_id};
pub use join::JoinHandle;
pub use local_key::{AccessError, LocalKey};
pub use yield_now::{YieldNow, yield_now};

pub(crate) use cell::{Birth, Extras, Header, Placement, Schedule};
pub(crate) use owned::OwnedSet;
pub(crate) use poll_time::PollTime;
pub(crate) use raw::{Kept, Notified, Task, TaskRef, new_task};
/// For models.
pub(crate) mod internals {
    pub use super::cell::{Birth, Header, Placement, Schedule};
    pub use super::owned::OwnedSet;
    pub use super::raw::{Kept, Notified, Task, TaskRef, new_task};

    /// The id of a new task.
    pub fn next_id() -> super::Id {
        super::Id::next()
    }
}

pub(crate) use waker::is_of_task;
pub(crate) use yield_now::{Yielded, go_on, take_yielded, yield_by};
