//! The wheel at its edges: the ends of time, very many timers, memory, and the end.

use std::task::Waker;

use ringway_timer::wheel::{BATCH_ENTRIES, Key, Progress, TICK_NS, Update, Wheel};

fn waker() -> Waker {
    Waker::noop().clone()
}

/// Calls `advance` until it is done, and says how many timers that fired.
fn fire(wheel: &mut Wheel, now_ns: u64) -> usize {
    let mut fired = Vec::new();
    let calls = 2 + 10 * wheel.len() / BATCH_ENTRIES;
    assert!((0..calls).any(|_| wheel.advance(now_ns, &mut fired) == Progress::Done));
    fired.len()
}

#[test]
fn an_empty_wheel_has_no_deadline_and_fires_nothing() {
    let mut wheel = Wheel::default();
    assert_eq!(wheel.next_deadline_ns(), None);
    assert_eq!(wheel.next_deadline_exact_ns(), None);
    assert_eq!(fire(&mut wheel, u64::MAX), 0);
    assert!(wheel.is_empty());
}

#[test]
fn a_timer_at_the_epoch_is_due_at_once() {
    let mut wheel = Wheel::new();
    wheel.insert(0, waker());
    assert_eq!(wheel.next_deadline_ns(), Some(0));
    assert_eq!(fire(&mut wheel, 0), 1);
}

/// Mutant it kills: `insert` that puts what has passed into a slot of the future.
#[test]
fn a_timer_whose_deadline_has_passed_fires_with_the_next_advance() {
    let mut wheel = Wheel::new();
    assert_eq!(fire(&mut wheel, 1_000 * TICK_NS), 0);
    wheel.insert(3, waker());
    wheel.insert(1_000 * TICK_NS, waker());
    assert_eq!(wheel.next_deadline_ns(), Some(TICK_NS));
    assert_eq!(fire(&mut wheel, 1_000 * TICK_NS), 2);
}

/// The promise that no timer is early, at its edge. Mutants it kills: `tick_of` that rounds down; `round_down` that
/// rounds up.
#[test]
fn a_timer_waits_for_the_end_of_its_tick_and_no_longer() {
    for deadline_ns in [
        1,
        TICK_NS - 1,
        TICK_NS,
        TICK_NS + 1,
        64 * TICK_NS,
        4096 * TICK_NS - 5,
    ] {
        let due_ns = deadline_ns.next_multiple_of(TICK_NS);
        let mut wheel = Wheel::new();
        wheel.insert(deadline_ns, waker());
        assert_eq!(wheel.next_deadline_ns(), Some(due_ns));
        assert_eq!(fire(&mut wheel, deadline_ns - 1), 0);
        assert_eq!(fire(&mut wheel, due_ns - 1), 0);
        assert_eq!(fire(&mut wheel, due_ns), 1);
    }
}

#[test]
fn an_exact_advance_knows_no_tick() {
    let mut wheel = Wheel::new();
    wheel.insert(1_000_000, waker());
    wheel.insert(1_000_001, waker());
    let mut fired = Vec::new();
    assert_eq!(wheel.advance_exact(999_999, &mut fired), Progress::Done);
    assert_eq!(
        (fired.len(), wheel.next_deadline_exact_ns()),
        (0, Some(1_000_000))
    );
    assert_eq!(wheel.advance_exact(1_000_000, &mut fired), Progress::Done);
    assert_eq!(
        (fired.len(), wheel.next_deadline_exact_ns()),
        (1, Some(1_000_001))
    );
    assert_eq!(wheel.advance_exact(1_000_001, &mut fired), Progress::Done);
    assert_eq!((fired.len(), wheel.next_deadline_exact_ns()), (2, None));
}

/// Mutant it kills: `round_up` or `round_down` without the last tick, whose end does not fit into a `u64`.
#[test]
fn the_end_of_time_comes_and_not_before() {
    let mut wheel = Wheel::new();
    wheel.insert(u64::MAX, waker());
    wheel.insert(u64::MAX - 1, waker());
    assert_eq!(wheel.next_deadline_ns(), Some(u64::MAX - 1));
    assert_eq!(fire(&mut wheel, u64::MAX - 2), 0);
    assert_eq!(fire(&mut wheel, u64::MAX - 1), 1);
    assert_eq!(wheel.next_deadline_ns(), Some(u64::MAX));
    assert_eq!(fire(&mut wheel, u64::MAX), 1);
}

/// Mutant it kills: `advance_exact` that sets `elapsed` back, and so looks for the earliest slot where it is not.
#[test]
fn a_clock_that_goes_back_fires_nothing_and_breaks_nothing() {
    let mut wheel = Wheel::new();
    assert_eq!(fire(&mut wheel, 129 * TICK_NS), 0);
    wheel.insert(130 * TICK_NS, waker());
    assert_eq!(fire(&mut wheel, 10 * TICK_NS), 0);
    wheel.insert(20 * TICK_NS, waker());
    assert_eq!(wheel.next_deadline_ns(), Some(20 * TICK_NS));
    assert_eq!(fire(&mut wheel, 19 * TICK_NS), 0);
    assert_eq!(fire(&mut wheel, 20 * TICK_NS), 1);
    assert_eq!(fire(&mut wheel, 129 * TICK_NS), 0);
    assert_eq!(fire(&mut wheel, 130 * TICK_NS), 1);
}

