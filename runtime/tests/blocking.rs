//! The pool for blocking jobs.

mod support;

use std::time::Duration;

use ringway_runtime::Builder;

use support::{WATCHDOG, count, within, workers};

/// Mutant: the pool's shutdown waits for the thread that calls it.
#[test]
fn a_runtime_may_be_dropped_by_its_own_blocking_job() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let handle = runtime.handle().clone();
        let job = handle.spawn_blocking(move || drop(runtime));
        support::wait_until("the job is done", || job.is_finished());
    });
}

/// Mutant: a thread is counted before its start hook has run, and never again if the hook panics.
#[test]
fn a_panicking_start_hook_does_not_keep_the_runtime_from_ending() {
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(|| {
                if std::thread::current().name() == Some("job") {
                    panic!("on purpose: the hook");
                }
            })
            .thread_name("job")
            .build();
        drop(runtime);
    });
}

/// Threads that are about to end for want of work, and jobs that come just then.
#[test]
fn no_job_is_lost_between_threads_that_end_and_threads_that_start() {
    let rounds = count("RINGWAY_TEST_JOBS", 3_000);
    within(WATCHDOG, move || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_keep_alive(Duration::from_micros(200))
            .build()
            .expect("a runtime");
        for round in 0..rounds {
            let jobs: Vec<_> = (0..1 + round % 4)
                .map(|_| runtime.spawn_blocking(|| ()))
                .collect();
            for job in jobs {
                support::wait_until("the job is done", || job.is_finished());
            }
        }
    });
}
