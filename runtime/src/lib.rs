//! The scheduler, the tasks and the io_uring driver of ringway.
//!
//! Applications use the `ringway` crate. This one is for the crates that implement sockets and files over the
//! [`driver`].
//!
//! - [`task`]: a task as a thing: one allocation and one state word.
//! - `scheduler`: who runs which task where, and who sleeps.
//! - [`driver`]: a ring per worker, its operations, its timers.
//! - `local`: tasks that stay on one thread.
//! - [`dump`]: which tasks there are, and what holds a worker.
//! - `blocking`: the pool for what may block.

pub mod driver;
pub mod dump;
pub mod join_set;
pub mod task;
pub mod task_builder;

/// The parts that hold a protocol, for the models that check them. Not for programs: they may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::blocking::internals::*;
    pub use crate::driver::internals::*;
    pub use crate::join_set::internals::*;
    pub use crate::local::internals::*;
    pub use crate::scheduler::internals::*;
    pub use crate::spin::SpinLock;
    pub use crate::task::internals::*;
}

mod blocking;
mod builder;
mod clock;
mod compat;
mod config;
mod contain;
mod context;
mod fork;
mod handle;
mod hooks;
mod linger;
mod local;
#[doc(hidden)]
pub mod loom;
mod metrics;
mod offer;
mod pause;
mod prefetch;
mod rand;
mod registry;
mod runtime;
mod scheduler;
mod spin;
mod time_source;
mod trace;

pub use builder::Builder;
pub use config::UnhandledPanic;
pub use driver::Driver;
#[doc(hidden)]
pub use fork::Process;
pub use handle::{EnterGuard, Handle, TryCurrentError};
pub use hooks::TaskMeta;
pub use local::{LocalEnterGuard, LocalOptions, LocalRuntime, LocalSet, spawn_local};
pub use metrics::{
    HistogramConfiguration, HistogramScale, InvalidHistogramConfiguration, LogHistogram,
    LogHistogramBuilder, RingMetrics, RuntimeMetrics,
};
#[doc(hidden)]
pub use offer::{Offer, Unprepared};
#[doc(hidden)]
pub use pause::Pause;
pub use rand::RngSeed;
pub use runtime::{Id, Runtime, RuntimeFlavor, is_rt_shutdown_err, worker_index};
pub use scheduler::BlockedWorker;
pub use scheduler::in_place::block_in_place;
pub use scheduler::spawn::{spawn, spawn_blocking, spawn_mandatory_blocking};
#[doc(hidden)]
pub use trace::tell_of_refused_accept;
