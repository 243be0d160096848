//! tokio's own runtime at the side of ours, for libraries that call tokio themselves. Feature `tokio-compat`.
//!
//! Such a library (`tokio::spawn`, `tokio::net`, `tokio::time` in its own code) looks for tokio's runtime in the thread that
//! it is called on. So a runtime that was built with `enable_tokio_compat` has one of tokio's, with a single worker, and
//! every thread of ours, and whoever enters our runtime, has entered that one too. What the library spawns is then
//! run by tokio's worker, and its sockets and timers are served by tokio's reactor; awaiting them wakes our tasks as any
//! other waker would.
//!
//! While a thread polls our tasks or a root, it is inside tokio's `Handle::block_on`, whose future is our whole loop: so
//! tokio's own code finds out that blocking is not allowed there (`blocking_send`, `Handle::block_on`, the drop of a
//! runtime of tokio's), and panics as it does in a task of tokio's. Where ours allows it, in a blocking job and in
//! `block_in_place`, tokio's does. What the thread was before, it is again afterwards, by tokio's own guards; the budget
//! of tasks is not touched ([`crate::task::coop`]). docs/adr/0039 has what it costs.
//!
//! It goes both ways: tokio's threads have entered our runtime, for what a library spawns often calls the user's code,
//! which makes sockets and timers of ours.
//!
//! It ends after our workers and our blocking pool, in what is left of the same time limit.
//!
//! Without the feature all of this is nothing, and costs nothing.

#[cfg(not(feature = "tokio-compat"))]
mod nothing;
#[cfg(feature = "tokio-compat")]
mod tokio_side;

#[cfg(not(feature = "tokio-compat"))]
pub(crate) use nothing::{Entered, TokioSide, leave};
#[cfg(feature = "tokio-compat")]
pub(crate) use tokio_side::{Entered, TokioSide, leave};

use std::any::Any;
use std::sync::Once;

use crate::context::NO_RUNTIME;
use crate::trace;

/// If a task or a root has panicked because a library has missed tokio's runtime, says what to do about that, once in a
/// process.
#[cold]
pub(crate) fn explain(panic: &(dyn Any + Send)) {
    static TOLD: Once = Once::new();
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => text,
        None => panic.downcast_ref::<String>().map_or("", String::as_str),
    };
    // Ours says the same outside of a runtime, which a task is not.
    if text == NO_RUNTIME {
        TOLD.call_once(trace::warn_of_missing_tokio);
    }
}
