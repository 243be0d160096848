//! Timers: `sleep`, `timeout` and `interval`, and the timing wheel under them.
//!
//! Three layers, each of which knows only those below it:
//!
//! 1. [`wheel`]: the hierarchical timing wheel as plain data. No thread, no clock, no lock.
//! 2. [`seam`]: what a runtime has to offer, so that its wheels and clocks serve the futures of this crate.
//! 3. The futures, with the names, signatures, panics and error texts of tokio's `time` module.
//!
//! A future owns its place in a wheel: it asks for one when it is first polled and has to wait, and gives it back
//! when it is dropped. Whether a deadline has come is decided by the clock alone, so a wake-up too many never ends
//! a sleep early; whether somebody looks at the clock in time is up to the wheel.
//!
//! This crate has no unsafe code.

#![forbid(unsafe_code)]

pub mod delay_queue;
mod instant;
mod interval;
#[cfg(feature = "test-util")]
mod pause;
mod sleep;
mod timeout;
mod timer;

pub mod error;
pub mod seam;
pub mod wheel;

#[doc(inline)]
pub use delay_queue::DelayQueue;
pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
#[cfg(feature = "test-util")]
pub use pause::{advance, pause, resume};
pub use sleep::{Sleep, sleep, sleep_until};
#[doc(no_inline)]
pub use std::time::Duration;
#[doc(inline)]
pub use timeout::{Timeout, timeout, timeout_at};
