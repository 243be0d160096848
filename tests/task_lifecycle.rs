//! A task from spawn to join: outputs, panics, aborts, detached tasks, ids.

mod support;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use ringway::sync::oneshot;
use ringway::task::{self, yield_now};
use ringway::time::sleep;

use support::{
    CountDrop, WATCHDOG, count, current_thread, everywhere, panic_text, text_of, wait_until,
    within, workers,
};

#[test]
fn awaiting_a_task_gives_its_output() {
    everywhere(|| async {
        let text = ringway::spawn(async { "done".to_owned() });
        assert_eq!(text.await.expect("the task"), "done");
    });
}

#[test]
fn a_task_runs_though_its_handle_is_dropped() {
    everywhere(|| async {
        let (tell, told) = oneshot::channel();
        drop(ringway::spawn(async move {
            yield_now().await;
            tell.send(7).expect("the test waits");
        }));
        assert_eq!(told.await, Ok(7));
    });
}

#[test]
fn the_output_of_a_detached_task_is_dropped_once() {
    within(WATCHDOG, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let runtime = workers(2);
        for round in 0..1000 {
            let output = CountDrop(Arc::clone(&dropped));
            let handle = runtime.spawn(async move { output });
            if round % 2 == 0 {
                thread::yield_now();
            }
            drop(handle);
        }
        wait_until("all outputs are dropped", || {
            dropped.load(Ordering::SeqCst) == 1000
        });
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 1000);
    });
}

#[test]
fn a_panic_becomes_the_join_error_and_the_worker_goes_on() {
    everywhere(|| async {
        for round in 0..10 {
            let handle = ringway::spawn(async move {
                if round >= 0 {
                    panic!("on purpose: {round}");
                }
            });
            let id = handle.id();
            let error = handle.await.expect_err("it panicked");
            assert!(error.is_panic() && !error.is_cancelled());
            assert_eq!(error.id(), id);
            let text = format!("on purpose: {round}");
            assert_eq!(
                error.to_string(),
                format!("task {id} panicked with message {text:?}")
            );
            assert_eq!(
                format!("{error:?}"),
                format!("JoinError::Panic({id:?}, {text:?}, ...)")
            );
            assert_eq!(text_of(error.into_panic()), text);
        }
        assert_eq!(ringway::spawn(async { 1 }).await.expect("the task"), 1);
    });
}

/// A lock that the future holds is poisoned.
///
/// Mutant: the future is dropped after the panic has been caught.
#[test]
fn a_future_that_panics_is_dropped_while_it_does() {
    struct Panics(mpsc::Sender<bool>);
    impl Future for Panics {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("expected by the test")
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.send(std::thread::panicking()).unwrap();
        }
    }
    within(WATCHDOG, || {
        let runtime = workers(1);
        let (dropped, is_dropped) = mpsc::channel();
        let task = runtime.spawn(Panics(dropped));
        assert_eq!(is_dropped.recv(), Ok(true));
        assert!(runtime.block_on(task).unwrap_err().is_panic());
    });
}

#[test]
fn a_panic_with_a_payload_that_is_no_text_says_so_and_keeps_it() {
    everywhere(|| async {
        let handle = ringway::spawn(async { std::panic::panic_any(42_u64) });
        let id = handle.id();
        let error = handle.await.expect_err("it panicked");
        assert_eq!(error.to_string(), format!("task {id} panicked"));
        assert_eq!(
            format!("{error:?}"),
            format!("JoinError::Panic({id:?}, ...)")
        );
        let payload = error.try_into_panic().expect("it was a panic");
        assert_eq!(*payload.downcast::<u64>().expect("the payload"), 42);
    });
}

#[test]
fn an_aborted_task_is_cancelled_and_its_error_says_so() {
    everywhere(|| async {
        let handle = ringway::spawn(pending::<()>());
        let id = handle.id();
        handle.abort();
        let error = handle.await.expect_err("it was aborted");
        assert!(error.is_cancelled() && !error.is_panic());
        assert_eq!(error.to_string(), format!("task {id} was cancelled"));
        assert_eq!(
            format!("{error:?}"),
            format!("JoinError::Cancelled({id:?})")
        );
        assert_eq!(
            std::io::Error::from(error).to_string(),
            "task was cancelled"
        );
    });
}

/// Before its first poll, while it waits, while it is queued, while it runs, and after its end.
#[test]
fn an_abort_in_every_phase_drops_the_future_once_and_resolves_the_handle() {
    everywhere(|| async {
        let dropped = Arc::new(AtomicUsize::new(0));
        for phase in 0..5 {
            let future = CountDrop(Arc::clone(&dropped));
            let (tell, told) = oneshot::channel();
            let handle = ringway::spawn(async move {
                let _future = future;
                match phase {
                    0 | 1 => pending().await,
                    2 => loop {
                        yield_now().await;
                    },
                    3 => {
                        let _ = tell.send(task::id());
                        thread::sleep(Duration::from_millis(2));
                        yield_now().await;
                        pending().await
                    }
                    _ => {}
                }
            });
            match phase {
                0 => {}
                3 => drop(told.await),
                _ => sleep(Duration::from_millis(1)).await,
            }
            handle.abort();
            handle.abort();
            let result = handle.await;
            match phase {
                4 => result.expect("it was done before"),
                _ => assert!(result.expect_err("aborted").is_cancelled()),
            }
            assert_eq!(dropped.load(Ordering::SeqCst), phase + 1);
        }
    });
}

