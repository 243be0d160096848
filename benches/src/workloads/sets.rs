//! Join sets: tasks that are awaited as they complete.

use super::{on_worker, rt};
use crate::Run;
use rt::task::JoinSet;

/// Tasks in a batch of [`spawn_then_join`].
pub const TASKS: u64 = 1_000;

/// Tasks in a batch of [`keep_full`].
pub const PASSING: u64 = 1_000;

/// Tasks that are in the set of [`keep_full`] at a time.
const AT_A_TIME: u64 = 16;

/// A task spawns a batch into a set and then awaits them all.
pub fn spawn_then_join() -> Run {
    on_worker(|batches| async move {
        let mut set = JoinSet::new();
        for _ in 0..batches {
            for number in 0..TASKS {
                set.spawn(async move { number });
            }
            let mut sum = 0;
            while let Some(number) = set.join_next().await {
                sum += number.unwrap();
            }
            assert_eq!(sum, TASKS * (TASKS - 1) / 2);
        }
    })
}

/// A task spawns another into a set each time one completes.
pub fn keep_full() -> Run {
    on_worker(|batches| async move {
        let mut set = JoinSet::new();
        for _ in 0..batches {
            for number in 0..PASSING {
                if number >= AT_A_TIME {
                    set.join_next().await.unwrap().unwrap();
                }
                set.spawn(async {});
            }
            while set.join_next().await.is_some() {}
        }
    })
}
