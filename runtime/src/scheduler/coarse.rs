//! A clock that costs one load to read: whole milliseconds, as old as the last time somebody looked at the real one.
//!
//! The monitor brings it up to date at every look, and a worker whenever it looks at its shard and when it wakes. So
//! while any worker of a multi-thread runtime is awake, it is some 2 ms behind at most. In a current-thread runtime
//! without a monitor (see [`super::watchdog`]) it stands still during a poll.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The clock. On a line of its own, which is written a thousand times a second and read all the time.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CoarseClock {
    epoch: Instant,
    /// Milliseconds since the epoch, modulo 2^32: 49 days.
    ms: AtomicU32,
}

impl CoarseClock {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            ms: AtomicU32::new(0),
        }
    }

    /// Milliseconds since the epoch, at the last [`Self::set`].
    #[inline]
    pub(crate) fn ms(&self) -> u32 {
        // Relaxed, here and below: only the number counts.
        self.ms.load(Relaxed)
    }

    /// The real clock shows `now`.
    #[inline]
    pub(crate) fn set(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.epoch).as_millis() as u32;
        if ms != self.ms() {
            self.ms.store(ms, Relaxed);
        }
    }

    /// Nanoseconds from the epoch to `now`.
    #[inline]
    pub(super) fn ns_of(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// When so many nanoseconds had passed since the epoch.
    pub(super) fn instant_of(&self, ns: u64) -> Instant {
        self.epoch + Duration::from_nanos(ns)
    }

    /// Brings the clock up to date, and reads it.
    pub(crate) fn now_ms(&self) -> u32 {
        self.set(Instant::now());
        self.ms()
    }
}
