//! The runtime from outside: tasks, timers and operations together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringway_runtime::driver::{Completion, Op, Operation, opcode, squeue};
use ringway_runtime::task::yield_now;
use ringway_runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

struct Nop;

// SAFETY: the request names no memory.
unsafe impl Operation for Nop {
    type Output = std::io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Nop::new().build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

#[test]
fn a_task_returns_its_output() {
    assert_eq!(
        runtime().block_on(async { ringway_runtime::spawn(async { 7 }).await.unwrap() }),
        7
    );
}

#[test]
fn ten_thousand_tasks_that_yield_all_finish() {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..10_000)
            .map(|_| {
                let count = Arc::clone(&count);
                ringway_runtime::spawn(async move {
                    yield_now().await;
                    count.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 10_000);
}

#[test]
fn operations_complete_in_tasks_and_in_the_root() {
    let runtime = runtime();
    runtime.block_on(async {
        assert_eq!(Op::new(Nop).await.unwrap(), 0);
        let tasks: Vec<_> = (0..1000)
            .map(|_| ringway_runtime::spawn(async { Op::new(Nop).await }))
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 0);
        }
    });
}

#[test]
fn sleeps_end_neither_early_nor_never() {
    for runtime in [
        runtime(),
        Builder::new_current_thread().enable_all().build().unwrap(),
    ] {
        runtime.block_on(async {
            let start = Instant::now();
            ringway_timer::sleep(Duration::from_millis(20)).await;
            let task = ringway_runtime::spawn(async {
                ringway_timer::sleep(Duration::from_millis(20)).await
            });
            task.await.unwrap();
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(40), "{took:?}");
            assert!(took < Duration::from_secs(5), "{took:?}");
        });
    }
}

#[test]
fn a_paused_clock_jumps_to_the_next_timer() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let start = Instant::now();
    runtime.block_on(async {
        let before = ringway_timer::Instant::now();
        ringway_timer::sleep(Duration::from_secs(3600)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(3600));
    });
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn blocking_jobs_return_and_panics_stay_in_their_task() {
    let runtime = runtime();
    runtime.block_on(async {
        assert_eq!(ringway_runtime::spawn_blocking(|| 5).await.unwrap(), 5);
        let error = ringway_runtime::spawn(async { panic!("on purpose") })
            .await
            .unwrap_err();
        assert!(error.is_panic());
        let handle = ringway_runtime::spawn(std::future::pending::<()>());
        handle.abort();
        assert!(handle.await.unwrap_err().is_cancelled());
    });
}