/// A million timers at one tick: no call hands out more than a batch, and none is lost between calls. Mutant it kills:
/// `empty` or `fire_due` without `left`.
#[test]
fn a_million_timers_at_one_tick_come_in_batches() {
    const TIMERS: usize = 1_000_000;
    for deadline_ns in [0, 5 * TICK_NS, 70_000 * TICK_NS] {
        let mut wheel = Wheel::new();
        for _ in 0..TIMERS {
            wheel.insert(deadline_ns, waker());
        }
        assert_eq!(wheel.len(), TIMERS);
        let (mut fired, mut total) = (Vec::with_capacity(BATCH_ENTRIES), 0);
        for _ in 0..=10 * TIMERS / BATCH_ENTRIES {
            let progress = wheel.advance(deadline_ns, &mut fired);
            assert!(fired.len() <= BATCH_ENTRIES);
            total += fired.drain(..).len();
            if progress == Progress::Done {
                break;
            }
        }
        assert_eq!((total, wheel.len()), (TIMERS, 0));
    }
}

/// Mutant it kills: `next_deadline_ns` that asks only whether there is an open slot, and not whether something is left
/// in it.
#[test]
fn the_rest_of_a_cut_batch_can_be_removed() {
    let mut wheel = Wheel::new();
    let keys: Vec<Key> = (0..BATCH_ENTRIES + 9)
        .map(|_| wheel.insert(3 * TICK_NS, waker()))
        .collect();
    let mut fired = Vec::new();
    assert_eq!(wheel.advance(3 * TICK_NS, &mut fired), Progress::More);
    assert_eq!(wheel.next_deadline_ns(), Some(0));
    let removed = keys.iter().filter_map(|&key| wheel.remove(key)).count();
    assert_eq!((fired.len(), removed), (BATCH_ENTRIES, 9));
    assert_eq!(wheel.next_deadline_ns(), None);

    wheel.insert(9 * TICK_NS, waker());
    assert_eq!(wheel.next_deadline_ns(), Some(9 * TICK_NS));
    assert_eq!(fire(&mut wheel, 8 * TICK_NS), 0);
    assert_eq!(fire(&mut wheel, 9 * TICK_NS), 1);
}

/// Mutants it kills: `find` without the generation; per-entry generations that start anew with a new chunk.
#[test]
fn a_key_stays_stale_when_its_memory_is_reused_or_given_back() {
    let mut wheel = Wheel::new();
    let many = |wheel: &mut Wheel| (0..100_000).map(|_| wheel.insert(1, waker())).collect();
    let old: Vec<Key> = many(&mut wheel);
    assert_eq!(fire(&mut wheel, TICK_NS), old.len());
    for _ in 0..100 {
        assert_eq!(
            fire(&mut wheel, TICK_NS),
            0,
            "each of these gives back some memory"
        );
    }
    let new: Vec<Key> = many(&mut wheel);
    for key in old {
        assert!(wheel.remove(key).is_none());
        assert!(!wheel.reset(key, 7));
        assert!(matches!(wheel.update(key, Waker::noop()), Update::Gone));
    }
    assert_eq!(
        new.into_iter().filter_map(|key| wheel.remove(key)).count(),
        100_000
    );
}

/// Mutants it kills: `advance_exact` without `shrink`; `shrink` without regard to `live`; `release` that does not
/// reuse.
#[test]
fn memory_is_reused_and_given_back_after_a_burst() {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.capacity(), 0, "nothing before the first timer");
    let other = wheel.insert(TICK_NS, waker());
    for i in 0..100_000 {
        let key = wheel.insert(i, waker());
        wheel.remove(key);
    }
    let small = wheel.capacity();
    assert!(small < 1_000, "{small} entries for two timers at a time");
    wheel.remove(other);

    let last = (0..100_000)
        .map(|_| wheel.insert(TICK_NS, waker()))
        .last()
        .unwrap();
    wheel.reset(last, 2 * TICK_NS);
    assert_eq!(fire(&mut wheel, TICK_NS), 99_999);
    give_back_memory(&mut wheel);
    assert!(wheel.capacity() >= 100_000, "the last timer is still there");
    assert!(wheel.remove(last).is_some());
    give_back_memory(&mut wheel);
    assert!(
        wheel.capacity() <= 4 * small,
        "{} entries kept",
        wheel.capacity()
    );
}

fn give_back_memory(wheel: &mut Wheel) {
    for _ in 0..100 {
        assert_eq!(fire(wheel, TICK_NS), 0, "each of these gives back a part");
    }
}

#[test]
fn a_drained_wheel_is_empty_and_can_be_used_again() {
    let mut wheel = Wheel::new();
    let keys: Vec<Key> = (0..1_000)
        .map(|i| wheel.insert(i * i * TICK_NS, waker()))
        .collect();
    let mut wakers = Vec::new();
    wheel.drain(&mut wakers);
    assert_eq!(
        (wakers.len(), wheel.len(), wheel.next_deadline_ns()),
        (1_000, 0, None)
    );
    assert!(keys.iter().all(|&key| wheel.remove(key).is_none()));

    wheel.insert(5 * TICK_NS, waker());
    assert_eq!(fire(&mut wheel, 4 * TICK_NS), 0);
    assert_eq!(fire(&mut wheel, 5 * TICK_NS), 1);
}

/// A deadline far beyond is reached in a few steps, not tick by tick: a wake-up for each level at most.
#[test]
fn a_deadline_in_a_century_takes_no_more_wake_ups_than_levels() {
    let century_ns = 100 * 365 * 86_400 * 1_000_000_000;
    let mut wheel = Wheel::new();
    let other = wheel.insert(century_ns - 77 * TICK_NS, waker());
    wheel.insert(century_ns, waker());
    wheel.remove(other);
    let mut wake_ups = 0;
    while let Some(next_ns) = wheel.next_deadline_ns() {
        wake_ups += 1;
        assert!(wake_ups <= 9, "{wake_ups} wake-ups");
        fire(&mut wheel, next_ns);
    }
}
