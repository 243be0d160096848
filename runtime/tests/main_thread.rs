//! `block_on` on the process's main thread, which takes over a worker's core.
//!
//! The test harness runs tests on threads of its own, so this file is a program: without arguments it runs each
//! scenario in a process of its own, on that process's main thread, with a bound in time.

mod support;

use std::io::Write;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringway_runtime::Runtime;
use ringway_runtime::driver::Op;
use ringway_runtime::task;
use ringway_timer::sleep;

use support::ops::{PollIn, pipe};
use support::stuck::{Debt, Found, Jury, Noise, STUCK, Trap, trial};
use support::workers;

/// No scenario takes this long; one that does hangs.
const BOUND: Duration = Duration::from_secs(60);

const SCENARIOS: &[(&str, fn())] = &[
    (
        "a_task_runs_after_the_core_was_given_back_under_a_thread_that_sleeps_in_the_ring",
        a_task_runs_after_the_core_was_given_back_under_a_thread_that_sleeps_in_the_ring,
    ),
    (
        "dropping_the_runtime_calls_the_worker_out_of_the_ring",
        dropping_the_runtime_calls_the_worker_out_of_the_ring,
    ),
    (
        "cores_change_hands_ten_thousand_times_without_losing_a_wake",
        cores_change_hands_ten_thousand_times_without_losing_a_wake,
    ),
    (
        "a_root_that_is_stuck_delays_others_by_10_ms_at_most",
        a_root_that_is_stuck_delays_others_by_10_ms_at_most,
    ),
    (
        "a_root_that_blocks_for_its_task_does_not_wait_for_the_monitor",
        a_root_that_blocks_for_its_task_does_not_wait_for_the_monitor,
    ),
    (
        "the_main_thread_delays_nobody_when_it_is_busy_after_block_on",
        the_main_thread_delays_nobody_when_it_is_busy_after_block_on,
    ),
    (
        "the_root_is_on_no_worker_and_tasks_beside_it_are",
        the_root_is_on_no_worker_and_tasks_beside_it_are,
    ),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("--scenario") => {
            let name = arguments.next().expect("the name of a scenario");
            let (_, body) = SCENARIOS
                .iter()
                .find(|(known, _)| *known == name)
                .expect("a known scenario");
            body();
            ExitCode::SUCCESS
        }
        Some("--list") => {
            for (name, _) in SCENARIOS {
                println!("{name}: test");
            }
            ExitCode::SUCCESS
        }
        filter => run_all(filter.filter(|word| !word.starts_with('-'))),
    }
}

