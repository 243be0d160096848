//! Answers that never come, because the kernel had no memory to keep them: whoever waits for one hears so, and whoever
//! waits for another does not notice. The simulated ring drops them; cancels and marks are the kernel's.

mod support;

use std::io::Write;
use std::time::Duration;

use ringway_runtime::driver::{Op, Script, SharedFd, is_lost};
use ringway_runtime::{Builder, Runtime};
use ringway_timer::timeout;

use support::alone::{OLD, TINY, under};
use support::ops::{Nop, PollIn, Read, Readiness, pipe};
use support::{count, within};

const BOUND: Duration = Duration::from_secs(60);
/// Operations of each task.
const ROUNDS: usize = 100;

fn runtimes(script: &Script) -> [Runtime; 2] {
    let mut single = Builder::new_current_thread();
    let mut multi = Builder::new_multi_thread();
    [&mut single, multi.worker_threads(2)].map(|builder| {
        builder
            .enable_all()
            .ring_script(script.clone())
            .build()
            .expect("a runtime")
    })
}

/// How many operations the rings say were lost. None of those has been answered afterwards.
fn lost(runtime: &Runtime) -> u64 {
    let metrics = runtime.handle().metrics();
    let rings = (0..metrics.num_workers()).map(|worker| metrics.ring(worker));
    rings
        .map(|ring| {
            assert_eq!(ring.stray_count(), 0);
            ring.lost_count()
        })
        .sum()
}

/// How many of a task's operations were lost. The others brought what they should.
async fn nops() -> u64 {
    let mut lost = 0;
    for _ in 0..ROUNDS {
        match Op::new(Nop).await {
            Ok(result) => assert_eq!(result, 0),
            Err(error) => {
                assert!(is_lost(&error), "{error}");
                lost += 1;
            }
        }
    }
    lost
}

/// Reads that have to wait, beside the others.
async fn reads() -> u64 {
    let mut lost = 0;
    for round in 0..ROUNDS {
        let (read, mut write) = pipe();
        // One end stays here: the write comes after the read was lost and is over, if that is found out at once.
        let reading = ringway_runtime::spawn(Op::new(Read::new(read.clone(), 4)));
        ringway_runtime::task::yield_now().await;
        write.write_all(&[round as u8; 4]).expect("room");
        match reading.await.expect("a task") {
            Ok(bytes) => assert_eq!(bytes, [round as u8; 4]),
            Err(error) => {
                assert!(is_lost(&error), "{error}");
                lost += 1;
            }
        }
    }
    lost
}

/// The bell of old kernels is itself an operation in the ring.
///
/// Mutants: `reap` does not look at `dropped`; the mark is no drain (`IO_DRAIN` is left out), so that operations are called
/// lost that go on; `hear` removes nothing; the doorbell is suspected though it is not armed.
#[test]
fn who_waits_for_an_answer_that_was_dropped_is_told_and_nobody_else() {
    let name = "who_waits_for_an_answer_that_was_dropped_is_told_and_nobody_else";
    under(name, &[&[], &[OLD], &[OLD, TINY]], drop_with_each_seed);
}

fn drop_with_each_seed() {
    let seeds = count("RINGWAY_TEST_DROP_SEEDS", 4) as u64;
    for seed in 0..seeds {
        let script = Script::new(seed).drop_answers(30).hold(50).reorder(100);
        let mut dropped = 0;
        for runtime in runtimes(&script) {
            let (told, counted) = within(BOUND, move || {
                let told = runtime.block_on(async {
                    let tasks = (0..10).map(|number| match number % 2 {
                        0 => ringway_runtime::spawn(nops()),
                        _ => ringway_runtime::spawn(reads()),
                    });
                    let mut told = 0;
                    for task in tasks.collect::<Vec<_>>() {
                        told += task.await.expect("a task");
                    }
                    told
                });
                (told, lost(&runtime))
            });
            assert_eq!(told, counted, "seed {seed}");
            dropped += told;
        }
        assert!(dropped > 0, "seed {seed}: {:?}", script.played());
        assert!(script.played().dropped >= dropped);
    }
}

/// The answers to cancels, to the marks and to the doorbell's poll may be dropped as well.
///
/// Mutant: a sweep is not begun while another is under way, whose mark may have been lost.
#[test]
fn every_wait_ends_though_half_of_all_answers_are_dropped() {
    let script = Script::new(7).drop_answers(500);
    for runtime in runtimes(&script) {
        let told = within(BOUND, move || runtime.block_on(runtime.spawn(nops())));
        assert!(told.expect("a task") > 0);
    }
}

/// Mutant: `refill` lets operations go to the kernel behind the mark.
#[test]
fn what_waits_for_long_outlives_the_sweeps_around_it() {
    let script = Script::new(3).drop_answers(100);
    for runtime in runtimes(&script) {
        within(BOUND, move || {
            runtime.block_on(async {
                let (read, mut write) = pipe();
                let mut once = Box::pin(Op::new(PollIn(read.clone())));
                let mut many = Readiness::of(read.clone());
                // Both are cancelled and submitted again by the sweeps for the operations in between, or, where the
                // answer to a cancel was dropped, lost and begun anew.
                for _ in 0..3 {
                    if let Ok(ended) = timeout(Duration::from_millis(1), &mut once).await {
                        let error = ended.expect_err("nothing was written");
                        assert!(is_lost(&error), "{error}");
                        once = Box::pin(Op::new(PollIn(read.clone())));
                    }
                    if let Ok(ended) = timeout(Duration::from_millis(1), many.next()).await {
                        let error = ended.expect("an end").expect_err("nothing was written");
                        assert!(is_lost(&error), "{error}");
                        many = Readiness::of(read.clone());
                    }
                    Op::new(Nop).await.ok();
                }
                write.write_all(b"here").expect("room");
                if let Err(error) = once.await {
                    assert!(is_lost(&error), "{error}");
                }
                match many.next().await.expect("readiness") {
                    Ok(events) => assert!(events & libc::POLLIN as u32 != 0),
                    Err(error) => assert!(is_lost(&error), "{error}"),
                }
            });
        });
    }
}

/// Mutant: `reap` does not look at `dropped`.
#[test]
fn a_runtime_ends_though_answers_are_dropped_meanwhile() {
    let script = Script::new(5).drop_answers(300);
    for runtime in runtimes(&script) {
        within(BOUND, move || {
            let pipes: Vec<(SharedFd, _)> = (0..50).map(|_| pipe()).collect();
            for (read, _) in &pipes {
                let waiting = Op::new(PollIn(read.clone()));
                runtime.spawn(async move { waiting.await.ok() });
            }
            runtime.block_on(async { Op::new(Nop).await.ok() });
            drop(runtime);
        });
    }
}
