//! The end of a runtime, and of futures, while the kernel works on their memory.
//!
//! One test for all, because it counts the descriptors and threads of the process. It makes sense under the address
//! sanitizer too: `cargo xtask asan`.

mod support;

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use ringway_runtime::Runtime;
use ringway_runtime::driver::{Op, Operation};
use ringway_runtime::task;
use ringway_timer::sleep;

use support::kinds::{Kind, Scene};
use support::{count, current_thread, descriptors, probe, threads, wait_until, workers};

/// The runtime's drop returns within this time, whatever is in flight.
const DROP_MAX: Duration = Duration::from_secs(1);

/// The disk has written what it was asked for after this time.
const DISK_LATE: Duration = Duration::from_millis(300);

/// What becomes of the futures before the runtime ends.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Their tasks wait for them.
    Awaited,
    /// They were dropped while the kernel had their memory.
    Dropped,
    /// They were told to finish without anybody.
    Detached,
    /// They are dropped after their runtime, on another thread.
    Outlive,
}

const FATES: [Fate; 4] = [Fate::Awaited, Fate::Dropped, Fate::Detached, Fate::Outlive];

/// Mutants: the slot of an abandoned operation is freed at once (a buffer is written to after its drop); the ring is
/// closed instead of drained (the same); the drain's cancel names one operation only (the drop takes too long);
/// all that is left is cancelled at each turn of the drain (the same, in the smallest rings).
#[test]
fn a_runtime_ends_within_a_second_with_a_thousand_operations_of_each_kind_in_flight() {
    let operations = count("RINGWAY_TEST_IN_FLIGHT", 1000);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for kind in Kind::ALL {
        for fate in FATES {
            end_with_operations(workers(2), kind, fate, operations, directory);
        }
        end_with_operations(current_thread(), kind, Fate::Awaited, operations, directory);
    }
    end_with_timers_and_jobs(operations);
}

fn end_with_operations(
    runtime: Runtime,
    kind: Kind,
    fate: Fate,
    operations: usize,
    directory: &Path,
) {
    let before = (descriptors(), threads());
    let scene = Arc::new(Scene::new(kind, directory));
    let kept = start(&runtime, &scene, fate, operations);
    let flavor = runtime.handle().runtime_flavor();
    let start = Instant::now();
    drop(runtime);
    let took = start.elapsed();
    drop(kept);
    println!("{kind:?}, {fate:?}, {flavor:?}: {took:?}");
    assert!(took < DROP_MAX, "{kind:?}, {fate:?}: {took:?}");
    let scene = Arc::try_unwrap(scene);
    assert!(scene.is_ok(), "{kind:?}, {fate:?}: a task lives");
    drop(scene);
    let buffers = probe::exhume(match kind {
        Kind::ReadDirect => DISK_LATE,
        _ => Duration::from_millis(5),
    });
    assert_eq!(buffers, operations, "{kind:?}, {fate:?}: buffers");
    assert_left(before, kind, fate);
}

/// Starts the operations and waits until the kernel knows them.
fn start(runtime: &Runtime, scene: &Arc<Scene>, fate: Fate, operations: usize) -> Vec<Kept> {
    let (keep, kept) = std::sync::mpsc::channel();
    for _ in 0..operations {
        let scene = Arc::clone(scene);
        let keep = keep.clone();
        runtime.spawn(async move {
            let mut operation = Op::new(scene.operation());
            submit(&mut operation).await;
            match fate {
                Fate::Awaited => drop(operation.await),
                Fate::Dropped => {
                    task::yield_now().await;
                    drop(operation);
                }
                Fate::Detached => operation.detach(),
                Fate::Outlive => keep
                    .send(Box::new(operation) as Kept)
                    .expect("the test waits"),
            }
        });
    }
    drop(keep);
    let reached = || scene.submitted() >= operations;
    match runtime.handle().runtime_flavor() {
        ringway_runtime::RuntimeFlavor::CurrentThread => runtime.block_on(async {
            while !reached() {
                task::yield_now().await;
            }
            sleep(Duration::from_millis(5)).await;
        }),
        _ => {
            wait_until("all operations are submitted", reached);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    match fate {
        Fate::Outlive => kept.iter().collect(),
        _ => Vec::new(),
    }
}

/// An operation that outlives its runtime.
type Kept = Box<dyn Send>;

async fn submit<T: Operation>(operation: &mut Op<T>) {
    poll_fn(|cx| {
        // A direct read may be done by now; the others wait.
        if let Poll::Ready(output) = Pin::new(&mut *operation).poll(cx) {
            drop(output);
            panic!("an operation is never ready when it is first polled");
        }
        Poll::Ready(())
    })
    .await;
}

/// Timers and blocking jobs instead of operations.
fn end_with_timers_and_jobs(each: usize) {
    let before = (descriptors(), threads());
    let runtime = workers(2);
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..each {
        let count = CountDrop(Arc::clone(&dropped));
        runtime.spawn(async move {
            sleep(Duration::from_secs(3600)).await;
            drop(count);
        });
        let count = CountDrop(Arc::clone(&dropped));
        runtime.spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(1));
            drop(count);
        });
    }
    let start = Instant::now();
    drop(runtime);
    let took = start.elapsed();
    println!("timers and blocking jobs: {took:?}");
    assert!(took < DROP_MAX, "{took:?}");
    assert_eq!(dropped.load(Ordering::Relaxed), 2 * each);
    assert_left(before, "timers", "jobs");
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Descriptors and threads are what they were before the runtime was made. The kernel's own workers, which belong to
/// the thread that entered the ring, end a moment after it.
fn assert_left(
    (descriptors_before, threads_before): (usize, usize),
    kind: impl std::fmt::Debug,
    fate: impl std::fmt::Debug,
) {
    let what = format!("{kind:?}, {fate:?}: descriptors and threads are gone");
    wait_until(&what, || {
        descriptors() <= descriptors_before && threads() <= threads_before
    });
}
