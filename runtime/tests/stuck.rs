//! A worker that is stuck in user code delays nobody but the task that it runs.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ringway_runtime::Runtime;
use ringway_runtime::task::JoinHandle;

use support::stuck::{Debt, Jury, Trap, trial};
use support::{count, within, workers};

/// Both workers in turn, for everything that a worker can owe to a task, however it is stuck.
///
/// Mutants: the monitor does not look (400 ms late, each); it does not take the next task, submit, reap or fire (400 ms
/// late, that one).
#[test]
fn a_worker_that_is_stuck_for_400_ms_delays_others_by_10_ms_at_most() {
    let each = count("RINGWAY_TEST_STUCK", 1);
    for trap in [Trap::Spin, Trap::Block] {
        for debt in Debt::ALL {
            let delays = within(Duration::from_secs(120), move || {
                both_in_turn(debt, trap, each)
            });
            println!("{debt:?}, {trap:?}: {delays:?}");
        }
    }
}

/// `each` trials for each worker.
fn both_in_turn(debt: Debt, trap: Trap, each: usize) -> Vec<Duration> {
    let runtime = workers(2);
    let mut jury = Jury::default();
    for worker in both_workers(&runtime) {
        let mut left = each;
        while left > 0 {
            let found = trial(runtime.handle(), debt, trap, |starter| {
                run_on(&runtime, worker, starter);
            });
            // It may have moved while it waited for its submission.
            if let Some(found) = found.filter(|found| found.thread == worker) {
                left -= usize::from(jury.hear(&found, &format!("{debt:?}, {trap:?}")));
            }
        }
    }
    jury.delays()
}

/// The threads of a runtime with two workers.
fn both_workers(runtime: &Runtime) -> Vec<ThreadId> {
    let meet = Arc::new(Barrier::new(2));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let meet = Arc::clone(&meet);
            runtime.spawn(async move {
                meet.wait();
                thread::current().id()
            })
        })
        .collect();
    let join = async |task: JoinHandle<ThreadId>| task.await.expect("the task");
    tasks
        .into_iter()
        .map(|task| runtime.block_on(join(task)))
        .collect()
}

/// Runs `starter` on one of two workers: two tasks occupy both, and the one that is there goes on.
fn run_on(runtime: &Runtime, worker: ThreadId, starter: Pin<Box<dyn Future<Output = ()> + Send>>) {
    let meet = Arc::new(Barrier::new(2));
    let starter = Arc::new(Mutex::new(Some(starter)));
    for _ in 0..2 {
        let meet = Arc::clone(&meet);
        let starter = Arc::clone(&starter);
        runtime.spawn(async move {
            meet.wait();
            if thread::current().id() == worker {
                let starter = starter.lock().expect("nobody panics with it").take();
                starter.expect("one task is on each worker").await;
            }
        });
    }
}
