//! The state word of a task and what it guards: wakes, polls, joins, aborts, references, shutdown.
#![cfg(loom)]

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ringway_loom_models::tasks::{Flag, Output, Runtime, WaitForFlag};
use ringway_loom_models::{Count, block_on, check, spawn};
use ringway_runtime::task::{JoinError, JoinHandle};

/// A runtime with one task that was polled once, found its flag not set, and gave out a waker.
fn one_idle_task() -> (Arc<Runtime>, Arc<Flag>, JoinHandle<Output>) {
    let (runtime, flag, handle) = one_new_task();
    assert!(runtime.run_one());
    (runtime, flag, handle)
}

/// A runtime with one task that waits for its first poll.
fn one_new_task() -> (Arc<Runtime>, Arc<Flag>, JoinHandle<Output>) {
    let runtime = Runtime::new();
    let (flag, future) = Flag::new();
    let handle = runtime.spawn(future);
    (runtime, flag, handle)
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// The output of a task that must have one by now.
fn output_of(mut handle: JoinHandle<Output>) -> Result<Output, JoinError> {
    match poll(&mut handle, Waker::noop()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a task was left without being run"),
    }
}

/// A task is polled while another thread sets the flag that it waits for, and wakes it. Either that poll or the one
/// that the wake brings about must see the flag.
///
/// Mutants in `task/state.rs`: `end_poll` goes idle though NOTIFIED is set; `wake_by_value` leaves NOTIFIED clear
/// while RUNNING is set; the exchange in `update` is Relaxed.
#[test]
fn a_wake_during_the_end_of_a_poll_is_not_lost() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        let waker = flag.take_waker().expect("polled");
        waker.wake_by_ref();
        let worker = {
            let runtime = Arc::clone(&runtime);
            spawn(move || assert!(runtime.run_one()))
        };
        flag.set();
        waker.wake();
        worker.join().expect("no panic");
        runtime.run_all();
        assert!(output_of(handle).is_ok());
        runtime.end();
    });
}

/// Two threads wake an idle task, one using its waker up, one not, and a worker runs what is queued meanwhile. At
/// the end the task has been polled with the flag set, and all its references are gone.
///
/// Mutants in `task/state.rs`: `wake_by_reference` submits without taking a reference; `wake_by_value` keeps its
/// reference when the task is notified already.
#[test]
fn a_wake_by_value_and_one_by_reference_schedule_a_task_rightly() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        let by_value = flag.take_waker().expect("polled");
        let by_reference = by_value.clone();
        flag.set();
        let first = spawn(move || by_value.wake());
        let second = spawn(move || {
            by_reference.wake_by_ref();
        });
        runtime.run_one();
        first.join().expect("no panic");
        second.join().expect("no panic");
        assert!(runtime.run_all() <= 1, "a task is queued twice at most");
        assert!(output_of(handle).is_ok());
        runtime.end();
    });
}

/// A task is woken while it completes: it is not run again, and the waker's reference goes with the others.
///
/// Mutants: `wake_by_value` in `task/state.rs` never says that the last reference went; `after_wake` in `task/raw.rs` looks
/// at the task when the transition has given its reference up.
#[test]
fn a_wake_of_a_task_that_completes_does_nothing() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        let waker = flag.take_waker().expect("polled");
        flag.set();
        waker.wake_by_ref();
        drop(handle);
        let waking = spawn(move || waker.wake());
        runtime.run_all();
        waking.join().expect("no panic");
        runtime.run_all();
        assert!(flag.dropped_by().is_some());
        runtime.end();
    });
}

/// A handle is awaited while the task completes. Whoever waits gets the output.
///
/// Mutants: `complete_quietly` in `task/state.rs` does not mind JOIN_WAKER; `load` in `task/state.rs` is Relaxed.
#[test]
fn a_join_that_races_completion_gets_the_output() {
    check(|| {
        let (runtime, flag, handle) = one_new_task();
        flag.set();
        let joiner = spawn(move || block_on(handle).is_ok());
        runtime.run_all();
        assert!(joiner.join().expect("no panic"));
        runtime.end();
    });
}

