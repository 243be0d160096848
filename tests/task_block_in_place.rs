//! `block_in_place`: a task that blocks its thread holds up nobody but itself.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UnixStream};
use ringway::runtime::{Builder, Handle, Runtime};
use ringway::sync::oneshot;
use ringway::task::{LocalSet, block_in_place, coop, spawn_blocking, yield_now};
use ringway::time::sleep;

use support::{WATCHDOG, current_thread, text_of, wait_until, within, workers};

/// One worker; the closure waits for a task that was spawned before it on the same worker.
///
/// Mutant: `give_up` puts the core back within reach of the task.
#[test]
fn the_only_worker_runs_the_others_while_a_task_blocks() {
    within(WATCHDOG, || {
        for _ in 0..200 {
            let runtime = workers(1);
            let task = runtime.spawn(async {
                let (tell, told) = mpsc::channel();
                let other = ringway::spawn(async move { tell.send(5).expect("the closure waits") });
                let five = block_in_place(|| told.recv().expect("the other task tells"));
                other.await.expect("the other task");
                five
            });
            assert_eq!(runtime.block_on(task).expect("the task"), 5);
        }
    });
}

/// The core is laid down, for nothing is left to do; then a task comes from outside.
///
/// Mutant: `start_thread` calls the worker's own thread although that is absent.
#[test]
fn a_task_that_comes_while_the_only_worker_blocks_is_run() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        for round in 0..500 {
            let (tell, told) = mpsc::channel();
            let (enter, entered) = mpsc::channel();
            let task = runtime.spawn(async move {
                block_in_place(|| {
                    enter.send(()).expect("the test waits");
                    told.recv().expect("the other task tells")
                })
            });
            entered.recv().expect("the closure runs");
            runtime.spawn(async move { tell.send(round).expect("the closure waits") });
            assert_eq!(runtime.block_on(task).expect("the task"), round);
        }
    });
}

#[test]
fn operations_and_timers_of_the_worker_go_on_while_a_task_blocks() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let task = runtime.spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let (tell, told) = mpsc::channel();
            ringway::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut byte = [0];
                stream.read_exact(&mut byte).await.expect("a byte");
                sleep(Duration::from_millis(2)).await;
                tell.send(byte[0]).expect("the closure waits");
            });
            let mut client = TcpStream::connect(address).await.expect("connected");
            for _ in 0..10 {
                yield_now().await;
            }
            client.write_all(&[7]).await.expect("written");
            block_in_place(move || told.recv().expect("the server tells"))
        });
        assert_eq!(runtime.block_on(task).expect("the task"), 7);
    });
}

#[test]
fn a_worker_gets_its_core_back_however_often_it_gives_it_up() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let ticks = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let ticks = Arc::clone(&ticks);
                runtime.spawn(async move {
                    for round in 0..200_u32 {
                        block_in_place(|| {
                            if round.is_multiple_of(16) {
                                thread::sleep(Duration::from_micros(200));
                            }
                        });
                        ticks.fetch_add(1, Ordering::Relaxed);
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).expect("the task");
        }
        assert_eq!(ticks.load(Ordering::Relaxed), 8 * 200);
    });
}

/// As many closures as wait for one another, more than there are workers.
#[test]
fn more_tasks_may_block_than_there_are_workers() {
    const TASKS: usize = 20;
    within(WATCHDOG, || {
        let runtime = workers(2);
        for _ in 0..20 {
            let meet = Arc::new(Barrier::new(TASKS));
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let meet = Arc::clone(&meet);
                    runtime.spawn(async move {
                        block_in_place(|| {
                            meet.wait();
                        });
                    })
                })
                .collect();
            for task in tasks {
                runtime.block_on(task).expect("the task");
            }
        }
    });
}

#[test]
fn the_root_may_block_and_tasks_go_on() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let seven = runtime.block_on(async {
            let (tell, told) = mpsc::channel();
            ringway::spawn(async move {
                sleep(Duration::from_millis(1)).await;
                tell.send(7).expect("the closure waits");
            });
            block_in_place(|| told.recv().expect("the task tells"))
        });
        assert_eq!(seven, 7);
    });
}

