//! Stopping the clock, for tests.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::seam::{self, TimerSource};

/// Stops the clock of this thread's runtime, which has to be a `current_thread` one: [`Instant::now`] stands still.
///
/// While the clock stands, it jumps to the next deadline whenever the runtime has nothing else to do, so a test
/// that sleeps for an hour takes no time. Only this crate's clock is stopped; [`std::time::Instant`] goes on.
///
/// # Panics
///
/// If the clock is stopped already; on a thread that is in no runtime; in a runtime with several workers.
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
#[track_caller]
pub fn resume() {
    or_panic(source().and_then(TimerSource::resume));
}

/// Moves the stopped clock on by `duration`, in one jump, and lets other tasks run once.
///
/// Timers that the clock has jumped over are all due afterwards, in no promised order, and it is not waited for the
/// tasks that wait for them. Where that matters, [`sleep`](crate::sleep()) instead: the clock then moves from one
/// deadline to the next.
///
/// # Panics
///
/// If the clock is not stopped; on a thread that is in no runtime; if the new time cannot be represented.
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
