//! The runtime's clock: the system's monotonic one, or one that a test moves by hand.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use crate::driver::Now;

/// Nanoseconds since the runtime's epoch.
///
/// Every thread may read it. Those that stop it, move it or let it go on take turns: they have the lock of
/// `Standstill`. Who is woken because of a change sees it, by whatever woke it.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    is_pausable: bool,
    /// Where a paused clock stands; [`RUNS`] otherwise.
    stands_at_ns: AtomicU64,
    /// What a clock that was paused and resumed is behind the system's; modulo 2^64, since one that was moved on by
    /// hand may be ahead.
    lag_ns: AtomicU64,
}

const RUNS: u64 = u64::MAX;

impl Clock {
    /// A clock that runs.
    pub(crate) fn new(is_pausable: bool) -> Self {
        Self {
            epoch: Instant::now(),
            is_pausable,
            stands_at_ns: AtomicU64::new(RUNS),
            lag_ns: AtomicU64::new(0),
        }
    }

    /// Whether it may be paused at all.
    pub(crate) fn is_pausable(&self) -> bool {
        self.is_pausable
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.stands_at_ns.load(Relaxed) != RUNS
    }

    pub(crate) fn now(&self) -> Now {
        self.at(Instant::now())
    }

    /// What this clock shows when the system's shows `system`.
    pub(crate) fn at(&self, system: Instant) -> Now {
        // Acquire: pairs with the Release in `resume`, so that the lag is that of this run.
        match self.stands_at_ns.load(Acquire) {
            RUNS => Now {
                ns: self.ns_of(system).wrapping_sub(self.lag_ns.load(Relaxed)),
                exact: false,
            },
            ns => Now { ns, exact: true },
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.now().ns)
    }

    /// An instant as nanoseconds since the epoch; those before it are zero.
    pub(crate) fn ns_of(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Stops the clock; `false` if it stands already.
    pub(crate) fn pause(&self) -> bool {
        let paused = !self.is_paused();
        if paused {
            self.stands_at_ns.store(self.now().ns, Relaxed);
        }
        paused
    }

    /// Lets the clock go on from where it stands; `false` if it runs already.
    pub(crate) fn resume(&self) -> bool {
        let stood_at = self.stands_at_ns.load(Relaxed);
        if stood_at == RUNS {
            return false;
        }
        let lag_ns = self.system_ns().wrapping_sub(stood_at);
        self.lag_ns.store(lag_ns, Relaxed);
        // Release: publishes the lag to the Acquire in `at`.
        self.stands_at_ns.store(RUNS, Release);
        true
    }

    /// Moves a paused clock on; `false` if it cannot count so far.
    pub(crate) fn advance(&self, by: Duration) -> bool {
        let now = self.now().ns;
        let by = u64::try_from(by.as_nanos()).ok();
        let to = by.and_then(|by| now.checked_add(by));
        to.filter(|to| *to != RUNS)
            .map(|to| self.advance_to(to))
            .is_some()
    }

    /// Moves a paused clock on to `ns`.
    pub(crate) fn advance_to(&self, ns: u64) {
        self.stands_at_ns
            .store(ns.min(RUNS - 1).max(self.now().ns), Relaxed);
    }

    fn system_ns(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos())
            .expect("a process does not run for 584 years")
    }
}
