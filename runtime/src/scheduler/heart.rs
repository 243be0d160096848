//! A worker's heartbeat: when it last looked at its shard, and whether it fell asleep then. One that stands still under a
//! worker that is awake tells the monitor that the worker is stuck.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The last beat. Written by whoever runs the worker's core, read by the monitor.
#[derive(Debug)]
pub(super) struct Heart(AtomicU64);

/// One beat: nanoseconds since the runtime's epoch, of which 2^63 are 292 years, and [`LAST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat(u64);

/// The last one before a sleep.
const LAST: u64 = 1;

impl Heart {
    /// That of a worker that sleeps.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(LAST))
    }

    /// The worker looks at its shard.
    pub(super) fn beat(&self, at_ns: u64) {
        // Relaxed, here and below: the monitor acts on nothing but the change.
        self.0.store(at_ns << 1, Relaxed);
    }

    /// The worker falls asleep.
    pub(super) fn rest(&self, at_ns: u64) {
        self.0.store(at_ns << 1 | LAST, Relaxed);
    }

    /// The last beat.
    pub(super) fn last_beat(&self) -> Beat {
        Beat(self.0.load(Relaxed))
    }
}

impl Beat {
    /// Whether the worker fell asleep after it.
    pub(super) fn is_last(self) -> bool {
        self.0 & LAST != 0
    }

    /// When it was, in nanoseconds since the runtime's epoch.
    pub(super) fn at_ns(self) -> u64 {
        self.0 >> 1
    }

    /// The beat as a number, to be told from others.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }
}
