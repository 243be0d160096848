//! A future with a deadline.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::Instant;
use crate::error::Elapsed;
use crate::seam;
use crate::sleep::{Sleep, sleep_until};

/// Waits for `future`, but no longer than `duration` from now on.
///
/// The future is polled before the clock is looked at, so a value that is there at the deadline wins, and a future
/// that is ready at once needs no time at all. One that does not return from its `poll` cannot be stopped. A
/// duration that leads beyond what the clock can represent means no deadline.
///
/// # Errors
///
/// [`Elapsed`] when the deadline came first. The future is dropped with the [`Timeout`], not before; awaiting
/// `&mut future` keeps it.
///
/// # Cancel safety
///
/// That of `future`: dropping the timeout drops it.
///
/// # Panics
///
/// On a thread that is in no runtime, and in a runtime that was built without timers.
#[track_caller]
pub fn timeout<F>(duration: Duration, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    #[expect(
        clippy::manual_map,
        reason = "within `map` a panic would not be blamed on the caller"
    )]
    let delay = match Instant::now().checked_add(duration) {
        Some(deadline) => Some(sleep_until(deadline)),
        None => None,
    };
    Timeout {
        value: future.into_future(),
        delay,
    }
}

/// Waits for `future`, but no longer than until `deadline`. Like [`timeout`] in everything else.
///
/// # Panics
///
/// On a thread that is in no runtime, and in a runtime that was built without timers.
#[track_caller]
pub fn timeout_at<F>(deadline: Instant, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    Timeout {
        value: future.into_future(),
        delay: Some(sleep_until(deadline)),
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Timeout<T> {
        #[pin]
        value: T,
        #[pin]
        delay: Option<Sleep>,
    }
}

impl<T> Timeout<T> {
    /// The future that has to be in time.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The future that has to be in time.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The future, without its deadline.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Future for Timeout<T>
where
    T: Future,
{
    type Output = Result<T::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = has_budget();
        if let Poll::Ready(value) = this.value.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        let Some(delay) = this.delay.as_pin_mut() else {
            return Poll::Pending;
        };
        ready!(poll_delay(delay, cx, had_budget));
        Poll::Ready(Err(Elapsed::new()))
    }
}

/// A future that uses up the budget in each poll must not keep the deadline from being seen.
fn poll_delay(delay: Pin<&mut Sleep>, cx: &mut Context<'_>, had_budget: bool) -> Poll<()> {
    if had_budget && !has_budget() {
        delay.poll_unconstrained(cx)
    } else {
        delay.poll(cx)
    }
}

fn has_budget() -> bool {
    seam::source().is_none_or(|source| source.has_budget())
}
