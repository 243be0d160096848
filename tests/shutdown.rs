//! The end of a runtime: what is cancelled, what is waited for, and who is told.

mod support;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ringway::net::TcpListener;
use ringway::runtime::{Builder, Handle, Runtime, is_rt_shutdown_err};
use ringway::task::{JoinHandle, spawn_blocking, yield_now};
use ringway::time::sleep;

use support::{
    CountDrop, WATCHDOG, count, current_thread, panic_text, wait_until, within, workers,
};

/// What is waited for without need takes no longer than this.
const SOON: Duration = Duration::from_secs(1);

fn flavours() -> [Runtime; 2] {
    [workers(2), current_thread()]
}

#[test]
fn a_drop_cancels_every_task_and_drops_its_future() {
    for runtime in flavours() {
        within(WATCHDOG, move || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let future = CountDrop(Arc::clone(&dropped));
                    runtime.spawn(async move {
                        let _future = future;
                        pending::<()>().await;
                    })
                })
                .collect();
            runtime.block_on(yield_now());
            drop(runtime);
            assert_eq!(dropped.load(Ordering::SeqCst), 100);
            assert!(tasks.iter().all(JoinHandle::is_finished));
            let joined = current_thread().block_on(async {
                let mut cancelled = 0;
                for task in tasks {
                    cancelled += usize::from(task.await.is_err_and(|error| error.is_cancelled()));
                }
                cancelled
            });
            assert_eq!(joined, 100);
        });
    }
}

/// A thread's last user code, the drop of a thread-local value, has run when the runtime's drop returns.
///
/// Mutant: workers are not joined.
#[test]
fn a_drop_returns_when_its_workers_threads_have_ended() {
    thread_local! {
        static LAST: RefCell<Option<EndsSlowly>> = const { RefCell::new(None) };
    }
    for _ in 0..3 {
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&begun), Arc::clone(&ended));
        let begin = move || {
            counts.0.fetch_add(1, Ordering::SeqCst);
            LAST.set(Some(EndsSlowly(Arc::clone(&counts.1))));
        };
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).on_thread_start(begin).build();
        drop(runtime.expect("a runtime"));
        let counts = [&ended, &begun].map(|count| count.load(Ordering::SeqCst));
        assert!(counts[0] == counts[1] && counts[0] >= 2, "{counts:?}");
    }
}

/// Counts its drop, which takes a while.
struct EndsSlowly(Arc<AtomicUsize>);

impl Drop for EndsSlowly {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(20));
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_spawned_after_the_end_is_cancelled_at_once() {
    for runtime in flavours() {
        within(WATCHDOG, move || {
            let handle = runtime.handle().clone();
            drop(runtime);
            let dropped = Arc::new(AtomicUsize::new(0));
            let future = CountDrop(Arc::clone(&dropped));
            let task = handle.spawn(async move { drop(future) });
            let job = handle.spawn_blocking(|| ());
            assert_eq!(dropped.load(Ordering::SeqCst), 1);
            assert!(task.is_finished() && job.is_finished());
            handle.block_on(async {
                assert!(task.await.expect_err("too late").is_cancelled());
                assert!(job.await.expect_err("too late").is_cancelled());
            });
        });
    }
}

#[test]
fn timers_and_operations_say_that_the_runtime_is_gone() {
    for runtime in flavours() {
        within(WATCHDOG, move || {
            let handle = runtime.handle().clone();
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
            let listener = listener.expect("a listener");
            drop(runtime);
            let error = handle.block_on(listener.accept());
            let error = error.expect_err("nobody accepts any more");
            assert!(is_rt_shutdown_err(&error), "{error}");
            assert_eq!(
                error.to_string(),
                "A Tokio 1.x context was found, but it is being shutdown."
            );
            let text = panic_text(|| handle.block_on(async { sleep(SOON).await }));
            assert_eq!(
                text,
                "A Tokio 1.x context was found, but it is being shutdown."
            );
        });
    }
}

