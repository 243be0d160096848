//! tokio's own calls that block (`blocking_send` and its kin, tokio's `block_on`), on a runtime with one of tokio's at its
//! side: they panic where tasks are polled, with tokio's texts, and work where blocking is allowed, as under tokio.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ringway::runtime::{Builder, Handle, Runtime};
use ringway::sync::{Mutex, mpsc, oneshot};
use ringway::task::{LocalSet, block_in_place, spawn_blocking};
use ringway::time::timeout;
use ringway_compat_tests::{LONG, runtime};

const FORBIDDEN: &str = "Cannot block the current thread from within a runtime";
const NESTED: &str = "Cannot start a runtime from within a runtime";

/// Units of a task's budget, in tokio and here.
const BUDGET: usize = 128;

fn single() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .enable_tokio_compat()
        .build()
        .expect("a runtime")
}

/// The text of the panic of `call`, which is none if it returns.
fn panic_of<R>(call: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else {
        return String::new();
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

#[track_caller]
fn assert_panics(text: &str, call: impl FnOnce()) {
    let panic = panic_of(call);
    assert!(panic.starts_with(text), "{panic:?}");
}

/// Each of tokio's calls that block panics here, and leaves no trace.
#[track_caller]
fn assert_blocking_panics() {
    let (sender, mut receiver) = mpsc::channel(1);
    assert_panics(FORBIDDEN, || sender.blocking_send(1).expect("room"));
    assert_panics(FORBIDDEN, || assert_eq!(receiver.blocking_recv(), Some(1)));
    assert_panics(FORBIDDEN, || {
        drop(oneshot::channel::<()>().1.blocking_recv())
    });
    assert_panics(FORBIDDEN, || drop(Mutex::new(()).blocking_lock()));
    let theirs = tokio::runtime::Handle::current();
    assert_panics(NESTED, || theirs.block_on(async {}));
    assert_panics(NESTED, || Handle::current().block_on(async {}));
}

/// All of them work here, those of both runtimes within each other, too.
#[track_caller]
fn assert_blocking_works() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.blocking_send(1).expect("room");
    assert_eq!(receiver.blocking_recv(), Some(1));
    drop(Mutex::new(()).blocking_lock());
    let theirs = tokio::runtime::Handle::current();
    assert_eq!(
        theirs.block_on(async { tokio::spawn(async { 2 }).await.unwrap() }),
        2
    );
    let ours = Handle::current().block_on(async {
        assert_blocking_panics();
        ringway::spawn(async { 3 }).await.unwrap()
    });
    assert_eq!(ours, 3);
}

fn run(runtime: &Runtime, body: impl Future<Output = ()>) {
    runtime.block_on(async { timeout(LONG, body).await.expect("in time") });
}

/// Mutants: `TokioSide::run` calls `polls` and no more; the worker's loop is not in it; the root's is not.
#[test]
fn calls_that_block_panic_in_tasks_and_roots_with_tokios_texts() {
    for runtime in [runtime(), single()] {
        run(&runtime, async {
            assert_blocking_panics();
            for _ in 0..10 {
                ringway::spawn(async { assert_blocking_panics() })
                    .await
                    .unwrap();
            }
            let set = LocalSet::new();
            set.spawn_local(async { assert_blocking_panics() });
            set.await;
        });
        let handle = runtime.handle().clone();
        let outside = thread::spawn(move || handle.block_on(async { assert_blocking_panics() }));
        outside.join().unwrap();
        assert_blocking_works_entered(&runtime);
    }
}

/// On this thread, which has polled a root before.
#[track_caller]
fn assert_blocking_works_entered(runtime: &Runtime) {
    let _entered = runtime.enter();
    assert_blocking_works();
}

/// Mutant: `block_in_place` calls the closure without `compat::leave`.
#[test]
fn calls_that_block_work_in_blocking_jobs_and_in_place() {
    let runtime = runtime();
    run(&runtime, async {
        spawn_blocking(assert_blocking_works).await.unwrap();
        block_in_place(assert_blocking_works);
        assert_blocking_panics();
        let task = ringway::spawn(async {
            for _ in 0..3 {
                block_in_place(assert_blocking_works);
                block_in_place(|| block_in_place(assert_blocking_works));
                assert_blocking_panics();
                ringway::task::yield_now().await;
            }
        });
        task.await.unwrap();
    });
    let single = single();
    run(&single, async {
        spawn_blocking(assert_blocking_works).await.unwrap()
    });
    let in_place = async { block_in_place(assert_blocking_works) };
    single.handle().block_on(in_place);
}

/// While a task blocks in place, a stand-in runs its worker. Mutant: the stand-in's loop is not in `TokioSide::run`.
#[test]
fn calls_that_block_panic_on_a_worker_that_another_thread_stands_in_for() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .enable_tokio_compat()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let task = runtime.spawn(async move {
        block_in_place(|| {
            let beside = handle.spawn(async {
                assert_blocking_panics();
                thread::current().id()
            });
            let (told, hears) = mpsc::channel(1);
            handle.spawn(async move { told.send(beside.await.unwrap()).await });
            { hears }.blocking_recv().expect("it is told")
        }) != thread::current().id()
    });
    // The main thread of a test is not the process's, and takes no core.
    assert!(runtime.block_on(task).unwrap(), "the worker's own thread");
}

