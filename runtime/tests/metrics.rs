//! What a runtime counts about itself.

mod support;

use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringway_runtime::driver::{Op, SharedFd};
use ringway_runtime::{
    Builder, Handle, HistogramConfiguration, LogHistogram, Runtime, RuntimeMetrics, spawn,
    spawn_blocking, task::coop, task::yield_now,
};

use support::ops::PollIn;
use support::{WATCHDOG as PATIENCE, current_thread, wait_until};

fn threaded() -> Runtime {
    support::workers(2)
}

fn sum(metrics: &RuntimeMetrics, of: impl Fn(usize) -> u64) -> u64 {
    (0..metrics.num_workers()).map(of).sum()
}

/// Blocks both workers of `runtime`, until what it returns is dropped.
fn block_workers(runtime: &Runtime) -> Vec<mpsc::Sender<()>> {
    let (arrive, arrived) = mpsc::channel();
    let barriers: Vec<_> = (0..2)
        .map(|_| {
            let (release, barrier) = mpsc::channel::<()>();
            let arrive = arrive.clone();
            runtime.spawn(async move {
                arrive.send(()).unwrap();
                barrier.recv().unwrap_err();
            });
            release
        })
        .collect();
    for _ in 0..2 {
        arrived.recv_timeout(PATIENCE).unwrap();
    }
    barriers
}

/// Mutants: the root counts as a task; a task that is woken during its poll is not counted.
#[test]
fn every_poll_and_every_queuing_is_counted_where_it_happens() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        for _ in 0..5 {
            spawn(async { yield_now().await }).await.unwrap();
        }
    });
    assert_eq!(metrics.worker_poll_count(0), 10);
    assert_eq!(metrics.worker_local_schedule_count(0), 10);
    assert_eq!(metrics.remote_schedule_count(), 0);
    assert_eq!(metrics.spawned_tasks_count(), 5);
    assert_eq!(metrics.num_alive_tasks(), 0);

    let runtime = threaded();
    let metrics = runtime.metrics();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    drop(runtime);
    assert_eq!(metrics.remote_schedule_count(), 1);
    assert_eq!(metrics.spawned_tasks_count(), 1);
    assert_eq!(sum(&metrics, |worker| metrics.worker_poll_count(worker)), 1);
}

/// Mutant: the busy time of a worker that is awake is not counted before it parks.
#[test]
fn a_worker_that_is_stuck_is_busy_and_one_that_sleeps_is_not() {
    let runtime = threaded();
    let metrics = runtime.metrics();
    let barriers = block_workers(&runtime);
    let before: Vec<_> = (0..2)
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .collect();
    let pause = Duration::from_millis(20);
    thread::sleep(pause);
    for (worker, before) in before.into_iter().enumerate() {
        assert!(metrics.worker_total_busy_duration(worker) >= before + pause);
        assert_eq!(metrics.worker_park_unpark_count(worker) % 2, 0);
    }
    drop(barriers);
    for worker in 0..2 {
        wait_until("the worker parks", || {
            metrics.worker_park_unpark_count(worker) % 2 == 1
        });
        let parked = metrics.worker_total_busy_duration(worker);
        thread::sleep(pause);
        assert_eq!(metrics.worker_total_busy_duration(worker), parked);
    }
}

/// Mutant: the worker that ends while it is parked does not count as unparked.
#[test]
fn parks_and_unparks_alternate_from_the_start_to_the_end() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    assert_eq!(metrics.worker_park_unpark_count(0) % 2, 1);
    drop(runtime);
    assert_eq!(metrics.worker_park_unpark_count(0) % 2, 0);

    let runtime = threaded();
    let metrics = runtime.metrics();
    assert_eq!(metrics.worker_park_unpark_count(0), 1);
    assert_eq!(metrics.worker_park_unpark_count(1), 1);
    runtime.block_on(runtime.spawn(async {})).unwrap();
    wait_until("a worker has unparked and parked", || {
        (0..2).any(|worker| metrics.worker_park_count(worker) >= 2)
    });
    drop(runtime);
    for worker in 0..2 {
        assert_eq!(metrics.worker_park_unpark_count(worker) % 2, 0);
        assert!(metrics.worker_park_count(worker) >= 1);
        assert!(metrics.worker_total_busy_duration(worker) > Duration::ZERO);
        assert!(metrics.worker_noop_count(worker) <= metrics.worker_park_count(worker));
    }
}

