//! `unhandled_panic`: the end of a runtime by a panic of one of its tasks.

mod support;

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use ringway::runtime::{Builder, Runtime, UnhandledPanic};
use ringway::task::yield_now;

use support::{WATCHDOG, panic_text, text_of, within};

const WORDS: &str =
    "a spawned task panicked and the runtime is configured to shut down on unhandled panic";

fn strict() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .unhandled_panic(UnhandledPanic::ShutdownRuntime)
        .build()
        .unwrap()
}

/// Mutants: `note_panic` does nothing; `block_on` does not ask for the reason of the end.
#[test]
fn a_panic_of_a_task_ends_block_on_and_every_other_task() {
    within(WATCHDOG, || {
        let runtime = strict();
        let dropped = Arc::new(());
        let held = Arc::clone(&dropped);
        let other = runtime.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        runtime.spawn(async {
            yield_now().await;
            panic!("expected by the test");
        });
        assert_eq!(panic_text(|| runtime.block_on(pending::<()>())), WORDS);
        assert_eq!(Arc::strong_count(&dropped), 1, "the other task lives on");
        assert!(other.is_finished());
    });
}

/// Mutant: a thread that waits for the core does not look whether a panic has ended the runtime.
#[test]
fn all_threads_that_block_on_the_runtime_panic() {
    within(WATCHDOG, || {
        let runtime = Arc::new(strict());
        let (entered, are_in) = mpsc::channel();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (runtime, entered) = (Arc::clone(&runtime), entered.clone());
                thread::spawn(move || {
                    runtime.block_on(async {
                        entered.send(()).unwrap();
                        pending::<()>().await;
                    });
                })
            })
            .collect();
        for _ in &threads {
            are_in.recv().unwrap();
        }
        runtime.spawn(async { panic!("expected by the test") });
        for thread in threads {
            assert_eq!(text_of(thread.join().unwrap_err()), WORDS);
        }
    });
}

#[test]
fn nothing_runs_on_a_runtime_that_a_panic_has_ended() {
    within(WATCHDOG, || {
        let runtime = strict();
        runtime.spawn(async { panic!("expected by the test") });
        assert_eq!(panic_text(|| runtime.block_on(pending::<()>())), WORDS);
        let late = runtime.spawn(async {});
        assert!(late.is_finished());
        assert_eq!(panic_text(|| runtime.block_on(async {})), WORDS);
        let other = support::current_thread();
        assert!(other.block_on(late).unwrap_err().is_cancelled());
    });
}

/// The join handle does not make a panic a handled one, as in tokio; but it has the panic all the same.
#[test]
fn the_join_handle_has_the_panic() {
    within(WATCHDOG, || {
        let runtime = strict();
        let task = runtime.spawn(async { panic!("expected by the test") });
        let task = Arc::new(Mutex::new(Some(task)));
        let awaited = Arc::clone(&task);
        let text = panic_text(|| {
            runtime.block_on(async move {
                pending::<()>().await;
                drop(awaited);
            });
        });
        assert_eq!(text, WORDS);
        let task = task.lock().unwrap().take().unwrap();
        let error = support::current_thread().block_on(task).unwrap_err();
        assert_eq!(text_of(error.into_panic()), "expected by the test");
    });
}

#[test]
fn by_default_and_when_panics_are_ignored_the_others_go_on() {
    within(WATCHDOG, || {
        let ignore: [fn(&mut Builder); 2] = [
            |_| (),
            |builder| _ = builder.unhandled_panic(UnhandledPanic::Ignore),
        ];
        for ignore in ignore {
            for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
                ignore(&mut builder);
                let runtime = builder.build().unwrap();
                let panics = runtime.spawn(async { panic!("expected by the test") });
                let other = runtime.spawn(async {
                    yield_now().await;
                    1
                });
                assert!(runtime.block_on(panics).unwrap_err().is_panic());
                assert_eq!(runtime.block_on(other).unwrap(), 1);
            }
        }
    });
}

/// A panic of the root is its caller's, one in a blocking job its handle's; neither is a task's.
#[test]
fn panics_of_the_root_and_of_jobs_do_not_end_the_runtime() {
    within(WATCHDOG, || {
        let runtime = strict();
        let root = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { panic!("expected by the test") })
        }));
        assert_eq!(text_of(root.unwrap_err()), "expected by the test");
        let job = runtime.spawn_blocking(|| panic!("expected by the test"));
        assert!(runtime.block_on(job).unwrap_err().is_panic());
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    });
}

#[test]
fn a_runtime_with_workers_cannot_end_so() {
    let text = panic_text(|| {
        Builder::new_multi_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime);
    });
    assert_eq!(
        text,
        "UnhandledPanic::ShutdownRuntime is only supported in current thread runtime"
    );
}
