//! Very many steps of a wheel beside an ordered map. A run of seconds, unless the environment asks for more:
//!
//! ```text
//! RINGWAY_TEST_WHEEL_STEPS=100000000 cargo test --release -p ringway-timer --test wheel_long -- --nocapture
//! ```
//!
//! `RINGWAY_TEST_WHEEL_SEED` is where the random numbers begin. The target `wheel` in `fuzz/` takes the same steps.

mod ordered_map;

use std::time::Instant;

use ordered_map::Pair;

/// Steps, unless the environment says otherwise.
const STEPS: u64 = 300_000;
/// Where random numbers begin, unless the environment says otherwise.
const SEED: u64 = 0x7269_6E67_7761_7921;

/// Mutants: `link` without `earliest_ns.min`; `unlink` without `mark_empty` (it hangs); `find` without the generation;
/// `replace` that replaces nothing; `remove_all` that leaves out the last, or the first of each sixteen; `is_full` that does not mind the limit of wakers; `place` without regard to `elapsed`.
#[test]
fn a_wheel_does_what_an_ordered_map_does_for_very_many_steps() {
    let steps = from_environment("RINGWAY_TEST_WHEEL_STEPS", STEPS);
    let seed = from_environment("RINGWAY_TEST_WHEEL_SEED", SEED);
    let (mut pair, mut numbers) = (Pair::default(), Numbers(seed));
    let start = Instant::now();
    for _ in 0..steps {
        pair.step(numbers.next());
    }
    pair.end();
    println!(
        "{steps} steps from seed {seed}: no difference in {:?}",
        start.elapsed()
    );
}

fn from_environment(variable: &str, ordinary: u64) -> u64 {
    std::env::var(variable).map_or(ordinary, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
    })
}

/// Numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
