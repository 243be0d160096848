//! Libraries that call tokio themselves, on a runtime of ringway with one of tokio's at its side: see `tests/`. Here is what
//! these tests have in common.
//!
//! A package of its own, because these libraries bring many others, and turn on features of tokio that no other test
//! should find turned on.

#![forbid(unsafe_code)]

use std::time::Duration;

use ringway::runtime::{Builder, Runtime};

/// More than anything here takes, on any machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Two workers of ours, whose threads are called `ours`, with tokio at the side.
///
/// # Panics
///
/// If there is none to be had.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ours")
        .enable_all()
        .enable_tokio_compat()
        .build()
        .expect("a runtime")
}
