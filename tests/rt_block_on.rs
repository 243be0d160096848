//! Entering a runtime: `block_on`, `enter`, handles, and what they say to those who misuse them.

mod support;

use std::future::{pending, poll_fn, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringway::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use ringway::sync::oneshot;
use ringway::task;
use ringway::time::sleep;

use support::{WATCHDOG, current_thread, panic_text, within, workers};

const NO_RUNTIME: &str =
    "there is no reactor running, must be called from the context of a Tokio 1.x runtime";
const NESTED: &str = "Cannot start a runtime from within a runtime. This happens because a function (like `block_on`) \
     attempted to block the current thread while the thread is being used to drive asynchronous tasks. If you are in \
     an async function, use `.await` on the future instead of blocking on it.";
const DROPPED_INSIDE: &str = "Cannot drop a runtime in a context where blocking is not allowed. This happens when a \
     runtime is dropped from within an asynchronous context.";

#[test]
fn block_on_returns_the_value_and_may_borrow() {
    for runtime in [workers(2), current_thread()] {
        let text = String::from("borrowed");
        assert_eq!(runtime.block_on(async { text.len() }), 8);
        assert_eq!(runtime.block_on(ready(5)), 5);
    }
}

#[test]
fn the_root_may_spawn_sleep_and_be_woken_from_other_threads() {
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            runtime.block_on(async {
                for round in 0..200 {
                    let (tell, told) = oneshot::channel();
                    let waker = thread::spawn(move || tell.send(round).expect("the root waits"));
                    assert_eq!(told.await, Ok(round));
                    waker.join().expect("the thread");
                    if round % 50 == 0 {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        });
    }
}

#[test]
fn many_threads_may_block_on_one_runtime_at_once() {
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            let runtime = Arc::new(runtime);
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let runtime = Arc::clone(&runtime);
                    thread::spawn(move || {
                        for _ in 0..50 {
                            let task = runtime.block_on(async move {
                                sleep(Duration::from_micros(200)).await;
                                ringway::spawn(async move { number }).await
                            });
                            assert_eq!(task.expect("the task"), number);
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().expect("a thread that blocks");
            }
        });
    }
}

#[test]
fn a_panic_of_the_root_reaches_the_caller_and_leaves_the_runtime_whole() {
    for runtime in [workers(2), current_thread()] {
        let text = panic_text(|| runtime.block_on(async { panic!("on purpose") }));
        assert_eq!(text, "on purpose");
        assert_eq!(
            runtime.block_on(async { ringway::spawn(ready(3)).await.expect("the task") }),
            3
        );
    }
}

#[test]
fn block_on_inside_a_runtime_panics_with_tokios_words() {
    for runtime in [workers(2), current_thread()] {
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let text = panic_text(|| handle.block_on(ready(())));
            assert_eq!(text, NESTED);
            let inner = handle.clone();
            let task = ringway::spawn(async move { panic_text(|| inner.block_on(ready(()))) });
            assert_eq!(task.await.expect("the task"), NESTED);
            let other = panic_text(|| {
                // The inner runtime is made and blocked on, and must be gone before the panic gets out.
                let inner = Builder::new_current_thread().build().expect("a runtime");
                let guard = std::mem::ManuallyDrop::new(inner);
                let text = panic_text(|| guard.block_on(ready(())));
                std::mem::ManuallyDrop::into_inner(guard).shutdown_background();
                panic!("{text}");
            });
            assert_eq!(other, NESTED);
        });
    }
}

#[test]
fn a_blocking_job_may_block_on_its_runtime() {
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            let value = runtime.block_on(async {
                task::spawn_blocking(|| {
                    Handle::current().block_on(async {
                        sleep(Duration::from_millis(1)).await;
                        ringway::spawn(ready(9)).await.expect("the task")
                    })
                })
                .await
            });
            assert_eq!(value.expect("the job"), 9);
        });
    }
}

#[test]
fn dropping_a_runtime_inside_a_task_panics_with_tokios_words_and_ends_it() {
    within(WATCHDOG, || {
        let outer = current_thread();
        let inner = workers(1);
        let task = inner.spawn(pending::<()>());
        outer.block_on(async move {
            assert_eq!(panic_text(move || drop(inner)), DROPPED_INSIDE);
            assert!(task.await.expect_err("its runtime ended").is_cancelled());
        });
    });
}

#[test]
fn what_needs_a_runtime_says_so_outside() {
    assert_eq!(panic_text(|| drop(ringway::spawn(ready(())))), NO_RUNTIME);
    assert_eq!(panic_text(|| drop(task::spawn_blocking(|| ()))), NO_RUNTIME);
    assert_eq!(panic_text(|| drop(Handle::current())), NO_RUNTIME);
    assert_eq!(panic_text(|| drop(sleep(Duration::ZERO))), NO_RUNTIME);
    let error = Handle::try_current().expect_err("there is no runtime");
    assert!(error.is_missing_context() && !error.is_thread_local_destroyed());
    assert_eq!(error.to_string(), NO_RUNTIME);
}

