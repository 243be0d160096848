//! No spans.

use std::io::{self, Write};
use std::panic::Location;

use super::{Kind, MISSING_TOKIO};
use crate::driver::SetupError;
use crate::scheduler::Watchdog;
use crate::task::{Extras, Id, TaskRef};

/// What becomes of a future, and of its extras, that are spawned.
#[expect(
    clippy::extra_unused_type_parameters,
    reason = "the spans are told what the user spawned"
)]
#[inline(always)]
pub(crate) fn task<T, F, E: Extras>(
    _: Kind,
    future: F,
    _: Id,
    _: &'static Location<'static>,
    extras: E,
) -> (F, E) {
    (future, extras)
}

/// What becomes of the root future of `block_on`.
#[inline(always)]
pub(crate) fn root<F>(future: F) -> F {
    future
}

/// A task's waker is used.
#[inline(always)]
pub(crate) fn waker(_: TaskRef<'_>, _: &'static str) {}

/// Who is told of blocked workers, if the user did not say.
pub(crate) fn warn_of_blocked_workers() -> Option<Watchdog> {
    None
}

/// Workers go without io_uring.
pub(crate) fn warn_of_second_driver(refused: &SetupError) {
    say(&format!(
        "ringway: {refused}; going on with epoll and the blocking pool (RINGWAY_DRIVER=poll says so silently)\n"
    ));
}

/// A library has missed tokio's runtime.
pub(crate) fn warn_of_missing_tokio() {
    say(&format!("ringway: {MISSING_TOKIO}\n"));
}

/// A listener of a server goes on without the connection that it was to give.
pub(crate) fn warn_of_refused_accept(error: &io::Error) {
    say(&format!("ringway: accept failed: {error}\n"));
}

fn say(line: &str) {
    // At once, or the lines of several processes get mixed. Who has closed standard error does not want to know.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
