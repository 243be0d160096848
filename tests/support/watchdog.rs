//! What tests of every package share that need no runtime: bounds in time, counts from outside, and what procfs says
//! of this process.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// No test takes this long; one that does hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own and returns what it returns.
///
/// # Panics
///
/// If it takes longer than `bound`, and with the panic of `body`.
#[track_caller]
pub(crate) fn within<R: Send + 'static>(
    bound: Duration,
    body: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let result = body();
        // The receiver is gone only if the test has failed already.
        let _ = done.send(result);
    });
    match is_done.recv_timeout(bound) {
        Ok(result) => {
            thread.join().expect("it has returned");
            result
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still not done after {bound:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it returned without a result"),
        },
    }
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not within the time of the watchdog.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WATCHDOG, "still not: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A count from the environment, so that a long run needs no other build, or `ordinary`.
pub(crate) fn count(variable: &str, ordinary: usize) -> usize {
    std::env::var(variable).map_or(ordinary, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
    })
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    // One of them is the directory that is being read.
    fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
}

/// Threads of this process.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("procfs").count()
}
