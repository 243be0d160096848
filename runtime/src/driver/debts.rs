//! In which wheels of other workers a worker has noted timers that it dropped ([`super::timers`]), and owes it to them to
//! take these out.
//!
//! 1. The worker adds the wheel whenever it has noted something there.
//! 2. At each of its looks, and before it sleeps, it takes all that it owes, and settles each.
//! 3. A helper that serves the worker, because it is stuck, does the same in its place.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::loom::atomic::AtomicU64;

/// What one worker owes to others.
#[derive(Debug)]
pub struct Debts {
    /// A bit for each shard.
    owed: AtomicU64,
}

/// Shards of a runtime, the first ones, in whose wheels others note anything.
const SHARDS_MAX: u32 = u64::BITS;

impl Default for Debts {
    fn default() -> Self {
        Self::new()
    }
}

impl Debts {
    /// Nothing is owed.
    pub fn new() -> Self {
        Self {
            owed: AtomicU64::new(0),
        }
    }

    /// Whether there is room for this shard.
    #[inline]
    pub fn may_be_to(shard: u32) -> bool {
        shard < SHARDS_MAX
    }

    /// Something was noted in the wheel of this shard, for which there is room. The owner's.
    #[inline]
    pub fn add(&self, shard: u32) {
        // Though the shard may be there already: Release publishes the newest note, to the Acquire in `take_all`.
        self.owed.fetch_or(1 << shard, Release);
    }

    /// Calls `settle` with each shard, and owes nothing more. The owner's, and helpers'.
    #[inline]
    pub fn take(&self, settle: impl FnMut(u32)) {
        if !self.is_empty() {
            self.take_all(settle);
        }
    }

    /// Whether nothing is owed. The owner's, and helpers'.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: who has added sees it; a helper comes again.
        self.owed.load(Relaxed) == 0
    }

    fn take_all(&self, mut settle: impl FnMut(u32)) {
        // Acquire: pairs with the Release in `add`.
        let mut owed = self.owed.swap(0, Acquire);
        while owed != 0 {
            settle(owed.trailing_zeros());
            owed &= owed - 1;
        }
    }
}