#[test]
fn tasks_that_wait_are_found_in_their_queues() {
    let runtime = threaded();
    let metrics = runtime.metrics();
    let barriers = block_workers(&runtime);
    for spawned in 0..10 {
        assert_eq!(metrics.global_queue_depth(), spawned);
        runtime.spawn(async {});
    }
    assert_eq!(metrics.num_alive_tasks(), 12);
    drop(barriers);
    wait_until("all tasks are done", || metrics.num_alive_tasks() == 0);

    let runtime = current_thread();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        for _ in 0..100 {
            spawn(async {});
        }
        assert_eq!(metrics.worker_local_queue_depth(0), 100);
    });
}

/// Mutant: the monitor does not count what it takes from the next-task slot.
#[test]
fn the_next_task_of_a_stuck_worker_is_counted_as_rescued() {
    let runtime = threaded();
    let metrics = runtime.metrics();
    let rescued = |metrics: &RuntimeMetrics| {
        sum(metrics, |worker| {
            metrics.worker_next_task_rescue_count(worker)
        })
    };
    let watched = metrics.clone();
    let task = runtime.spawn(async move {
        let (done, is_done) = mpsc::channel();
        spawn(async move { done.send(()).unwrap() });
        is_done.recv_timeout(PATIENCE).unwrap();
        rescued(&watched)
    });
    assert_eq!(runtime.block_on(task).unwrap(), 1);
    let rescues = (0..2).map(|worker| metrics.ring(worker).rescue_count());
    assert_eq!(rescues.sum::<u64>(), 0, "no ring had anything to do");
}

/// Mutant: a thief counts its operations twice, and what it took not at all.
#[test]
fn stolen_tasks_are_counted_by_the_thief() {
    let runtime = threaded();
    let metrics = runtime.metrics();
    let handle = runtime.spawn(async {
        let (done, is_done) = mpsc::channel();
        for _ in 0..9 {
            let done = done.clone();
            spawn(async move { done.send(()).unwrap() });
        }
        for _ in 0..9 {
            is_done.recv_timeout(PATIENCE).unwrap();
        }
    });
    runtime.block_on(handle).unwrap();
    drop(runtime);
    let stolen = sum(&metrics, |worker| metrics.worker_steal_count(worker));
    let operations = sum(&metrics, |worker| metrics.worker_steal_operations(worker));
    // The last is in the next-task slot, and comes through the global queue.
    assert_eq!(stolen, 8);
    assert!((1..=8).contains(&operations), "{operations} times");
}

#[test]
fn a_worker_tells_which_thread_runs_it() {
    let runtime = threaded();
    let metrics = runtime.metrics();
    let ids = runtime
        .block_on(runtime.spawn(async move {
            let ids = (0..2).map(|worker| metrics.worker_thread_id(worker));
            (thread::current().id(), ids.collect::<Vec<_>>())
        }))
        .unwrap();
    assert!(ids.1.contains(&Some(ids.0)), "{ids:?}");

    let runtime = current_thread();
    for _ in 0..2 {
        runtime.block_on(async {});
        let here = Some(thread::current().id());
        assert_eq!(runtime.metrics().worker_thread_id(0), here);
        thread::scope(|scope| {
            let there = scope.spawn(|| runtime.block_on(async {}));
            let id = there.thread().id();
            there.join().unwrap();
            assert_eq!(runtime.metrics().worker_thread_id(0), Some(id));
        });
    }
}

/// Mutant: a job is not counted while it waits for a thread.
#[test]
fn the_blocking_pool_tells_its_threads_and_jobs() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let metrics = runtime.metrics();
    let _entered = runtime.enter();
    assert_eq!(metrics.num_blocking_threads(), 0);
    let (release, barrier) = mpsc::channel::<()>();
    let first = spawn_blocking(move || barrier.recv().unwrap_err());
    let second = spawn_blocking(|| ());
    wait_until("the first job runs, and the second waits", || {
        metrics.blocking_queue_depth() == 1
    });
    assert_eq!(metrics.num_blocking_threads(), 1);
    assert_eq!(metrics.num_idle_blocking_threads(), 0);
    drop(release);
    runtime.block_on(first).unwrap();
    runtime.block_on(second).unwrap();
    wait_until("the thread is idle", || {
        metrics.num_idle_blocking_threads() == 1
    });
    assert_eq!(metrics.blocking_queue_depth(), 0);
    drop(_entered);
    drop(runtime);
    assert_eq!(metrics.num_idle_blocking_threads(), 0);
}

