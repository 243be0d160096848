//! `interval`, `interval_at`, `Interval` and `MissedTickBehavior`.

use std::pin::pin;
use std::task::Poll;

use MissedTickBehavior::{Burst, Delay, Skip};
use ringway_timer::{Duration, Instant, Interval, MissedTickBehavior, interval, interval_at};

use crate::support::{self, Task, enter, ms, panic_of, pass, registered, timers};

/// An interval with the time of its first tick, which has been taken.
struct Ticks {
    start: Instant,
    task: Task<Interval>,
}

impl Ticks {
    fn new(period: Duration, behavior: MissedTickBehavior) -> Ticks {
        enter();
        let start = Instant::now();
        let mut interval = interval_at(start, period);
        interval.set_missed_tick_behavior(behavior);
        assert_eq!(interval.missed_tick_behavior(), behavior);
        let mut ticks = Ticks {
            start,
            task: Task::new(interval),
        };
        assert_eq!(ticks.due(), [0]);
        ticks
    }

    /// The ticks that are to be had now, in milliseconds since the start.
    fn due(&mut self) -> Vec<u64> {
        let mut due = Vec::new();
        while let Poll::Ready(tick) = self.task.with_context(|mut it, cx| it.poll_tick(cx)) {
            due.push((tick - self.start).as_millis() as u64);
        }
        due
    }

    /// Lets time pass up to `millis` since the start, and says which ticks are to be had then.
    fn due_at(&mut self, millis: u64) -> Vec<u64> {
        pass(ms(millis) - self.start.elapsed());
        self.due()
    }
}

/// Mutants it kills: any swap of two arms of `next`; `Skip` without the remainder; `next_after` without the bound of
/// 5 ms.
#[test]
fn missed_ticks_are_made_up_for_as_the_behavior_says() {
    // At which times somebody asks, and which ticks are there.
    type Asked = &'static [(u64, &'static [u64])];
    let table: [(MissedTickBehavior, Asked); 7] = [
        (
            Burst,
            &[
                (50, &[50]),
                (220, &[100, 150, 200]),
                (249, &[]),
                (250, &[250]),
                (300, &[300]),
            ],
        ),
        (
            Delay,
            &[
                (50, &[50]),
                (220, &[100]),
                (269, &[]),
                (270, &[270]),
                (320, &[320]),
            ],
        ),
        (
            Skip,
            &[
                (50, &[50]),
                (220, &[100]),
                (249, &[]),
                (250, &[250]),
                (300, &[300]),
            ],
        ),
        // On a planned time, Skip waits for the next one.
        (
            Skip,
            &[(50, &[50]), (200, &[100]), (249, &[]), (250, &[250])],
        ),
        // A little late is not missed.
        (Delay, &[(55, &[50]), (99, &[]), (100, &[100])]),
        (Skip, &[(55, &[50]), (99, &[]), (100, &[100])]),
        (Delay, &[(56, &[50]), (105, &[]), (106, &[106])]),
    ];
    for (behavior, asked) in table {
        let mut ticks = Ticks::new(ms(50), behavior);
        for &(at, expected) in asked {
            assert_eq!(ticks.due_at(at), expected, "{behavior:?} asked at {at}");
        }
    }
}

/// Mutant it kills: `Timer::reset` that takes a place.
#[test]
fn a_tick_that_was_taken_plans_the_next_but_does_not_wake_for_it() {
    enter();
    let mut task = Task::new(interval(ms(10)));
    assert!(task.with_context(|mut it, cx| it.poll_tick(cx)).is_ready());
    pass(ms(10));
    assert_eq!((task.wakes(), registered()), (0, 0));
    assert!(task.with_context(|mut it, cx| it.poll_tick(cx)).is_ready());
    assert!(
        task.with_context(|mut it, cx| it.poll_tick(cx))
            .is_pending()
    );
    pass(ms(10));
    assert_eq!((task.wakes(), registered()), (1, 1));
}

