//! `sleep`, `sleep_until` and `Sleep`, against a clock that is moved by hand.

use std::future::Future;
use std::task::Poll;

use crate::support::{
    self, FULL_BUDGET, Task, enter, ms, panic_of, pass, registered, stand, timers,
};
use ringway_timer::{Duration, Instant, Sleep, sleep, sleep_until};

/// Mutants it kills: `Timer::poll` that trusts a wake-up; `is_due` with `>`.
#[test]
fn a_sleep_is_ready_at_its_deadline_and_not_before() {
    enter();
    let mut task = Task::new(sleep(ms(100)));
    assert_eq!(task.poll(), Poll::Pending);
    pass(ms(100) - Duration::from_nanos(1));
    assert_eq!((task.wakes(), task.poll()), (0, Poll::Pending));
    pass(Duration::from_nanos(1));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
}

#[test]
fn the_time_runs_from_the_call_not_from_the_first_poll() {
    enter();
    let mut task = Task::new(sleep(ms(100)));
    pass(ms(100));
    assert_eq!(task.poll(), Poll::Ready(()));
}

/// Mutants it kills: `Timer::new` that registers; `poll` that registers before it looks at the clock.
#[test]
fn only_a_sleep_that_has_to_wait_takes_a_place_in_the_wheel() {
    enter();
    let mut waits = Task::new(sleep(ms(5)));
    let mut late = Task::new(sleep_until(Instant::now() - ms(5)));
    assert_eq!(registered(), 0);
    assert_eq!(late.poll(), Poll::Ready(()));
    assert_eq!(registered(), 0);
    assert_eq!(waits.poll(), Poll::Pending);
    assert_eq!(waits.poll(), Poll::Pending);
    assert_eq!(registered(), 1, "the second poll keeps the place");
}

/// Mutant it kills: no `Drop` for `Timer`.
#[test]
fn a_dropped_sleep_gives_its_place_back_and_wakes_nobody() {
    enter();
    let mut task = Task::new(sleep(ms(5)));
    assert_eq!(task.poll(), Poll::Pending);
    assert_eq!(timers(0), 1);
    let moved = task.future;
    drop(moved);
    assert_eq!(timers(0), 0);
}

/// Mutant it kills: `poll_due` without `deregister`.
#[test]
fn a_sleep_that_is_polled_late_but_before_its_timer_fires_gives_its_place_back() {
    enter();
    let mut task = Task::new(sleep(ms(5)));
    assert_eq!(task.poll(), Poll::Pending);
    stand(ms(6));
    assert_eq!(timers(0), 1);
    assert_eq!(task.poll(), Poll::Ready(()));
    assert_eq!(timers(0), 0);
    pass(ms(1));
    assert_eq!(task.wakes(), 0);
}

/// Mutant it kills: `poll` without `update`.
#[test]
fn the_task_of_the_last_poll_is_the_one_that_is_woken() {
    enter();
    let mut first = Task::new(sleep(ms(5)));
    assert_eq!(first.poll(), Poll::Pending);
    let witness = first.witness();
    let mut second = first.move_to_another_task();
    assert_eq!(second.poll(), Poll::Pending);
    pass(ms(5));
    assert_eq!((witness.wakes(), second.wakes(), registered()), (0, 1, 1));
    assert_eq!(second.poll(), Poll::Ready(()));
}

#[test]
fn a_sleep_that_has_ended_stays_ready() {
    enter();
    let mut task = Task::new(sleep(ms(5)));
    pass(ms(5));
    assert_eq!(task.poll(), Poll::Ready(()));
    assert_eq!(task.poll(), Poll::Ready(()));
    assert_eq!(timers(0), 0);
}

/// Mutant it kills: `reset` that only writes the deadline, or that gives the place back and waits for the next poll.
#[test]
fn a_reset_to_earlier_wakes_the_waiting_task_without_another_poll() {
    enter();
    let mut task = Task::new(sleep(ms(100)));
    assert_eq!(task.poll(), Poll::Pending);
    task.future.as_mut().reset(Instant::now() + ms(10));
    pass(ms(10));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
}

