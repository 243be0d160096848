//! What the simulated ring does to operations, and what it does not: each chance of a script is seen to be taken, and
//! nothing comes of it that the program would notice.

mod support;

use std::future::Future;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ringway_runtime::driver::{Op, Played, Script, SharedFd};
use ringway_runtime::{Builder, Runtime};
use ringway_timer::{sleep, timeout};

use support::ops::{Nop, PollIn, Read, pipe};
use support::within;

/// Seeds of a default run.
const SEEDS: u64 = 8;

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

/// Runs `body` on both kinds of runtimes with `script` and several seeds, and says what was played altogether.
#[track_caller]
fn play<F>(script: impl Fn(u64) -> Script, body: impl Fn() -> F) -> Vec<Played>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut all = Vec::new();
    for seed in 0..SEEDS {
        let script = script(seed);
        for runtime in runtimes(&script) {
            let body = body();
            within(Duration::from_secs(60), move || {
                runtime
                    .block_on(runtime.spawn(body))
                    .expect("the operations");
            });
        }
        all.push(script.played());
    }
    all
}

fn sum(all: &[Played], of: impl Fn(&Played) -> u64) -> u64 {
    all.iter().map(of).sum()
}

/// Some of each: operations that are done at once, that wait, that time out and that are dropped.
async fn some_of_each() {
    let tasks = (0..20u64).map(|number| {
        ringway_runtime::spawn(async move {
            for round in 0..5 {
                assert_eq!(Op::new(Nop).await.expect("a nop"), 0);
                let (read, mut write) = pipe();
                let reading = Op::new(Read::new(read.clone(), 64));
                let slow = timeout(Duration::from_millis(1), Op::new(PollIn(read.clone()))).await;
                assert!(slow.is_err(), "nothing was written");
                write.write_all(&[number as u8; 3]).expect("room");
                if round % 2 == 0 {
                    sleep(Duration::from_micros(100 * number)).await;
                }
                Op::new(PollIn(read)).await.expect("a poll");
                assert_eq!(reading.await.expect("a read"), [number as u8; 3]);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a task");
    }
}

#[test]
fn a_script_without_chances_alters_nothing() {
    let all = play(Script::new, some_of_each);
    for played in all {
        let Played { calls, enters, .. } = played;
        assert!(calls > 0 && enters > 0, "{played:?}");
        let plain = Played {
            calls,
            enters,
            ..Played::default()
        };
        assert_eq!(played, plain);
    }
}

/// Mutant: an enter waits though answers are on the stage (`begin` in `driver/scripted/mod.rs`).
#[test]
fn operations_complete_in_a_storm() {
    let all = play(Script::storm, some_of_each);
    for (what, count) in [
        ("reordered", sum(&all, |played| played.reordered)),
        ("held", sum(&all, |played| played.held)),
        ("duplicated", sum(&all, |played| played.duplicated)),
        ("full", sum(&all, |played| played.full)),
        ("refused", sum(&all, |played| played.refused)),
        ("short", sum(&all, |played| played.short_submits)),
    ] {
        assert!(count > 0, "nothing was {what}: {all:?}");
    }
    assert_eq!(sum(&all, |played| played.failed), 0);
}

#[test]
fn a_shortened_read_brings_less_and_loses_nothing() {
    let script = |seed| Script::new(seed).shorten(1000);
    let all = play(script, || async {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let near = SharedFd::from(OwnedFd::from(near));
        let sent: Vec<u8> = (0..=255).collect();
        far.write_all(&sent).expect("room");
        let mut received = Vec::new();
        while received.len() < sent.len() {
            let part = Op::new(Read::new(near.clone(), 256)).await.expect("a read");
            assert!((1..256).contains(&part.len()), "{}", part.len());
            received.extend(part);
        }
        assert_eq!(received, sent);
    });
    assert!(sum(&all, |played| played.shortened) > 0);
}

#[test]
fn the_call_that_is_named_fails_and_no_other() {
    let script = |seed| Script::new(seed).fail_call(2, libc::ENOSPC);
    let all = play(script, || async {
        for call in 0..5 {
            let (read, mut write) = pipe();
            write.write_all(b"here").expect("room");
            let result = Op::new(Read::new(read, 4)).await;
            match result {
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{call}"),
                Ok(bytes) => assert_eq!(bytes, b"here", "{call}"),
            }
        }
    });
    // The script's counts go on from the first runtime to the second.
    assert_eq!(sum(&all, |played| played.failed), SEEDS);
}

/// Mutant: the dice of a script have no seed (`dice` in `driver/scripted/script.rs`).
#[test]
fn a_seed_gives_the_same_play_on_one_thread() {
    let play_once = |seed| {
        // An enter that is refused is tried again after some time, and how often is up to the clock.
        let script = Script::storm(seed)
            .refuse_enters(0)
            .fail(200, &[libc::EIO, libc::ENOMEM]);
        let runtime = Builder::new_current_thread()
            .ring_script(script.clone())
            .build()
            .expect("a runtime");
        let failed = Arc::new(std::sync::Mutex::new(Vec::new()));
        let record = Arc::clone(&failed);
        runtime.block_on(async move {
            for _ in 0..100 {
                let (read, mut write) = pipe();
                write.write_all(b"here").expect("room");
                let result = Op::new(Read::new(read, 4)).await;
                let errno = result.err().and_then(|error| error.raw_os_error());
                record.lock().expect("no panic").push(errno);
            }
        });
        let failed = failed.lock().expect("no panic").clone();
        assert!(failed.iter().any(Option::is_some));
        failed
    };
    // On a machine that is overloaded one pair in 150 differed.
    assert!((0..3).any(|_| play_once(1) == play_once(1)));
    assert_ne!(play_once(1), play_once(2));
}
