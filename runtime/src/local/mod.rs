//! Tasks that stay on the thread that spawned them, and so need not be `Send`: [`LocalSet`] and [`LocalRuntime`].
//!
//! # Parts
//!
//! - [`set`]: [`LocalSet`], a scheduler inside a task: whoever polls it runs its tasks. [`poll`]: one poll of it.
//! - [`shared`]: what wakes reach of a set from anywhere: the queue of its own thread, and the mailbox.
//! - [`mailbox`]: what other threads leave for a set, and whom they wake. A protocol; models run it.
//! - [`owner`]: a cell that only one thread gets into.
//! - [`table`]: the sets of this process, by number. [`current`]: the set that this thread is in.
//! - [`spawn`]: the function that spawns onto whichever of the two this thread is in.
//! - [`runtime`]: [`LocalRuntime`], a current-thread runtime whose core never leaves its thread.
//!
//! # Why a future that is not `Send` is safe here
//!
//! 1. A set and a local runtime are neither `Send` nor `Sync`, so they are polled, and dropped, by the thread
//!    that made them. A set that is never dropped leaves its tasks' memory as it is.
//! 2. A task is spawned by that thread only: onto a set because the way to it (the set itself, or this thread's
//!    current set) does not leave the thread; onto a local runtime because the thread's number is compared.
//! 3. A future is polled, and dropped, by whoever runs a [`crate::task::Notified`] or shuts a [`crate::task::Task`]
//!    down. Others may *hold* a `Notified`, put it into a mailbox or the injector, and drop it, which gives up a
//!    reference and no more. They are run, and the tasks of an owned set shut down, only by the two of rule 1.
//! 4. The output goes to a join handle, which is `Send` only if the output is, or is dropped by the runner.
//! 5. The last reference may go on any thread. By then future and output are gone: the owned set has a reference
//!    until the task has completed, and the join handle until the output is taken or dropped.

mod current;
mod mailbox;
mod owner;
mod poll;
mod runtime;
mod set;
mod shared;
mod spawn;
mod table;

pub use runtime::{LocalOptions, LocalRuntime};
pub use set::{LocalEnterGuard, LocalSet};
pub use spawn::spawn_local;

pub(crate) use owner::ThreadNumber;
pub(crate) use poll::wake_in_next_poll;
pub(crate) use spawn::spawn_local_with;

/// For models.
pub(crate) mod internals {
    pub use super::mailbox::Mailbox;
}
