//! What a handle tells of its runtime, where a task runs, and the auto traits that programs count on.

mod support;

use std::collections::HashSet;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringway::runtime::{
    Builder, EnterGuard, Handle, Id, Runtime, RuntimeFlavor, TryCurrentError, worker_index,
};
use ringway::task::{
    AbortHandle, JoinError, JoinHandle, block_in_place, spawn_blocking, yield_now,
};

use support::{WATCHDOG, current_thread, panic_text, within, workers};

/// Mutants: `Builder::name` does not keep the name; ids are not counted on.
#[test]
fn a_runtime_has_the_name_that_it_was_given_and_an_id_of_its_own() {
    let mut builder = Builder::new_current_thread();
    let nameless = builder.build().unwrap();
    assert_eq!(nameless.handle().name(), None);
    let named = builder.name("ingest").build().unwrap();
    let name = named.block_on(async { Handle::current().name().map(str::to_owned) });
    assert_eq!(name.as_deref(), Some("ingest"));
    let ids: HashSet<Id> = [&nameless, &named].map(|it| it.handle().id()).into();
    assert_eq!(ids.len(), 2);
    assert_eq!(
        named.handle().id(),
        named.block_on(async { Handle::current().id() })
    );
    let id = named.handle().id();
    assert_eq!(format!("Id({id})"), format!("{id:?}"));
    let words = "runtime name shouldn't be empty";
    assert_eq!(panic_text(|| _ = builder.name(" \t")), words);
}

#[test]
fn a_handle_tells_the_flavour() {
    assert_eq!(
        workers(1).handle().runtime_flavor(),
        RuntimeFlavor::MultiThread
    );
    assert_eq!(
        current_thread().handle().runtime_flavor(),
        RuntimeFlavor::CurrentThread
    );
}

/// By this name programs and tools know tokio's threads.
///
/// Mutant: another default.
#[test]
fn threads_have_tokios_name_unless_they_are_given_another() {
    let runtime = workers(1);
    let name = || thread::current().name().map(str::to_owned);
    let of_worker = runtime
        .block_on(runtime.spawn(async move { name() }))
        .unwrap();
    let of_job = runtime.block_on(runtime.spawn_blocking(name)).unwrap();
    assert_eq!(of_worker.as_deref(), Some("tokio-rt-worker"));
    assert_eq!(of_job.as_deref(), Some("tokio-rt-worker"));
}

/// Mutant: the size is not handed to the threads, whose stack of 2 MiB then overflows.
#[test]
fn threads_have_the_stack_that_was_asked_for() {
    const STACK: usize = 32 << 20;
    #[inline(never)]
    fn fill(filler: u8) -> usize {
        let filled = std::hint::black_box([filler; STACK / 4]);
        filled.iter().filter(|byte| **byte == filler).count()
    }
    let mut builder = Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(1)
        .thread_stack_size(STACK)
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(ringway::spawn(async { fill(1) }).await.unwrap(), STACK / 4);
        assert_eq!(spawn_blocking(|| fill(2)).await.unwrap(), STACK / 4);
    });
}

/// Mutant: the root counts as a task of the worker whose core it has.
#[test]
fn a_worker_index_is_told_in_tasks_and_on_the_only_worker_of_one_thread() {
    within(WATCHDOG, || {
        assert_eq!(worker_index(), None);
        let runtime = workers(2);
        runtime.block_on(async {
            assert_eq!(worker_index(), None, "the root is on no worker");
            for _ in 0..100 {
                let index = ringway::spawn(async { worker_index() }).await.unwrap();
                assert!(index.is_some_and(|index| index < 2), "{index:?}");
            }
            assert_eq!(spawn_blocking(worker_index).await.unwrap(), None);
        });
        let single = current_thread();
        assert_eq!(single.block_on(async { worker_index() }), Some(0));
        let task = single.spawn(async { worker_index() });
        assert_eq!(single.block_on(task).unwrap(), Some(0));
    });
}

/// Two tasks that run at once are on two workers, and the spare one says for whom it stands.
#[test]
fn tasks_that_run_at_once_have_different_indices() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        for _ in 0..50 {
            let (here, there) = (mpsc::channel(), mpsc::channel());
            let meet = |send: mpsc::Sender<()>, receive: mpsc::Receiver<()>| async move {
                send.send(()).unwrap();
                receive.recv().unwrap();
                worker_index().unwrap()
            };
            let one = runtime.spawn(meet(here.0, there.1));
            let other = runtime.spawn(meet(there.0, here.1));
            let (one, other) =
                runtime.block_on(async { (one.await.unwrap(), other.await.unwrap()) });
            assert_ne!(one, other);
        }
    });
}

