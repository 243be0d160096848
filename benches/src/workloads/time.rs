//! Timers: made, dropped, moved and fired.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::{delay_queue, on_worker, rt};
use crate::Run;
use delay_queue::DelayQueue;
use rt::time::{Instant, Sleep};

/// Timers in a batch.
pub const TIMERS: u64 = 100 * TIMERS_PER_POLL;

/// Timers between two yields. tokio's budget allows 128 resources in one poll of a task; a `sleep`
/// beyond it would not be registered at all.
const TIMERS_PER_POLL: u64 = 100;

/// Tasks of those workloads that have many, and what each does in a batch.
const TASKS: u64 = 64;
const POLLS_OF_TASK: u64 = 4;

/// Timers of all tasks in a batch.
pub const TIMERS_OF_TASKS: u64 = TASKS * POLLS_OF_TASK * TIMERS_PER_POLL;

/// Tasks that tick, and how often each does in a batch.
const TICKING: u64 = 1_000;
const TICKS_OF_TASK: u64 = 10;

/// Ticks in a batch.
pub const TICKS: u64 = TICKING * TICKS_OF_TASK;
const PERIOD: Duration = Duration::from_millis(1);

/// Timers that are pending all the while.
const PENDING: u64 = 1_000_000;

/// Elements that are in a queue all the while.
const QUEUED: u64 = 10_000;

/// Elements of a queue that come and go in a batch.
pub const ELEMENTS: u64 = 10_000;

/// Far enough that none fires.
const NEVER: Duration = Duration::from_secs(3_600);

/// Numbers that look random and are the same every time.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// A task makes a timer, polls it once so that it is registered, and drops it.
pub fn make_and_drop() -> Run {
    on_worker(|batches| async move {
        for _ in 0..batches * (TIMERS / TIMERS_PER_POLL) {
            make_and_drop_some().await;
        }
    })
}

/// The same in many tasks at once.
pub fn make_and_drop_in_tasks() -> Run {
    in_tasks(|batches| async move {
        for _ in 0..batches * POLLS_OF_TASK {
            make_and_drop_some().await;
        }
    })
}

async fn make_and_drop_some() {
    for _ in 0..TIMERS_PER_POLL {
        let mut sleep = pin!(rt::time::sleep(NEVER));
        register(sleep.as_mut()).await;
    }
    rt::task::yield_now().await;
}

/// Many tasks wait for what is ready after one yield, with a limit of time.
pub fn timeout_in_tasks() -> Run {
    in_tasks(|batches| async move {
        for _ in 0..batches * POLLS_OF_TASK * TIMERS_PER_POLL {
            rt::time::timeout(NEVER, rt::task::yield_now())
                .await
                .unwrap();
        }
    })
}

/// A timer that is registered is moved, by `step` towards later or towards earlier.
pub fn reset(later: bool) -> Run {
    on_worker(move |batches| async move {
        let mut deadline = Instant::now() + NEVER;
        let mut sleep = pin!(rt::time::sleep_until(deadline));
        register(sleep.as_mut()).await;
        for _ in 0..batches * (TIMERS / TIMERS_PER_POLL) {
            for _ in 0..TIMERS_PER_POLL {
                deadline = match later {
                    true => deadline + Duration::from_micros(100),
                    false => deadline - Duration::from_micros(10),
                };
                sleep.as_mut().reset(deadline);
            }
            if !later && deadline < Instant::now() + NEVER / 2 {
                deadline = Instant::now() + NEVER;
            }
            rt::task::yield_now().await;
        }
    })
}

/// Many tasks tick in step.
pub fn ticks() -> Run {
    on_worker(|batches| async move {
        let start = Instant::now() + PERIOD;
        let tasks: Vec<_> = (0..TICKING)
            .map(|_| {
                rt::spawn(async move {
                    let mut ticks = rt::time::interval_at(start, PERIOD);
                    for _ in 0..batches * TICKS_OF_TASK {
                        ticks.tick().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    })
}

/// Of a million timers that are pending, random ones are dropped, and others made.
pub fn replace_among_many() -> Run {
    let runtime = super::runtime();
    let mut numbers = Numbers(1);
    let make = |number: u64| {
        // From 100 seconds to 1,000: none fires.
        let ahead = Duration::from_millis(100_000 + number);
        Box::pin(rt::time::sleep(ahead))
    };
    let fill = async move {
        let mut timers = Vec::with_capacity(PENDING as usize);
        for number in 0..PENDING {
            let mut timer = make(numbers.below(900_000));
            register(timer.as_mut()).await;
            timers.push(timer);
            if number % TIMERS_PER_POLL == 0 {
                rt::task::yield_now().await;
            }
        }
        (timers, numbers)
    };
    let mut state = Some(runtime.block_on(runtime.spawn(fill)).unwrap());
    Box::new(move |batches| {
        let (mut timers, mut numbers) = state.take().unwrap();
        let replace = async move {
            for _ in 0..batches * (TIMERS / TIMERS_PER_POLL) {
                for _ in 0..TIMERS_PER_POLL {
                    let which = numbers.below(PENDING) as usize;
                    timers[which] = make(numbers.below(900_000));
                    register(timers[which].as_mut()).await;
                }
                rt::task::yield_now().await;
            }
            (timers, numbers)
        };
        state = Some(runtime.block_on(runtime.spawn(replace)).unwrap());
    })
}

/// Elements come into a queue of many, and are removed.
pub fn queue_insert_and_remove() -> Run {
    on_worker(|batches| async move {
        let mut numbers = Numbers(2);
        let mut queue = DelayQueue::new();
        for number in 0..QUEUED {
            queue.insert(
                number,
                NEVER + Duration::from_millis(numbers.below(900_000)),
            );
        }
        for number in 0..batches * ELEMENTS {
            let key = queue.insert(
                number,
                Duration::from_millis(100_000 + numbers.below(900_000)),
            );
            assert_eq!(queue.remove(&key).into_inner(), number);
        }
    })
}

/// Elements come into a queue of many, and out of it when their time has come.
pub fn queue_insert_and_expire() -> Run {
    on_worker(|batches| async move {
        let mut numbers = Numbers(3);
        let mut queue = DelayQueue::new();
        for number in 0..QUEUED {
            queue.insert(
                number,
                NEVER + Duration::from_millis(numbers.below(900_000)),
            );
        }
        for _ in 0..batches {
            for number in 0..ELEMENTS {
                queue.insert(number, Duration::from_micros(numbers.below(20_000)));
            }
            for _ in 0..ELEMENTS {
                let expired = poll_fn(|cx| queue.poll_expired(cx)).await.unwrap();
                assert!(expired.into_inner() < ELEMENTS);
            }
        }
    })
}

async fn register(mut sleep: Pin<&mut Sleep>) {
    let registered = poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context))).await;
    assert!(registered.is_pending());
}

/// Runs `body` in many tasks at once.
fn in_tasks<F>(body: fn(u64) -> F) -> Run
where
    F: Future<Output = ()> + Send + 'static,
{
    on_worker(move |batches| async move {
        let tasks: Vec<_> = (0..TASKS).map(|_| rt::spawn(body(batches))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    })
}
