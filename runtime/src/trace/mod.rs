//! Spans and events in tokio-console's own format, so that the stock console shows a runtime's tasks; nothing without
//! the feature `tracing`.
//!
//! - Each task has a span `runtime.spawn`, with its kind, name, id, size and the place where it was spawned. It is
//!   entered for each poll, and for the drop of the future, with which it closes. Roots of `block_on` and blocking jobs
//!   have one too.
//! - Each use of a task's waker is an event, `waker.wake`, `waker.wake_by_ref`, `waker.clone` or `waker.drop`, with the
//!   number of the task's span.
//!
//! All are at the level TRACE. A subscriber that wants none of them costs a look at the callsite for each.
//!
//! The subscriber is called wherever a waker is cloned or dropped, the driver's locks included. It must not use this
//! runtime itself; tokio asks the same of it.

#[cfg(not(feature = "tracing"))]
mod nothing;
#[cfg(feature = "tracing")]
mod spans;

use std::io;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::nothing::{
    root, task, waker, warn_of_blocked_workers, warn_of_missing_tokio, warn_of_refused_accept,
    warn_of_second_driver,
};
#[cfg(feature = "tracing")]
pub(crate) use self::spans::{
    root, task, waker, warn_of_blocked_workers, warn_of_missing_tokio, warn_of_refused_accept,
    warn_of_second_driver,
};

/// For listeners that have nobody to give an error to: a line on standard error, or an event with the feature `tracing`.
pub fn tell_of_refused_accept(error: &io::Error) {
    warn_of_refused_accept(error);
}

/// What to do about a library that has missed tokio's runtime.
const MISSING_TOKIO: &str = "a library has called tokio itself, which needs a runtime of tokio's: build with the feature \
     `tokio-compat` and call `Builder::enable_tokio_compat` (or write `tokio_compat = true` in `#[main]`)";

/// What is spawned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Task,
    /// A task that stays on its thread.
    Local,
    /// A blocking job.
    Blocking,
}
