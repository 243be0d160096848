//! What strangers may send, made up at random, against a second opinion of what it means.
//!
//! Each module has cases of one kind and an oracle that was written from the standards and not from
//! the code: slower, simpler, and without a line in common. Both must agree on every case, so what
//! is refused without need is found as well as what is let through.
//!
//! A run of seconds, unless the environment asks for more; [`SHARES`] says how many are of which kind:
//!
//! ```text
//! RINGWAY_TEST_HTTP_CASES=100000000 cargo test --release -p ringway --example file_server fuzz -- --nocapture
//! ```
//!
//! `RINGWAY_TEST_HTTP_SEED` is where the random numbers begin.

mod codings;
mod conditions;
mod heads;
mod paths;
mod ranges;

use std::cell::Cell;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Cases of all kinds together, unless the environment says otherwise.
const CASES: u64 = 100_000;
/// Where random numbers begin, unless the environment says otherwise.
const SEED: u64 = 0x6669_6c65_7365_7276;
/// How many of a hundred cases are of each kind: more of those that are cheap to make up.
const SHARES: [(&str, u64); 5] = [
    ("codings", 15),
    ("conditions", 10),
    ("heads", 30),
    ("paths", 10),
    ("ranges", 35),
];

/// Of so many cases one at least has to mean something, or the cases are too wild.
const MEANINGFUL_OF: u64 = 20;

/// Judges this kind's share of the cases, and tells of each whether it meant something and was not
/// just refused. What fails is made as small as possible and shown.
fn judge_cases<S: Strategy>(
    kind: &str,
    strategy: S,
    judge: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) {
    let share = SHARES
        .into_iter()
        .find_map(|(name, share)| (name == kind).then_some(share));
    let share = share.expect("a kind that has a share");
    let cases = (from_environment("RINGWAY_TEST_HTTP_CASES", CASES) * share).div_ceil(100);
    let seed = from_environment("RINGWAY_TEST_HTTP_SEED", SEED);
    let config = Config {
        cases: u32::try_from(cases).expect("fewer than 2^32 cases of a kind"),
        failure_persistence: None,
        ..Config::default()
    };
    let words = [seed.to_le_bytes(), (!seed).to_le_bytes()];
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &words.concat());
    let (start, meaningful) = (Instant::now(), Cell::new(0));
    let count = |case| {
        judge(case).map(|is_meaningful| meaningful.set(meaningful.get() + u64::from(is_meaningful)))
    };
    match TestRunner::new_with_rng(config, rng).run(&strategy, count) {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => panic!("{kind} from seed {seed}: {why}\n{case:?}"),
        Err(error) => panic!("{kind} from seed {seed}: {error}"),
    }
    let (meaningful, elapsed) = (meaningful.get(), start.elapsed());
    println!(
        "{cases} {kind} from seed {seed}, {meaningful} not refused: no difference in {elapsed:?}"
    );
    assert!(
        meaningful >= cases / MEANINGFUL_OF,
        "{meaningful} of {cases} {kind}"
    );
}

fn from_environment(variable: &str, ordinary: u64) -> u64 {
    std::env::var(variable).map_or(ordinary, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
    })
}

/// The first of `pieces`, but once in a while another one.
fn mostly_first(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = &'static [u8]> {
    const ONCE_IN: usize = 24;
    (0..ONCE_IN, 0..pieces.len()).prop_map(|(die, index)| pieces[if die == 0 { index } else { 0 }])
}

/// Some of `pieces` behind each other.
fn joined(
    pieces: &'static [&'static [u8]],
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<u8>> {
    let index = 0..pieces.len();
    prop::collection::vec(index, count).prop_map(|indices| {
        indices
            .into_iter()
            .flat_map(|index| pieces[index])
            .copied()
            .collect()
    })
}