#[test]
fn a_dropped_tick_is_not_lost() {
    enter();
    let start = Instant::now();
    let mut interval = interval(ms(10));
    let mut first = Task::new(async { interval.tick().await });
    assert_eq!(first.poll(), Poll::Ready(start));
    drop(first);
    let mut second = Task::new(async { interval.tick().await });
    assert_eq!(second.poll(), Poll::Pending);
    drop(second);
    let mut third = Task::new(async { interval.tick().await });
    pass(ms(10));
    assert_eq!(third.poll(), Poll::Ready(start + ms(10)));
}

#[test]
fn a_reset_plans_the_next_tick_and_those_after_it() {
    type Reset = fn(&mut Interval);
    let table: [(Reset, &[u64]); 5] = [
        (Interval::reset, &[700, 1_000]),
        (Interval::reset_immediately, &[400, 700]),
        (|it| it.reset_after(ms(20)), &[420, 720]),
        (|it| it.reset_at(Instant::now() + ms(40)), &[440, 740]),
        (
            |it| it.reset_at(Instant::now() + ms(1_000)),
            &[1_400, 1_700],
        ),
    ];
    for (reset, expected) in table {
        let mut ticks = Ticks::new(ms(300), Burst);
        assert_eq!(ticks.due_at(300), [300]);
        assert_eq!(ticks.due_at(400), []);
        reset(&mut ticks.task.future);
        let mut seen = Vec::new();
        for at in (400..2_000).step_by(10) {
            seen.extend(ticks.due_at(at));
        }
        assert_eq!(seen[..2], *expected);
    }
}

#[test]
fn the_longest_period_is_30_years_and_no_reset_overflows() {
    const YEARS_30: Duration = Duration::from_secs(30 * 365 * 86_400);
    enter();
    let start = Instant::now();
    let mut task = Task::new(interval(Duration::MAX));
    assert_eq!(task.future.period(), YEARS_30);
    assert_eq!(
        task.with_context(|mut it, cx| it.poll_tick(cx)),
        Poll::Ready(start)
    );
    assert!(
        task.with_context(|mut it, cx| it.poll_tick(cx))
            .is_pending()
    );
    task.future.reset();
    task.future.reset_after(Duration::MAX);
    assert_eq!(timers(0), 1);
    pass(YEARS_30);
    assert_eq!(
        task.with_context(|mut it, cx| it.poll_tick(cx)),
        Poll::Ready(start + YEARS_30)
    );
}

/// Mutant it kills: `poll_tick` whose ticks never give way.
#[test]
fn a_long_burst_gives_way_now_and_then() {
    let mut ticks = Ticks::new(ms(1), Burst);
    pass(ms(1_000));
    assert_eq!(ticks.task.wakes(), 1, "for the first of them");
    let got = ticks.due();
    assert!(got.len() < 1_000, "all in one go");
    assert_eq!(ticks.task.wakes(), 1);
    support::refill_budget();
    assert_eq!(
        ticks.due().first(),
        Some(&(got.len() as u64 + 1)),
        "and loses none"
    );
}

/// Mutants it kills: `interval` or `interval_at` without `track_caller`; no check of the period.
#[test]
fn an_interval_without_a_period_or_without_timers_panics_and_blames_the_caller() {
    let zero = "`period` must be non-zero.";
    let no_runtime = support::NO_RUNTIME;
    let table: [(fn(), &str, &str); 4] = [
        (|| drop(interval(Duration::ZERO)), no_runtime, zero),
        (
            || drop(interval_at(Instant::now(), Duration::ZERO)),
            no_runtime,
            zero,
        ),
        (|| drop(interval(ms(1))), no_runtime, no_runtime),
        (
            || drop(interval_at(Instant::now(), ms(1))),
            no_runtime,
            no_runtime,
        ),
    ];
    for (make, reason, text) in table {
        support::leave(reason);
        assert_eq!(panic_of(make), (text.to_string(), file!().to_string()));
    }
}

#[test]
fn a_tick_is_a_future_that_needs_no_box() {
    enter();
    let mut interval = interval(ms(3));
    let start = Instant::now();
    let tick = pin!(interval.tick());
    let mut task = Task::new(tick);
    assert_eq!(task.poll(), Poll::Ready(start));
}
