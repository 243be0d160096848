//! How much a stuck worker delays others, over many trials: medians, tails and the worst.

mod support;

use std::time::Duration;

use support::stuck::{DELAY_MAX, Debt};
use support::stuck_all::{Found, Trap, trial};
use support::{count, within, workers};

/// A thread waits this long at most on a machine that has a processor for it.
const CALM: Duration = Duration::from_millis(1);
/// A delay goes through this many threads that the machine may keep waiting: monitor, worker, and both again.
const HOPS: u32 = 4;
/// Trials in a thousand that may be later than they should, at the percentile that is promised. Among fewer one may be:
/// what the mutants do is late in all.
const LATE_PERMILLE: usize = 1;
/// A machine that disturbs more trials than it leaves alone, and these in a run of few, will not become calm.
const DISTURBED_MIN: usize = 20;

/// The trials of one kind.
#[derive(Default)]
struct Trials {
    delays: [Vec<Duration>; Debt::ALL.len()],
    disturbed: usize,
}

impl Trials {
    /// Notes a trial. One in which somebody was late and the machine kept ordinary threads waiting for as long says
    /// nothing, and is made again.
    fn hear(&mut self, found: &Found) {
        let worst = found.delays.iter().max().expect("four of them");
        let is_machines = found.noise > CALM && *worst <= DELAY_MAX + HOPS * found.noise;
        if *worst > DELAY_MAX && !is_machines {
            println!("late, and not the machine's fault: {found:?}");
        }
        if *worst > DELAY_MAX && is_machines && !self.is_hopeless() {
            self.disturbed += 1;
            return;
        }
        for (delays, delay) in self.delays.iter_mut().zip(found.delays) {
            // What the machine cannot be blamed for.
            let excused = match is_machines {
                true => delay.min(DELAY_MAX),
                false => delay,
            };
            delays.push(excused);
        }
    }

    fn is_hopeless(&self) -> bool {
        self.disturbed >= DISTURBED_MIN.max(2 * self.len())
    }

    fn len(&self) -> usize {
        self.delays[0].len()
    }

    /// Prints the figures, and asserts what is promised.
    #[track_caller]
    fn judge(mut self, what: &str) {
        let mut too_many = Vec::new();
        for (debt, delays) in Debt::ALL.into_iter().zip(&mut self.delays) {
            delays.sort();
            // The nearest rank: of a thousand delays the 999th is the percentile 99.9.
            let at = |permille: usize| delays[(delays.len() * permille).div_ceil(1000).max(1) - 1];
            println!(
                "{what}, {debt:?}: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?} ({} trials, {} disturbed)",
                at(500),
                at(990),
                at(999),
                at(1000),
                delays.len(),
                self.disturbed
            );
            let late = delays.iter().filter(|delay| **delay > DELAY_MAX).count();
            let allowed = (delays.len() * LATE_PERMILLE / 1000).max(1);
            if late > allowed {
                too_many.push((debt, late));
            }
        }
        assert!(too_many.is_empty(), "{what}: late {too_many:?}");
    }
}

/// All that a worker may owe at once, however it is stuck, with another worker and with three others.
/// `RINGWAY_TEST_STUCK_ALL` asks for more than three trials of each; a thousand take ten minutes.
///
/// Mutants: the monitor does not look; it does not submit, reap, fire or take the next task (50 ms late, that one).
#[test]
fn a_stuck_worker_delays_tasks_operations_and_timers_of_others_by_10_ms_at_most() {
    let wanted = count("RINGWAY_TEST_STUCK_ALL", 3);
    within(Duration::from_secs(7200), move || {
        for others in [2, 4] {
            for trap in Trap::ALL {
                let runtime = workers(others);
                let mut trials = Trials::default();
                while trials.len() < wanted {
                    if let Some(found) = trial(runtime.handle(), trap) {
                        trials.hear(&found);
                    }
                }
                trials.judge(&format!("{others} workers, {trap:?}"));
            }
        }
    });
}
