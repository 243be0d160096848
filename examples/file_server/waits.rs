//! What a connection waits for beside its peer: a deadline, and the stop of the server.
//!
//! Both stay registered with the connection's task from one wait to the next. So a wait that begins when neither can have come
//! need not ask them: each would take a lock that connections share, once for each request. What comes later wakes the
//! task, and from then on they are asked.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ringway::task::coop;
use ringway::time::{Instant, Sleep};

pub(crate) struct Waits<'a, S> {
    /// Goes off at the deadline or earlier; only then is it set to the deadline. So a busy connection does not touch the
    /// timers of the runtime.
    timer: Pin<&'a mut Sleep>,
    /// Completes when the server stops.
    stopping: Pin<&'a mut S>,
    /// Whom both will wake, since the timer was last set.
    registered: Option<Waker>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    TimedOut,
    Stopping,
}

impl<'a, S: Future> Waits<'a, S> {
    /// `stopping` completes once, and is not asked again then.
    pub(crate) fn new(timer: Pin<&'a mut Sleep>, stopping: Pin<&'a mut S>) -> Self {
        Waits {
            timer,
            stopping,
            registered: None,
        }
    }

    /// The next wait ends at `deadline` at the latest.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        if self.timer.deadline() > deadline {
            self.reset(deadline);
        }
    }

    /// Whether the task will be woken by whatever comes, without another look: both were registered, and the timer's
    /// deadline had not come at `now`. That is a moment of this poll of the task: a wake that came before it, and which may be
    /// used up, was not the timer's. Whether the server stops is for the caller to say, by a look after that moment.
    pub(crate) fn will_wake(&self, context: &Context<'_>, now: Instant) -> bool {
        self.is_registered(context) && now < self.timer.deadline()
    }

    /// Asks both, the stop only if it is heeded now.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        deadline: Instant,
        heeds_stop: bool,
    ) -> Poll<Cause> {
        if heeds_stop && self.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Cause::Stopping);
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Cause::TimedOut);
            }
            self.reset(deadline);
        }
        if heeds_stop {
            self.note_registered(context);
        }
        Poll::Pending
    }

    /// Both have said that they will wake the task of `context`; or, where its budget is used up, nothing.
    fn note_registered(&mut self, context: &Context<'_>) {
        if !coop::has_budget_remaining() {
            self.registered = None;
        } else if !self.is_registered(context) {
            self.registered = Some(context.waker().clone());
        }
    }

    fn is_registered(&self, context: &Context<'_>) -> bool {
        let registered = self.registered.as_ref();
        registered.is_some_and(|waker| waker.will_wake(context.waker()))
    }

    fn reset(&mut self, deadline: Instant) {
        self.timer.as_mut().reset(deadline);
        self.registered = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, pending, poll_fn};
    use std::pin::pin;
    use std::time::Duration;

    use ringway::time::sleep_until;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Runs `test` in a poll of a task, with a timer that is set for [`LONG`] and a stop that never comes.
    fn in_task(test: impl Fn(&mut Context<'_>, &mut Waits<'_, Pending<()>>)) {
        let mut builder = ringway::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let timer = pin!(sleep_until(Instant::now() + LONG));
            let stopping = pin!(pending());
            let mut waits = Waits::new(timer, stopping);
            poll_fn(|context| {
                test(context, &mut waits);
                Poll::Ready(())
            })
            .await;
        });
    }

    fn ask(context: &mut Context<'_>, waits: &mut Waits<'_, Pending<()>>, heeds_stop: bool) {
        let deadline = Instant::now() + LONG;
        assert!(waits.poll(context, deadline, heeds_stop).is_pending());
    }

    /// Mutants: take who was asked once for registered, whoever asks now; do not look at the time.
    #[test]
    fn who_was_asked_by_a_task_wakes_it_until_the_deadline() {
        in_task(|context, waits| {
            let now = Instant::now();
            assert!(!waits.will_wake(context, now), "nobody was asked");
            ask(context, waits, true);
            assert!(waits.will_wake(context, now));
            assert!(
                !waits.will_wake(context, now + 2 * LONG),
                "it may have come"
            );
            let another = Context::from_waker(Waker::noop());
            assert!(!waits.will_wake(&another, now));
        });
    }

    /// Mutant: take a timer that was set anew for registered.
    #[test]
    fn an_earlier_deadline_is_registered_anew() {
        in_task(|context, waits| {
            ask(context, waits, true);
            waits.set_deadline(Instant::now() + 2 * LONG);
            assert!(waits.will_wake(context, Instant::now()), "not touched");
            waits.set_deadline(Instant::now() + LONG / 2);
            assert!(!waits.will_wake(context, Instant::now()));
            ask(context, waits, true);
            assert!(waits.will_wake(context, Instant::now()));
        });
    }

    /// Mutant: take the stop for registered though it was not asked.
    #[test]
    fn a_wait_that_does_not_heed_the_stop_does_not_register_it() {
        in_task(|context, waits| {
            ask(context, waits, false);
            assert!(!waits.will_wake(context, Instant::now()));
        });
    }

    /// Mutant: do not look at the budget.
    #[test]
    fn who_is_asked_without_budget_registers_nobody() {
        in_task(|context, waits| {
            while coop::poll_charge(context).is_ready() {}
            ask(context, waits, true);
            assert!(!waits.will_wake(context, Instant::now()));
        });
    }

    #[test]
    fn an_early_timer_is_set_to_the_deadline_and_a_late_one_ends_the_wait() {
        in_task(|context, waits| {
            waits.set_deadline(Instant::now());
            ask(context, waits, true);
            assert!(waits.timer.deadline() > Instant::now());
            let past = Instant::now();
            waits.set_deadline(past);
            let ended = waits.poll(context, past, true);
            assert_eq!(ended, Poll::Ready(Cause::TimedOut));
        });
    }
}
