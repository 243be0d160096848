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
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use std::future::pending;
/// use ringway_timer::{Duration, timeout};
///
/// let limit = Duration::from_millis(10);
/// assert_eq!(timeout(limit, async { "in time" }).await, Ok("in time"));
/// assert!(timeout(limit, pending::<()>()).await.is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
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
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, sleep, timeout_at};
///
/// // Both have to be done by then.
/// let deadline = Instant::now() + Duration::from_millis(15);
/// assert!(timeout_at(deadline, sleep(Duration::from_millis(10))).await.is_ok());
/// assert!(timeout_at(deadline, sleep(Duration::from_millis(10))).await.is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, Instant, sleep, timeout};
    ///
    /// let limited = timeout(Duration::from_secs(1), sleep(Duration::from_secs(2)));
    /// assert!(limited.get_ref().deadline() >= Instant::now());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The future that has to be in time.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use std::future::{Ready, ready};
    /// use ringway_timer::{Duration, timeout};
    ///
    /// let mut limited = timeout(Duration::from_secs(1), ready(1));
    /// *limited.get_mut() = ready(2);
    /// assert_eq!(limited.await, Ok(2));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The future, without its deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use std::future::ready;
    /// use ringway_timer::{Duration, timeout};
    ///
    /// let limited = timeout(Duration::from_secs(1), ready(1));
    /// assert_eq!(limited.into_inner().await, 1);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
