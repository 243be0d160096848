//! Jobs on the blocking pool.

use std::hint::black_box;

use super::{on_worker, rt};
use crate::Run;

/// Jobs in a batch.
pub const JOBS: u64 = 1_600;

/// Jobs that a task of [`many_at_once`] starts before it awaits them.
const AT_ONCE: u64 = 16;

/// A task has one job done after the other.
pub fn one_at_a_time() -> Run {
    on_worker(|batches| async move {
        for number in 0..batches * JOBS {
            let job = rt::task::spawn_blocking(move || black_box(number));
            assert_eq!(job.await.unwrap(), number);
        }
    })
}

/// So many tasks each start some jobs at once and await them all.
pub fn many_at_once(tasks: u64) -> Run {
    on_worker(move |batches| async move {
        let rounds = batches * JOBS / AT_ONCE / tasks;
        let starters: Vec<_> = (0..tasks)
            .map(|_| rt::spawn(start_and_await(rounds)))
            .collect();
        for starter in starters {
            starter.await.unwrap();
        }
    })
}

async fn start_and_await(rounds: u64) {
    let mut jobs = Vec::with_capacity(AT_ONCE as usize);
    for _ in 0..rounds {
        jobs.extend((0..AT_ONCE).map(|n| rt::task::spawn_blocking(move || black_box(n))));
        for (number, job) in (0..).zip(jobs.drain(..)) {
            assert_eq!(job.await.unwrap(), number);
        }
    }
}
