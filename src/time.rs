//! Sleeping, intervals, and time limits for any future.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() {
//! use ringway::time::{Duration, Instant, interval, sleep, timeout};
//!
//! let start = Instant::now();
//! sleep(Duration::from_millis(5)).await;
//! assert!(start.elapsed() >= Duration::from_millis(5));
//!
//! let never = std::future::pending::<()>();
//! assert!(timeout(Duration::from_millis(5), never).await.is_err());
//!
//! // The first tick is at once, each later one a period after.
//! let mut ticks = interval(Duration::from_millis(2));
//! for _ in 0..3 {
//!     ticks.tick().await;
//! }
//! # }
//! ```
//!
//! Durations may be as short and as long as they like. No timer is early; how late one is depends on the
//! machine, and on an idle one is some hundredths of a millisecond: deadlines are rounded up to 16.4 µs. A
//! timer allocates nothing, and belongs to the runtime in which it was made, wherever it is polled.
//!
//! # Many deadlines in one place
//!
//! A [`DelayQueue`] has elements that come out when their time has come: entries of a cache, connections
//! that are idle. A million of them take one timer. With the feature `stream` it is a `Stream`.
//!
//! ```
//! # #[ringway::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::future::poll_fn;
//! use ringway::time::{DelayQueue, Duration};
//!
//! let mut queue = DelayQueue::new();
//! let second = queue.insert("second", Duration::from_millis(5));
//! queue.insert("first", Duration::from_millis(10));
//! queue.reset(&second, Duration::from_millis(20));
//! for wanted in ["first", "second"] {
//!     let expired = poll_fn(|cx| queue.poll_expired(cx)).await.unwrap();
//!     assert_eq!(expired.into_inner(), wanted);
//! }
//! assert!(queue.is_empty());
//! # }
//! ```
//!
//! # A clock that stands still
//!
//! A test can let the clock stand still: it then moves by itself, and only when nothing is left to do
//! but to wait. `pause` says what that is. In a runtime with several workers too, if it is built so:
//! `Builder::start_paused`.
//!
//! ```
//! # #[ringway::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use ringway::time::{Duration, Instant, sleep};
//!
//! let start = Instant::now();
//! sleep(Duration::from_secs(86_400)).await;
//! assert_eq!(start.elapsed(), Duration::from_secs(86_400));
//! # }
//! ```

#[doc(inline)]
pub use ringway_timer::delay_queue;
#[doc(inline)]
pub use ringway_timer::{
    DelayQueue, Instant, Interval, MissedTickBehavior, Sleep, Timeout, error, interval,
    interval_at, sleep, sleep_until, timeout, timeout_at,
};
#[cfg(feature = "test-util")]
#[doc(inline)]
pub use ringway_timer::{advance, pause, resume};
#[doc(no_inline)]
pub use std::time::Duration;
