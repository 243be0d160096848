//! Two deadlines that are near one another are slept for together.

use std::task::Waker;

use proptest::prelude::*;
use ringway_timer::wheel::{COMPANY_TICKS, TICK_NS, Wheel};

const COMPANY_NS: u64 = COMPANY_TICKS as u64 * TICK_NS;

fn wheel_of(deadlines: &[u64]) -> Wheel {
    let mut wheel = Wheel::new();
    for &deadline_ns in deadlines {
        wheel.insert(deadline_ns, Waker::noop().clone());
    }
    wheel
}

/// Mutants: a distance of `<` in place of `<=`; the third is waited for too.
#[test]
fn the_second_deadline_is_waited_for_if_it_is_near_and_the_third_is_not() {
    let sleep_until = |ticks: &[u64]| {
        let deadlines: Vec<_> = ticks.iter().map(|tick| tick * TICK_NS).collect();
        wheel_of(&deadlines).sleep_until_ns().map(|ns| ns / TICK_NS)
    };
    let company = u64::from(COMPANY_TICKS);
    assert_eq!(sleep_until(&[]), None);
    assert_eq!(sleep_until(&[7]), Some(7));
    assert_eq!(sleep_until(&[7, 7, 7]), Some(7));
    assert_eq!(sleep_until(&[7, 8, 9]), Some(8));
    assert_eq!(sleep_until(&[7, 7 + company]), Some(7 + company));
    assert_eq!(sleep_until(&[7, 8 + company]), Some(7));
    assert_eq!(sleep_until(&[62, 63]), Some(63));
    // Of a higher level, nothing is known but that it is later.
    assert_eq!(sleep_until(&[127, 128]), Some(127));
    assert_eq!(sleep_until(&[130, 131]), Some(130));
}

/// Mutant: late ones, and those of a slot that is being emptied, are passed over.
#[test]
fn what_is_due_already_waits_for_nothing() {
    let mut wheel = wheel_of(&[0, 3 * TICK_NS]);
    assert_eq!(wheel.sleep_until_ns(), Some(0));
    let mut fired = Vec::new();
    assert_eq!(
        wheel.advance(2 * TICK_NS, &mut fired),
        ringway_timer::wheel::Progress::Done
    );
    assert_eq!(
        (fired.len(), wheel.sleep_until_ns()),
        (1, Some(3 * TICK_NS))
    );
    wheel.insert(TICK_NS, Waker::noop().clone());
    assert_eq!(wheel.sleep_until_ns(), Some(TICK_NS));
}

proptest! {
    /// It is the time of the next deadline, or of another one that is little later.
    #[test]
    fn nobody_sleeps_for_much_longer_than_to_the_next_deadline(
        deadlines in prop::collection::vec(0..200 * TICK_NS, 1..40),
        now_ns in 0..100 * TICK_NS,
    ) {
        let mut wheel = wheel_of(&deadlines);
        while wheel.advance(now_ns, &mut Vec::new()) == ringway_timer::wheel::Progress::More {}
        let next = wheel.next_deadline_ns();
        prop_assert_eq!(wheel.sleep_until_ns().is_some(), next.is_some());
        if let (Some(next), Some(until)) = (next, wheel.sleep_until_ns()) {
            prop_assert!(until >= next && until <= next + COMPANY_NS);
            let is_one = |deadline: &u64| deadline.next_multiple_of(TICK_NS) == until;
            prop_assert!(until == next || deadlines.iter().any(is_one));
        }
    }
}
