//! How late sleeps end, and what they cost.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;

use super::time::Numbers;
use super::{WORKERS, rt, runtime};
use crate::gauges::{Figure, Promise};
use crate::meter::{Memory, Meter};
use rt::time::{Instant, sleep_until};

/// Timers that are spread over some time, and over how much.
const SPREAD: usize = 4_000;
const SPREAD_OVER: Duration = Duration::from_secs(10);

/// Tasks that sleep again and again, for how long at least and at most, and for how long in all.
const BUSY_TASKS: u64 = 100;
const NAP_MIN: Duration = Duration::from_micros(500);
const NAP_MAX: Duration = Duration::from_millis(20);
const NAPS: Duration = Duration::from_secs(4);

/// Tasks that sleep at once, when the first wakes after the first was spawned, and over which time they do.
const MILLION: usize = 1_000_000;
const MILLION_AFTER: Duration = Duration::from_secs(6);
const MILLION_OVER: Duration = Duration::from_secs(2);

/// What is allowed for spawning each of many tasks before the first is due, and beside that.
const SPAWNING: Duration = Duration::from_nanos(2_500);
const SPAWNED_AFTER: Duration = Duration::from_millis(200);

/// Sleeps of random length, on a runtime that has nothing else to do.
pub fn spread() -> Vec<Figure> {
    let late = Late::leak(SPREAD);
    let runtime = runtime();
    runtime
        .block_on(runtime.spawn(async move {
            let mut numbers = Numbers(4);
            let start = Instant::now();
            let tasks: Vec<_> = (0..SPREAD)
                .map(|_| {
                    let nanos = numbers.below(SPREAD_OVER.as_nanos() as u64 / 1_000) * 1_000;
                    let deadline = start + Duration::from_nanos(nanos);
                    rt::spawn(async move {
                        sleep_until(deadline).await;
                        late.note(deadline);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }))
        .unwrap();
    vec![
        late.figure("late, p50", 500).promised(Promise::Value(40.0)),
        late.figure("late, p99", 990)
            .promised(Promise::Value(120.0)),
    ]
}

/// Tasks that sleep until random times within `seconds`, so many in each; all are spawned before the first is due.
pub fn at_rate(rate: usize, seconds: usize) -> Vec<Figure> {
    let timers = rate * seconds;
    let late = Late::leak(timers);
    let runtime = runtime();
    let spawn = async move {
        let mut numbers = Numbers(6);
        let start = Instant::now() + SPAWNING * timers as u32 + SPAWNED_AFTER;
        for number in 0..timers {
            let after = numbers.below(1_000_000) * 1_000 + numbers.below(1_000);
            let deadline = start + Duration::from_nanos(after) * seconds as u32;
            drop(rt::spawn(async move {
                sleep_until(deadline).await;
                late.note(deadline);
            }));
            if number % 128 == 0 {
                // What was spawned begins to sleep.
                rt::task::yield_now().await;
            }
        }
        assert!(Instant::now() < start, "spawning takes too long");
        start
    };
    let start = runtime.block_on(runtime.spawn(spawn)).unwrap();
    std::thread::sleep(start.saturating_duration_since(Instant::now()));
    let (meter, waited) = (Meter::start(), waited_for_processors());
    while late.count() < timers {
        std::thread::sleep(Duration::from_millis(100));
    }
    let used = meter.read();
    let waited = waited_for_processors().saturating_sub(waited);
    vec![
        late.figure("late, p50", 500),
        late.figure("late, p99", 990),
        Figure::new(
            "processor time",
            "ns",
            used.cpu().as_nanos() as f64 / timers as f64,
        ),
        Figure::new(
            "waited for a processor",
            "‰",
            waited.as_secs_f64() / used.wall.as_secs_f64() * 1e3 / WORKERS as f64,
        ),
    ]
}

/// A hundred tasks that sleep half a millisecond to twenty, again and again.
pub fn naps() -> Vec<Figure> {
    let late = Late::leak(2_000_000);
    let runtime = runtime();
    let meter = Meter::start();
    runtime
        .block_on(runtime.spawn(async move {
            let end = Instant::now() + NAPS;
            let tasks: Vec<_> = (0..BUSY_TASKS)
                .map(|task| {
                    rt::spawn(async move {
                        let mut numbers = Numbers(task);
                        while Instant::now() < end {
                            let more = numbers.below((NAP_MAX - NAP_MIN).as_nanos() as u64);
                            let deadline = Instant::now() + NAP_MIN + Duration::from_nanos(more);
                            sleep_until(deadline).await;
                            late.note(deadline);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }))
        .unwrap();
    let micros = meter.read().cpu().as_secs_f64() * 1e6;
    vec![
        Figure::new("processor time", "µs", micros / late.count() as f64)
            .promised(Promise::Ratio(3.0)),
        late.figure("late, p50", 500),
        late.figure("late, p99", 990),
    ]
}

/// A million tasks that sleep at once. What they have in common is in statics, so that their memory is that of a task with
/// a timer.
pub fn million() -> Vec<Figure> {
    static LATE: OnceLock<&Late> = OnceLock::new();
    static START: OnceLock<Instant> = OnceLock::new();
    static DONE: OnceLock<rt::sync::Notify> = OnceLock::new();
    fn deadline(micros: u32) -> Instant {
        *START.get().unwrap() + Duration::from_micros(micros.into())
    }
    let late = *LATE.get_or_init(|| Late::leak(MILLION));
    let runtime = runtime();
    let before = Memory::now();
    let meter = Meter::start();
    let memory = runtime
        .block_on(runtime.spawn(async move {
            let mut numbers = Numbers(5);
            let start = *START.get_or_init(|| Instant::now() + MILLION_AFTER);
            let done = DONE.get_or_init(rt::sync::Notify::new);
            for number in 0..MILLION {
                let micros = numbers.below(MILLION_OVER.as_micros() as u64) as u32;
                drop(rt::spawn(sleep_until(deadline(micros)).map(move |()| {
                    if LATE.get().unwrap().note(deadline(micros)) == MILLION {
                        DONE.get().unwrap().notify_one();
                    }
                })));
                if number % 1_000 == 0 {
                    // What was spawned begins to sleep.
                    rt::task::yield_now().await;
                }
            }
            sleep_until(start - MILLION_AFTER / 6).await;
            let memory = Memory::now();
            done.notified().await;
            memory
        }))
        .unwrap();
    let micros = meter.read().cpu().as_secs_f64() * 1e6;
    let resident = (memory.resident - before.resident) as f64 / MILLION as f64;
    vec![
        Figure::new("processor time", "µs", micros / MILLION as f64).promised(Promise::Ratio(0.6)),
        Figure::new("resident", "B", resident).promised(Promise::Value(220.0)),
        late.figure("late, p50", 500),
        late.figure("late, p99", 990),
    ]
}

/// For how long the threads of this process would have run and did not, all together.
fn waited_for_processors() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.map(|task| {
        // A thread may have ended meanwhile.
        let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
        let stat = stat.unwrap_or_default();
        let waited = stat.split_whitespace().nth(1);
        waited.map_or(0, |nanos| nanos.parse::<u64>().unwrap())
    });
    Duration::from_nanos(nanos.sum())
}

/// How late sleeps ended. Leaked, so that tasks may refer to it.
struct Late {
    ns: Vec<AtomicU64>,
    count: AtomicU64,
}

impl Late {
    fn leak(most: usize) -> &'static Late {
        Box::leak(Box::new(Late {
            // Touched now, so that this does not count as the runtime's memory.
            ns: (0..most).map(|_| AtomicU64::new(1)).collect(),
            count: AtomicU64::new(0),
        }))
    }

    /// A sleep has ended; how many have.
    ///
    /// # Panics
    ///
    /// If it has ended early.
    fn note(&self, deadline: Instant) -> usize {
        let now = Instant::now();
        assert!(now >= deadline, "early");
        let ns = now.duration_since(deadline).as_nanos() as u64;
        let place = self.count.fetch_add(1, Ordering::AcqRel) as usize;
        self.ns[place].store(ns, Ordering::Relaxed);
        place + 1
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Acquire) as usize
    }

    /// The lateness that so many of a thousand do not exceed.
    fn figure(&self, name: &'static str, per_mille: usize) -> Figure {
        let noted = self.ns[..self.count()].iter();
        let mut noted: Vec<_> = noted.map(|ns| ns.load(Ordering::Relaxed)).collect();
        noted.sort_unstable();
        let at = (noted.len() * per_mille / 1_000).min(noted.len() - 1);
        Figure::new(name, "µs", noted[at] as f64 / 1e3)
    }
}
