//! The timers of a shard: its wheel behind a lock, and what a sleeping worker was told about it.
//!
//! A timer lives in the wheel of the worker that first polled it. Making and dropping it there takes this
//! shard's lock, which others touch only when a timer's task has moved or its worker is stuck. Who inserts a
//! timer from outside that is due before the deadline with which the worker went to sleep must wake it:
//! deadline and wheel change under the same lock, so one of the two sees the other.

use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use ringway_timer::wheel::{Key, Progress, Update, Wheel};

use crate::loom::Mutex;
use crate::loom::atomic::AtomicU64;

/// The timers of one shard. Times are nanoseconds since the runtime's epoch.
#[derive(Debug)]
pub struct Timers {
    inner: Mutex<Inner>,
    /// A copy of the wheel's next deadline, so that whoever has nothing due takes no lock.
    next_ns: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    wheel: Wheel,
    asleep_until_ns: u64,
    closed: bool,
}

/// A reading of the runtime's clock.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Nanoseconds since the runtime's epoch.
    pub ns: u64,
    /// The clock is moved by hand, so that no tick is to be seen.
    pub exact: bool,
}

/// No deadline.
const NEVER_NS: u64 = u64::MAX;

/// A timer that was inserted.
#[derive(Debug)]
pub struct Inserted {
    /// Where it is.
    pub key: Key,
    /// The worker may be sleeping past the new deadline.
    pub before_sleeper: bool,
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// No timers, of a worker that sleeps for ever.
    pub fn new() -> Self {
        let inner = Inner {
            wheel: Wheel::new(),
            // Nobody looks at the wheel before the worker is woken.
            asleep_until_ns: NEVER_NS,
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            next_ns: AtomicU64::new(NEVER_NS),
        }
    }

    /// Inserts a timer; `None` after the shard was closed.
    pub fn insert(&self, deadline_ns: u64, waker: Waker) -> Option<Inserted> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return None;
        }
        let key = inner.wheel.insert(deadline_ns, waker);
        if deadline_ns < self.next_ns.load(Relaxed) {
            self.publish(&inner);
        }
        Some(Inserted {
            key,
            before_sleeper: deadline_ns < inner.asleep_until_ns,
        })
    }

    /// Stores another waker; `false` if the timer has fired.
    pub fn update(&self, key: Key, waker: &Waker) -> bool {
        let update = self.inner.lock().wheel.update(key, waker);
        // A replaced waker is dropped here, unlocked.
        !matches!(update, Update::Gone)
    }

    /// Moves a timer; `None` if it has fired, otherwise whether the worker may be sleeping past it.
    pub fn reset(&self, key: Key, deadline_ns: u64) -> Option<bool> {
        let mut inner = self.inner.lock();
        if !inner.wheel.reset(key, deadline_ns) {
            return None;
        }
        self.publish(&inner);
        Some(deadline_ns < inner.asleep_until_ns)
    }

    /// Removes a timer; its waker is to be dropped unlocked.
    pub fn remove(&self, key: Key) -> Option<Waker> {
        self.inner.lock().wheel.remove(key)
    }

    /// Collects the wakers of all timers that are due.
    pub fn fire(&self, now: Now, due: &mut Vec<Waker>) {
        // The copy is rounded up to a tick, which a clock that is moved by hand must not see.
        if !now.exact && now.ns < self.next_ns.load(Relaxed) {
            return;
        }
        loop {
            // Locked for one batch at a time, so that others get their turn.
            let mut inner = self.inner.lock();
            let progress = if now.exact {
                inner.wheel.advance_exact(now.ns, due)
            } else {
                inner.wheel.advance(now.ns, due)
            };
            self.publish(&inner);
            if progress == Progress::Done {
                return;
            }
        }
    }

    /// The deadline until which the worker may sleep, remembered for those who insert meanwhile.
    pub fn begin_sleep(&self) -> Option<u64> {
        let mut inner = self.inner.lock();
        let next = inner.wheel.next_deadline_ns();
        self.next_ns.store(next.unwrap_or(NEVER_NS), Relaxed);
        inner.asleep_until_ns = next.unwrap_or(NEVER_NS);
        next
    }

    /// The deadline to which a clock that is moved by hand may jump.
    pub fn next_deadline_exact_ns(&self) -> Option<u64> {
        self.inner.lock().wheel.next_deadline_exact_ns()
    }

    /// Whether there is no timer.
    pub fn is_empty(&self) -> bool {
        self.inner.lock().wheel.is_empty()
    }

    /// Refuses new timers and collects the wakers of all.
    pub fn close(&self, all: &mut Vec<Waker>) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.wheel.drain(all);
        self.publish(&inner);
    }

    fn publish(&self, inner: &Inner) {
        self.next_ns
            .store(inner.wheel.next_deadline_ns().unwrap_or(NEVER_NS), Relaxed);
    }
}
