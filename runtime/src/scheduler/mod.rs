//! The scheduler: who runs which task where, and who sleeps.
//!
//! # Parts
//!
//! - [`shared`]: what all workers of a runtime see: their queues, the injector, the idle counters.
//! - [`worker`]: one turn of a worker, as a page of prose; a worker's private [`Core`].
//! - [`park`]: going to sleep in the ring, and waking.
//! - [`doze`]: how exactly it wakes for its timers, by what that costs.
//! - [`pace`]: how often a worker looks at its shard, and when it calls for help.
//! - [`root`]: `block_on`, which runs its future on a worker's core. [`root_wake`]: how it is woken.
//! - [`rounds`]: in which order tasks and root have their turns in a current-thread runtime.
//! - [`monitor`]: the thread that looks after workers that are stuck in user code.
//! - [`watchdog`]: what the monitor tells of polls that take too long.
//! - [`spare`]: the worker that stands in for a root that blocks.
//! - [`in_place`]: `block_in_place`, which gives a core up. [`stand_in`]: the threads that run it meanwhile.
//! - [`idle`]: the protocol of sleeping and waking; README.md beside it has the proof.
//! - [`slot`]: where a core lies, and how it changes hands.
//! - [`standstill`]: a clock that tests stop, and when time passes by itself.
//! - [`coarse`]: the clock that polls are timed by.
//! - [`gauges`]: what others may read of all this.
//! - [`queue`]: next-task slot and injector. [`spawn`]: a task's birth. [`shutdown`]: the end.
//!
//! # Who owns what
//!
//! There are as many [`Core`]s as workers. Whoever holds a core runs its queue and serves its shard. A core is
//! held by its worker's thread, or by the process's main thread in `block_on`, or by a stand-in, or lies in its [`slot`]:
//! then its worker sleeps in the ring, and whoever takes the core from the slot runs it from there on. A worker
//! thread that finds its slot empty when it wakes waits until it is given the core again.

pub(crate) mod in_place;
pub(crate) mod spawn;

mod coarse;
mod doze;
mod gauges;
mod heart;
mod idle;
mod monitor;
mod pace;
mod park;
mod queue;
mod root;
mod root_wake;
mod rounds;
mod shared;
mod shutdown;
mod slot;
mod spare;
mod stand_in;
mod standstill;
mod watchdog;
mod worker;

pub(crate) use root::block_on;
pub(crate) use shared::Shared;
pub(crate) use standstill::enter_pool;
pub use watchdog::BlockedWorker;
pub(crate) use watchdog::Watchdog;
pub(crate) use worker::WorkerContext;

/// For models.
pub(crate) mod internals {
    pub use super::idle::Idle;
    pub use super::monitor::Monitor;
    pub use super::queue::{Inject, NextSlot};
    pub use super::root_wake::RootWake;
    pub use super::slot::CoreSlot;
    pub use super::spare::Spare;
}
