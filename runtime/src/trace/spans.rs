//! The spans.

use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tracing::instrument::{Instrument, Instrumented};
use tracing::{Span, trace, trace_span, warn};

use super::{Kind, MISSING_TOKIO};
use crate::driver::SetupError;
use crate::scheduler::{BlockedWorker, Watchdog};
use crate::task::{Extras, Id, TaskRef};

/// One poll that takes longer than this is warned of: people notice it, and a machine under load does not do it.
const BLOCKED: Duration = Duration::from_millis(100);

/// A task's extras, and the number of its span, which outlives the span's own future: wakers do.
pub(crate) struct Numbered<E> {
    extras: E,
    span: Option<u64>,
}

impl<E: Extras> Extras for Numbered<E> {
    fn name(&self) -> Option<&str> {
        self.extras.name()
    }

    fn in_poll<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.extras.in_poll(poll)
    }

    fn span(&self) -> Option<u64> {
        self.span
    }
}

/// Puts a future that is spawned into its span, and the span's number to the extras. `T` is what the user spawned.
pub(crate) fn task<T, F, E: Extras>(
    kind: Kind,
    future: F,
    id: Id,
    spawned_at: &'static Location<'static>,
    extras: E,
) -> (Instrumented<F>, Numbered<E>) {
    let name = extras.name().unwrap_or_default();
    let span = match kind {
        Kind::Task => task_span::<T>("task", name, id, spawned_at),
        Kind::Local => task_span::<T>("local", name, id, spawned_at),
        Kind::Blocking => blocking_span::<T>(name, id, spawned_at),
    };
    let number = span.id().map(|id| id.into_u64());
    let extras = Numbered {
        extras,
        span: number,
    };
    (future.instrument(span), extras)
}

/// Puts the root future of `block_on` into its span.
#[track_caller]
pub(crate) fn root<F>(future: F) -> Instrumented<F> {
    let span = task_span::<F>("block_on", "", Id::next(), Location::caller());
    future.instrument(span)
}

fn task_span<F>(kind: &'static str, name: &str, id: Id, at: &'static Location<'static>) -> Span {
    trace_span!(
        target: "tokio::task",
        parent: None,
        "runtime.spawn",
        %kind,
        task.name = %name,
        task.id = id.as_u64(),
        size.bytes = size_of::<F>() as u64,
        loc.file = at.file(),
        loc.line = at.line(),
        loc.col = at.column(),
    )
}

fn blocking_span<F>(name: &str, id: Id, at: &'static Location<'static>) -> Span {
    trace_span!(
        target: "tokio::task::blocking",
        "runtime.spawn",
        kind = %"blocking",
        task.name = %name,
        task.id = id.as_u64(),
        "fn" = %std::any::type_name::<F>(),
        size.bytes = size_of::<F>() as u64,
        loc.file = at.file(),
        loc.line = at.line(),
        loc.col = at.column(),
    )
}

/// A task's waker is used.
#[inline]
pub(crate) fn waker(task: TaskRef<'_>, op: &'static str) {
    if let Some(span) = task.span() {
        trace!(target: "tokio::task::waker", op, task.id = span);
    }
}

/// Who is told of blocked workers, if the user did not say.
pub(crate) fn warn_of_blocked_workers() -> Option<Watchdog> {
    Some(Watchdog {
        threshold: BLOCKED,
        callback: Arc::new(warn_of),
    })
}

/// Workers go without io_uring.
pub(crate) fn warn_of_second_driver(refused: &SetupError) {
    warn!(
        target: "ringway::driver",
        "{refused}; going on with epoll and the blocking pool (RINGWAY_DRIVER=poll says so silently)",
    );
}

/// A library has missed tokio's runtime.
pub(crate) fn warn_of_missing_tokio() {
    warn!(target: "ringway::compat", "{MISSING_TOKIO}");
}

/// A listener of a server goes on without the connection that it was to give.
pub(crate) fn warn_of_refused_accept(error: &io::Error) {
    warn!(target: "ringway::net", "accept failed: {error}");
}

fn warn_of(blocked: &BlockedWorker) {
    warn!(
        target: "ringway::blocked",
        worker = blocked.worker(),
        task.name = blocked.name(),
        held_ms = blocked.held_for().as_millis() as u64,
        threshold_ms = BLOCKED.as_millis() as u64,
        "{blocked}",
    );
}
