//! The pool for blocking jobs.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use ringway_runtime::task::JoinHandle;
use ringway_runtime::{Builder, Handle, spawn_blocking, spawn_mandatory_blocking};

use support::{WATCHDOG, count, current_thread, wait_until, within, workers};

/// Mutant: the pool's shutdown waits for the thread that calls it.
#[test]
fn a_runtime_may_be_dropped_by_its_own_blocking_job() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let handle = runtime.handle().clone();
        let job = handle.spawn_blocking(move || drop(runtime));
        wait_until("the job is done", || job.is_finished());
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
                wait_until("the job is done", || job.is_finished());
            }
        }
    });
}

/// Mutant: `cancel_queued` cancels what is mandatory too.
#[test]
fn mandatory_jobs_run_at_the_end_and_the_others_are_cancelled() {
    within(WATCHDOG, || {
        for wait in [true, false] {
            let runtime = Builder::new_current_thread()
                .max_blocking_threads(1)
                .build()
                .expect("a runtime");
            let entered = runtime.enter();
            let (release, released) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            let first = spawn_blocking(move || {
                tell.send(()).expect("the test waits");
                released.recv().expect("the test releases");
            });
            told.recv().expect("the first runs");
            let ran = Arc::new(AtomicUsize::new(0));
            let jobs: Vec<_> = (0..100)
                .map(|number| {
                    let ran = Arc::clone(&ran);
                    let job = move || {
                        ran.fetch_add(1, Ordering::SeqCst);
                    };
                    match number % 2 {
                        0 => spawn_mandatory_blocking(job).expect("the runtime has not ended"),
                        _ => spawn_blocking(job),
                    }
                })
                .collect();
            drop(entered);
            let handle = runtime.handle().clone();
            if wait {
                let releaser = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    release.send(()).expect("the first waits");
                });
                drop(runtime);
                releaser.join().expect("no panic");
                assert_eq!(ran.load(Ordering::SeqCst), 50);
            } else {
                runtime.shutdown_background();
                release.send(()).expect("the first waits");
            }
            wait_until("the mandatory jobs are done", || {
                ran.load(Ordering::SeqCst) == 50 && jobs.iter().all(JoinHandle::is_finished)
            });
            assert!(first.is_finished());
            let _entered = handle.enter();
            assert!(spawn_mandatory_blocking(|| ()).is_none(), "too late");
            assert!(spawn_blocking(|| ()).is_finished(), "cancelled at once");
        }
    });
}

/// Jobs from several threads, and from jobs, while the runtime ends. Each is run or cancelled, the mandatory ones that
/// were accepted are run, and the pool's threads end.
///
/// Mutant: `submit` queues without looking whether the pool has ended, and `answer` does nothing when it has.
#[test]
fn no_job_is_left_by_a_runtime_that_ends_during_a_storm() {
    const SUBMITTERS: usize = 3;
    let jobs = count("RINGWAY_TEST_STORM", 100_000);
    within(WATCHDOG, move || {
        const ROUNDS: usize = 50;
        for round in 0..ROUNDS {
            let runtime = Builder::new_current_thread()
                .max_blocking_threads(1 + round % 4)
                .build()
                .expect("a runtime");
            let done = Arc::new(AtomicUsize::new(0));
            let submitters: Vec<_> = (0..SUBMITTERS)
                .map(|_| {
                    let (handle, done) = (runtime.handle().clone(), Arc::clone(&done));
                    std::thread::spawn(move || {
                        submit_many(&handle, &done, jobs / ROUNDS / SUBMITTERS)
                    })
                })
                .collect();
            if round % 3 > 0 {
                wait_until("some jobs are done", || {
                    done.load(Ordering::Relaxed) > 10 * round
                });
            }
            drop(runtime);
            for submitter in submitters {
                let (handles, accepted, ran) = submitter.join().expect("no panic");
                wait_until("each job is run or cancelled", || {
                    handles.iter().all(JoinHandle::is_finished)
                });
                assert_eq!(ran.load(Ordering::SeqCst), accepted);
            }
        }
    });
}

