//! Tasks by the million leave nothing behind: no memory, no worker less, no stack used up. In a program of its own, for
//! the figures are the process's; and each test alone, for the same reason.

mod support;

use std::future::{pending, ready};
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::Duration;

use ringway::runtime::{Builder, Runtime};
use ringway::task::JoinHandle;

use support::{CountDrop, count, wait_until, within, workers};

/// A stall is seen after this time.
const STALL: Duration = Duration::from_secs(600);

/// What the heap may differ by when all tasks are gone: the queues' spare blocks, and what the allocator keeps for each
/// thread. One task in five hundred that is left behind, each time, is more.
const HEAP_SLACK: usize = 32 * 1024;

/// As much stack as a thread has where tasks are chained: a recursion through the chain needs hundreds of times as much.
const SMALL_STACK: usize = 256 * 1024;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Mutant: who completes a task and has its last reference does not free it.
#[test]
fn a_million_tasks_that_complete_give_all_memory_back() {
    let tasks = count("RINGWAY_TEST_COMPLETIONS", 1_000_000);
    let _alone = alone();
    within(STALL, move || {
        let runtime = workers(2);
        let done = Arc::new(AtomicUsize::new(0));
        assert_no_growth(|| spawn_and_complete(&runtime, &done, tasks / ROUNDS));
    });
}

/// Rounds of what is to leave nothing behind. What leaves something behind does so in each.
const ROUNDS: usize = 5;

fn assert_no_growth(mut round: impl FnMut()) {
    let heap: Vec<_> = (0..ROUNDS)
        .map(|_| {
            round();
            heap_bytes()
        })
        .collect();
    println!("heap: {heap:?}");
    let is_flat = |pair: &[usize]| pair[1] <= pair[0] + HEAP_SLACK;
    assert!(heap.windows(2).any(is_flat), "{heap:?}");
}

/// By a task, by a thread that is no worker, and with handles that are awaited, aborted and dropped.
fn spawn_and_complete(runtime: &Runtime, done: &Arc<AtomicUsize>, tasks: usize) {
    const BURST: usize = 1_000;
    for burst in 0..tasks / BURST {
        let until = done.load(Ordering::SeqCst) + BURST;
        let counted = Arc::clone(done);
        let spawn_burst = async move {
            for task in 0..BURST {
                let counted = CountDrop(Arc::clone(&counted));
                let handle = ringway::spawn(async move { drop(counted) });
                match task % 16 {
                    0 => drop(handle.await),
                    1 => handle.abort(),
                    _ => drop(handle),
                }
            }
        };
        match burst % 2 {
            0 => runtime
                .block_on(runtime.spawn(spawn_burst))
                .expect("a burst"),
            _ => runtime.block_on(spawn_burst),
        }
        wait_until("the burst is done", || done.load(Ordering::SeqCst) == until);
    }
}

/// Mutants: a panic that is not caught ends its worker; its payload is leaked.
#[test]
fn a_million_panics_cost_no_worker_and_no_memory() {
    let panics = count("RINGWAY_TEST_PANICS", 30_000);
    let _alone = alone();
    silence();
    within(STALL, move || {
        let runtime = workers(2);
        assert_no_growth(|| panic_in_tasks(&runtime, panics / ROUNDS));
        both_workers_run(&runtime);
    });
    drop(panic::take_hook());
}

/// What the panics here say.
const EXPECTED: &str = "expected by the test";

/// The hook of ordinary tests would print a million lines.
fn silence() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&EXPECTED) {
            report(panic);
        }
    }));
}

fn panic_in_tasks(runtime: &Runtime, panics: usize) {
    const BURST: usize = 100;
    runtime.block_on(async {
        for _ in 0..panics / BURST {
            let tasks: Vec<JoinHandle<()>> = (0..BURST)
                .map(|_| ringway::spawn(async { panic::panic_any(EXPECTED) }))
                .map(|task| ringway::spawn(task_panicked(task)))
                .collect();
            for task in tasks {
                task.await.expect("the panic stays in its task");
            }
        }
    });
}

