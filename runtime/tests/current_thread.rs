//! A current-thread runtime, whose one core goes from thread to thread and may lie there with nobody to run it.

mod support;

use std::future::{Future, pending, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use ringway_runtime::driver::Op;
use ringway_runtime::{Builder, LocalSet, task};
use ringway_timer::sleep;

use support::ops::{Read, pipe};
use support::{
    Signal, WATCHDOG, block_thread_on, count, current_thread, is_sanitized, resident_bytes, within,
};

/// The thread in `block_on` has the core, so it is the one to end the runtime; the other one waits for that only.
///
/// Mutant: the core of a runtime that is ending is laid down without cancelling its tasks.
#[test]
fn dropping_it_under_a_thread_that_blocks_on_it_cancels_its_tasks_and_returns() {
    within(WATCHDOG, || {
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        let (started, is_started) = mpsc::channel();
        let blocked = std::thread::spawn(move || {
            handle.block_on(async move {
                let task = ringway_runtime::spawn(pending::<()>());
                task::yield_now().await;
                started.send(()).expect("the test waits");
                task.await.expect_err("the runtime ends").is_cancelled()
            })
        });
        is_started.recv().expect("the other thread blocks");
        drop(runtime);
        assert!(blocked.join().expect("its task was cancelled"));
    });
}

/// The thread leaves `block_on` just when the runtime is dropped.
#[test]
fn dropping_it_races_with_the_end_of_block_on() {
    let rounds = count("RINGWAY_TEST_DROPS", 300);
    within(WATCHDOG, move || {
        for round in 0..rounds {
            let runtime = current_thread();
            let handle = runtime.handle().clone();
            let task = runtime.spawn(pending::<()>());
            let (started, is_started) = mpsc::channel();
            let blocked = std::thread::spawn(move || {
                handle.block_on(async move {
                    started.send(()).expect("the test waits");
                    for _ in 0..round % 50 {
                        task::yield_now().await;
                    }
                });
            });
            is_started.recv().expect("the other thread blocks");
            drop(runtime);
            blocked.join().expect("it returns");
            assert!(task.is_finished(), "the drop has cancelled all tasks");
        }
    });
}

/// A root may end its own runtime, and then sees its tasks cancelled.
#[test]
fn a_root_that_ends_its_runtime_sees_its_tasks_cancelled() {
    within(WATCHDOG, || {
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        handle.block_on(async move {
            let task = ringway_runtime::spawn(pending::<()>());
            runtime.shutdown_background();
            assert!(task.await.expect_err("nobody completes it").is_cancelled());
        });
    });
}

/// The kernel cancels what an exited thread had submitted; the driver submits it again.
///
/// Mutant: ECANCELED is always the last word.
#[test]
fn an_operation_outlives_any_number_of_threads_that_blocked_on_its_runtime() {
    within(WATCHDOG, || {
        let runtime = Arc::new(current_thread());
        let (read, mut write) = pipe();
        let task = runtime.spawn(async move { Op::new(Read::new(read, 8)).await });
        for _ in 0..20 {
            let runtime = Arc::clone(&runtime);
            std::thread::spawn(move || {
                runtime.block_on(async { sleep(Duration::from_millis(1)).await });
            })
            .join()
            .expect("a thread that blocks for a moment");
        }
        write.write_all(b"late").expect("somebody reads");
        let read = runtime.block_on(task).expect("the task");
        assert_eq!(read.expect("it was not cancelled"), b"late");
    });
}

/// With the clock paused, the end of a blocking job is what the clock waited for.
///
/// Mutant: the pool counts a job as running until after its joiner was woken, and tells nobody.
#[test]
fn a_paused_clock_goes_on_after_a_blocking_job() {
    let rounds = count("RINGWAY_TEST_PAUSED_JOBS", 2_000);
    within(WATCHDOG, move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            for _ in 0..rounds {
                ringway_runtime::spawn_blocking(|| ())
                    .await
                    .expect("the job");
                sleep(Duration::from_secs(60)).await;
            }
        });
    });
}