/// A thread that blocks on the runtime while it ends is told by whatever it waits for.
#[test]
fn a_root_on_another_thread_sees_its_tasks_cancelled() {
    within(WATCHDOG, || {
        for runtime in flavours() {
            let handle = runtime.handle().clone();
            let (tell, told) = mpsc::channel();
            let root = thread::spawn(move || {
                handle.block_on(async {
                    let task = ringway::spawn(pending::<()>());
                    tell.send(()).expect("the test waits");
                    task.await
                })
            });
            told.recv().expect("the root runs");
            drop(runtime);
            let joined = root.join().expect("the root returns");
            assert!(joined.expect_err("the runtime ended").is_cancelled());
        }
    });
}

#[test]
fn a_drop_waits_for_the_blocking_jobs_that_run_and_cancels_the_others() {
    within(WATCHDOG, || {
        let runtime = ringway::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let done = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let finish = Arc::clone(&done);
        let runs = runtime.spawn_blocking(move || {
            tell.send(()).expect("the test waits");
            thread::sleep(Duration::from_millis(50));
            finish.store(true, Ordering::SeqCst);
        });
        let waits = runtime.spawn_blocking(|| ());
        told.recv().expect("the job runs");
        drop(runtime);
        assert!(done.load(Ordering::SeqCst) && runs.is_finished());
        let error = current_thread().block_on(waits);
        assert!(error.expect_err("it never started").is_cancelled());
    });
}

#[test]
fn shutdown_timeout_and_background_do_not_wait_for_what_does_not_end() {
    within(WATCHDOG, || {
        let release = Arc::new(AtomicBool::new(false));
        for timeout in [Some(Duration::from_millis(50)), None] {
            for runtime in flavours() {
                let (tell, told) = mpsc::channel();
                let released = Arc::clone(&release);
                runtime.spawn_blocking(move || {
                    tell.send(()).expect("the test waits");
                    wait_until("the test is over", || released.load(Ordering::SeqCst));
                });
                told.recv().expect("the job runs");
                let start = Instant::now();
                match timeout {
                    Some(timeout) => runtime.shutdown_timeout(timeout),
                    None => runtime.shutdown_background(),
                }
                let took = start.elapsed();
                assert!(took >= timeout.unwrap_or_default(), "{took:?}");
                assert!(took < SOON, "{took:?}");
            }
        }
        release.store(true, Ordering::SeqCst);
    });
}

#[test]
fn shutdown_timeout_returns_as_soon_as_all_is_done() {
    for runtime in flavours() {
        within(WATCHDOG, move || {
            runtime.spawn(pending::<()>());
            let start = Instant::now();
            runtime.shutdown_timeout(WATCHDOG);
            assert!(start.elapsed() < SOON);
        });
    }
}

#[test]
fn a_task_may_end_its_own_runtime_in_the_background() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let handle = runtime.handle().clone();
        let other = handle.spawn(pending::<()>());
        let task = handle.spawn(async move {
            runtime.shutdown_background();
            7
        });
        wait_until("both are done", || {
            task.is_finished() && other.is_finished()
        });
    });
}

