//! A runtime that has done all that there was to do is silent: whatever it did before, none of its threads uses a processor
//! or wakes up again and again; and nothing that was to be done waits for a thread that sleeps.
//!
//! Each scene has a runtime, and some hundred bursts of [strands](strands): small stories of tasks, timers, sockets, jobs and
//! threads, at random distances. When all have come to their end, which is waited for, nothing is left but what waits for
//! ever. Then the processor time of the process is looked at, but for the thread that looks; and after some of the bursts
//! also how often each thread was switched to.
//!
//! In a program of its own, for the figures are the process's, and so that the root is on the process's main thread, which
//! may take a worker's core over.
//!
//! `RINGWAY_TEST_BURSTS` has each scene go on for longer, and `RINGWAY_TEST_SEED` has it begin elsewhere.

#[path = "../support/mod.rs"]
mod support;

mod silence;
mod stage;
mod strands;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringway::runtime::Builder;
use ringway::task::{LocalSet, block_in_place};
use ringway::time::sleep;

use silence::expect_silence;
use stage::{Kind, Scene};
use support::{count, current_thread, workers};

type Case = (&'static str, fn(&str));

/// Bursts of a scene.
const BURSTS: usize = 60;

/// Mutants, of the scenes with strands: in `runtime/src/scheduler/park.rs`, `lingers` does not mind that the worker was notified;
/// in `runtime/src/scheduler/idle.rs`, `fall_asleep` never says that nobody searches; in `runtime/src/scheduler/monitor.rs`,
/// `sleep` does not sleep, or `run_monitor` looks on for ever; in `runtime/src/blocking/mod.rs`, `lingers` finds a job where
/// there is none; in `runtime/src/driver/shard.rs`, `service` says that there are more timers as long as there is one; in
/// `runtime/src/driver/poll/gate.rs`, `enter` sleeps though there is news, or `reap` leaves the doorbell rung.
fn main() {
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let scenes: [Case; 10] = [
        ("one_worker_and_the_main_thread", |name| guest(name, 1)),
        ("two_workers_and_the_main_thread", |name| guest(name, 2)),
        ("four_workers_and_the_main_thread", |name| guest(name, 4)),
        ("one_worker", |name| alone(name, 1)),
        ("two_workers", |name| alone(name, 2)),
        ("one_thread", one_thread),
        ("a_local_set_on_one_thread", local_set),
        ("a_local_set_and_two_workers", local_set_beside_workers),
        ("tasks_that_are_left_behind", left_behind),
        ("a_spare_worker_that_blocks_in_place", spare_in_place),
    ];
    for (name, scene) in scenes {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            let begin = Instant::now();
            scene(name);
            println!("test {name} ... ok, {:?}", begin.elapsed());
        }
    }
}

fn bursts() -> usize {
    count("RINGWAY_TEST_BURSTS", BURSTS)
}

fn first_seed() -> usize {
    count("RINGWAY_TEST_SEED", 1)
}

/// The main thread is inside of `block_on` all the time, and has a worker's core when it does something.
fn guest(name: &str, count: usize) {
    let runtime = workers(count);
    let scene = Scene::new(name, runtime.handle(), Kind::Workers);
    let (conductor, root) = scene.conduct_with_root(first_seed(), bursts());
    runtime.block_on(root);
    conductor.join().expect("no panic");
}

/// Nobody is inside of `block_on`.
fn alone(name: &str, count: usize) {
    let runtime = workers(count);
    let scene = Scene::new(name, runtime.handle(), Kind::Workers);
    scene.conduct(first_seed(), bursts());
}

fn one_thread(name: &str) {
    let runtime = current_thread();
    let scene = Scene::new(name, runtime.handle(), Kind::OneThread);
    let (conductor, root) = scene.conduct_with_root(first_seed(), bursts());
    runtime.block_on(root);
    conductor.join().expect("no panic");
}

fn local_set(name: &str) {
    let runtime = current_thread();
    let scene = Scene::new(name, runtime.handle(), Kind::Local);
    let (conductor, root) = scene.conduct_with_root(first_seed(), bursts());
    LocalSet::new().block_on(&runtime, root);
    conductor.join().expect("no panic");
}

fn local_set_beside_workers(name: &str) {
    let runtime = workers(2);
    let scene = Scene::new(name, runtime.handle(), Kind::Local);
    let (conductor, root) = scene.conduct_with_root(first_seed(), bursts());
    LocalSet::new().block_on(&runtime, root);
    conductor.join().expect("no panic");
}

/// Tasks are ready to run in a runtime of one thread that nobody blocks on, whose polls are watched.
///
/// Mutant, in `runtime/src/scheduler/monitor.rs`: `all_asleep` does not mind that nobody runs the core.
fn left_behind(name: &str) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.on_blocked_worker(Duration::from_secs(1), |_| ());
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async { drop(ringway::spawn(async {})) });
    expect_silence(&|| name.to_owned());
    runtime.spawn(async {});
    expect_silence(&|| name.to_owned());
}

/// The spare worker stands in for a root that blocks its thread, and is not needed any more when a task that has stayed with it
/// blocks in place: whoever goes on with its core was not called to search.
///
/// Mutant, in `runtime/src/scheduler/root.rs`: `hand_over` calls a spare worker that is retired to a search, which then
/// nobody takes, so that nobody is woken for a task ever after.
fn spare_in_place(_: &str) {
    let moment = Duration::from_millis(10);
    let runtime = workers(1);
    runtime.block_on(async move {
        let long = ringway::spawn(sleep(20 * moment));
        let short = ringway::spawn(async move {
            // The first ends a sleep of a worker that is needed, the second that of one that is retired.
            sleep(3 * moment).await;
            sleep(moment).await;
            block_in_place(|| thread::sleep(moment));
        });
        thread::sleep(moment);
        short.await.and(long.await).expect("no panic");
    });
    for _ in 0..3 {
        thread::sleep(moment);
        let (told, tell) = mpsc::channel();
        runtime.spawn(async move { told.send(()) });
        let told = tell.recv_timeout(Duration::from_secs(20));
        told.expect("somebody wakes for the task");
    }
}
