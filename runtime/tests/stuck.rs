//! A worker that is stuck in user code delays nobody but the task that it runs.

mod support;

use std::collections::HashMap;
use std::thread::ThreadId;
use std::time::Duration;

use support::stuck::{Debt, Trap, assert_delay, trial};
use support::{count, within, workers};

/// Both workers in turn, for everything that a worker can owe to a task, however it is stuck.
///
/// Mutants: the monitor does not look (400 ms late, each); it does not take the next task, submit, reap or fire (400 ms
/// late, that one).
#[test]
fn a_worker_that_is_stuck_for_400_ms_delays_others_by_10_ms_at_most() {
    let each = count("RINGWAY_TEST_STUCK", 2);
    for trap in [Trap::Spin, Trap::Block] {
        for debt in Debt::ALL {
            let delays = within(Duration::from_secs(120), move || {
                both_in_turn(debt, trap, each)
            });
            println!("{debt:?}, {trap:?}: {delays:?}");
        }
    }
}

/// Trials until both workers were stuck `each` times.
fn both_in_turn(debt: Debt, trap: Trap, each: usize) -> Vec<Duration> {
    let runtime = workers(2);
    let mut times: HashMap<ThreadId, usize> = HashMap::new();
    let mut delays = Vec::new();
    for trials in 0.. {
        assert!(
            trials < 20 * each,
            "one worker never runs the starter: {times:?}"
        );
        if times.len() == 2 && times.values().all(|&times| times >= each) {
            break;
        }
        let found = trial(runtime.handle(), debt, trap, |starter| {
            runtime.spawn(starter);
        });
        let Some(found) = found else { continue };
        let seen = times.entry(found.thread).or_default();
        *seen += 1;
        assert_delay(&found, &format!("{debt:?}, {trap:?}"));
        delays.push(found.delay);
    }
    delays.sort();
    delays
}