#[test]
fn a_timer_in_a_runtime_without_timers_says_so() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let _entered = runtime.enter();
    assert_eq!(
        panic_text(|| drop(sleep(Duration::ZERO))),
        "A Tokio 1.x context was found, but timers are disabled. Call `enable_time` on the runtime builder to enable \
         timers."
    );
}

#[test]
fn enter_guards_nest_across_runtimes() {
    let (first, second) = (workers(1), current_thread());
    let outer = first.enter();
    assert_eq!(
        Handle::current().runtime_flavor(),
        RuntimeFlavor::MultiThread
    );
    {
        let _inner = second.enter();
        assert_eq!(
            Handle::current().runtime_flavor(),
            RuntimeFlavor::CurrentThread
        );
    }
    assert_eq!(
        Handle::current().runtime_flavor(),
        RuntimeFlavor::MultiThread
    );
    drop(outer);
    assert!(Handle::try_current().is_err());
}

#[test]
fn enter_guards_dropped_out_of_order_panic_with_tokios_words() {
    let text = within(WATCHDOG, || {
        let runtime = Box::leak(Box::new(workers(1)));
        let first = runtime.enter();
        let second = runtime.enter();
        let text = panic_text(move || drop(first));
        std::mem::forget(second);
        text
    });
    assert_eq!(
        text,
        "`EnterGuard` values dropped out of order. Guards returned by `tokio::runtime::Handle::enter()` must be \
         dropped in the reverse order as they were acquired."
    );
}

#[test]
fn a_handle_spawns_from_any_thread_and_does_not_keep_the_runtime() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let handle = runtime.handle().clone();
        let (tell, told) = mpsc::channel();
        let spawner = thread::spawn(move || {
            handle.spawn(async move { tell.send(Handle::current()).expect("the test waits") });
        });
        let inner = told.recv().expect("the task ran");
        spawner.join().expect("the thread");
        drop(runtime);
        assert!(
            inner.clone().block_on(inner.spawn(ready(()))).is_err(),
            "the runtime is gone"
        );
    });
}

#[test]
fn threads_have_the_name_the_stack_and_the_hooks_that_were_asked_for() {
    within(WATCHDOG, || {
        let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (start, stop) = (Arc::clone(&started), Arc::clone(&stopped));
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("named")
            .thread_stack_size(256 * 1024)
            .on_thread_start(move || {
                start.fetch_add(1, Ordering::SeqCst);
            })
            .on_thread_stop(move || {
                stop.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .expect("a runtime");
        let name = async || thread::current().name().map(str::to_owned);
        let task = runtime.spawn(async move { name().await });
        assert_eq!(
            runtime.block_on(task).expect("the task").as_deref(),
            Some("named")
        );
        let job = runtime.spawn_blocking(|| thread::current().name().map(str::to_owned));
        assert_eq!(
            runtime.block_on(job).expect("the job").as_deref(),
            Some("named")
        );
        drop(runtime);
        let started = started.load(Ordering::SeqCst);
        assert!(started >= 3, "two workers and a job: {started}");
        assert_eq!(stopped.load(Ordering::SeqCst), started);
    });
}

#[test]
fn options_that_make_no_sense_are_refused_with_tokios_words() {
    type Misuse = fn(&mut Builder);
    let refusals: [(&str, Misuse); 4] = [
        ("Worker threads cannot be set to 0", |builder| {
            builder.worker_threads(0);
        }),
        ("Max blocking threads cannot be set to 0", |builder| {
            builder.max_blocking_threads(0);
        }),
        ("event_interval must be greater than 0", |builder| {
            builder.event_interval(0);
        }),
        ("global_queue_interval must be greater than 0", |builder| {
            builder.global_queue_interval(0);
        }),
    ];
    for (words, refused) in refusals {
        assert_eq!(
            panic_text(|| refused(&mut Builder::new_multi_thread())),
            words
        );
    }
}

/// In a static, in a thread's local storage, and in a task of another runtime that is dropped from outside.
#[test]
fn a_runtime_may_end_wherever_it_is_kept() {
    std::thread_local! {
        static RUNTIME: Runtime = workers(1);
    }
    within(WATCHDOG, || {
        let task = thread::spawn(|| {
            RUNTIME.with(|runtime| {
                assert_eq!(runtime.block_on(ready(1)), 1);
                runtime.spawn(pending::<()>())
            })
        })
        .join()
        .expect("the thread and its runtime end");
        assert!(task.is_finished(), "its runtime has cancelled it");
    });
}

/// The root's waker may be used after the root is done, and on any thread.
#[test]
fn wakes_of_a_root_that_is_done_are_harmless() {
    within(WATCHDOG, || {
        for runtime in [workers(1), current_thread()] {
            let mut kept = None;
            runtime.block_on(poll_fn(|cx| {
                kept = Some(cx.waker().clone());
                Poll::Ready(())
            }));
            let waker = kept.expect("it was polled");
            waker.wake_by_ref();
            assert_eq!(runtime.block_on(ready(2)), 2);
            drop(runtime);
            waker.wake();
        }
    });
}
