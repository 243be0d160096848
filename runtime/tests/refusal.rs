//! A system that refuses threads: who has one goes on with it, and who has none hears of it.
//!
//! Each thread asks for more address space than the limit leaves it, so that it can be refused, and allowed, at will.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use ringway_runtime::{Builder, Runtime, block_in_place, spawn_mandatory_blocking};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use support::{WATCHDOG, wait_until, within};

/// The stack of each thread: address space, of which next to nothing is used.
const STACK_BYTES: usize = 1 << 31;
/// What the tests need beside such stacks.
const ROOM_BYTES: u64 = 1 << 30;

/// The limit is the process's: one test at a time.
static LIMIT: Mutex<()> = Mutex::new(());

/// While it lives, no thread with such a stack can be started.
struct Refusal(Rlimit);

impl Refusal {
    fn begin() -> Self {
        let former = getrlimit(Resource::As);
        let used = used_bytes();
        let current = Some(used + ROOM_BYTES);
        setrlimit(Resource::As, Rlimit { current, ..former }).expect("a lower limit");
        Self(former)
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        setrlimit(Resource::As, self.0).expect("the limit that there was");
    }
}

fn used_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    1024 * number
        .expect("a size")
        .trim()
        .parse::<u64>()
        .expect("a number")
}

fn runtime(builder: &mut Builder) -> Runtime {
    builder
        .thread_stack_size(STACK_BYTES)
        .build()
        .expect("a runtime")
}

fn serialized(body: impl FnOnce() + Send + 'static) {
    let _one = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    within(WATCHDOG, body);
}

/// Mutant: `start_thread` says that all is well although no thread is left.
#[test]
fn a_job_without_any_thread_panics_in_tokios_words_and_the_next_one_runs() {
    serialized(|| {
        let runtime = runtime(&mut Builder::new_current_thread());
        let refusal = Refusal::begin();
        for _ in 0..3 {
            let spawned = catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(|| 1)));
            let panic = spawned.expect_err("no thread can be started");
            let text = panic.downcast_ref::<String>().expect("a text");
            assert!(text.starts_with("OS can't spawn worker thread: "), "{text}");
        }
        drop(refusal);
        let job = runtime.spawn_blocking(|| 2);
        assert_eq!(runtime.block_on(job).expect("the job"), 2);
    });
}

/// Mutant: `start_thread` panics whenever a thread is refused.
#[test]
fn a_job_that_gets_no_thread_of_its_own_runs_on_one_that_is_there() {
    serialized(|| {
        let runtime = runtime(&mut Builder::new_current_thread());
        let (tell, told) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = runtime.spawn_blocking(move || {
            tell.send(()).expect("the test waits");
            released.recv().expect("the test releases");
        });
        told.recv().expect("the first runs");
        let refusal = Refusal::begin();
        let ran = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..100)
            .map(|_| {
                let ran = Arc::clone(&ran);
                runtime.spawn_blocking(move || ran.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        release.send(()).expect("the first waits");
        for job in jobs {
            runtime.block_on(job).expect("the job");
        }
        runtime.block_on(first).expect("the job");
        drop(refusal);
        assert_eq!(ran.load(Ordering::Relaxed), 100);
    });
}

/// Mutant: `finish` cancels what is mandatory.
#[test]
fn a_mandatory_job_without_any_thread_runs_all_the_same() {
    serialized(|| {
        let runtime = runtime(&mut Builder::new_current_thread());
        let refusal = Refusal::begin();
        let _entered = runtime.enter();
        let (tell, told) = mpsc::channel();
        let job =
            spawn_mandatory_blocking(move || tell.send(3)).expect("the runtime has not ended");
        assert!(job.is_finished());
        assert_eq!(told.try_recv(), Ok(3));
        drop(refusal);
    });
}

/// Mutant: `give_up` does not mind that no stand-in is there.
#[test]
fn a_task_that_blocks_in_place_without_a_stand_in_keeps_its_core() {
    serialized(|| {
        let runtime = runtime(Builder::new_multi_thread().worker_threads(2).enable_all());
        let refusal = Refusal::begin();
        let (tell, told) = mpsc::channel();
        let task = runtime.spawn(async move {
            block_in_place(|| told.recv().expect("the test tells"));
        });
        // The other worker, or the spare one, goes on meanwhile.
        let others: Vec<_> = (0..100).map(|_| runtime.spawn(async {})).collect();
        wait_until("the others are done", || {
            others.iter().all(|other| other.is_finished())
        });
        tell.send(()).expect("the closure waits");
        runtime.block_on(task).expect("the task");
        drop(refusal);
    });
}
