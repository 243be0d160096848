//! How late sleeps end: none early, none lost, and the figures. On a machine that has nothing else to do they may be held
//! to the promise, that half of ten million are late by 40 µs at most, and 99 % by 120:
//!
//! ```text
//! RINGWAY_TEST_LATE_TIMERS=10000000 RINGWAY_TEST_LATE_SECONDS=10 \
//!     RINGWAY_TEST_LATE_P50_US=40 RINGWAY_TEST_LATE_P99_US=120 \
//!     cargo test --release -p ringway --test time_lateness -- --nocapture
//! ```
//!
//! That is a million in each second, which keeps two processors busy. With `RINGWAY_TEST_LATE_PENDING=80000` beside it so many
//! tasks sleep again and again, each time for up to ten seconds: 16,000 in each second, until all have ended, which for a million
//! takes a minute and a quarter.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringway::runtime::Runtime;
use ringway::time::sleep_until;

use support::{WATCHDOG, count, within, workers};

/// Timers, unless the environment says otherwise.
const TIMERS: usize = 2_000;
/// Over how many seconds they are spread, unless the environment says otherwise.
const SECONDS: usize = 1;
/// What is allowed for making each timer before the first is due.
const MAKING: Duration = Duration::from_micros(1);
/// By how much half of them, and 99 of 100, may be late, unless the environment says otherwise: the figures say what machine
/// it was; this says that none was forgotten until something else came.
const P50_US: usize = 2_000_000;
const P99_US: usize = 60_000_000;
/// Of ten million sleeps by 80,000 tasks, each of five seconds on average, the last ends after ten minutes and a half.
const STALL: Duration = Duration::from_secs(1200);

/// What the sleeps tell.
struct Score {
    begun: AtomicUsize,
    late_ns: Box<[AtomicU64]>,
    ended: AtomicUsize,
    early: AtomicUsize,
}

impl Score {
    fn of(timers: usize) -> Arc<Score> {
        Arc::new(Score {
            begun: AtomicUsize::new(0),
            late_ns: (0..timers).map(|_| AtomicU64::new(u64::MAX)).collect(),
            ended: AtomicUsize::new(0),
            early: AtomicUsize::new(0),
        })
    }

    fn note(&self, timer: usize, deadline: Instant) {
        let now = Instant::now();
        if now < deadline {
            self.early.fetch_add(1, Ordering::Relaxed);
        }
        let ns = now.saturating_duration_since(deadline).as_nanos() as u64;
        self.late_ns[timer].store(ns, Ordering::Relaxed);
        // Release: the figure is there before it is counted.
        self.ended.fetch_add(1, Ordering::Release);
    }

    fn sorted(&self) -> Vec<u64> {
        let late = self.late_ns.iter();
        let mut late: Vec<_> = late.map(|ns| ns.load(Ordering::Relaxed)).collect();
        late.sort_unstable();
        late
    }
}

/// When the sleeps end, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Plan {
    timers: usize,
    over: Duration,
    begin: Instant,
}

impl Plan {
    fn deadline(&self, timer: usize) -> Instant {
        self.begin + random_part(self.over, timer)
    }
}

/// A part of `whole` that looks random (SplitMix64).
fn random_part(whole: Duration, number: usize) -> Duration {
    let mut mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    whole.mul_f64((mixed >> 11) as f64 / (1u64 << 53) as f64)
}

/// Spawns the tasks, which sleep until some time in the plan. Returns by how much it was too slow.
async fn spawn_all(score: Arc<Score>, plan: Plan) -> Duration {
    for timer in 0..plan.timers {
        let deadline = plan.deadline(timer);
        let score = Arc::clone(&score);
        drop(ringway::spawn(async move {
            sleep_until(deadline.into()).await;
            score.note(timer, deadline);
        }));
        if timer % 128 == 0 {
            ringway::task::yield_now().await;
        }
    }
    // Those that were spawned while their time came are late by that; the figures say by how much.
    Instant::now().saturating_duration_since(plan.begin)
}

/// Spawns tasks that sleep again and again, until there were as many sleeps as planned.
fn spawn_pending(runtime: &Runtime, pending: usize, score: &Arc<Score>, plan: Plan) {
    for _ in 0..pending {
        let score = Arc::clone(score);
        drop(runtime.spawn(async move {
            loop {
                let timer = score.begun.fetch_add(1, Ordering::Relaxed);
                if timer >= plan.timers {
                    break;
                }
                let deadline = Instant::now() + random_part(plan.over, timer);
                sleep_until(deadline.into()).await;
                score.note(timer, deadline);
            }
        }));
    }
}

