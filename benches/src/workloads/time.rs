//! Timers that are made and dropped: what every timeout around a request does.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{on_worker, rt};
use crate::Run;

/// Timers in a batch.
pub const TIMERS: u64 = 100 * TIMERS_PER_POLL;

/// Timers between two yields. tokio's budget allows 128 resources in one poll of a task; a `sleep`
/// beyond it would not be registered at all.
const TIMERS_PER_POLL: u64 = 100;

/// Far enough that none fires.
const NEVER: Duration = Duration::from_secs(3_600);

/// A task makes a timer, polls it once so that it is registered, and drops it.
pub fn make_and_drop() -> Run {
    on_worker(|batches| async move {
        for _ in 0..batches * (TIMERS / TIMERS_PER_POLL) {
            for _ in 0..TIMERS_PER_POLL {
                let mut sleep = pin!(rt::time::sleep(NEVER));
                let registered = poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context))).await;
                assert!(registered.is_pending());
            }
            rt::task::yield_now().await;
        }
    })
}
