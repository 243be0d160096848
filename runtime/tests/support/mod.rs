//! What the runtime's tests share: runtimes, a watchdog, and operations on the descriptors that every kernel has.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

pub(crate) mod alone;
pub(crate) mod kinds;
pub(crate) mod ops;
pub(crate) mod probe;
pub(crate) mod stuck;
pub(crate) mod stuck_all;
#[path = "../../../tests/support/watchdog.rs"]
mod watchdog;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ringway_runtime::{Builder, Runtime};

pub(crate) use watchdog::{WATCHDOG, count, descriptors, threads, wait_until, within};

/// A runtime with `workers` worker threads.
pub(crate) fn workers(workers: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A runtime that runs on whoever blocks on it.
pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Blocks this thread until the future is done, as an executor for one future does.
pub(crate) fn block_thread_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Unparks the thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Bytes of memory that this process has in use.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("the second figure of statm");
    pages * PAGE_BYTES
}

/// Whether the address sanitizer is at work, which keeps freed memory for a while.
pub(crate) fn is_sanitized() -> bool {
    /// Address space of its shadow: no other program of ours has that much.
    const SHADOW_PAGES: usize = 1 << (40 - 12);
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm.split_whitespace().next();
    pages.and_then(|pages| pages.parse().ok()) > Some(SHADOW_PAGES)
}

/// The page of every machine that io_uring runs on and we test on.
const PAGE_BYTES: usize = 4096;

/// Something that happens once, for tasks and threads to wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Signal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// It has happened.
    pub(crate) fn set(&self) {
        let wakers = {
            let mut state = self.0.lock().expect("nobody panics with it");
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until it has happened.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().expect("nobody panics with it");
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
