//! Stopping the clock, for tests.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::seam::{self, TimerSource};

/// Stops the clock of this thread's runtime: [`Instant::now`] stands still, and no time passes between two timers.
///
/// Only this crate's clock is stopped; [`std::time::Instant`] goes on. A runtime may also begin with its clock stopped:
/// that is the option `start_paused` of its builder, and of the attributes `#[main]` and `#[test]`.
///
/// A `current_thread` runtime can be stopped at any time. A `multi_thread` one, beyond tokio, can if it was built with
/// `start_paused`, so that a program which is written for tokio panics as it does there.
///
/// # When time passes
///
/// The clock jumps to the next deadline when nothing is left to do, so a test that sleeps for an hour takes no time. All
/// timers that are due then fire, and those of later deadlines wait until nothing is left to do again. Nothing is left to
/// do when
///
/// - no task runs, or is ready to;
/// - no root of `block_on` runs, or is ready to;
/// - no blocking job is queued or runs, and no closure of `block_in_place`; in a `multi_thread` runtime one that blocks on a
///   future in turn, and waits, does not count;
/// - no operation on a file is awaited;
/// - no ring has an answer. What has been sent over a socket of this machine has arrived by then.
///
/// It does not wait for other processes and machines, nor for threads that are not the runtime's. To have it stand still
/// while a test waits for one of those, wait in a blocking job.
///
/// In a `multi_thread` runtime tasks whose deadlines are the same are woken together, and run at the same time.
///
/// # Panics
///
/// If the clock is stopped already; on a thread that is in no runtime; in a `multi_thread` runtime that was not built with
/// `start_paused`.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, pause, sleep};
///
/// pause();
/// let start = Instant::now();
/// sleep(Duration::from_secs(3_600)).await;
/// assert_eq!(start.elapsed(), Duration::from_secs(3_600));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [`Instant::now`]: crate::Instant::now
#[track_caller]
pub fn pause() {
    or_panic(source().and_then(TimerSource::pause));
}

/// Lets the clock go on from where it stands.
///
/// # Panics
///
/// If the clock is not stopped; on a thread that is in no runtime.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, resume, sleep};
///
/// resume();
/// let start = std::time::Instant::now();
/// sleep(Duration::from_millis(5)).await;
/// assert!(start.elapsed() >= Duration::from_millis(5));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn resume() {
    or_panic(source().and_then(TimerSource::resume));
}

/// Moves the stopped clock on by `duration`, in one jump, and lets other tasks run once.
///
/// Timers that the clock has jumped over, those of all workers, are all due afterwards, in no promised order, and it is not
/// waited for the tasks that wait for them. Where that matters, [`sleep`](crate::sleep()) instead: the clock then moves from one
/// deadline to the next.
///
/// # Panics
///
/// If the clock is not stopped; on a thread that is in no runtime; if the clock would be 584 years or more from the
/// beginning of its runtime.
///
/// # Cancel safety
///
/// The clock is moved when the future is polled first.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, advance};
///
/// let start = Instant::now();
/// advance(Duration::from_secs(10)).await;
/// assert_eq!(start.elapsed(), Duration::from_secs(10));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn advance(duration: Duration) {
    or_panic(source().and_then(|source| source.advance(duration)));
    let mut has_yielded = false;
    poll_fn(|cx| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn source() -> Result<&'static dyn TimerSource, &'static str> {
    seam::source().ok_or("time cannot be frozen from outside the Tokio runtime")
}

#[track_caller]
fn or_panic(result: Result<(), &'static str>) {
    if let Err(message) = result {
        panic!("{message}");
    }
}