#[test]
fn closures_may_be_nested_and_may_block_on_futures() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let task = runtime.spawn(async {
            block_in_place(|| {
                let handle = Handle::current();
                let first = handle.block_on(async {
                    let task = ringway::spawn(async { 20 });
                    block_in_place(|| handle.block_on(task).expect("the task"))
                });
                let second = block_in_place(|| handle.block_on(async { 22 }));
                first + second
            })
        });
        assert_eq!(runtime.block_on(task).expect("the task"), 42);
    });
}

/// Between and inside two closures the task yields, sleeps, and waits for blocking jobs.
#[test]
fn a_task_goes_on_as_before_after_its_closure() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let task = runtime.spawn(async {
            let mut sum = 0;
            for _ in 0..100 {
                sum += block_in_place(|| {
                    Handle::current().block_on(async {
                        yield_now().await;
                        spawn_blocking(|| 1).await.expect("the job")
                    })
                });
                yield_now().await;
                sum += ringway::spawn(async { 1 }).await.expect("the task");
                sleep(Duration::from_micros(50)).await;
            }
            sum
        });
        assert_eq!(runtime.block_on(task).expect("the task"), 200);
    });
}

#[test]
fn outside_a_runtime_and_in_a_blocking_job_the_closure_is_just_called() {
    within(WATCHDOG, || {
        let here = thread::current().id();
        assert_eq!(block_in_place(|| thread::current().id()), here);
        for runtime in [current_thread(), workers(1)] {
            let job = runtime.spawn_blocking(|| block_in_place(|| 3));
            assert_eq!(runtime.block_on(job).expect("the job"), 3);
        }
    });
}

/// Mutant: `may_block` does not ask whether the thread has local tasks.
#[test]
fn where_the_thread_cannot_be_lent_it_panics_in_tokios_words() {
    const TEXT: &str = "can call blocking only when running on the multi-threaded runtime";
    within(WATCHDOG, || {
        let call = || block_in_place(|| ());
        let single = current_thread();
        let panic = catch_unwind(AssertUnwindSafe(|| single.block_on(async { call() })));
        assert_eq!(text_of(panic.expect_err("the root panics")), TEXT);
        let task = single.block_on(single.spawn(async move { call() }));
        let panic = task.expect_err("the task panics").into_panic();
        assert_eq!(text_of(panic), TEXT);
        let multi = workers(1);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            multi.block_on(LocalSet::new().run_until(async move { call() }));
        }));
        assert_eq!(text_of(panic.expect_err("the set panics")), TEXT);
        multi.block_on(async move { call() });
    });
}

#[test]
fn a_panic_of_the_closure_is_the_tasks_and_the_worker_goes_on() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        for _ in 0..50 {
            let task = runtime.spawn(async { block_in_place(|| panic!("on purpose")) });
            let error = runtime.block_on(task).expect_err("it panicked");
            assert_eq!(text_of(error.into_panic()), "on purpose");
        }
        let four = runtime.block_on(runtime.spawn(async { 4 }));
        assert_eq!(four.expect("the task"), 4);
    });
}

#[test]
fn the_closure_has_no_budget_and_the_task_has_its_own_afterwards() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let task = runtime.spawn(async {
            for _ in 0..100 {
                coop::consume_budget().await;
            }
            block_in_place(|| {
                Handle::current().block_on(coop::unconstrained(async {}));
                assert!(coop::has_budget_remaining());
            });
            let polls = AtomicUsize::new(0);
            let mut rest = Box::pin(async {
                for _ in 0..40 {
                    coop::consume_budget().await;
                }
            });
            std::future::poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                rest.as_mut().poll(cx)
            })
            .await;
            polls.into_inner()
        });
        // 100 and 40 units are more than a poll has, so the task was polled twice.
        assert_eq!(runtime.block_on(task).expect("the task"), 2);
    });
}

/// Says when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Mutant: `serve` does not end the worker when the runtime ends.
#[test]
fn an_end_without_patience_does_not_wait_for_the_closure() {
    within(WATCHDOG, || {
        for at_rest in [true, false] {
            let runtime = workers(1);
            let (enter, entered) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            let dropped = Arc::new(AtomicBool::new(false));
            let guard = Guard(Arc::clone(&dropped));
            runtime.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            if !at_rest {
                runtime.spawn(async { sleep(Duration::from_secs(3600)).await });
            }
            runtime.spawn(async move {
                block_in_place(|| {
                    enter.send(()).expect("the test waits");
                    released.recv().expect("the test releases");
                });
                tell.send(()).expect("the test waits");
                std::future::pending::<()>().await;
            });
            entered.recv().expect("the closure runs");
            let start = Instant::now();
            runtime.shutdown_timeout(Duration::from_millis(50));
            assert!(start.elapsed() < Duration::from_secs(20));
            wait_until("another task of the worker is dropped", || {
                dropped.load(Ordering::SeqCst)
            });
            release.send(()).expect("the closure waits");
            told.recv().expect("the poll goes on to its end");
        }
    });
}

