//! The injector's end and the next-task slot.
#![cfg(loom)]

use std::sync::Arc;

use ringway_loom_models::tasks::{Flag, Runtime};
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::NextSlot;

/// A task is pushed while the injector is closed: whoever comes second drops it.
///
/// Mutants in `scheduler/queue.rs`: no fence in `push`; no fence in `close`; `push` does not look whether the queue
/// is closed; `close` drops what is queued before it says that it is closed.
#[test]
fn no_task_is_left_in_a_closed_injector() {
    check(|| {
        let runtime = Runtime::new();
        let (_flag, future) = Flag::new();
        let handle = runtime.spawn(future);
        let notified = runtime.queue.pop().expect("just spawned");
        let closer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.queue.close())
        };
        runtime.queue.push(notified);
        closer.join().expect("no panic");
        assert!(runtime.queue.is_empty());
        runtime.owned.close_and_shut_down(0);
        drop(handle);
        runtime.end();
    });
}

/// A worker puts a second task into its next-task slot, while a helper takes from there. Each task is run once, by one
/// of the two.
///
/// Mutants in `scheduler/queue.rs`: `put` is a load and a store; `take` leaves the task in the slot; `take` is
/// Relaxed.
#[test]
fn a_task_in_the_next_slot_is_taken_once() {
    check(|| {
        let runtime = Runtime::new();
        let slot = Arc::new(NextSlot::new());
        let mut handles = Vec::new();
        let mut put = |slot: &NextSlot| {
            let (flag, future) = Flag::new();
            flag.set();
            handles.push(runtime.spawn(future));
            slot.put(runtime.queue.pop().expect("just spawned"))
        };
        assert!(put(&slot).is_none());
        let helper = {
            let slot = Arc::clone(&slot);
            spawn(move || {
                (0..2)
                    .filter_map(|_| slot.take())
                    .map(|task| task.run())
                    .count()
            })
        };
        let former = put(&slot);
        let taken = slot.take();
        let ran_here = usize::from(former.is_some()) + usize::from(taken.is_some());
        for task in former.into_iter().chain(taken) {
            task.run();
        }
        let ran_there = helper.join().expect("no panic");
        assert_eq!(ran_here + ran_there, 2);
        assert!(slot.is_empty());
        assert!(handles.iter().all(|handle| handle.is_finished()));
        drop(handles);
        runtime.end();
    });
}