/// User code in drops, while the runtime ends: it gets errors, not a deadlock.
#[test]
fn drops_during_the_end_may_use_the_runtime() {
    struct Busy(mpsc::Sender<&'static str>);
    impl Drop for Busy {
        fn drop(&mut self) {
            let handle = Handle::current();
            let task = handle.spawn(async {});
            assert!(task.is_finished(), "it was cancelled at once");
            task.abort();
            let job = spawn_blocking(|| ());
            job.abort();
            drop(handle.spawn(async { ringway::spawn(async {}).await }));
            let text = panic_text(|| handle.block_on(async {}));
            assert!(text.starts_with("Cannot start a runtime"), "{text}");
            drop(sleep(Duration::ZERO));
            self.0.send("dropped").expect("the test waits");
        }
    }
    for runtime in flavours() {
        within(WATCHDOG, move || {
            let (tell, told) = mpsc::channel();
            // In a task that waits, in one that may not have run, and in the output of one that is done.
            let (waits, never, done) = (Busy(tell.clone()), Busy(tell.clone()), Busy(tell));
            let waiting = runtime.spawn(async move {
                let _waits = waits;
                pending::<()>().await;
            });
            let output = runtime.spawn(async move { done });
            runtime.block_on(async {
                while !output.is_finished() {
                    yield_now().await;
                }
            });
            let never = runtime.spawn(async move {
                let _never = never;
                pending::<()>().await;
            });
            drop(runtime);
            drop((waiting, never));
            for _ in 0..2 {
                assert_eq!(told.recv_timeout(SOON), Ok("dropped"));
            }
            std::mem::forget(output);
        });
    }
}

/// Tasks in a chain: each one's drop wakes the next, which is being dropped as well.
#[test]
fn wakes_that_come_from_drops_during_the_end_are_harmless() {
    struct WakeNext(Option<std::task::Waker>);
    impl Drop for WakeNext {
        fn drop(&mut self) {
            if let Some(waker) = self.0.take() {
                waker.wake();
            }
        }
    }
    for runtime in flavours() {
        within(WATCHDOG, move || {
            let wakers = Arc::new(std::sync::Mutex::new(Vec::<std::task::Waker>::new()));
            for _ in 0..100 {
                let wakers = Arc::clone(&wakers);
                runtime.spawn(async move {
                    let mut next = WakeNext(None);
                    poll_fn(|cx| {
                        let mut wakers = wakers.lock().expect("nobody panics with it");
                        if next.0.is_none() {
                            next.0 = wakers.pop();
                            wakers.push(cx.waker().clone());
                        }
                        Poll::<()>::Pending
                    })
                    .await;
                });
            }
            runtime.block_on(yield_now());
            drop(runtime);
            let wakers = std::mem::take(&mut *wakers.lock().expect("nobody panics with it"));
            wakers.into_iter().for_each(|waker| waker.wake());
        });
    }
}

/// Other threads spawn, wake, abort and join all the while.
///
/// Mutant: a task is bound to the set after it was closed.
#[test]
fn the_end_races_with_spawns_wakes_and_aborts_and_every_handle_resolves() {
    let rounds = count("RINGWAY_TEST_SHUTDOWN_RACES", 150);
    within(WATCHDOG, move || {
        for round in 0..rounds {
            let runtime = if round % 2 == 0 {
                workers(2)
            } else {
                current_thread()
            };
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let handle = runtime.handle().clone();
                    thread::spawn(move || spawn_until_refused(&handle))
                })
                .collect();
            if round % 3 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
            drop(runtime);
            for thread in threads {
                thread.join().expect("every handle resolves");
            }
        }
    });
}

fn spawn_until_refused(handle: &Handle) {
    let mut handles = Vec::new();
    loop {
        let refused = handle.spawn(async {});
        let waits = handle.spawn(pending::<()>());
        let sleeps = handle.spawn(async { sleep(Duration::from_secs(60)).await });
        waits.abort();
        let over = refused.is_finished() && sleeps.is_finished();
        handles.extend([refused, waits, sleeps]);
        if over || handles.len() > 3_000 {
            break;
        }
    }
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for mut handle in handles {
        wait_until("a handle resolves", || handle.is_finished());
        assert!(Pin::new(&mut handle).poll(&mut cx).is_ready());
    }
}

/// Mutant: a worker's thread or ring is left behind.
#[test]
fn a_thousand_runtimes_come_and_go_with_work_in_flight() {
    let rounds = count("RINGWAY_TEST_RUNTIMES", 1_000);
    within(2 * WATCHDOG, move || {
        for round in 0..rounds {
            let runtime = match round % 3 {
                0 => current_thread(),
                workers_less_one => workers(workers_less_one),
            };
            for task in 0..8 {
                runtime.spawn(async move {
                    match task % 4 {
                        0 => sleep(Duration::from_millis(task)).await,
                        1 => loop {
                            yield_now().await;
                        },
                        2 => drop(spawn_blocking(|| ()).await),
                        _ => {
                            let listener = TcpListener::bind("127.0.0.1:0").await;
                            drop(listener.expect("a listener").accept().await);
                        }
                    }
                });
            }
            match round % 4 {
                0 => runtime.block_on(yield_now()),
                1 => runtime.block_on(sleep_now(Duration::from_millis(1))),
                2 => return_soon(&runtime),
                _ => {}
            }
        }
    });
}

async fn sleep_now(duration: Duration) {
    sleep(duration).await;
}

fn return_soon(runtime: &Runtime) {
    let task = runtime.spawn(async {});
    if runtime.handle().runtime_flavor() == ringway::runtime::RuntimeFlavor::MultiThread {
        wait_until("the task ran", || task.is_finished());
    }
}
