//! Nobody waits for ever because others are always ready.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringway::sync::{mpsc, oneshot};
use ringway::task::{JoinHandle, yield_now};
use ringway::time::sleep;

use support::{Storm, WATCHDOG, count, current_thread, everywhere, wake_myself, within, workers};

/// A task that is spawned from outside runs this soon, though every worker always has something to do. Generous: other
/// programs use the processors too.
const OUTSIDE_MAX: Duration = Duration::from_millis(500);

/// Mutant: the injector is looked at only when the local queue is empty.
#[test]
fn spawns_from_outside_run_in_a_storm_of_tasks_that_wake_themselves() {
    let spawns = count("RINGWAY_TEST_STORM_SPAWNS", 500);
    let worst = within(WATCHDOG, move || {
        let runtime = workers(2);
        let storm = Storm::begin(runtime.handle(), 32);
        let worst = (0..spawns)
            .map(|_| {
                let start = Instant::now();
                let task = runtime.spawn(async {});
                support::wait_until("the task ran", || task.is_finished());
                start.elapsed()
            })
            .max();
        drop(storm);
        worst.expect("at least one spawn")
    });
    assert!(worst < OUTSIDE_MAX, "{worst:?}");
}

/// Two tasks that wake each other live in the next-task slot; a third one in the queue has its turn all the same.
///
/// Mutant: no bound on how often in a row the slot goes first.
#[test]
fn two_tasks_that_wake_each_other_do_not_keep_a_third_from_running() {
    for runtime in [workers(1), current_thread()] {
        within(WATCHDOG, move || {
            runtime.block_on(async {
                let pair = wake_each_other(&Arc::default());
                yield_now().await;
                let (tell, told) = oneshot::channel();
                ringway::spawn(async move {
                    for _ in 0..100 {
                        yield_now().await;
                    }
                    let _ = tell.send(());
                });
                told.await.expect("the third task has its turns");
                pair.into_iter().for_each(|task| task.abort());
            });
        });
    }
}

/// Two tasks that wake each other go behind those that wait, again and again, and not between each of them and the next.
///
/// Mutant: when the slot has had its turns one task of the queue has its own, and then the slot again.
#[test]
fn two_tasks_that_wake_each_other_are_not_run_between_each_two_others() {
    const OTHERS: usize = 30;
    /// The slot's turns before the first of the others, and with whom it displaces behind the last.
    const TURNS_MAX: usize = 10;
    for runtime in [workers(1), current_thread()] {
        let turns = within(WATCHDOG, move || {
            runtime.block_on(async {
                let turns = Arc::new(AtomicUsize::new(0));
                let pair = wake_each_other(&turns);
                while turns.load(Ordering::Relaxed) == 0 {
                    yield_now().await;
                }
                let others = (0..OTHERS).map(|_| {
                    let turns = Arc::clone(&turns);
                    ringway::spawn(async move { turns.load(Ordering::Relaxed) })
                });
                let mut seen = Vec::new();
                for other in others.collect::<Vec<_>>() {
                    seen.push(other.await.expect("no panic"));
                }
                pair.into_iter().for_each(|task| task.abort());
                seen[OTHERS - 1] - seen[0]
            })
        });
        assert!(turns <= TURNS_MAX, "{turns} turns among {OTHERS} others");
    }
}

/// Spawns two tasks that wake each other for ever, and count how often.
fn wake_each_other(turns: &Arc<AtomicUsize>) -> [JoinHandle<()>; 2] {
    let (to_second, mut from_first) = mpsc::channel(1);
    let (to_first, mut from_second) = mpsc::channel(1);
    let counted = Arc::clone(turns);
    let first = ringway::spawn(async move {
        while to_second.send(()).await.is_ok() && from_second.recv().await.is_some() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let second = ringway::spawn(async move {
        while from_first.recv().await.is_some() && to_first.send(()).await.is_ok() {}
    });
    [first, second]
}

/// Timers and the root are served while tasks are always ready.
///
/// Mutant: a worker looks at its shard only when it has nothing to run.
#[test]
fn timers_and_the_root_are_served_in_a_storm() {
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            let storm = Storm::begin(runtime.handle(), 16);
            let late = runtime.block_on(async {
                let mut late = Duration::ZERO;
                for _ in 0..50 {
                    let start = Instant::now();
                    sleep(Duration::from_millis(1)).await;
                    late = late.max(start.elapsed() - Duration::from_millis(1));
                }
                late
            });
            drop(storm);
            assert!(late < OUTSIDE_MAX, "{late:?}");
        });
    }
}

/// A task that is spawned while the spawner keeps its worker is run by another worker.
#[test]
fn a_spawn_from_a_task_that_blocks_its_worker_runs_elsewhere() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let task = runtime.spawn(async {
            let ran = Arc::new(AtomicUsize::new(0));
            for _ in 0..2 {
                let ran = Arc::clone(&ran);
                ringway::spawn(async move { ran.fetch_add(1, Ordering::SeqCst) });
            }
            support::wait_until("both ran elsewhere", || ran.load(Ordering::SeqCst) == 2);
        });
        runtime.block_on(task).expect("the task");
    });
}

/// A task that yields, and one that wakes itself without saying so.
///
/// Mutant: a task that was woken while it ran goes to the next-task slot.
#[test]
fn who_yields_goes_behind_every_task_that_is_ready() {
    within(WATCHDOG, || {
        assert_eq!(
            current_thread().block_on(others_run_during(yield_now())),
            10
        );
        for runtime in [current_thread(), workers(1)] {
            for wait in [0, 1] {
                let task = runtime.spawn(async move {
                    match wait {
                        0 => others_run_during(yield_now()).await,
                        _ => others_run_during(wake_myself()).await,
                    }
                });
                assert_eq!(runtime.block_on(task).expect("the task"), 10);
            }
        }
    });
}

/// Spawns ten tasks, waits, and says how many have run.
async fn others_run_during(wait: impl Future<Output = ()>) -> usize {
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let ran = Arc::clone(&ran);
        ringway::spawn(async move { ran.fetch_add(1, Ordering::SeqCst) });
    }
    wait.await;
    ran.load(Ordering::SeqCst)
}

#[test]
fn ten_thousand_tasks_that_yield_all_finish() {
    everywhere(|| async {
        let tasks: Vec<_> = (0..10_000)
            .map(|number| {
                ringway::spawn(async move {
                    for _ in 0..number % 5 {
                        yield_now().await;
                    }
                    number
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("the task");
        }
        assert_eq!(sum, 10_000 * 9_999 / 2);
    });
}