/// Mutant it kills: `reset` to later that leaves the entry where it is.
#[test]
fn a_reset_to_later_wakes_at_the_new_deadline_only() {
    enter();
    let mut task = Task::new(sleep(ms(10)));
    assert_eq!(task.poll(), Poll::Pending);
    task.future.as_mut().reset(Instant::now() + ms(100));
    pass(ms(99));
    assert_eq!((task.wakes(), task.poll()), (0, Poll::Pending));
    pass(ms(1));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
    assert_eq!(registered(), 1, "the place is moved, not taken anew");
}

#[test]
fn a_reset_between_the_wake_up_and_the_poll_waits_anew() {
    enter();
    let mut task = Task::new(sleep(ms(10)));
    assert_eq!(task.poll(), Poll::Pending);
    pass(ms(10));
    assert_eq!(task.wakes(), 1);
    task.future.as_mut().reset(Instant::now() + ms(10));
    assert_eq!(task.poll(), Poll::Pending);
    pass(ms(10));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
}

#[test]
fn a_reset_after_the_end_starts_anew() {
    enter();
    let mut task = Task::new(sleep(ms(10)));
    pass(ms(10));
    assert_eq!(task.poll(), Poll::Ready(()));
    let deadline = Instant::now() + ms(600);
    task.future.as_mut().reset(deadline);
    assert_eq!(task.future.deadline(), deadline);
    assert_eq!(task.poll(), Poll::Pending);
    pass(ms(600));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
}

#[test]
fn a_reset_into_the_past_is_ready_with_the_next_poll() {
    enter();
    let start = Instant::now();
    let mut task = Task::new(sleep(ms(100)));
    assert_eq!(task.poll(), Poll::Pending);
    pass(ms(50));
    task.future.as_mut().reset(start + ms(40));
    assert_eq!(task.poll(), Poll::Ready(()));
    assert_eq!(timers(0), 0);
}

/// Mutants it kills: `is_elapsed` by the clock alone; `is_elapsed` that does not become false by a reset.
#[test]
fn is_elapsed_is_false_before_the_first_poll_and_before_the_deadline() {
    enter();
    let mut task = Task::new(sleep_until(Instant::now()));
    assert!(!task.future.is_elapsed(), "not polled");
    assert_eq!(task.poll(), Poll::Ready(()));
    assert!(task.future.is_elapsed(), "polled at its deadline");
    task.future.as_mut().reset(Instant::now() + ms(5));
    assert!(!task.future.is_elapsed(), "reset");
    assert_eq!(task.poll(), Poll::Pending);
    assert!(!task.future.is_elapsed(), "waits");
    pass(ms(5));
    assert!(task.future.is_elapsed(), "fired");
}

/// Mutant it kills: `sleep` without `no_further_than_30_years`, which panics.
#[test]
fn the_longest_sleep_is_30_years() {
    enter();
    let start = Instant::now();
    for duration in [
        Duration::MAX,
        Duration::MAX - ms(1),
        Duration::from_secs(u64::MAX / 10),
    ] {
        let mut task = Task::new(sleep(duration));
        assert_eq!(
            task.future.deadline() - start,
            Duration::from_secs(30 * 365 * 86_400)
        );
        assert_eq!(task.poll(), Poll::Pending);
    }
}

/// A loop around a sleep of no time must let other tasks run. Mutant it kills: `poll` that does not charge.
#[test]
fn sleeps_of_no_time_in_a_row_give_way_when_the_budget_is_used_up() {
    enter();
    let mut task = Task::new(async {
        for _ in 0..2 * FULL_BUDGET + 1 {
            sleep(Duration::ZERO).await;
        }
    });
    for _ in 0..2 {
        assert!(task.poll().is_pending());
        assert_eq!(task.wakes(), 1, "whoever yields has to be polled again");
    }
    assert!(task.poll().is_ready());
    assert_eq!(registered(), 0);
}

