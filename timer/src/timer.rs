//! What every future of this crate waits with: a deadline, and a place in a wheel while it waits.
//!
//! 1. The clock decides whether the deadline has come, never a wake-up.
//! 2. A place is taken by the first poll that has to wait. It is kept by later polls, which only see to it that
//!    the right task is woken, and by a reset, which moves it: whoever was to be woken at the old deadline is
//!    woken at the new one, without another poll.
//! 3. It is given back when the deadline has come, and on drop, from whatever thread that happens on.
//! 4. A timer belongs to the runtime in which it was made, and waits there wherever it is polled.

use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::Instant;
use crate::seam::{self, NO_RUNTIME, Registration, TimerSource};

#[derive(Debug)]
pub(crate) struct Timer {
    deadline: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Neither polled nor reset yet: it has not elapsed, whatever the clock says.
    Fresh { runtime: u32 },
    /// In no wheel: either the deadline has come, or it was reset and nobody waits.
    Idle { runtime: u32 },
    /// In a wheel, unless it has fired since.
    Armed(Registration),
}

impl Timer {
    /// A timer in the runtime of this thread.
    ///
    /// # Panics
    ///
    /// Without a runtime, or with one that has no timers.
    #[track_caller]
    pub(crate) fn new(deadline: Instant) -> Timer {
        match seam::source().map_or(Err(NO_RUNTIME), |source| source.check()) {
            Ok(runtime) => Timer {
                deadline,
                state: State::Fresh { runtime },
            },
            Err(message) => panic!("{message}"),
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the deadline has come and the timer has been polled or reset.
    pub(crate) fn is_elapsed(&self) -> bool {
        !matches!(self.state, State::Fresh { .. }) && self.is_due()
    }

    /// Waits for another deadline from now on. Takes no place in a wheel if it has none.
    pub(crate) fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        match self.state {
            // If it has fired, its task is on the way to poll it again, and will take a place then.
            State::Armed(registration) if source().reset(&registration, deadline.into_std()) => {}
            _ => {
                self.state = State::Idle {
                    runtime: self.runtime(),
                }
            }
        }
    }

    /// Takes a unit of the task's budget when it is due, so that a task that sleeps for no time in a loop returns to
    /// its worker now and then.
    ///
    /// # Panics
    ///
    /// If it has to wait and its runtime has shut down.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_to_wait(cx.waker()) {
            return Poll::Pending;
        }
        ready!(source().poll_charge(cx));
        self.finish()
    }

    /// As [`Self::poll`], whatever budget the task has left.
    pub(crate) fn poll_unconstrained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_to_wait(cx.waker()) {
            return Poll::Pending;
        }
        self.finish()
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Whether the deadline is still to come. If so `waker` is woken when it has.
    fn has_to_wait(&mut self, waker: &Waker) -> bool {
        if source().is_due(self.deadline.into_std()) {
            return false;
        }
        if let State::Armed(registration) = self.state {
            if source().update(&registration, waker) {
                return true;
            }
            // It may have fired since the source has looked at the clock, while the task holds its thread up; a source that
            // does not look again must not be asked for ever.
            if self.is_due() {
                return false;
            }
        }
        self.arm(waker);
        true
    }

    fn finish(&mut self) -> Poll<()> {
        if let State::Armed(registration) = self.state {
            source().deregister(registration);
        }
        self.state = State::Idle {
            runtime: self.runtime(),
        };
        Poll::Ready(())
    }

    fn arm(&mut self, waker: &Waker) {
        match source().register(self.runtime(), self.deadline.into_std(), waker) {
            Ok(registration) => self.state = State::Armed(registration),
            Err(message) => panic!("{message}"),
        }
    }

    fn runtime(&self) -> u32 {
        match self.state {
            State::Fresh { runtime } | State::Idle { runtime } => runtime,
            State::Armed(registration) => registration.runtime,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let State::Armed(registration) = self.state {
            source().deregister(registration);
        }
    }
}

/// Takes a unit of the task's budget. Pending: there is none left, and the task was woken.
pub(crate) fn poll_charge(cx: &mut Context<'_>) -> Poll<()> {
    source().poll_charge(cx)
}

/// `duration`, or 30 years if it is longer: so far off that no program sees it, and near enough that every clock can
/// add it to the present.
pub(crate) fn no_further_than_30_years(duration: Duration) -> Duration {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    duration.min(THIRTY_YEARS)
}

fn source() -> &'static dyn TimerSource {
    seam::source().expect("there is one: it was asked when the timer was made")
}
