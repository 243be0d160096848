//! Blocking jobs: bounded threads that come and go, outputs, panics, cancellation.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use ringway::runtime::{Builder, Handle};
use ringway::task::spawn_blocking;

use support::{WATCHDOG, everywhere, text_of, wait_until, within};

#[test]
fn a_job_returns_its_value_and_runs_on_a_thread_of_its_own() {
    everywhere(|| async {
        let here = thread::current().id();
        let there = spawn_blocking(|| thread::current().id()).await;
        assert_ne!(there.expect("the job"), here);
    });
}

#[test]
fn a_panic_of_a_job_becomes_its_join_error_and_the_thread_goes_on() {
    everywhere(|| async {
        for _ in 0..10 {
            let error = spawn_blocking(|| panic!("on purpose")).await;
            let error = error.expect_err("it panicked");
            assert_eq!(text_of(error.into_panic()), "on purpose");
        }
        assert_eq!(spawn_blocking(|| 4).await.expect("the job"), 4);
    });
}

#[test]
fn a_job_knows_its_runtime() {
    everywhere(|| async {
        let job = spawn_blocking(|| {
            let handle = Handle::current();
            let task = ringway::spawn(async { 6 });
            handle.block_on(task).expect("the task")
        });
        assert_eq!(job.await.expect("the job"), 6);
    });
}

/// Mutant: a thread is started although as many as allowed are there.
#[test]
fn no_more_jobs_run_at_once_than_allowed_and_all_run() {
    const THREADS: usize = 3;
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(THREADS)
            .build()
            .expect("a runtime");
        let (running, worst) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..100)
            .map(|_| {
                let (running, worst) = (Arc::clone(&running), Arc::clone(&worst));
                runtime.spawn_blocking(move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    worst.fetch_max(now, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    running.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        for job in jobs {
            runtime.block_on(job).expect("the job");
        }
        assert_eq!(worst.load(Ordering::SeqCst), THREADS);
    });
}

/// Jobs that wait for one another need as many threads as there are jobs.
///
/// Mutant: a job is given to a thread that is promised to another one.
#[test]
fn jobs_that_wait_for_one_another_run_side_by_side() {
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        // Each time more of them than there are idle threads.
        for jobs in 1..64 {
            let meet = Arc::new(Barrier::new(jobs));
            let jobs: Vec<_> = (0..jobs)
                .map(|_| {
                    let meet = Arc::clone(&meet);
                    runtime.spawn_blocking(move || {
                        meet.wait();
                    })
                })
                .collect();
            for job in jobs {
                runtime.block_on(job).expect("the job");
            }
        }
    });
}

#[test]
fn idle_threads_are_used_again_and_end_after_their_time() {
    within(WATCHDOG, || {
        let ended = Arc::new(AtomicUsize::new(0));
        let end = Arc::clone(&ended);
        let runtime = Builder::new_current_thread()
            .thread_keep_alive(Duration::from_millis(200))
            .on_thread_stop(move || {
                end.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .expect("a runtime");
        let threads: HashSet<_> = (0..20)
            .map(|_| {
                let id = runtime.block_on(async {
                    spawn_blocking(|| thread::current().id())
                        .await
                        .expect("the job")
                });
                // The thread tells its joiner before it is idle.
                thread::sleep(Duration::from_millis(1));
                id
            })
            .collect();
        assert!(threads.len() < 10, "{} threads for 20 jobs", threads.len());
        wait_until("idle threads end", || {
            ended.load(Ordering::SeqCst) == threads.len()
        });
        let again = runtime.block_on(async { spawn_blocking(|| 1).await });
        assert_eq!(again.expect("the job"), 1);
    });
}

#[test]
fn an_abort_cancels_a_job_that_waits_and_not_one_that_runs() {
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let (tell, told) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let runs = runtime.spawn_blocking(move || {
            tell.send(()).expect("the test waits");
            released.recv().expect("the test releases");
            1
        });
        let ran = Arc::new(AtomicBool::new(false));
        let would_run = Arc::clone(&ran);
        let waits = runtime.spawn_blocking(move || would_run.store(true, Ordering::SeqCst));
        told.recv().expect("the first runs");
        runs.abort();
        waits.abort();
        release.send(()).expect("the first waits");
        assert_eq!(runtime.block_on(runs).expect("it ran to its end"), 1);
        let error = runtime.block_on(waits).expect_err("it never started");
        assert!(error.is_cancelled());
        assert!(!ran.load(Ordering::SeqCst));
    });
}

/// Spawning starts a thread for the job; whether the runtime's end finds it running or on its way is chance.
///
/// Mutant: `cancel_queued` keeps no job for the threads that were called.
#[test]
fn a_job_for_which_a_thread_was_started_runs_though_the_runtime_ends_at_once() {
    within(WATCHDOG, || {
        for round in 0..100 {
            let runtime = support::current_thread();
            let job = runtime.spawn_blocking(move || round);
            drop(runtime);
            let output = support::current_thread().block_on(job);
            assert_eq!(output.expect("the job"), round);
        }
    });
}