#[test]
fn a_drop_of_the_runtime_waits_for_the_closure_and_then_drops_the_task() {
    within(WATCHDOG, || {
        for tasks in [1, 2, 5] {
            let runtime = workers(2);
            let entered = Arc::new(Barrier::new(tasks + 1));
            let dropped: Vec<_> = (0..tasks)
                .map(|_| Arc::new(AtomicBool::new(false)))
                .collect();
            for flag in &dropped {
                let (guard, entered) = (Guard(Arc::clone(flag)), Arc::clone(&entered));
                runtime.spawn(async move {
                    let _guard = guard;
                    block_in_place(|| {
                        entered.wait();
                        thread::sleep(Duration::from_millis(20));
                    });
                    std::future::pending::<()>().await;
                });
            }
            entered.wait();
            drop(runtime);
            assert!(dropped.iter().all(|flag| flag.load(Ordering::SeqCst)));
        }
    });
}

/// Stand-ins come and go with their keep-alive time, while workers give up cores.
#[test]
fn stand_ins_that_have_nothing_to_do_end() {
    within(WATCHDOG, || {
        let (started, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (start, end) = (Arc::clone(&started), Arc::clone(&ended));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_keep_alive(Duration::from_millis(1))
            .on_thread_start(move || {
                start.fetch_add(1, Ordering::SeqCst);
            })
            .on_thread_stop(move || {
                end.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .expect("a runtime");
        for _ in 0..50 {
            let task = runtime.spawn(async {
                let (tell, told) = mpsc::channel();
                ringway::spawn(async move { tell.send(1).expect("the closure waits") });
                block_in_place(|| told.recv().expect("the task tells"));
            });
            runtime.block_on(task).expect("the task");
        }
        // The worker and the spare one stay.
        wait_until("the stand-ins end", || {
            started.load(Ordering::SeqCst) - ended.load(Ordering::SeqCst) <= 2
        });
        assert!(started.load(Ordering::SeqCst) > 2, "there was a stand-in");
    });
}

/// More closures than there may be stand-ins: the last ones keep their cores, and nothing hangs.
#[test]
fn at_the_limit_a_closure_keeps_its_core() {
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(3)
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        for _ in 0..50 {
            let tasks: Vec<_> = (0..6)
                .map(|_| {
                    runtime.spawn(async {
                        block_in_place(|| thread::sleep(Duration::from_micros(300)));
                        let (tell, told) = oneshot::channel();
                        ringway::spawn(async move { tell.send(()) });
                        told.await.expect("the task tells");
                    })
                })
                .collect();
            for task in tasks {
                runtime.block_on(task).expect("the task");
            }
        }
    });
}

/// Runtimes that end while tasks give cores up and take them back.
///
/// Mutant: `wait_for_core` does not ask whether the worker has left.
#[test]
fn a_runtime_may_end_at_any_moment_of_a_closure() {
    within(WATCHDOG, || {
        for round in 0..300_u64 {
            let runtime = workers(1 + round as usize % 2);
            let rounds = Arc::new(AtomicUsize::new(0));
            for task in 0..3 {
                let rounds = Arc::clone(&rounds);
                runtime.spawn(async move {
                    loop {
                        block_in_place(|| {
                            if task == 0 {
                                thread::yield_now();
                            }
                        });
                        rounds.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_micros(20)).await;
                    }
                });
            }
            wait_until("the tasks run", || {
                rounds.load(Ordering::Relaxed) as u64 > round % 16
            });
            match round % 3 {
                0 => runtime.shutdown_background(),
                1 => runtime.shutdown_timeout(Duration::from_millis(1)),
                _ => drop(runtime),
            }
        }
    });
}

