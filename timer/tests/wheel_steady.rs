//! A steady flow of timers: what has to be moved closer is moved before its time, so that nothing that is due waits for it.

use ringway_timer::wheel::{BATCH_ENTRIES, Progress, TICK_NS, Wheel};

/// Timers due in each tick on average: so many that there are thousands in a slot of the third level, and few enough that
/// one call fires those of several ticks.
const A_TICK: u64 = 8;
/// 600 ms: nine slots of the third level.
const TICKS: u64 = 36_000;

/// A wheel of as many timers, all made at the beginning, with deadlines that look random.
fn wheel() -> Wheel<u64> {
    let mut wheel = Wheel::default();
    let mut number = 1u64;
    for _ in 0..A_TICK * TICKS {
        number = number.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let deadline_ns = (number >> 16) % (TICKS * TICK_NS);
        wheel.insert(deadline_ns, deadline_ns);
    }
    wheel
}

/// How many looks, one for each tick, take more than one call of `advance`: those have more to move than a batch.
fn long_looks(prepare: impl Fn(&mut Wheel<u64>, usize)) -> usize {
    let mut wheel = wheel();
    let mut fired = Vec::new();
    let mut long = 0;
    for tick in 0..=TICKS {
        let mut is_long = false;
        while wheel.advance(tick * TICK_NS, &mut fired) == Progress::More {
            is_long = true;
        }
        assert!(fired.len() < BATCH_ENTRIES, "a flow, and no flood");
        long += usize::from(is_long);
        prepare(&mut wheel, fired.len());
        fired.clear();
    }
    assert!(wheel.is_empty());
    long
}

/// Mutants: `prepare` that stops at the second level; that begins with the slot after the next one.
#[test]
fn who_moves_as_many_as_fire_has_never_a_slot_to_move_at_once() {
    let prepared = long_looks(|wheel, fired| {
        // Twice as many, because one look is more than another.
        wheel.prepare(2 * fired + 16);
    });
    assert_eq!(prepared, 0);
    let unprepared = long_looks(|_, _| {});
    assert!(
        unprepared > 500,
        "each slot of the second level: {unprepared}"
    );
}

/// Mutant: `prepare` that does not mind its limit.
#[test]
fn no_more_is_moved_than_was_asked_for() {
    let mut wheel = wheel();
    let levels = 2;
    let mut moved = 0;
    for tick in 0..=TICKS {
        while wheel.advance(tick * TICK_NS, &mut Vec::new()) == Progress::More {}
        let now = wheel.prepare(3);
        assert!(now <= 3 * levels, "{now}");
        moved += now;
    }
    assert!(moved > 0);
}
