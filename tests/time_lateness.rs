//! How late sleeps end: none early, none lost, and the figures. On a machine that has nothing else to do they may be held
//! to the promise, that half of ten million are late by 40 µs at most, and 99 % by 120:
//!
//! ```text
//! RINGWAY_TEST_LATE_TIMERS=10000000 RINGWAY_TEST_LATE_SECONDS=10 \
//!     RINGWAY_TEST_LATE_P50_US=40 RINGWAY_TEST_LATE_P99_US=120 \
//!     cargo test --release -p ringway --test time_lateness -- --nocapture
//! ```

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringway::time::sleep_until;

use support::{count, wait_until, within, workers};

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
const STALL: Duration = Duration::from_secs(600);

/// What the sleeps tell.
struct Score {
    late_ns: Box<[AtomicU64]>,
    ended: AtomicUsize,
    early: AtomicUsize,
}

impl Score {
    fn of(timers: usize) -> Arc<Score> {
        Arc::new(Score {
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

/// Spawns the tasks, which sleep until some time `over` from `begin` on. Returns by how much it was too slow.
async fn spawn_all(score: Arc<Score>, begin: Instant, over: Duration) -> Duration {
    let mut number = 1u64;
    for timer in 0..score.late_ns.len() {
        number = number.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let deadline = begin + over.mul_f64((number >> 11) as f64 / (1u64 << 53) as f64);
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
    Instant::now().saturating_duration_since(begin)
}

/// Mutants: the wheel rounds down; a sleeper does not see a timer of another worker.
#[test]
fn random_sleeps_end_neither_early_nor_much_too_late() {
    let timers = count("RINGWAY_TEST_LATE_TIMERS", TIMERS);
    let over = Duration::from_secs(count("RINGWAY_TEST_LATE_SECONDS", SECONDS) as u64);
    let score = within(STALL, move || {
        let runtime = workers(2);
        let score = Score::of(timers);
        let begin = Instant::now() + Duration::from_millis(100) + MAKING * timers as u32;
        let spawner = runtime.spawn(spawn_all(Arc::clone(&score), begin, over));
        let overtaken = runtime.block_on(spawner).expect("all are spawned");
        std::thread::sleep(begin.saturating_duration_since(Instant::now()) + over);
        let ended = || score.ended.load(Ordering::Acquire) == timers;
        wait_until("all sleeps end", ended);
        println!(
            "{timers} sleeps over {over:?}, the last spawned {overtaken:?} after the first was due"
        );
        score
    });
    let early = score.early.load(Ordering::Relaxed);
    let late_ns = score.sorted();
    let at = |per_mille: usize| late_ns[(timers * per_mille / 1000).min(timers - 1)] as f64 / 1e3;
    let (p50, p99) = (at(500), at(990));
    println!(
        "{early} early; late by: p50 {p50:.1} µs, p90 {:.1}, p99 {p99:.1}, p99.9 {:.1}, worst {:.1}",
        at(900),
        at(999),
        at(1000)
    );
    assert_eq!(early, 0, "early");
    assert!(
        p50 <= count("RINGWAY_TEST_LATE_P50_US", P50_US) as f64,
        "half are late by more"
    );
    assert!(
        p99 <= count("RINGWAY_TEST_LATE_P99_US", P99_US) as f64,
        "one of a hundred is late by more"
    );
}