/// An operation dies with the thread that submitted it.
///
/// Mutant: `end_rest` does not mind what the stand-in owes.
#[test]
fn a_stand_in_stays_as_long_as_its_operations() {
    within(WATCHDOG, || {
        let ended = Arc::new(AtomicUsize::new(0));
        let end = Arc::clone(&ended);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_keep_alive(Duration::from_millis(1))
            .on_thread_stop(move || {
                end.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .expect("a runtime");
        let task = runtime.spawn(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let (tell, told) = mpsc::channel();
            let accepts = ringway::spawn(async move {
                let mut accept = Box::pin(listener.accept());
                std::future::poll_fn(|cx| {
                    assert!(accept.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                // The operation is submitted by the time that the worker comes to the next task.
                yield_now().await;
                sleep(Duration::from_micros(300)).await;
                tell.send(()).expect("the closure waits");
                accept.await.expect("a client");
            });
            block_in_place(|| told.recv().expect("the other task tells"));
            (address, accepts)
        });
        let (address, accepts) = runtime.block_on(task).expect("the task");
        thread::sleep(Duration::from_millis(60));
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        let _client = std::net::TcpStream::connect(address).expect("connected");
        runtime.block_on(accepts).expect("accepted");
        wait_until("the stand-in ends", || ended.load(Ordering::SeqCst) == 1);
    });
}

/// A thread that computes inside of its closure has submitted reads, whose answers wait until it passes through the kernel.
/// The stand-in, which has tasks to run, enters the ring hardly more often than for these, and the answers come in time.
///
/// Mutants: in `runtime/src/driver/operations.rs`, `has_answers_for_owner` takes what waits for another thread for news; in
/// `runtime/src/driver/elsewhere.rs`, `note_entered` notes nothing.
#[test]
fn answers_that_wait_for_a_thread_that_computes_keep_nobody_busy() {
    const TRIES: usize = 11;
    within(WATCHDOG, || {
        let runtime = workers(1);
        let tries = (0..TRIES).map(|_| read_beside_a_computation(&runtime));
        let (mut enters, late): (Vec<_>, Vec<_>) = tries.unzip();
        enters.sort_by(f64::total_cmp);
        assert!(enters[TRIES / 2] < 2.0, "for each task {enters:.1?}");
        let least = late.into_iter().min().expect("some tries");
        assert!(least < Duration::from_millis(10), "{least:?}");
    });
}

/// Enters for each task, and how late the latest of some reads was.
fn read_beside_a_computation(runtime: &Runtime) -> (f64, Duration) {
    const READS: usize = 64;
    const COMPUTES: Duration = Duration::from_millis(40);
    let pairs = (0..READS).map(|_| {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        theirs.set_nonblocking(true).expect("a socket");
        (ours, theirs)
    });
    let (ours, theirs): (Vec<_>, Vec<_>) = pairs.unzip();
    let read = |stream| async {
        let mut stream = UnixStream::from_std(stream).expect("a socket");
        stream.read_u8().await.expect("a byte");
        Instant::now()
    };
    let reads: Vec<_> = theirs
        .into_iter()
        .map(|stream| runtime.spawn(read(stream)))
        .collect();
    // The reads are with the kernel when the worker is idle.
    thread::sleep(Duration::from_millis(5));
    let enters = || runtime.metrics().ring(0).enter_count();
    let before = enters();
    let begin = Instant::now();
    let computes = runtime.spawn(async move {
        block_in_place(|| while begin.elapsed() < COMPUTES {});
    });
    let mut written = Vec::new();
    let mut tasks = 0;
    while begin.elapsed() < COMPUTES {
        let (tell, told) = mpsc::channel();
        runtime.spawn(async move { tell.send(()).expect("the test waits") });
        told.recv().expect("the task tells");
        tasks += 1;
        let due = begin.elapsed().as_micros() * READS as u128 / COMPUTES.as_micros();
        while written.len() < READS.min(due as usize) {
            written.push(Instant::now());
            std::io::Write::write_all(&mut &ours[written.len() - 1], b"!").expect("room");
        }
    }
    let ratio = (enters() - before) as f64 / f64::from(tasks);
    runtime.block_on(computes).expect("the task");
    let late = reads.into_iter().zip(written).map(|(read, written)| {
        let read = runtime.block_on(read).expect("the task");
        read.duration_since(written)
    });
    (ratio, late.max().expect("some were written"))
}
