//! A small generator for where to begin stealing: xorshift64*, after Marsaglia, "Xorshift RNGs" (2003).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// What the random numbers of a runtime begin with. See [`crate::Builder::rng_seed`].
///
/// ```
/// use ringway_runtime::{Builder, RngSeed};
///
/// let runtime = Builder::new_current_thread()
///     .rng_seed(RngSeed::from_bytes(b"the same every time"))
///     .build()?;
/// # drop(runtime);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RngSeed(u64);

impl RngSeed {
    /// A seed that depends on nothing but the bytes: the same on every machine and in every version.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // FNV-1a, of which these two numbers are the definition.
        let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self(hash)
    }
}

/// Fast and not for secrets.
#[derive(Debug)]
pub(crate) struct FastRand(u64);

impl FastRand {
    /// A generator with a random seed.
    pub(crate) fn new() -> Self {
        // The standard library's hash keys are the process's own random numbers.
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    /// The generator of one of the workers of a runtime with a seed.
    pub(crate) fn seeded(seed: &RngSeed, worker: usize) -> Self {
        // One step of splitmix64 (Steele, Lea, Flood, 2014), so that neighbours' sequences have nothing in common.
        let mut mixed = seed
            .0
            .wrapping_add((worker as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        (high as usize * bound) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(seed: &[u8], worker: usize) -> Vec<usize> {
        let mut rand = FastRand::seeded(&RngSeed::from_bytes(seed), worker);
        (0..64).map(|_| rand.below(1 << 20)).collect()
    }

    /// Mutants: the seed is hashed with random keys; the worker's number is not mixed in.
    #[test]
    fn a_seed_gives_each_worker_a_sequence_of_its_own_which_is_always_the_same() {
        assert_eq!(sequence(b"seed", 0), sequence(b"seed", 0));
        assert_ne!(sequence(b"seed", 0), sequence(b"seed", 1));
        assert_ne!(sequence(b"seed", 0), sequence(b"Seed", 0));
        assert_eq!(RngSeed::from_bytes(b"a").0, 0xAF63_DC4C_8601_EC8C);
    }
}
