//! The one place where timers meet a runtime.
//!
//! This crate has wheels and futures, but no thread, no lock and no clock of its own. Whoever has them
//! implements [`TimerSource`] and hands it in once, with [`install`]; from then on every future of this crate
//! goes through it.
//!
//! Rules for an implementation:
//!
//! 1. Every method may be called on any thread, also on one that belongs to no runtime, also while the runtime
//!    of a [`Registration`] shuts down or is long gone, and also inside the destructor of a waker.
//! 2. No user code runs while a lock is held: neither `wake` nor the destructor of a waker. So a waker that
//!    leaves a wheel is woken or dropped after the lock is given back.
//! 3. What a caller did wrong comes back as `Err` with the text to panic with, and is not a panic in the source:
//!    a call through `dyn` would lose the caller's place, and the message would blame a line of the runtime.
//! 4. `register` and `reset` see to it that a thread which sleeps past the new deadline is woken.

use std::fmt;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::wheel::Key;

/// Where an armed timer lives: the runtime, the shard within it, and the entry in the wheel of that shard.
///
/// It stays valid as a *name* for ever: when the timer has fired or its runtime is gone, the methods of
/// [`TimerSource`] say so instead of touching somebody else's timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The id of the runtime, as [`TimerSource::check`] gave it.
    pub runtime: u32,
    /// The shard whose wheel holds the entry.
    pub shard: u32,
    /// The entry in that wheel.
    pub key: Key,
}

/// A runtime's clocks and wheels, as timers see them. The rules are in the documentation of [this module](self).
pub trait TimerSource: Sync + 'static {
    /// The id of the runtime that the calling thread is in, in which a timer made now will live.
    ///
    /// # Errors
    ///
    /// The text to panic with when there is no runtime on this thread, or it was built without timers.
    fn check(&self) -> Result<u32, &'static str>;

    /// The present time: that of the paused clock of this thread's runtime, if it has one, otherwise the
    /// system's. Works on every thread.
    fn now(&self) -> Instant;

    /// Whether `deadline` has come, for a timer that would otherwise wait. A source that has read the clock lately may
    /// spare itself another look: it may say yes of what was due by then, and no of what was still far off, whose timer
    /// it then fires. Of a timer that has fired the clock is asked.
    fn is_due(&self, deadline: Instant) -> bool {
        self.now() >= deadline
    }

    /// Arms a timer in `runtime`: in the shard of the calling thread if it is a worker of that runtime.
    /// `waker` is woken once, not before `deadline`.
    ///
    /// # Errors
    ///
    /// The text to panic with when `runtime` has shut down.
    fn register(
        &self,
        runtime: u32,
        deadline: Instant,
        waker: &Waker,
    ) -> Result<Registration, &'static str>;

    /// Has the timer wake `waker` from now on. `false`: it has fired, or its runtime is gone; register again if
    /// the deadline is still to come.
    fn update(&self, registration: &Registration, waker: &Waker) -> bool;

    /// Moves an armed timer to another deadline, earlier or later, and leaves its waker as it is. `false`: it has
    /// fired, or its runtime is gone.
    fn reset(&self, registration: &Registration, deadline: Instant) -> bool;

    /// Disarms a timer. Nothing happens if it has fired already or its runtime is gone.
    fn deregister(&self, registration: Registration);

    /// Takes a unit of the task's cooperative budget, for a timer that is due. Pending: there is none left, and the
    /// task was woken.
    fn poll_charge(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether the task that this thread polls has budget left.
    fn has_budget(&self) -> bool;

    /// Stops the clock of this thread's runtime.
    ///
    /// # Errors
    ///
    /// The text to panic with: no runtime here, a runtime that cannot be paused, or one that is.
    fn pause(&self) -> Result<(), &'static str>;

    /// Lets the clock of this thread's runtime go on from where it stands.
    ///
    /// # Errors
    ///
    /// The text to panic with: no runtime here, or its clock runs.
    fn resume(&self) -> Result<(), &'static str>;

    /// Moves the stopped clock of this thread's runtime on by `by`, and fires what is due by then (before it
    /// returns, or at the latest before a task that yields once is polled again).
    ///
    /// # Errors
    ///
    /// The text to panic with: no runtime here, or its clock runs.
    fn advance(&self, by: Duration) -> Result<(), &'static str>;
}

impl fmt::Debug for dyn TimerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimerSource")
    }
}

/// Makes `source` the source of all timers of this process. The first caller wins; later calls do nothing.
pub fn install(source: &'static dyn TimerSource) {
    // Losing against an earlier call is what is promised, hence no error.
    let _ = SOURCE.set(source);
}

/// The installed source, or `None` in a program that has not built a runtime yet.
pub(crate) fn source() -> Option<&'static dyn TimerSource> {
    SOURCE.get().copied()
}

/// What a timer panics with on a thread without a runtime.
pub(crate) const NO_RUNTIME: &str =
    "there is no reactor running, must be called from the context of a Tokio 1.x runtime";

static SOURCE: OnceLock<&'static dyn TimerSource> = OnceLock::new();
