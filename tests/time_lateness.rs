//! How late sleeps end: none early, none lost, and the figures, for a machine that has nothing else to do:
//!
//! ```text
//! RINGWAY_TEST_LATE_TIMERS=10000000 RINGWAY_TEST_LATE_SECONDS=10 \
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
/// The figures say what machine it was; this says that none was forgotten until something else came.
const LATE_MAX: Duration = Duration::from_secs(2);
const STALL: Duration = Duration::from_secs(600);

/// Each says by how much it was late.
#[test]
fn random_sleeps_end_neither_early_nor_much_too_late() {
    let timers = count("RINGWAY_TEST_LATE_TIMERS", TIMERS);
    let over = Duration::from_secs(count("RINGWAY_TEST_LATE_SECONDS", SECONDS) as u64);
    let mut late_ns = within(STALL, move || {
        let runtime = workers(2);
        let late_ns: Arc<[AtomicU64]> = (0..timers).map(|_| AtomicU64::new(u64::MAX)).collect();
        let (ended, early) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let begin = Instant::now() + Duration::from_millis(100) + MAKING * timers as u32;
        let (late, done, too_soon) = (Arc::clone(&late_ns), Arc::clone(&ended), Arc::clone(&early));
        let spawner = runtime.spawn(async move {
            let mut number = 1u64;
            for timer in 0..timers {
                number = number.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let deadline = begin + over.mul_f64((number >> 11) as f64 / (1u64 << 53) as f64);
                let (late, done, too_soon) =
                    (Arc::clone(&late), Arc::clone(&done), Arc::clone(&too_soon));
                ringway::spawn(async move {
                    sleep_until(deadline.into()).await;
                    let now = Instant::now();
                    too_soon.fetch_add(usize::from(now < deadline), Ordering::Relaxed);
                    let ns = now.saturating_duration_since(deadline).as_nanos() as u64;
                    late[timer].store(ns, Ordering::Relaxed);
                    // Release: the figure is there before it is counted.
                    done.fetch_add(1, Ordering::Release);
                });
                if timer % 128 == 0 {
                    ringway::task::yield_now().await;
                }
            }
            // Those that were spawned while their time came are late by that; the figures say by how much.
            Instant::now().saturating_duration_since(begin)
        });
        let overtaken = runtime.block_on(spawner).expect("all are spawned");
        std::thread::sleep(begin.saturating_duration_since(Instant::now()) + over);
        wait_until("all sleeps end", || ended.load(Ordering::Acquire) == timers);
        assert_eq!(early.load(Ordering::Relaxed), 0, "early");
        println!(
            "{timers} sleeps over {over:?}, the last spawned {overtaken:?} after the first was due: none early"
        );
        late_ns
            .iter()
            .map(|ns| ns.load(Ordering::Relaxed))
            .collect::<Vec<_>>()
    });
    late_ns.sort_unstable();
    let at = |per_mille: usize| late_ns[(timers * per_mille / 1000).min(timers - 1)] as f64 / 1e3;
    println!(
        "late by: p50 {:.1} µs, p90 {:.1}, p99 {:.1}, worst {:.1}",
        at(500),
        at(900),
        at(990),
        at(1000)
    );
    assert!(at(500) * 1e3 < LATE_MAX.as_nanos() as f64, "forgotten");
}
