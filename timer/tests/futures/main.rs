//! The futures of this crate over a scripted source: what they ask of it, and when they are ready.

mod delay_queue;
mod interval;
#[cfg(feature = "test-util")]
mod pause;
mod sleep;
mod support;
mod timeout;
mod types;
