//! Local runtimes: what runs on their thread, and what other threads may do with their handles.

mod support;

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringway::runtime::{Builder, Handle, LocalOptions, LocalRuntime, RuntimeFlavor};
use ringway::sync::oneshot;
use ringway::task::{self, LocalSet, spawn_local, yield_now};
use ringway::time::{Instant, sleep};

use support::{WATCHDOG, panic_text, within};

fn local() -> LocalRuntime {
    LocalRuntime::new().expect("a runtime")
}

#[test]
fn local_tasks_need_not_be_send_and_run_beside_the_root() {
    within(WATCHDOG, || {
        let runtime = local();
        assert_eq!(
            runtime.handle().runtime_flavor(),
            RuntimeFlavor::CurrentThread
        );
        let kept = Rc::new(Cell::new(0));
        let before = Rc::clone(&kept);
        let before = runtime.spawn_local(async move { before.set(before.get() + 1) });
        runtime.block_on(async {
            before.await.expect("the task");
            let within = Rc::clone(&kept);
            let task = spawn_local(async move {
                sleep(Duration::from_micros(300)).await;
                let job = task::spawn_blocking(|| 2).await.expect("the job");
                within.set(within.get() + job);
            });
            task.await.expect("the task");
        });
        assert_eq!(kept.get(), 3);
        let entered = runtime.enter();
        let task = spawn_local(async move { kept.get() });
        drop(entered);
        assert_eq!(runtime.block_on(task).expect("the task"), 3);
        assert_eq!(
            runtime
                .block_on(runtime.spawn_blocking(|| 7))
                .expect("the job"),
            7
        );
    });
}

#[test]
fn other_threads_spawn_onto_a_local_runtime_what_then_runs_on_its_thread() {
    within(WATCHDOG, || {
        let runtime = local();
        let here = thread::current().id();
        let handle = runtime.handle().clone();
        let (tell, told) = oneshot::channel();
        let other = thread::spawn(move || {
            let task = handle.spawn(async { thread::current().id() });
            let ran_on = handle.block_on(task).expect("the task");
            tell.send(ran_on).expect("the root waits");
        });
        let ran_on = runtime.block_on(async move { told.await.expect("it is told") });
        assert_eq!(ran_on, here);
        other.join().expect("the other thread");
    });
}

/// Mutant: `may_hold_core` lets every thread take the core.
#[test]
fn a_thread_that_blocks_on_the_handle_runs_no_local_task() {
    within(WATCHDOG, || {
        let runtime = local();
        let kept = Rc::new(Cell::new(false));
        let ran = Rc::clone(&kept);
        let task = runtime.spawn_local(async move { ran.set(true) });
        let aborts = task.abort_handle();
        let handle = runtime.handle().clone();
        let other = thread::spawn(move || {
            handle.block_on(async {
                for _ in 0..100 {
                    yield_now().await;
                }
            });
            aborts.is_finished()
        });
        assert!(!other.join().expect("the other thread"));
        assert!(!kept.get());
        runtime.block_on(task).expect("the task");
        assert!(kept.get());
    });
}

#[test]
fn local_tasks_are_spawned_on_the_runtimes_thread_only() {
    within(WATCHDOG, || {
        let runtime = local();
        let handle = runtime.handle().clone();
        let text = thread::spawn(move || {
            panic_text(|| {
                let _entered = handle.enter();
                spawn_local(async {});
            })
        });
        assert_eq!(
            text.join().expect("the other thread"),
            "Local tasks can only be spawned on a LocalRuntime from the thread the runtime was created on"
        );
        let text = panic_text(|| {
            let _refused = Builder::new_multi_thread().build_local(LocalOptions::default());
        });
        assert_eq!(text, "multi_thread is not supported for LocalRuntime");
    });
}

#[test]
fn the_end_of_a_local_runtime_drops_its_futures_on_its_thread_and_in_its_context() {
    struct Drops(Rc<Cell<usize>>);

    impl Drop for Drops {
        fn drop(&mut self) {
            // Panics outside of the runtime.
            let handle = spawn_local(async {});
            assert!(Handle::try_current().is_ok());
            drop(handle);
            self.0.set(self.0.get() + 1);
        }
    }

    within(WATCHDOG, || {
        let drops = Rc::new(Cell::new(0));
        type End = fn(LocalRuntime);
        let ends: [End; 3] = [
            drop,
            |runtime| runtime.shutdown_timeout(WATCHDOG),
            LocalRuntime::shutdown_background,
        ];
        for end in ends {
            let runtime = local();
            let kept = Drops(Rc::clone(&drops));
            runtime.spawn_local(async move {
                let _kept = kept;
                pending::<()>().await;
            });
            runtime.block_on(yield_now());
            end(runtime);
        }
        assert_eq!(drops.get(), 3);
    });
}

#[test]
fn a_local_runtime_that_is_never_dropped_leaves_its_futures_alone() {
    struct Never;

    impl Drop for Never {
        fn drop(&mut self) {
            std::process::abort();
        }
    }

    within(WATCHDOG, || {
        let (tell, told) = mpsc::channel();
        let owner = thread::spawn(move || {
            let runtime = local();
            let kept = (Rc::new(()), Never);
            let task = runtime.spawn_local(async move {
                let _kept = kept;
                pending::<()>().await;
            });
            runtime.block_on(yield_now());
            task.abort();
            tell.send(runtime.handle().clone()).expect("the test waits");
            std::mem::forget(runtime);
        });
        let handle = told.recv().expect("a handle");
        owner.join().expect("the owner");
        handle.block_on(yield_now());
        drop(handle);
    });
}

#[test]
fn in_a_local_runtime_spawn_local_is_the_runtimes_also_within_a_set() {
    within(WATCHDOG, || {
        let runtime = local();
        let set = LocalSet::new();
        let within = poll_fn(|_| Poll::Ready(spawn_local(async { 6 })));
        let task = runtime.block_on(set.run_until(within));
        drop(set);
        assert_eq!(runtime.block_on(task).expect("the task"), 6);
    });
}

#[test]
fn the_clock_of_a_local_runtime_may_stand() {
    within(WATCHDOG, || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build_local(LocalOptions::default())
            .expect("a runtime");
        let slept = runtime.block_on(async {
            let start = Instant::now();
            let sleeps = spawn_local(sleep(Duration::from_secs(3_600)));
            sleeps.await.expect("the task");
            start.elapsed()
        });
        assert_eq!(slept, Duration::from_secs(3_600));
    });
}
