//! Which reads and writes of a file may be tried at once, and when others get their turn.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::{AT_ONCE_STREAK_BYTES, AT_ONCE_STREAK_MAX};

/// Counts attempts up to a streak, after which the task yields, until it is shut for good: then nothing is tried.
///
/// The state is one word: the *credit* that is used up, in units of which a streak has [`FULL`], or [`SHUT`].
/// Tasks that share a file may race for it; then a streak is a little longer or shorter, which does not
/// matter, so all orderings are relaxed.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

const SHUT: u32 = u32::MAX;
/// A streak in bytes, each attempt counting as at least its share of it.
const FULL: u32 = AT_ONCE_STREAK_BYTES as u32;
const ATTEMPT_MIN: u32 = FULL / AT_ONCE_STREAK_MAX;

impl Gate {
    pub(crate) fn new(open: bool) -> Self {
        Self(AtomicU32::new(if open { 0 } else { SHUT }))
    }

    /// Whether the streak may go on. When it has ended a new one begins, but first others get their turn.
    pub(crate) fn admits(&self) -> bool {
        let used = self.0.load(Ordering::Relaxed);
        let is_full = used != SHUT && used >= FULL;
        if is_full {
            self.0.store(0, Ordering::Relaxed);
        }
        !is_full
    }

    /// An attempt moved so many bytes.
    pub(crate) fn charge(&self, bytes: usize) {
        let used = self.0.load(Ordering::Relaxed);
        if used != SHUT {
            let cost = u32::try_from(bytes)
                .unwrap_or(FULL)
                .clamp(ATTEMPT_MIN, FULL);
            self.0
                .store(used.saturating_add(cost).min(FULL), Ordering::Relaxed);
        }
    }

    /// The attempt had to wait, so the task has: a new streak begins.
    pub(crate) fn rest(&self) {
        if self.0.load(Ordering::Relaxed) != SHUT {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// Whether nothing is to be tried at once.
    pub(crate) fn is_shut(&self) -> bool {
        self.0.load(Ordering::Relaxed) == SHUT
    }

    /// This file never answers at once.
    pub(crate) fn shut(&self) {
        self.0.store(SHUT, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: `admits` that never resets or never refuses.
    #[test]
    fn a_streak_of_small_reads_ends_and_a_new_one_begins() {
        let gate = Gate::new(true);
        for round in 0..3 {
            let mut admitted = 0;
            while gate.admits() {
                gate.charge(1);
                admitted += 1;
            }
            assert_eq!(admitted, AT_ONCE_STREAK_MAX, "in round {round}");
        }
    }

    #[test]
    fn large_reads_use_a_streak_up_sooner() {
        let gate = Gate::new(true);
        gate.charge(usize::MAX);
        assert!(!gate.admits());
        assert!(gate.admits());
    }

    #[test]
    fn a_shut_gate_stays_shut() {
        let gate = Gate::new(true);
        gate.shut();
        gate.charge(1);
        gate.rest();
        assert!(gate.is_shut() && gate.admits(), "there is no streak to end");
        assert!(Gate::new(false).is_shut());
    }
}
