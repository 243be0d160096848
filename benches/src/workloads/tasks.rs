//! Spawning, joining and yielding, by tasks.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{on_root, on_worker, rt, runtime, runtime_of};
use crate::Run;
use rt::sync::{Notify, oneshot};

/// Tasks in a batch of the workloads that only spawn: more than tokio's local queue holds.
pub const MANY: u64 = 10_000;

/// Tasks (or pairs of tasks) in a batch of the other workloads of this file but [`yield_now`].
pub const SPAWNS: u64 = 1_000;

/// Yields in a batch of [`yield_now`].
pub const YIELDS: u64 = YIELDING_TASKS * YIELDS_PER_TASK;

/// Tasks that yield at the same time: fewer than tokio's local queue holds.
const YIELDING_TASKS: u64 = 200;

/// Yields of one task: enough that the cost of its spawn vanishes.
const YIELDS_PER_TASK: u64 = 1_000;

/// A task on a worker spawns a batch of empty tasks and waits until all have run.
pub fn spawn_from_worker() -> Run {
    let countdown = Countdown::leak();
    on_worker(move |batches| spawn_batches(countdown, batches))
}

/// The future given to `block_on` does the same.
pub fn spawn_from_root() -> Run {
    let countdown = Countdown::leak();
    on_root(runtime(), move |batches| spawn_batches(countdown, batches))
}

async fn spawn_batches(countdown: &'static Countdown, batches: u64) {
    for _ in 0..batches {
        countdown.set(MANY);
        for _ in 0..MANY {
            rt::spawn(async { countdown.hit() });
        }
        countdown.zero.notified().await;
    }
}

/// A task spawns a batch of empty tasks, keeps their handles, and awaits each.
pub fn join() -> Run {
    on_worker(spawn_and_join)
}

/// Spawns [`SPAWNS`] tasks and awaits their handles, so many times.
pub(super) async fn spawn_and_join(batches: u64) {
    let mut handles = Vec::with_capacity(SPAWNS as usize);
    for _ in 0..batches {
        handles.extend((0..SPAWNS).map(|number| rt::spawn(async move { number })));
        for (number, handle) in (0..SPAWNS).zip(handles.drain(..)) {
            assert_eq!(handle.await.unwrap(), number);
        }
    }
}

/// `block_on` of a future that spawns `tasks` tasks, each of which yields once, and awaits them. One worker.
pub fn block_on_and_join(tasks: u64) -> Run {
    join_again_and_again(runtime_of(1), tasks)
}

/// As [`block_on_and_join`], on a runtime that the caller has built.
pub(super) fn join_again_and_again(runtime: rt::runtime::Runtime, tasks: u64) -> Run {
    Box::new(move |batches| {
        for _ in 0..batches * SPAWNS / tasks {
            runtime.block_on(async {
                let spawned: Vec<_> = (0..tasks).map(|n| rt::spawn(yield_once(n))).collect();
                for (number, task) in (0..).zip(spawned) {
                    assert_eq!(task.await.unwrap(), number);
                }
            });
        }
    })
}

async fn yield_once(number: u64) -> u64 {
    rt::task::yield_now().await;
    number
}

/// Many tasks do nothing but yield.
pub fn yield_now() -> Run {
    let countdown = Countdown::leak();
    on_worker(move |batches| yield_batches(countdown, batches))
}

pub(super) async fn yield_batches(countdown: &'static Countdown, batches: u64) {
    for _ in 0..batches {
        countdown.set(YIELDING_TASKS);
        for _ in 0..YIELDING_TASKS {
            rt::spawn(async {
                for _ in 0..YIELDS_PER_TASK {
                    rt::task::yield_now().await;
                }
                countdown.hit();
            });
        }
        countdown.zero.notified().await;
    }
}

/// Pairs of tasks: the first spawns the second, sends it a message and waits for its answer.
pub fn ping_pong() -> Run {
    let countdown = Countdown::leak();
    on_worker(move |batches| async move {
        for _ in 0..batches {
            countdown.set(SPAWNS);
            for _ in 0..SPAWNS {
                rt::spawn(async {
                    ping().await;
                    countdown.hit();
                });
            }
            countdown.zero.notified().await;
        }
    })
}

async fn ping() {
    let (ping, pinged) = oneshot::channel();
    let (pong, ponged) = oneshot::channel();
    rt::spawn(async move {
        pinged.await.unwrap();
        pong.send(()).unwrap();
    });
    ping.send(()).unwrap();
    ponged.await.unwrap();
}

/// Each task spawns the next one and ends.
pub fn chained_spawn() -> Run {
    let countdown = Countdown::leak();
    on_worker(move |batches| async move {
        for _ in 0..batches {
            countdown.set(1);
            spawn_chain(countdown, SPAWNS);
            countdown.zero.notified().await;
        }
    })
}

fn spawn_chain(countdown: &'static Countdown, links: u64) {
    if links == 0 {
        countdown.hit();
    } else {
        rt::spawn(async move { spawn_chain(countdown, links - 1) });
    }
}

/// Counts a batch of tasks down and wakes whoever waits for the last.
///
/// It is leaked, one for each workload that a process starts: an `Arc` in every task would add two
/// contended operations to each spawn and blur the difference that is looked for.
#[derive(Debug, Default)]
pub(super) struct Countdown {
    left: AtomicU64,
    pub(super) zero: Notify,
}

impl Countdown {
    pub(super) fn leak() -> &'static Countdown {
        Box::leak(Box::default())
    }

    pub(super) fn set(&self, tasks: u64) {
        self.left.store(tasks, Ordering::Relaxed);
    }

    pub(super) fn hit(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.zero.notify_one();
        }
    }
}