/// The handle stores another waker while the task completes: no waker is written while it is read, and the last one
/// is woken.
///
/// Mutant in `task/harness.rs`: `ready_to_join` offers the new waker without having withdrawn the old one.
#[test]
fn a_join_that_changes_its_waker_races_completion_safely() {
    check(|| {
        let (runtime, flag, mut handle) = one_new_task();
        flag.set();
        let (_, former) = Count::new();
        assert!(poll(&mut handle, &former).is_pending());
        let joiner = spawn(move || block_on(handle).is_ok());
        runtime.run_all();
        assert!(joiner.join().expect("no panic"));
        runtime.end();
    });
}

/// The handle is dropped while the task completes: the output and the join waker are dropped then, once, whoever still
/// refers to the task, and nobody reads a waker that is being dropped.
///
/// Mutants: `drop_handle` in `task/state.rs` leaves the output to a task that is complete; it says that the waker is
/// the handle's though JOIN_WAKER is set; `complete_quietly` does not mind that JOIN_INTEREST has gone.
#[test]
fn a_handle_that_is_dropped_during_completion_loses_no_output() {
    for polled in [false, true] {
        check(move || {
            let (runtime, flag, mut handle) = one_new_task();
            flag.set();
            // Keeps the task's memory, so that nothing goes with it.
            let abort = handle.abort_handle();
            let (wakes, waker) = Count::new();
            if polled {
                assert!(poll(&mut handle, &waker).is_pending());
            }
            let dropper = spawn(move || drop(handle));
            runtime.run_all();
            dropper.join().expect("no panic");
            assert!(wakes.wakes() <= 1);
            drop(waker);
            assert_eq!(Arc::strong_count(&wakes), 1, "a join waker is left");
            assert!(flag.is_output_dropped());
            drop(abort);
            runtime.end();
        });
    }
}

/// A task is aborted while it is polled. It ends, either way, and its future is dropped by the thread that runs it.
///
/// Mutants in `task/state.rs`: `abort` does nothing while RUNNING is set; it does not submit an idle task.
#[test]
fn an_abort_during_a_poll_ends_the_task_on_its_worker() {
    check(|| {
        let (runtime, flag, handle) = one_new_task();
        let abort = handle.abort_handle();
        let aborter = spawn(move || abort.abort());
        let here = loom::thread::current().id();
        runtime.run_one();
        aborter.join().expect("no panic");
        runtime.run_all();
        assert_eq!(flag.dropped_by(), Some(here));
        drop(flag.take_waker());
        let error = output_of(handle).expect_err("the flag was never set");
        assert!(error.is_cancelled());
        runtime.end();
    });
}

/// An idle task is aborted and woken at once. It is queued once, and cancelled.
///
/// Mutants in `task/state.rs`: `abort` submits a task that is notified already; it submits without taking a
/// reference.
#[test]
fn an_abort_and_a_wake_queue_a_task_once() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        let waker = flag.take_waker().expect("polled");
        let abort = handle.abort_handle();
        let aborter = spawn(move || abort.abort());
        waker.wake();
        aborter.join().expect("no panic");
        assert_eq!(runtime.run_all(), 1);
        let error = output_of(handle).expect_err("the flag was never set");
        assert!(error.is_cancelled());
        runtime.end();
    });
}

/// The last three references, of a waker, the handle and an abort handle, go at once on three threads. The memory is
/// freed after the last use, whichever that is.
///
/// Mutants: `drop_references` in `task/state.rs` is Relaxed; `add_reference` adds none; the drop of `Reference` in
/// `task/raw.rs` never frees.
#[test]
fn the_last_of_three_references_frees_the_task() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        let waker = flag.take_waker().expect("polled");
        let abort = handle.abort_handle();
        flag.set();
        waker.wake_by_ref();
        runtime.run_all();
        let first = spawn(move || drop(waker));
        let second = spawn(move || drop(abort));
        drop(handle);
        first.join().expect("no panic");
        second.join().expect("no panic");
        runtime.end();
    });
}

/// A task is spawned while the runtime shuts down: it is either refused or found. Its future is dropped, and nothing
/// is left.
///
/// Mutants: `bind` in `task/owned.rs` does not mind that the list is closed; `close_and_shut_down` never closes it.
#[test]
fn a_spawn_during_shutdown_leaves_nothing() {
    check(|| {
        let runtime = Runtime::new();
        let (flag, future) = Flag::new();
        let closer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.shut_down())
        };
        let handle = runtime.spawn(future);
        closer.join().expect("no panic");
        assert!(flag.dropped_by().is_some());
        let error = output_of(handle).expect_err("nobody ran it");
        assert!(error.is_cancelled());
        runtime.end();
    });
}