fn run_all(filter: Option<&str>) -> ExitCode {
    let mut failed = 0;
    for (name, _) in SCENARIOS {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let outcome = run(name);
        failed += usize::from(outcome.is_err());
        println!(
            "test {name} ... {}",
            outcome.err().unwrap_or_else(|| "ok".to_owned())
        );
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(name: &str) -> Result<(), String> {
    let this = std::env::current_exe().expect("the path of this program");
    let mut child = Command::new(this)
        .args(["--scenario", name])
        .spawn()
        .expect("a process");
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child's status") {
            return if status.success() {
                Ok(())
            } else {
                Err(format!("FAILED: {status}"))
            };
        }
        if start.elapsed() > BOUND {
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
            return Err(format!("FAILED: hangs, not done after {BOUND:?}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Has the worker's thread run something, and waits until it sleeps in its ring.
fn put_the_worker_to_sleep_in_its_ring(runtime: &Runtime) {
    run_outside(runtime);
    std::thread::sleep(Duration::from_millis(50));
}

/// Spawns a task from outside and waits for it without entering the runtime.
fn run_outside(runtime: &Runtime) {
    let (done, is_done) = mpsc::channel();
    runtime.spawn(async move { done.send(()).expect("the test waits") });
    is_done
        .recv_timeout(Duration::from_secs(10))
        .expect("a task that was spawned from outside runs");
}

/// The worker's thread is in the ring, and stays there while the main thread takes the core, sleeps in the same
/// ring until a timer fires, and gives the core back. Who wakes the worker then must call the thread out.
///
/// Mutant: the flag "the thread is in the ring" is cleared by whoever leaves the ring, not by the thread.
fn a_task_runs_after_the_core_was_given_back_under_a_thread_that_sleeps_in_the_ring() {
    let runtime = workers(1);
    put_the_worker_to_sleep_in_its_ring(&runtime);
    runtime.block_on(async { sleep(Duration::from_millis(5)).await });
    run_outside(&runtime);
}

/// As above, with the shutdown as who wakes.
fn dropping_the_runtime_calls_the_worker_out_of_the_ring() {
    let runtime = workers(2);
    put_the_worker_to_sleep_in_its_ring(&runtime);
    put_the_worker_to_sleep_in_its_ring(&runtime);
    runtime.block_on(async { sleep(Duration::from_millis(5)).await });
    drop(runtime);
}

/// The core goes to and fro between the main thread and the worker's, which is woken from outside meanwhile.
fn cores_change_hands_ten_thousand_times_without_losing_a_wake() {
    let rounds = support::count("RINGWAY_TEST_HANDOVERS", 10_000);
    let runtime = workers(1);
    for round in 0..rounds {
        run_outside(&runtime);
        runtime.block_on(async {
            ringway_runtime::spawn(task::yield_now())
                .await
                .expect("the task");
            if round % 16 == 0 {
                sleep(Duration::from_micros(50)).await;
            }
        });
    }
}

/// As `stuck.rs` has it for tasks, for the root on the main thread, with one worker and with two.
///
/// Mutants: those of `stuck.rs`; with one worker also: nobody stands in for the root.
fn a_root_that_is_stuck_delays_others_by_10_ms_at_most() {
    for workers in [1, 2] {
        for trap in [Trap::Spin, Trap::Block] {
            for debt in Debt::ALL {
                let delays = stuck_roots(workers, debt, trap);
                println!("{workers} workers, {debt:?}, {trap:?}: {delays:?}");
            }
        }
    }
}

fn stuck_roots(workers: usize, debt: Debt, trap: Trap) -> Vec<Duration> {
    let runtime = support::workers(workers);
    let mut jury = Jury::default();
    let mut left = support::count("RINGWAY_TEST_STUCK", 1);
    while left > 0 {
        let found = trial(runtime.handle(), debt, trap, |starter| {
            runtime.block_on(starter);
        });
        let found = found.expect("the root does not move");
        left -= usize::from(jury.hear(&found, &format!("{workers} workers, {debt:?}, {trap:?}")));
    }
    jury.delays()
}

/// The operations that the main thread has submitted complete in time, although it has left the runtime and computes.
fn the_main_thread_delays_nobody_when_it_is_busy_after_block_on() {
    let runtime = workers(2);
    let mut jury = Jury::default();
    let mut left = support::count("RINGWAY_TEST_STUCK", 2);
    while left > 0 {
        let (read, mut write) = pipe();
        let (tell, told) = mpsc::channel();
        runtime.block_on(async {
            let task = ringway_runtime::spawn(async move {
                Op::new(PollIn(read)).await.expect("something to read");
                tell.send(Instant::now()).expect("the test waits");
            });
            sleep(Duration::from_millis(5)).await;
            assert!(!task.is_finished(), "the operation waits");
        });
        let noise = Noise::listen();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(STUCK / 8);
            let now = Instant::now();
            write.write_all(b".").expect("the task has the other end");
            now
        });
        Trap::Spin.spring();
        let written = writer.join().expect("the writer");
        let went_on = told.recv_timeout(BOUND).expect("the task goes on");
        let found = Found {
            thread: std::thread::current().id(),
            delay: went_on.saturating_duration_since(written),
            noise: noise.stop(),
        };
        left -= usize::from(jury.hear(&found, "after block_on"));
    }
    println!("after block_on: {:?}", jury.delays());
}

/// The root spawns a task and blocks its thread until that has run, after a calm, and again and again. Another worker
/// takes the task at once, at least every other time; the monitor would find it after half a tick, which is 500 µs.
///
/// Mutants: what the root spawns goes to the next-task slot; the monitor does not note that the root blocks. Both make
/// it wait for the monitor.
fn a_root_that_blocks_for_its_task_does_not_wait_for_the_monitor() {
    const ROUNDS: u32 = 40;
    const AT_ONCE: Duration = Duration::from_micros(250);
    const TRIES: usize = 5;
    let runtime = workers(2);
    let handle = runtime.handle().clone();
    for calm in [Duration::from_millis(5), Duration::ZERO] {
        let median = || {
            let mut took: Vec<_> = runtime.block_on(async {
                let round = |round| {
                    // At a different time between two ticks of the monitor each time.
                    std::thread::sleep(calm + calm * round / ROUNDS);
                    let start = Instant::now();
                    let (tell, told) = mpsc::channel();
                    drop(handle.spawn(async move { tell.send(()) }));
                    told.recv().expect("the task runs");
                    start.elapsed()
                };
                (0..ROUNDS).map(round).collect()
            });
            took.sort_unstable();
            took[took.len() / 2]
        };
        // Other programs use the processors too: one try of some has to do.
        let medians: Vec<_> = (0..TRIES).map(|_| median()).collect();
        println!("calm {calm:?}: {medians:?}");
        assert!(medians.iter().any(|took| *took < AT_ONCE), "{medians:?}");
    }
}

/// The thread that polls the root here runs tasks too, and then is their worker.
///
/// Mutant: `task_index` does not mind that the root is polled.
fn the_root_is_on_no_worker_and_tasks_beside_it_are() {
    let runtime = workers(1);
    runtime.block_on(async {
        for _ in 0..100 {
            assert_eq!(ringway_runtime::worker_index(), None);
            let task = ringway_runtime::spawn(async { ringway_runtime::worker_index() });
            assert_eq!(task.await.expect("the task"), Some(0));
        }
    });
    assert_eq!(ringway_runtime::worker_index(), None);
}
