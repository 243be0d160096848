//! A small generator for where to begin stealing: xorshift64*, after Marsaglia, "Xorshift RNGs" (2003).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Fast and not for secrets.
#[derive(Debug)]
pub(crate) struct FastRand(u64);

impl FastRand {
    /// A generator with a random seed.
    pub(crate) fn new() -> Self {
        // The standard library's hash keys are the process's own random numbers.
        Self(RandomState::new().build_hasher().finish() | 1)
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