/// The runtime shuts down while a worker polls the task. The future is dropped once, never while it is polled.
///
/// Mutants in `task/state.rs`: `begin_shutdown` takes RUNNING though another thread has it; it does not set
/// CANCELLED then; `end_poll` does not look at CANCELLED; `begin_poll` polls a task that is RUNNING.
#[test]
fn a_shutdown_during_a_poll_drops_the_future_after_it() {
    check(|| {
        let (runtime, flag, handle) = one_new_task();
        let closer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.shut_down())
        };
        runtime.run_one();
        closer.join().expect("no panic");
        assert!(flag.dropped_by().is_some());
        drop(flag.take_waker());
        let error = output_of(handle).expect_err("the flag was never set");
        assert!(error.is_cancelled());
        runtime.end();
    });
}

/// The runtime shuts down while the task is woken: the wake brings no dead task back, and is not left in the queue.
///
/// Mutant: `begin_poll` in `task/state.rs` polls a task that is complete.
#[test]
fn a_wake_during_shutdown_leaves_nothing() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        let waker = flag.take_waker().expect("polled");
        let closer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.shut_down())
        };
        waker.wake();
        runtime.run_one();
        closer.join().expect("no panic");
        assert!(output_of(handle).is_err());
        runtime.end();
    });
}

#[test]
fn an_abort_during_shutdown_leaves_nothing() {
    check(|| {
        let (runtime, flag, handle) = one_idle_task();
        drop(flag.take_waker());
        let closer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.shut_down())
        };
        handle.abort();
        runtime.run_one();
        closer.join().expect("no panic");
        assert!(flag.dropped_by().is_some());
        let error = output_of(handle).expect_err("aborted, or shut down");
        assert!(error.is_cancelled());
        runtime.end();
    });
}

/// Two tasks are spawned and complete in the same list while a third thread shuts it down: the links hold.
///
/// Mutant in `task/owned.rs`: `Chain::remove` does not tell the next task of its new neighbour.
#[test]
fn tasks_leave_the_owned_set_from_any_place() {
    check(|| {
        let runtime = Runtime::new();
        let tasks: Vec<(Arc<Flag>, WaitForFlag)> = (0..3).map(|_| Flag::new()).collect();
        let mut flags = Vec::new();
        for (flag, future) in tasks {
            flag.set();
            drop(runtime.spawn(future));
            flags.push(flag);
        }
        let closer = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.shut_down())
        };
        runtime.run_one();
        runtime.run_one();
        closer.join().expect("no panic");
        assert!(flags.iter().all(|flag| flag.dropped_by().is_some()));
        runtime.end();
    });
}

/// One thread walks over three tasks of a list while another lets the first and the last of them complete, and they are
/// freed: the one that stays is visited once, and no task twice.
///
/// Mutants in `task/owned.rs`: `Chain::remove` does not move the mark on; `take_up` takes no reference.
#[test]
fn a_walk_meets_each_task_once_while_others_complete() {
    check(|| {
        let runtime = Runtime::new();
        let spawn_one = |is_set: bool| {
            let (flag, future) = Flag::new();
            if is_set {
                flag.set();
            }
            let handle = runtime.spawn(future);
            let id = handle.id();
            drop(handle);
            id
        };
        // The list has the last first: the one in the middle stays.
        let ids = [spawn_one(true), spawn_one(false), spawn_one(true)];
        let runner = {
            let runtime = Arc::clone(&runtime);
            spawn(move || runtime.run_all())
        };
        let mut visited = Vec::new();
        runtime.owned.walk(|task| {
            visited.push(task.look().header().id());
            ControlFlow::Continue(())
        });
        runner.join().expect("no panic");
        let visits = |id| visited.iter().filter(|&&visited| visited == id).count();
        assert!(
            ids.iter().all(|&id| visits(id) <= 1),
            "no task is visited twice"
        );
        assert_eq!(visits(ids[1]), 1, "the one that stays is visited");
        runtime.shut_down();
        runtime.end();
    });
}