/// A thread blocks on the runtime while another one has the core, and is woken again and again.
///
/// Mutant: each time it waits for the core it is put on the list of those who wait once more.
#[test]
fn waiting_for_the_core_takes_no_more_memory_with_time() {
    const WAKES: usize = 100_000;
    within(WATCHDOG, || {
        let runtime = current_thread();
        let holder = runtime.handle().clone();
        let release = Signal::new();
        let is_released = release.clone();
        let (held, is_held) = mpsc::channel();
        let holder = std::thread::spawn(move || {
            holder.block_on(async move {
                held.send(()).expect("the test waits");
                is_released.wait().await;
            });
        });
        is_held.recv().expect("the core is taken");
        let before = resident_bytes();
        runtime.block_on(async {
            for _ in 0..WAKES {
                ringway_runtime::spawn(async {})
                    .await
                    .expect("the holder runs it");
            }
        });
        let grown = resident_bytes().saturating_sub(before);
        let bound = if is_sanitized() { 1 << 28 } else { WAKES * 4 };
        assert!(grown < bound, "{grown} bytes more");
        release.set();
        holder.join().expect("it was released");
    });
}

/// A root that is woken has its turn after a round of 61 turns at most, as in tokio, and tasks have theirs beside a root that
/// is always ready.
///
/// Mutants: a round has no end while tasks are ready; each turn ends a round.
#[test]
fn a_root_has_its_turn_after_a_round_of_61_turns() {
    const ROOT_POLLS: usize = 100;
    within(WATCHDOG, || {
        let polls = Arc::new(AtomicUsize::new(0));
        let runtime = current_thread();
        for _ in 0..100 {
            let polls = Arc::clone(&polls);
            runtime.spawn(async move {
                loop {
                    polls.fetch_add(1, Ordering::Relaxed);
                    task::yield_now().await;
                }
            });
        }
        let mut left = ROOT_POLLS;
        runtime.block_on(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            left -= 1;
            if left == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let polls = polls.load(Ordering::Relaxed);
        assert!(polls <= 61 * ROOT_POLLS, "{polls} polls of tasks");
        assert!(polls >= 50 * (ROOT_POLLS - 1), "{polls} polls of tasks");
    });
}

/// The round cannot end while it waits.
///
/// Mutant: `wake_after_round` does not ask whether the waker is a task's.
#[test]
fn who_yields_to_an_executor_that_waits_inside_a_task_is_woken_at_once() {
    within(WATCHDOG, || {
        current_thread().block_on(async {
            let task = ringway_runtime::spawn(async { block_thread_on(task::yield_now()) });
            task.await.expect("it is done");
        });
    });
}

/// The waker of a local task lies with the core of the runtime in which the task has yielded, whose root is done then.
///
/// Mutant: `poll_on_core` gives the core back with those that have yielded.
#[test]
fn a_local_task_that_has_yielded_in_the_last_poll_of_a_root_goes_on_in_another_runtime() {
    within(WATCHDOG, || {
        let mut set = LocalSet::new();
        let task = set.spawn_local(task::yield_now());
        let one = current_thread();
        one.block_on(poll_fn(|cx| {
            assert!(Pin::new(&mut set).poll(cx).is_pending());
            Poll::Ready(())
        }));
        let other = current_thread();
        set.block_on(&other, task).expect("it is done");
        drop(one);
    });
}

/// The end of a round that was for the root alone. Nobody waits in between, and the interval is longer than the test.
///
/// Mutant: a yield of the root does not count at the end of a round.
#[test]
fn a_root_that_yields_has_timers_looked_at() {
    within(WATCHDOG, || {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().event_interval(u32::MAX).build();
        runtime.expect("a runtime").block_on(async {
            let sleeping = ringway_runtime::spawn(sleep(Duration::from_millis(1)));
            while !sleeping.is_finished() {
                task::yield_now().await;
            }
        });
    });
}
