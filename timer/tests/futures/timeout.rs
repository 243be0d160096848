//! `timeout`, `timeout_at` and `Timeout`.

use std::future::{Future, Ready, pending, poll_fn, ready};
use std::io;
use std::task::Poll;

use ringway_timer::error::Elapsed;
use ringway_timer::{Duration, Instant, Timeout, timeout, timeout_at};

use crate::support::{self, Task, enter, ms, panic_of, pass, registered, timers};

/// Mutant it kills: `Timeout::poll` that looks at the clock first.
#[test]
fn a_value_that_is_there_wins_over_a_deadline_that_has_passed() {
    enter();
    let mut task = Task::new(timeout_at(Instant::now() - ms(1_000), ready(7)));
    assert_eq!(task.poll(), Poll::Ready(Ok(7)));
    let mut task = Task::new(timeout(Duration::ZERO, async { 8 }));
    assert_eq!(task.poll(), Poll::Ready(Ok(8)));
    assert_eq!(registered(), 0);
}

#[test]
fn a_deadline_that_comes_first_is_an_error_and_wakes_the_task() {
    enter();
    let mut task = Task::new(timeout(ms(300), pending::<()>()));
    assert!(task.poll().is_pending());
    pass(ms(299));
    assert_eq!((task.wakes(), task.poll().is_pending()), (0, true));
    pass(ms(1));
    assert_eq!(task.wakes(), 1);
    let Poll::Ready(Err(elapsed)) = task.poll() else {
        panic!("the deadline has come")
    };
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
    assert_eq!(io::Error::from(elapsed).kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_deadline_of_now_is_an_error_at_the_first_poll_that_has_no_value() {
    enter();
    let mut task = Task::new(timeout_at(Instant::now(), pending::<()>()));
    assert!(matches!(task.poll(), Poll::Ready(Err(Elapsed { .. }))));
}

#[test]
fn a_value_in_time_leaves_no_timer_behind() {
    enter();
    let mut is_there = false;
    let mut task = Task::new(timeout(
        ms(5),
        poll_fn(|_| {
            if std::mem::replace(&mut is_there, true) {
                Poll::Ready(1)
            } else {
                Poll::Pending
            }
        }),
    ));
    assert_eq!(task.poll(), Poll::Pending);
    assert_eq!(timers(0), 1);
    assert_eq!(task.poll(), Poll::Ready(Ok(1)));
    drop(task);
    assert_eq!(timers(0), 0);
}

/// Mutant it kills: `timeout` that adds the duration unchecked.
#[test]
fn a_duration_beyond_the_clock_means_no_deadline() {
    enter();
    let mut task = Task::new(timeout(Duration::MAX, pending::<()>()));
    assert!(task.poll().is_pending());
    pass(Duration::from_secs(10 * 365 * 86_400));
    assert!(task.poll().is_pending());
    assert_eq!(registered(), 0);
}

#[test]
fn the_future_can_be_looked_at_and_taken_back() {
    enter();
    let mut timed: Timeout<Ready<i32>> = timeout(ms(5), ready(3));
    assert!(format!("{:?}", timed.get_ref()).contains('3'));
    *timed.get_mut() = ready(4);
    assert_eq!(timed.into_inner().into_inner(), 4);
}

/// Mutants it kills: `timeout` with `map`, or without `track_caller`.
#[test]
fn a_timeout_without_timers_panics_as_in_tokio_and_blames_the_caller() {
    let made: [fn(); 2] = [
        || drop(timeout(ms(1), pending::<()>())),
        || drop(timeout_at(Instant::now(), pending::<()>())),
    ];
    for make in made {
        support::leave(support::NO_TIMERS);
        assert_eq!(
            panic_of(make),
            (support::NO_TIMERS.to_string(), file!().to_string())
        );
    }
}

/// A future that uses up the budget in each poll, and never ends, is timed out all the same. One that finds no budget
/// leaves none for its deadline: others run first.
///
/// Mutant it kills: `poll_delay` that always charges.
#[test]
fn a_future_that_eats_the_budget_does_not_outlive_its_deadline() {
    enter();
    let greedy = || {
        poll_fn(|_| {
            support::leave_budget(0);
            Poll::<()>::Pending
        })
    };
    let mut task = Task::new(timeout(ms(5), greedy()));
    assert!(task.poll().is_pending());
    pass(ms(5));
    assert!(matches!(task.poll(), Poll::Ready(Err(_))));
    let mut task = Task::new(timeout(Duration::ZERO, greedy()));
    task.with_context(|timeout, cx| {
        support::leave_budget(0);
        assert!(timeout.poll(cx).is_pending());
    });
    assert_eq!(task.wakes(), 1);
}