/// The future belongs to the worker: an abort from elsewhere must not drop it there.
///
/// Mutant: `abort` drops the future itself.
#[test]
fn an_aborted_future_is_dropped_on_a_worker() {
    struct TellThread(Option<oneshot::Sender<thread::ThreadId>>);
    impl Drop for TellThread {
        fn drop(&mut self) {
            let tell = self.0.take().expect("dropped once");
            let _ = tell.send(thread::current().id());
        }
    }
    within(WATCHDOG, || {
        let runtime = workers(2);
        for _ in 0..100 {
            let (tell, told) = oneshot::channel();
            let guard = TellThread(Some(tell));
            let handle = runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            thread::sleep(Duration::from_micros(100));
            handle.abort();
            let dropped_on = told.blocking_recv().expect("the future is dropped");
            assert_ne!(dropped_on, thread::current().id());
        }
    });
}

#[test]
fn is_finished_tells_when_and_abort_handles_may_outlive_the_task() {
    everywhere(|| async {
        let (release, released) = oneshot::channel::<()>();
        let handle = ringway::spawn(async move { released.await.is_ok() });
        let abort = handle.abort_handle();
        assert!(!handle.is_finished() && !abort.is_finished());
        assert_eq!(abort.id(), handle.id());
        release.send(()).expect("the task waits");
        assert!(handle.await.expect("the task"));
        assert!(abort.is_finished());
        abort.clone().abort();
    });
}

#[test]
fn a_task_knows_its_id_and_ids_differ() {
    everywhere(|| async {
        let handles: Vec<_> = (0..100)
            .map(|_| {
                ringway::spawn(async {
                    yield_now().await;
                    task::id()
                })
            })
            .collect();
        let mut ids = std::collections::HashSet::new();
        for handle in handles {
            let id = handle.id();
            assert_eq!(handle.await.expect("the task"), id);
            assert!(ids.insert(id), "{id} was given twice");
        }
    });
    assert_eq!(task::try_id(), None);
    assert_eq!(
        panic_text(|| _ = task::id()),
        "Can't get a task id when not inside a task"
    );
}

/// The output's drop sees the id too, as in tokio.
#[test]
fn the_drop_of_future_and_output_knows_the_id() {
    struct TellId(Arc<AtomicUsize>);
    impl Drop for TellId {
        fn drop(&mut self) {
            self.0
                .fetch_add(usize::from(task::try_id().is_some()), Ordering::SeqCst);
        }
    }
    within(WATCHDOG, || {
        let known = Arc::new(AtomicUsize::new(0));
        let runtime = workers(1);
        let (future, output) = (TellId(Arc::clone(&known)), TellId(Arc::clone(&known)));
        drop(runtime.spawn(async move {
            drop(future);
            output
        }));
        wait_until("both are dropped", || Arc::strong_count(&known) == 1);
        assert_eq!(known.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_handle_that_is_polled_after_its_output_panics() {
    let runtime = current_thread();
    let mut handle = runtime.spawn(async { 1 });
    runtime
        .block_on(&mut handle)
        .expect("the task returned its output");
    let mut cx = Context::from_waker(Waker::noop());
    let text = panic_text(|| drop(Pin::new(&mut handle).poll(&mut cx)));
    assert_eq!(text, "JoinHandle polled after completion");
}

/// The waker of the last poll is the one that is woken, whoever polled before.
#[test]
fn a_handle_that_moves_between_tasks_wakes_the_last_one() {
    everywhere(|| async {
        for _ in 0..100 {
            let (release, released) = oneshot::channel::<()>();
            let mut handle = ringway::spawn(async move { released.await.is_ok() });
            poll_fn(|cx| {
                assert!(Pin::new(&mut handle).poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            let second = ringway::spawn(handle);
            yield_now().await;
            release.send(()).expect("the task waits");
            assert!(second.await.expect("the second").expect("the first"));
        }
    });
}

/// Spawn, wake, abort and join of the same task from four threads at once.
#[test]
fn aborts_that_race_with_wakes_and_completion_always_resolve_the_handle() {
    let rounds = count("RINGWAY_TEST_ABORT_RACES", 4_000);
    within(WATCHDOG, move || {
        let runtime = workers(2);
        let (mut cancelled, dropped) = (0, Arc::new(AtomicUsize::new(0)));
        for round in 0..rounds {
            let future = CountDrop(Arc::clone(&dropped));
            let is_running = Arc::new(AtomicBool::new(false));
            let running = Arc::clone(&is_running);
            let handle = runtime.spawn(async move {
                let _future = future;
                running.store(true, Ordering::Release);
                for _ in 0..round % 7 {
                    yield_now().await;
                }
            });
            while round % 3 == 0 && !is_running.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            handle.abort();
            let result = runtime.block_on(handle);
            cancelled += usize::from(result.is_err_and(|error| error.is_cancelled()));
        }
        assert_eq!(dropped.load(Ordering::SeqCst), rounds);
        assert!(cancelled > 0, "no abort won the race");
        assert!(cancelled < rounds, "every abort won the race");
    });
}
