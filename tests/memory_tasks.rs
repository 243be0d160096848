//! What a task that sleeps costs in memory. In a program of its own, for the figure is the process's.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringway::runtime::Runtime;
use ringway::time::{Instant, sleep_until};

use support::{count, within, workers};

/// A task and its timer, all told.
const BYTES_MAX: usize = 300;
/// The pages of the kernels that we test on.
const PAGE_BYTES: usize = 4096;

/// Each is a task of its own; all sleep at once, and all wake.
///
/// Mutants: a waker or deadline more in each entry of the wheel; a task whose future is stored twice.
#[test]
fn a_million_sleeping_tasks_take_300_bytes_each_and_all_wake() {
    let tasks = count("RINGWAY_TEST_SLEEPERS", 1_000_000);
    within(Duration::from_secs(300), move || {
        let runtime = workers(2);
        let woken = Arc::new(AtomicUsize::new(0));
        let handle = runtime.handle().clone();
        // The spawner's own memory is there before.
        let spawner = handle.spawn(async {});
        runtime.block_on(spawner).expect("a task");
        let long = SLEEP.max(4 * time_of_spawns(&runtime) * (tasks / SAMPLE) as u32);
        let before = resident_bytes();
        let deadline = Instant::now() + long;
        let sleepers = Arc::clone(&woken);
        let spawned = runtime.spawn(async move {
            for _ in 0..tasks {
                let woken = Arc::clone(&sleepers);
                ringway::spawn(async move {
                    sleep_until(deadline).await;
                    woken.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        runtime.block_on(spawned).expect("the spawner");
        // Each task is polled once and sleeps.
        while runtime_is_busy() {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(woken.load(Ordering::Relaxed), 0, "the sleep is long enough");
        let each = (resident_bytes() - before) / tasks;
        println!("{tasks} sleeping tasks: {each} bytes each");
        std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        support::wait_until("all wake", || woken.load(Ordering::Relaxed) == tasks);
        println!("all awake {:?} after the deadline", deadline.elapsed());
        assert!(each <= BYTES_MAX, "{each} bytes each");
    });
}

/// How long all sleep, unless it takes long to spawn them here and now.
const SLEEP: Duration = Duration::from_secs(4);
/// Tasks by which that is found out.
const SAMPLE: usize = 10_000;

/// How long it takes to spawn as many tasks as [`SAMPLE`] says, which sleep on, so that no memory is free after them.
fn time_of_spawns(runtime: &Runtime) -> Duration {
    let begin = Instant::now();
    let spawned = runtime.spawn(async {
        for _ in 0..SAMPLE {
            ringway::spawn(sleep_until(Instant::now() + Duration::from_secs(3600)));
        }
    });
    runtime.block_on(spawned).expect("the spawner");
    begin.elapsed()
}

/// Whether the process used the processor in the last ten milliseconds.
fn runtime_is_busy() -> bool {
    let before = processor_time();
    std::thread::sleep(Duration::from_millis(10));
    processor_time() - before > Duration::from_millis(2)
}

fn processor_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills the structure behind the pointer.
    let got = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert_eq!(got, 0, "getrusage");
    // SAFETY: it was filled.
    let usage = unsafe { usage.assume_init() };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000))
        .iter()
        .sum()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("the second figure of statm");
    pages * PAGE_BYTES
}