async fn task_panicked(task: JoinHandle<()>) {
    assert!(task.await.expect_err("it panics").is_panic());
}

/// Two tasks that wait for each other, on a thread each.
fn both_workers_run(runtime: &Runtime) {
    let meet = Arc::new(Barrier::new(2));
    let tasks = [(); 2].map(|()| {
        let meet = Arc::clone(&meet);
        runtime.spawn(async move { meet.wait() })
    });
    for task in tasks {
        runtime.block_on(task).expect("the worker is there");
    }
}

/// Each task's output owns the handle of the one before it, which is complete and whose output owns the next: dropped at
/// one end, they all go.
///
/// Mutant: a handle drops the output of its task at once, wherever it is dropped.
#[test]
fn a_chain_of_a_million_outputs_is_dropped_without_deep_recursion() {
    let tasks = count("RINGWAY_TEST_CHAIN", 1_000_000);
    let _alone = alone();
    within(STALL, move || {
        let runtime = small_stacks();
        let dropped = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&dropped);
        let chain = runtime.spawn(async move {
            let mut last = None;
            for _ in 0..tasks {
                let link = Link {
                    before: last.take(),
                    _counted: CountDrop(Arc::clone(&counted)),
                };
                let handle = ringway::spawn(ready(link));
                while !handle.is_finished() {
                    ringway::task::yield_now().await;
                }
                last = Some(handle);
            }
            drop(last);
        });
        runtime.block_on(chain).expect("the chain");
        wait_until("all links are dropped", || {
            dropped.load(Ordering::SeqCst) == tasks
        });
    });
}

struct Link {
    #[expect(dead_code, reason = "it is there to be dropped")]
    before: Option<JoinHandle<Link>>,
    _counted: CountDrop,
}

/// Each task's future owns the handle of the one before it, and aborts that when it is dropped.
#[test]
fn a_chain_of_a_million_tasks_that_abort_each_other_ends_without_deep_recursion() {
    let tasks = count("RINGWAY_TEST_CHAIN", 1_000_000);
    let _alone = alone();
    within(STALL, move || {
        let runtime = small_stacks();
        let dropped = Arc::new(AtomicUsize::new(0));
        let last = build_chain(&runtime, &dropped, tasks);
        last.abort();
        wait_until("all tasks are dropped", || {
            dropped.load(Ordering::SeqCst) == tasks
        });
    });
}

/// The end of the runtime finds them all alive.
#[test]
fn a_chain_of_a_million_tasks_ends_with_its_runtime_without_deep_recursion() {
    let tasks = count("RINGWAY_TEST_CHAIN", 1_000_000);
    let _alone = alone();
    within(STALL, move || {
        let runtime = small_stacks();
        let dropped = Arc::new(AtomicUsize::new(0));
        let last = build_chain(&runtime, &dropped, tasks);
        // On a thread with a small stack too.
        let end = std::thread::Builder::new().stack_size(SMALL_STACK);
        let ended = end.spawn(move || drop((last, runtime))).expect("a thread");
        ended.join().expect("the end");
        assert_eq!(dropped.load(Ordering::SeqCst), tasks);
    });
}

fn build_chain(runtime: &Runtime, dropped: &Arc<AtomicUsize>, tasks: usize) -> JoinHandle<()> {
    let mut last = runtime.spawn(pending_with(None, CountDrop(Arc::clone(dropped))));
    for _ in 1..tasks {
        let counted = CountDrop(Arc::clone(dropped));
        last = runtime.spawn(pending_with(Some(AbortOnDrop(last)), counted));
    }
    last
}

async fn pending_with(before: Option<AbortOnDrop>, counted: CountDrop) {
    let _held = (before, counted);
    pending::<()>().await;
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A runtime whose workers have small stacks.
fn small_stacks() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(SMALL_STACK)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the system's allocator has given out.
fn heap_bytes() -> usize {
    // SAFETY: the call takes no argument, and locks what it reads.
    let heap = unsafe { libc::mallinfo2() };
    heap.uordblks + heap.hblkhd
}
