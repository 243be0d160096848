//! How late a woken task is polled.

use std::hint;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{rt, runtime};
use crate::gauges::{Figure, Promise};
use rt::sync::Notify;

/// Wakes that are measured.
const WAKES: usize = 3_000;

/// Wakes that are measured of [`by_busy_task`], whose latencies are long.
const BUSY_WAKES: usize = 300;

/// Between two wakes: long enough that all workers fall asleep.
const PAUSE: Duration = Duration::from_micros(300);

/// How long a task computes after it has woken another.
const BUSY: Duration = Duration::from_millis(5);

/// A thread that is no worker wakes a task.
pub fn by_thread() -> Vec<Figure> {
    let runtime = runtime();
    let sleeper = Sleeper::leak(WAKES);
    let task = runtime.spawn(sleeper.sleep(WAKES));
    for wake in 0..WAKES {
        thread::sleep(PAUSE);
        sleeper.wake();
        while !sleeper.has_woken(wake + 1) {
            thread::sleep(PAUSE);
        }
    }
    runtime.block_on(task).unwrap();
    sleeper.figures(WAKES, &[("p50", 500), ("p99", 990), ("p99.9", 999)])
}

/// A task wakes another and awaits.
pub fn by_task() -> Vec<Figure> {
    let runtime = runtime();
    let sleeper = Sleeper::leak(WAKES);
    let task = runtime.spawn(sleeper.sleep(WAKES));
    let waker = runtime.spawn(async {
        for wake in 0..WAKES {
            rt::time::sleep(PAUSE).await;
            sleeper.wake();
            while !sleeper.has_woken(wake + 1) {
                rt::time::sleep(PAUSE).await;
            }
        }
    });
    runtime.block_on(waker).unwrap();
    runtime.block_on(task).unwrap();
    sleeper.figures(WAKES, &[("p50", 500), ("p99", 990), ("p99.9", 999)])
}

/// A task wakes another and computes, while the other worker has nothing to do.
pub fn by_busy_task() -> Vec<Figure> {
    let runtime = runtime();
    let sleeper = Sleeper::leak(BUSY_WAKES);
    let task = runtime.spawn(sleeper.sleep(BUSY_WAKES));
    let waker = runtime.spawn(async {
        for wake in 0..BUSY_WAKES {
            rt::time::sleep(PAUSE).await;
            sleeper.wake();
            let start = Instant::now();
            while !sleeper.has_woken(wake + 1) && start.elapsed() < BUSY {
                hint::spin_loop();
            }
            while !sleeper.has_woken(wake + 1) {
                rt::task::yield_now().await;
            }
        }
    });
    runtime.block_on(waker).unwrap();
    runtime.block_on(task).unwrap();
    sleeper.figures(BUSY_WAKES, &[("p50", 500), ("p99", 990)])
}

/// The task that is woken: it notes how late. Leaked, so that tasks may refer to it.
struct Sleeper {
    begin: Instant,
    notify: Notify,
    /// When the task was woken last, in nanoseconds since `begin`.
    woken_at_ns: AtomicU64,
    latencies_ns: Vec<AtomicU64>,
    woken: AtomicUsize,
}

impl Sleeper {
    fn leak(wakes: usize) -> &'static Sleeper {
        Box::leak(Box::new(Sleeper {
            begin: Instant::now(),
            notify: Notify::new(),
            woken_at_ns: AtomicU64::new(0),
            latencies_ns: (0..wakes).map(|_| AtomicU64::new(0)).collect(),
            woken: AtomicUsize::new(0),
        }))
    }

    fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    fn wake(&self) {
        self.woken_at_ns.store(self.now_ns(), Ordering::Release);
        self.notify.notify_one();
    }

    fn has_woken(&self, times: usize) -> bool {
        self.woken.load(Ordering::Acquire) >= times
    }

    async fn sleep(&'static self, wakes: usize) {
        for wake in 0..wakes {
            self.notify.notified().await;
            let latency_ns = self.now_ns() - self.woken_at_ns.load(Ordering::Acquire);
            self.latencies_ns[wake].store(latency_ns, Ordering::Relaxed);
            self.woken.store(wake + 1, Ordering::Release);
        }
    }

    /// The latencies that so many of a thousand wakes do not exceed.
    fn figures(&self, wakes: usize, per_mille: &[(&'static str, usize)]) -> Vec<Figure> {
        let latencies = self.latencies_ns.iter();
        let mut latencies: Vec<_> = latencies.map(|ns| ns.load(Ordering::Relaxed)).collect();
        latencies.sort_unstable();
        let at = |part: usize| latencies[(wakes * part / 1_000).min(wakes - 1)];
        per_mille
            .iter()
            .map(|&(name, part)| {
                Figure::new(name, "µs", at(part) as f64 / 1e3).promised(Promise::Ratio(1.0))
            })
            .collect()
    }
}
