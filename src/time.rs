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
//! A test can let the clock stand still: it then moves by itself, and only when nothing is left to do
//! but to wait.
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