/// Queues jobs of which every third is mandatory and every fifth queues another. Returns the handles, how many
/// mandatory ones were accepted, and how many of those have run.
fn submit_many(
    handle: &Handle,
    done: &Arc<AtomicUsize>,
    jobs: usize,
) -> (Vec<JoinHandle<()>>, usize, Arc<AtomicUsize>) {
    let _entered = handle.enter();
    let mandatory = Arc::new(AtomicUsize::new(0));
    let mut accepted = 0;
    let mut handles = Vec::new();
    for job in 0..jobs {
        let done = Arc::clone(done);
        if job % 3 == 0 {
            let mandatory = Arc::clone(&mandatory);
            let queued = spawn_mandatory_blocking(move || {
                mandatory.fetch_add(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::Relaxed);
            });
            accepted += usize::from(queued.is_some());
            handles.extend(queued);
            continue;
        }
        handles.push(spawn_blocking(move || {
            if job % 5 == 0 {
                spawn_blocking(|| ());
            }
            done.fetch_add(1, Ordering::Relaxed);
        }));
    }
    (handles, accepted, mandatory)
}

/// Jobs that spawn jobs and wait for them, as deep as there may be threads.
///
/// Mutant: `pick` starts no thread if there is one.
#[test]
fn nested_jobs_do_not_wait_for_one_another_below_the_limit() {
    const DEPTH: usize = 16;
    fn nest(depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let inner = spawn_blocking(move || nest(depth - 1));
        1 + Handle::current().block_on(inner).expect("the inner job")
    }
    within(WATCHDOG, || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(DEPTH + 1)
            .build()
            .expect("a runtime");
        for _ in 0..100 {
            let outer = runtime.spawn_blocking(|| nest(DEPTH));
            assert_eq!(runtime.block_on(outer).expect("the job"), DEPTH);
        }
        assert!(runtime.metrics().num_blocking_threads() <= DEPTH + 1);
    });
}

/// That no thread is called while one is on its way, the models of the pool check.
#[test]
fn a_burst_of_short_jobs_starts_few_threads() {
    within(WATCHDOG, || {
        let runtime = current_thread();
        let threads = Arc::new(Mutex::new(HashSet::new()));
        for _ in 0..50 {
            let jobs: Vec<_> = (0..400)
                .map(|_| {
                    let threads = Arc::clone(&threads);
                    runtime.spawn_blocking(move || {
                        threads
                            .lock()
                            .expect("no panic")
                            .insert(std::thread::current().id());
                    })
                })
                .collect();
            for job in jobs {
                runtime.block_on(job).expect("the job");
            }
        }
        let threads = threads.lock().expect("no panic").len();
        assert!(threads < 200, "{threads} threads for bursts of 400 jobs");
    });
}

#[test]
fn jobs_of_one_thread_begin_in_their_order() {
    within(WATCHDOG, || {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let order = Arc::new(Mutex::new(Vec::new()));
        let jobs: Vec<_> = (0..10_000)
            .map(|number| {
                let order = Arc::clone(&order);
                runtime.spawn_blocking(move || order.lock().expect("no panic").push(number))
            })
            .collect();
        for job in jobs {
            runtime.block_on(job).expect("the job");
        }
        let order = order.lock().expect("no panic");
        assert!(order.iter().copied().eq(0..10_000));
    });
}

/// Mutant: a thread whose time is up is not taken from the count.
#[test]
fn threads_that_have_nothing_to_do_end_and_are_not_counted() {
    within(WATCHDOG, || {
        let runtime = Builder::new_current_thread()
            .thread_keep_alive(Duration::from_millis(1))
            .build()
            .expect("a runtime");
        for _ in 0..20 {
            let meet = Arc::new(Barrier::new(8));
            let jobs: Vec<_> = (0..8)
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
            let metrics = runtime.metrics();
            wait_until("the threads end", || metrics.num_blocking_threads() == 0);
            assert_eq!(metrics.num_idle_blocking_threads(), 0);
            assert_eq!(metrics.blocking_queue_depth(), 0);
        }
    });
}
