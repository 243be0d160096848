//! One suite for every device: each operation of the public face, on the kernel's rings, on the driver that needs none, and on
//! both as they behave when a script is played on top of them.

mod fault_support;

use std::io;
use std::time::Duration;

use futures_util::future::join_all;

use fault_support::{Case, Cut, all_cases, assert_descriptors, count, descriptors, within};
use ringway::runtime::{Builder, Driver};
use ringway_runtime::driver::{Played, Script};
use ringway_runtime::internals::mismatches;

/// No scenario takes this long, on a machine that is busy otherwise.
const BOUND: Duration = Duration::from_secs(60);

/// So many of a scenario are under way at once.
const TOGETHER: usize = 6;

/// How a ring may behave, and what shows that it did.
struct Behaviour {
    name: &'static str,
    script: fn(u64) -> Script,
    played: fn(&Played) -> u64,
}

/// `name` says what happens when `script` is played, which `played` counts.
const fn behaviour(
    name: &'static str,
    script: fn(u64) -> Script,
    played: fn(&Played) -> u64,
) -> Behaviour {
    Behaviour {
        name,
        script,
        played,
    }
}

const BEHAVIOURS: [Behaviour; 10] = [
    behaviour("as it is", Script::new, |played| played.calls),
    behaviour(
        "answers change places",
        |seed| Script::new(seed).reorder(1000).hold(500),
        |played| played.reordered,
    ),
    behaviour(
        "answers are held back",
        |seed| Script::new(seed).hold(700),
        |played| played.held,
    ),
    behaviour(
        "answers come twice",
        |seed| Script::new(seed).duplicate(1000),
        |played| played.duplicated,
    ),
    behaviour(
        "transfers are short",
        |seed| Script::new(seed).shorten(1000),
        |played| played.shortened,
    ),
    behaviour(
        "multishots end at once",
        |seed| Script::new(seed).end_multishots(1000),
        |played| played.ended,
    ),
    behaviour(
        "the queue is full",
        |seed| Script::new(seed).full(500),
        |played| played.full,
    ),
    behaviour(
        "enters are refused",
        |seed| Script::new(seed).refuse_enters(400),
        |played| played.refused,
    ),
    behaviour(
        "enters take a part",
        |seed| Script::new(seed).short_submits(1000),
        |played| played.short_submits,
    ),
    behaviour("a storm", Script::storm, |played| {
        played.held + played.full + played.refused
    }),
];

/// Drivers of this machine, or the one that the environment names.
fn drivers() -> Vec<Driver> {
    match std::env::var_os("RINGWAY_DRIVER") {
        Some(_) => vec![Driver::Auto],
        None => vec![Driver::IoUring, Driver::Poll],
    }
}

/// Mutants: an answer that comes twice is taken for the next operation's (`give_free` leaves the generation as it is, in
/// `driver/slots.rs`: bytes of a file are lost); what a full queue did not take is forgotten (`queue` in
/// `driver/operations.rs`).
#[test]
fn every_operation_works_however_a_ring_behaves() {
    // What is made once and kept, as the watches of signals.
    for case in all_cases() {
        let runtime = Builder::new_current_thread().enable_all().build();
        let once = runtime
            .expect("a runtime")
            .block_on((case.run)(&Cut::never()));
        once.expect(case.name);
    }
    let before = descriptors();
    // A part of the scenarios for each behaviour, another for each, unless all are asked for.
    let part = match count("RINGWAY_TEST_ALL_BEHAVIOURS", 0) {
        0 => 3,
        _ => 1,
    };
    for driver in drivers() {
        for (number, behaviour) in BEHAVIOURS.iter().enumerate() {
            let what = format!("{driver:?}, {}", behaviour.name);
            let cases = all_cases().into_iter().skip(number % part).step_by(part);
            let played = play(driver, behaviour, cases);
            assert_eq!(mismatches(), 0, "{what}");
            assert_descriptors(before, &what);
            println!("{what}: {played}");
            // The driver without rings may have no multishot operations.
            let must = driver == Driver::IoUring || behaviour.name != "multishots end at once";
            assert!(played > 0 || !must, "{what}: nothing was played");
        }
    }
}

/// Runs scenarios, some of each at once, on one thread and on two workers; how often it was played.
fn play(driver: Driver, behaviour: &'static Behaviour, cases: impl Iterator<Item = Case>) -> u64 {
    let mut all = 0;
    for (seed, case) in (1..).zip(cases) {
        let script = (behaviour.script)(seed);
        let playing = script.clone();
        let what = format!("{driver:?}, {}, seed {seed}: {}", behaviour.name, case.name);
        within(BOUND, &what, move || {
            let mut builder = match seed % 4 {
                0 => Builder::new_multi_thread(),
                _ => Builder::new_current_thread(),
            };
            let runtime = builder
                .worker_threads(2)
                .driver(driver)
                .ring_script(playing)
                .enable_all()
                .build()
                .expect("a runtime");
            let cuts: Vec<Cut> = (0..TOGETHER).map(|_| Cut::never()).collect();
            let results = runtime.block_on(join_all(cuts.iter().map(case.run)));
            let all: io::Result<()> = results.into_iter().collect();
            all.expect(case.name);
        });
        all += (behaviour.played)(&script.played());
    }
    all
}