/// The handle of a runtime on one thread runs its tasks, but its future is a guest there: it may block in place, and run
/// the runtime meanwhile. Tasks beside it may not.
///
/// Mutants: `block_in_place` does not mind whose root it is in; `may_block` does not ask whether it is in the root.
#[test]
fn a_future_that_a_handle_runs_on_one_thread_is_outside_of_it() {
    within(WATCHDOG, || {
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        handle.block_on(async {
            assert_eq!(worker_index(), None);
            let nested = block_in_place(|| handle.block_on(handle.spawn(async { worker_index() })));
            assert_eq!(nested.unwrap(), Some(0));
            let task = handle.spawn(async { block_in_place(|| ()) });
            assert!(task.await.unwrap_err().is_panic());
            assert_eq!(worker_index(), None);
        });
        let refused = panic_text(|| runtime.block_on(async { block_in_place(|| ()) }));
        let words = "can call blocking only when running on the multi-threaded runtime";
        assert_eq!(refused, words);
    });
}

/// A thread whose runtime another one runs has no part in it.
#[test]
fn a_thread_that_waits_for_the_core_of_one_thread_is_on_no_worker() {
    within(WATCHDOG, || {
        let runtime = std::sync::Arc::new(current_thread());
        let (go_on, gone_on) = ringway::sync::oneshot::channel();
        let (entered, is_in) = mpsc::channel();
        let owner = {
            let runtime = std::sync::Arc::clone(&runtime);
            thread::spawn(move || {
                runtime.block_on(async {
                    entered.send(()).unwrap();
                    gone_on.await.unwrap();
                    worker_index()
                })
            })
        };
        is_in.recv().unwrap();
        assert_eq!(runtime.block_on(async { worker_index() }), None);
        go_on.send(()).unwrap();
        assert_eq!(owner.join().unwrap(), Some(0));
    });
}

/// Mutant: the deadline is a sum that overflows.
#[test]
fn a_runtime_that_may_take_for_ever_to_end_ends_as_soon_as_it_can() {
    within(WATCHDOG, || {
        for runtime in [workers(2), current_thread()] {
            let begun = Instant::now();
            runtime.spawn(std::future::pending::<()>());
            runtime.shutdown_timeout(Duration::MAX);
            assert!(begun.elapsed() < WATCHDOG / 4);
        }
    });
}

#[test]
fn a_pool_whose_threads_may_idle_for_ever_works() {
    within(WATCHDOG, || {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.thread_keep_alive(Duration::MAX).build().unwrap();
        for round in 0..3 {
            let job = runtime.spawn_blocking(move || round);
            assert_eq!(runtime.block_on(job).unwrap(), round);
        }
    });
}

/// The zero timeout does not wait for a job that blocks, and what it says is true: the job goes on.
#[test]
fn a_runtime_that_may_not_take_time_to_end_waits_for_nobody() {
    within(WATCHDOG, || {
        for runtime in [workers(2), current_thread()] {
            let (end, ended) = mpsc::channel::<()>();
            let (over, is_over) = mpsc::channel();
            let (begun, has_begun) = mpsc::channel();
            runtime.spawn_blocking(move || {
                begun.send(()).unwrap();
                ended.recv().unwrap();
                over.send(()).unwrap();
            });
            has_begun.recv().unwrap();
            runtime.shutdown_timeout(Duration::ZERO);
            end.send(()).unwrap();
            is_over.recv().unwrap();
        }
    });
}

#[test]
fn what_is_missing_is_told_by_kind() {
    let error = Handle::try_current().unwrap_err();
    assert!(error.is_missing_context() && !error.is_thread_local_destroyed());
    assert_eq!(
        error.to_string(),
        "there is no reactor running, must be called from the context of a Tokio 1.x runtime"
    );
}

/// An abort needs neither a runtime around it nor the one that has the task.
#[test]
fn a_task_is_aborted_from_any_thread_and_after_its_runtimes_end() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let task = runtime.spawn(async {
            loop {
                yield_now().await;
            }
        });
        let abort = task.abort_handle();
        thread::spawn(move || abort.abort()).join().unwrap();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        let task = runtime.spawn(std::future::pending::<()>());
        drop(runtime);
        task.abort();
        assert!(task.is_finished());
    });
}

/// Compiles.
#[test]
fn handles_have_the_auto_traits_that_tokios_have() {
    fn send_sync_unpin<T: Send + Sync + Unpin>() {}
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    fn sync_unpin<T: Sync + Unpin>() {}
    fn copy<T: Copy + Eq + std::hash::Hash + std::fmt::Display + std::fmt::Debug>() {}
    fn clone<T: Clone>() {}
    send_sync_unpin::<Runtime>();
    send_sync_unpin::<Handle>();
    send_sync_unpin::<Builder>();
    send_sync_unpin::<AbortHandle>();
    send_sync_unpin::<JoinError>();
    send_sync_unpin::<TryCurrentError>();
    send_sync_unpin::<JoinHandle<std::cell::Cell<u8>>>();
    sync_unpin::<EnterGuard<'static>>();
    sync_unpin::<JoinHandle<u8>>();
    unwind_safe::<Runtime>();
    unwind_safe::<Handle>();
    unwind_safe::<JoinHandle<std::cell::Cell<u8>>>();
    unwind_safe::<AbortHandle>();
    copy::<Id>();
    copy::<ringway::task::Id>();
    clone::<Handle>();
    clone::<AbortHandle>();
    std::error::Error::source(&Handle::try_current().unwrap_err());
}
