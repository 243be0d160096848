//! What the tests of tasks, time and runtimes share.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

#[path = "watchdog.rs"]
mod watchdog;

use std::any::Any;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use ringway::runtime::{Builder, Handle, Runtime};
use ringway::task::yield_now;

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

/// A runtime on one thread whose clock stands.
pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// Runs `body` as the root of a runtime with two workers, as a task there, and as the root on one thread.
#[track_caller]
pub(crate) fn everywhere<F>(body: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let [root, task, single] = [body(), body(), body()];
    within(WATCHDOG, || {
        let runtime = workers(2);
        runtime.block_on(root);
        let task = runtime.spawn(task);
        if let Err(error) = runtime.block_on(task) {
            std::panic::resume_unwind(error.into_panic());
        }
        current_thread().block_on(single);
    });
}

/// The text of the panic that `body` ends with.
///
/// # Panics
///
/// If it does not panic.
#[track_caller]
pub(crate) fn panic_text(body: impl FnOnce()) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(()) => panic!("there was no panic"),
        Err(payload) => text_of(payload),
    }
}

/// The text of a panic's payload.
pub(crate) fn text_of(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&'static str>()
            .expect("the payload is a text")
            .to_string(),
    }
}

/// Counts how many of its kind were dropped.
#[derive(Debug)]
pub(crate) struct CountDrop(pub(crate) Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the kernel says of the threads of this process: how long each has run, and waited for a processor.
#[derive(Debug)]
pub(crate) struct Waits(HashMap<OsString, (Duration, Duration)>);

impl Waits {
    pub(crate) fn now() -> Self {
        let threads = fs::read_dir("/proc/self/task").expect("the kernel lists threads");
        let times = threads.filter_map(|thread| {
            let thread = thread.ok()?;
            // Gone, if it cannot be read.
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut times = text
                .split(' ')
                .map(|ns| ns.trim().parse().map(Duration::from_nanos));
            let times = (times.next()?.ok()?, times.next()?.ok()?);
            Some((thread.file_name(), times))
        });
        Self(times.collect())
    }

    /// The longest that a thread has waited since, those apart that have run for more than `busy`.
    pub(crate) fn worst_since(&self, busy: Duration) -> Duration {
        let now = Self::now().0.into_iter();
        let since = now.map(|(thread, (ran, waited))| {
            let before = self.0.get(&thread).copied().unwrap_or_default();
            (
                ran.saturating_sub(before.0),
                waited.saturating_sub(before.1),
            )
        });
        let waits = since
            .filter(|(ran, _)| *ran < busy)
            .map(|(_, waited)| waited);
        waits.max().unwrap_or_default()
    }
}

/// Tasks that are always ready, until this is dropped.
pub(crate) struct Storm(Arc<AtomicBool>);

impl Storm {
    pub(crate) fn begin(handle: &Handle, tasks: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for task in 0..tasks {
            let stop = Arc::clone(&stop);
            handle.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if task % 2 == 0 {
                        yield_now().await;
                    } else {
                        wake_myself().await;
                    }
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As `yield_now`, without telling the runtime.
pub(crate) async fn wake_myself() {
    let mut woken = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
