//! What is queued reaches the kernel, whoever queues it and whoever looks at the ring meanwhile.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringway_runtime::driver::Op;
use ringway_runtime::{Handle, task};

use support::ops::Nop;
use support::{count, current_thread, within, workers};

/// Threads outside the runtime queue operations in the ring that its worker services all the time: the worker never
/// sleeps, because a task keeps it busy.
///
/// Mutant: the flags of the ring are read through a `SubmissionQueue`, whose drop writes the tail back.
#[test]
fn guests_lose_no_operation_to_a_worker_that_looks_at_its_ring() {
    let each = count("RINGWAY_TEST_GUEST_OPERATIONS", 40_000);
    within(Duration::from_secs(120), move || {
        let runtime = workers(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let busy = runtime.spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                task::yield_now().await;
            }
        });
        let guests: Vec<_> = (0..2)
            .map(|_| {
                let handle = runtime.handle().clone();
                std::thread::spawn(move || operate(&handle, each))
            })
            .collect();
        for guest in guests {
            guest.join().expect("no operation is lost");
        }
        stop.store(true, Ordering::Relaxed);
        runtime.block_on(busy).expect("the busy task");
    });
}

fn operate(handle: &Handle, count: usize) {
    for _ in 0..count {
        handle.block_on(async {
            assert_eq!(Op::new(Nop).await.expect("a nop does not fail"), 0);
        });
    }
}

/// A task, a root from outside and the operations of both on one thread's runtime.
#[test]
fn operations_complete_whichever_thread_runs_the_core() {
    within(Duration::from_secs(60), || {
        let runtime = Arc::new(current_thread());
        for _ in 0..50 {
            let runtime = Arc::clone(&runtime);
            std::thread::spawn(move || operate(runtime.handle(), 20))
                .join()
                .expect("the operations of a thread");
        }
    });
}
