//! The queue of a join set's completed tasks, and the wakers that fill it.
#![cfg(loom)]

use std::sync::Arc;

use ringway_loom_models::tasks::Runtime;
use ringway_loom_models::{block_on, check, spawn};
use ringway_runtime::internals::put_into_set;
use ringway_runtime::join_set::JoinSet;

/// A set is awaited while its tasks complete: it gives out each, and whoever waits is woken.
///
/// Mutants in `join_set/done.rs`: `take_or_wait` stores the waker without looking at the keys again; `push` wakes before
/// the key is there.
#[test]
fn a_set_that_is_awaited_while_its_tasks_complete_gives_each_out() {
    check(|| {
        let runtime = Runtime::new();
        let mut set = JoinSet::new();
        put_into_set(&mut set, runtime.spawn(async { 1 }));
        put_into_set(&mut set, runtime.spawn(async { 2 }));
        let worker = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.run_all())
        };
        let mut sum = 0;
        while let Some(output) = block_on(set.join_next()) {
            sum += output.expect("no task fails");
        }
        assert_eq!(sum, 3);
        worker.join().expect("no panic");
        drop(set);
        runtime.end();
    });
}

/// A task completes while it is put into the set. It comes out.
///
/// Mutant: `insert` in `join_set/mod.rs` does not mind that the task has completed.
#[test]
fn a_task_that_completes_while_it_is_put_into_a_set_comes_out() {
    check(|| {
        let runtime = Runtime::new();
        let mut set = JoinSet::new();
        let task = runtime.spawn(async { 1 });
        let worker = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.run_all())
        };
        put_into_set(&mut set, task);
        let output = block_on(set.join_next());
        assert!(matches!(output, Some(Ok(1))));
        worker.join().expect("no panic");
        drop(set);
        runtime.end();
    });
}

/// A set is dropped while its task completes: the key that the task leaves behind goes with the last of both.
///
/// Mutant in `task/state.rs`: `drop_handle` says that the waker is the handle's though JOIN_WAKER is set.
#[test]
fn a_set_that_is_dropped_while_its_task_completes_leaves_nothing() {
    check(|| {
        let runtime = Runtime::new();
        let mut set = JoinSet::new();
        put_into_set(&mut set, runtime.spawn(async { 1 }));
        let worker = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.run_all())
        };
        drop(set);
        worker.join().expect("no panic");
        runtime.run_all();
        runtime.end();
    });
}