/// A panic in a closure that blocks in place, and one in a root, leave the thread as it was.
#[test]
fn a_panic_leaves_the_thread_as_it_was() {
    let runtime = runtime();
    run(&runtime, async {
        let task = ringway::spawn(async {
            assert_panics("in place", || block_in_place(|| panic!("in place")));
            assert_blocking_panics();
            block_in_place(assert_blocking_works);
        });
        task.await.unwrap();
    });
    assert_panics("in the root", || {
        runtime.block_on(async { panic!("in the root") })
    });
    assert_blocking_works_entered(&runtime);
}

/// The worker's whole loop is one poll of tokio's, but each poll of a task has a budget of its own, and what is polled after
/// something has blocked in place, too. Mutant: `refill` does nothing.
#[test]
fn every_poll_of_a_task_has_a_whole_budget() {
    let runtime = runtime();
    let spent = || async {
        let mut units = 0;
        while ringway::task::coop::has_budget_remaining() && units <= BUDGET {
            ringway::task::coop::consume_budget().await;
            units += 1;
        }
        ringway::task::yield_now().await;
        units
    };
    run(&runtime, async {
        let task = ringway::spawn(async move {
            for _ in 0..50 {
                assert_eq!(spent().await, BUDGET);
                block_in_place(|| ());
                ringway::task::yield_now().await;
            }
        });
        task.await.unwrap();
    });
}

/// Whoever polls is inside tokio's `block_on`, and tokio's runtime has ended by then or is given up.
#[test]
fn a_runtime_ends_in_a_task_of_another_and_while_a_task_blocks() {
    let outer = runtime();
    run(&outer, async {
        let task = ringway::spawn(async {
            let inner = runtime();
            inner.spawn(async { tokio::time::sleep(LONG).await });
            inner.shutdown_timeout(Duration::from_millis(50));
            runtime().shutdown_background();
            assert_panics("Cannot drop a runtime", || drop(runtime()));
        });
        task.await.unwrap();
    });
    let (begun, begins) = std::sync::mpsc::channel();
    let inner = runtime();
    let gate = Arc::new(std::sync::Barrier::new(2));
    let held = Arc::clone(&gate);
    inner.spawn(async move {
        begun.send(()).unwrap();
        block_in_place(|| held.wait());
    });
    begins.recv().unwrap();
    inner.shutdown_timeout(Duration::from_millis(1));
    gate.wait();
}

/// Mutant: `TokioSide::shut_down` does not expect that the thread's own cell is gone.
#[test]
fn a_runtime_ends_in_the_destructor_of_a_thread_local() {
    thread_local! {
        static KEPT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    let kept = thread::spawn(|| {
        KEPT.set(Some(runtime()));
        // What the end of a runtime needs of the thread comes after, and so goes before.
        drop(runtime());
        KEPT.with_borrow(|kept| kept.as_ref().expect("it is kept").handle().clone())
    });
    let handle = kept.join().expect("no panic");
    let refused = handle.spawn(async {});
    assert!(handle.block_on(refused).unwrap_err().is_cancelled());
}

/// A runtime of tokio's that polls this thread is told of as tokio tells.
#[test]
fn a_root_of_ours_in_a_task_of_tokios_panics_unless_in_place() {
    let runtime = runtime();
    let ours = runtime.handle().clone();
    run(&runtime, async move {
        let task = tokio::spawn(async move {
            assert_panics(NESTED, || ours.block_on(async {}));
            tokio::task::block_in_place(|| ours.block_on(async { 5 }))
        });
        assert_eq!(task.await.unwrap(), 5);
    });
}