/// Mutant it kills: charge for every poll, also of a sleep that has to wait.
#[test]
fn a_sleep_that_has_to_wait_needs_no_budget() {
    enter();
    let mut task = Task::new(sleep(ms(5)));
    task.with_context(|sleep, cx| {
        support::leave_budget(0);
        assert!(sleep.poll(cx).is_pending());
    });
    assert_eq!((task.wakes(), timers(0)), (0, 1));
    pass(ms(5));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
}

/// Mutant it kills: `arm` that asks for the runtime of the polling thread.
#[test]
fn a_sleep_waits_in_the_runtime_that_it_was_made_in() {
    enter();
    let mut task = Task::new(sleep(ms(5)));
    let another = support::enter_another();
    assert_eq!(task.poll(), Poll::Pending);
    assert_eq!((timers(0), timers(another)), (1, 0));
    support::leave("not in a runtime");
    let mut task = task.move_to_another_task();
    assert_eq!(task.poll(), Poll::Pending);
    pass(ms(5));
    assert_eq!((task.wakes(), task.poll()), (1, Poll::Ready(())));
}

#[test]
fn a_sleep_outlives_its_runtime_without_harm_unless_it_has_to_wait() {
    enter();
    let mut due = Task::new(sleep(ms(5)));
    let mut dropped = Task::new(sleep(ms(5)));
    assert_eq!((due.poll(), dropped.poll()), (Poll::Pending, Poll::Pending));
    support::shut_down(0);
    assert_eq!(
        (due.wakes(), dropped.wakes()),
        (1, 1),
        "all timers fire in the end"
    );
    dropped.future.as_mut().reset(Instant::now());
    drop(dropped);
    pass(ms(5));
    assert_eq!(due.poll(), Poll::Ready(()));
}

/// Mutants it kills: `Timer::new`, `sleep` or `sleep_until` without `track_caller`.
#[test]
fn a_sleep_without_timers_panics_as_in_tokio_and_blames_the_caller() {
    let made: [fn() -> Sleep; 2] = [|| sleep(ms(1)), || sleep_until(Instant::now())];
    for make in made {
        for reason in [support::NO_RUNTIME, support::NO_TIMERS] {
            support::leave(reason);
            assert_eq!(
                panic_of(|| drop(make())),
                (reason.to_string(), file!().to_string())
            );
        }
    }
}

#[test]
fn a_sleep_that_has_to_wait_in_a_runtime_that_has_shut_down_panics() {
    enter();
    let mut task = Task::new(sleep(ms(5)));
    support::shut_down(0);
    assert_eq!(
        panic_of(|| assert!(task.poll().is_ready())).0,
        support::SHUT_DOWN
    );
}

/// The destructor of a waker may drop another sleep of the same wheel. Mutant it kills: a source that drops the waker
/// within the lock, here a second borrow of the world.
#[test]
fn a_waker_that_owns_another_sleep_can_be_dropped_with_its_sleep() {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};

    struct Owner(#[expect(dead_code, reason = "dropped")] Mutex<Pin<Box<Sleep>>>);

    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }

    enter();
    let mut owned = Task::new(sleep(ms(5)));
    assert_eq!(owned.poll(), Poll::Pending);
    let waker = Waker::from(Arc::new(Owner(Mutex::new(owned.future))));
    let mut owner = Box::pin(sleep(ms(5)));
    assert!(Future::poll(owner.as_mut(), &mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(timers(0), 2);
    drop(owner);
    assert_eq!(timers(0), 0);
}

#[test]
fn instants_follow_the_clock_of_the_source() {
    enter();
    let start = Instant::now();
    pass(ms(7));
    assert_eq!(start.elapsed(), ms(7));
    assert_eq!(Instant::now() - start, ms(7));
}