/// Has all sleep, and waits until they have ended. Says what it has cost.
fn run(runtime: &Runtime, pending: usize, score: &Arc<Score>, plan: Plan) {
    if pending > 0 {
        spawn_pending(runtime, pending, score, plan);
    } else {
        let spawner = runtime.spawn(spawn_all(Arc::clone(score), plan));
        let overtaken = runtime.block_on(spawner).expect("all are spawned");
        println!("the last was spawned {overtaken:?} after the first was due");
        std::thread::sleep(plan.begin.saturating_duration_since(Instant::now()));
    }
    let (start, used) = (Instant::now(), processor_time());
    if pending == 0 {
        std::thread::sleep((plan.begin + plan.over).saturating_duration_since(start));
    }
    wait_for_all(score, plan);
    let used = processor_time() - used;
    println!(
        "{} sleeps in {:?}: {} ns of processor time each, what was spun away included",
        plan.timers,
        start.elapsed(),
        used.as_nanos() / plan.timers as u128
    );
}

/// Waits until all sleeps have ended, however long that takes as long as some do.
///
/// # Panics
///
/// If none ends for longer than each may sleep, and the time of the watchdog.
fn wait_for_all(score: &Score, plan: Plan) {
    let (mut ended, mut since) = (0, Instant::now());
    while ended < plan.timers {
        std::thread::sleep(Duration::from_millis(1));
        let now = score.ended.load(Ordering::Acquire);
        if now > ended {
            (ended, since) = (now, Instant::now());
        }
        assert!(
            since.elapsed() < plan.over + WATCHDOG,
            "{ended} sleeps of {} have ended, and no more do",
            plan.timers
        );
    }
}

/// Processor time of this process.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Says how late they were in each tenth of the time: whether it is always so, or only at some times.
fn print_tenths(score: &Score, plan: Plan) {
    let mut tenths = vec![Vec::new(); 10];
    for (timer, late) in score.late_ns.iter().enumerate() {
        let part = random_part(Duration::from_secs(10), timer).as_secs();
        tenths[part as usize].push(late.load(Ordering::Relaxed));
    }
    for (tenth, late_ns) in tenths.iter_mut().enumerate() {
        late_ns.sort_unstable();
        println!(
            "  {:?}: {}",
            plan.over * tenth as u32 / 10,
            describe(late_ns)
        );
    }
}

/// The sorted figures in a line.
fn describe(late_ns: &[u64]) -> String {
    let at = |per_mille| late_us(late_ns, per_mille);
    format!(
        "p50 {:.1} µs, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, worst {:.1}",
        at(500),
        at(900),
        at(990),
        at(999),
        at(1000)
    )
}

/// How late so many of a thousand are at most, in microseconds.
fn late_us(late_ns: &[u64], per_mille: usize) -> f64 {
    let last = late_ns.len().saturating_sub(1);
    let ns = late_ns.get((late_ns.len() * per_mille / 1000).min(last));
    ns.map_or(0.0, |&ns| ns as f64 / 1e3)
}

/// Mutants: the wheel rounds down; a sleeper does not see a timer of another worker.
#[test]
fn random_sleeps_end_neither_early_nor_much_too_late() {
    let timers = count("RINGWAY_TEST_LATE_TIMERS", TIMERS);
    let over = Duration::from_secs(count("RINGWAY_TEST_LATE_SECONDS", SECONDS) as u64);
    let pending = count("RINGWAY_TEST_LATE_PENDING", 0);
    let score = within(STALL, move || {
        let runtime = workers(2);
        let score = Score::of(timers);
        let begin = Instant::now() + Duration::from_millis(100) + MAKING * timers as u32;
        let plan = Plan {
            timers,
            over,
            begin,
        };
        run(&runtime, pending, &score, plan);
        if pending == 0 {
            print_tenths(&score, plan);
        }
        score
    });
    let early = score.early.load(Ordering::Relaxed);
    let late_ns = score.sorted();
    println!("{early} early; late by: {}", describe(&late_ns));
    assert_eq!(early, 0, "early");
    assert!(
        late_us(&late_ns, 500) <= count("RINGWAY_TEST_LATE_P50_US", P50_US) as f64,
        "half are late by more"
    );
    assert!(
        late_us(&late_ns, 990) <= count("RINGWAY_TEST_LATE_P99_US", P99_US) as f64,
        "one of a hundred is late by more"
    );
}