/// Mutants: only polls that are ready are recorded; the clock is read once.
#[test]
fn the_histogram_has_every_poll_in_the_bucket_of_its_time() {
    let configuration = || HistogramConfiguration::linear(Duration::from_millis(5), 3);
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder
            .worker_threads(2)
            .enable_metrics_poll_time_histogram()
            .metrics_poll_time_histogram_configuration(configuration())
            .build()
            .unwrap();
        let metrics = runtime.metrics();
        runtime.block_on(async {
            let task = spawn(async {
                thread::sleep(Duration::from_millis(15));
                yield_now().await;
            });
            task.await.unwrap();
        });
        drop(runtime);
        assert!(metrics.poll_time_histogram_enabled());
        let buckets = metrics.poll_time_histogram_num_buckets();
        assert_eq!(buckets, 3);
        let count = |bucket| {
            sum(&metrics, |worker| {
                metrics.poll_time_histogram_bucket_count(worker, bucket)
            })
        };
        assert_eq!((0..buckets).map(count).sum::<u64>(), 2);
        assert!(count(2) >= 1);
        let range = metrics.poll_time_histogram_bucket_range(1);
        assert_eq!(range, Duration::from_millis(5)..Duration::from_millis(10));
    }
    let runtime = Builder::new_current_thread()
        .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(
            LogHistogram::default(),
        ))
        .build()
        .unwrap();
    assert!(!runtime.metrics().poll_time_histogram_enabled());
}

/// Mutant: every poll that is pending counts.
#[test]
fn a_task_that_uses_up_its_budget_is_counted_while_polls_are_measured() {
    let runtime = Builder::new_current_thread()
        .enable_metrics_poll_time_histogram()
        .build()
        .unwrap();
    runtime.block_on(async {
        let task = spawn(async {
            yield_now().await;
            // A poll has 128 units.
            for _ in 0..300 {
                coop::consume_budget().await;
            }
        });
        task.await.unwrap();
    });
    assert_eq!(runtime.metrics().budget_forced_yield_count(), 2);
}

/// Mutant: an enter that submits nothing counts as a batch.
#[test]
fn a_ring_tells_what_went_through_it() {
    let runtime = current_thread();
    let metrics = runtime.metrics();
    let before = metrics.ring(0);
    assert_eq!(before.operations_in_flight(), 0);
    let descriptors = || {
        let gone = metrics.io_driver_fd_deregistered_count();
        (metrics.io_driver_fd_registered_count(), gone)
    };
    runtime.block_on(async {
        let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
        let left = SharedFd::from(OwnedFd::from(left));
        let kept = left.clone();
        let mut poll = std::pin::pin!(Op::new(PollIn(left)));
        poll_fn(|cx| {
            assert!(poll.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(
            Handle::current().metrics().ring(0).operations_in_flight(),
            1
        );
        // A sleep that submits nothing.
        spawn_blocking(|| ()).await.unwrap();
        drop(right);
        poll.await.unwrap();
        assert_eq!(descriptors(), (1, 0));
        drop(kept);
        assert_eq!(descriptors(), (1, 1));
    });
    let after = metrics.ring(0);
    // With an older kernel, the doorbell's poll is submitted too.
    assert!(after.submitted_count() > before.submitted_count());
    assert_eq!(after.answer_count(), 1);
    assert_eq!(metrics.io_driver_ready_count(), 1);
    assert!(after.completed_count() >= 1);
    assert!(after.enter_count() >= 1);
    assert!(after.mean_submit_batch() >= 1.0);
    assert!(after.mean_completion_batch() >= 1.0);
    let mean = |count: u64, batches: u64| count as f64 / batches as f64;
    let submit = mean(after.submitted_count(), after.submit_batch_count());
    let completion = mean(after.completed_count(), after.completion_batch_count());
    assert_eq!(after.mean_submit_batch(), submit);
    assert_eq!(after.mean_completion_batch(), completion);
    assert_eq!(after.overflow_count(), 0);
    assert_eq!(after.operations_in_flight(), 0);
}
