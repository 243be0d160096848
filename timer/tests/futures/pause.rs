//! `pause`, `resume` and `advance`.

use std::task::Poll;

use ringway_timer::{Instant, advance, pause, resume, sleep};

use crate::support::{self, Task, enter, ms, panic_of};

/// Mutants it kills: `pause` or `resume` without `track_caller`.
#[test]
fn wrong_use_panics_with_the_text_of_the_source_and_blames_the_caller() {
    let here = |text: &str| (text.to_string(), file!().to_string());
    enter();
    let resumed = panic_of(|| {
        resume();
    });
    assert_eq!(resumed, here(support::IS_RUNNING));
    pause();
    let paused = panic_of(|| {
        pause();
    });
    assert_eq!(paused, here(support::IS_PAUSED));
    resume();
    let (advanced, _) = panic_of(|| {
        let _ = Task::new(advance(ms(1))).poll();
    });
    assert_eq!(advanced, support::IS_RUNNING);
}

#[test]
fn an_advance_that_is_not_polled_moves_no_clock() {
    enter();
    pause();
    let start = Instant::now();
    drop(advance(ms(5)));
    assert_eq!(Instant::now(), start);
}

/// Mutants it kills: `advance` that does not yield, and one that yields without waking.
#[test]
fn advance_moves_the_clock_at_once_and_yields_once() {
    enter();
    pause();
    let start = Instant::now();
    let mut sleeper = Task::new(sleep(ms(5)));
    assert_eq!(sleeper.poll(), Poll::Pending);

    let mut task = Task::new(advance(ms(5)));
    assert_eq!((task.poll(), task.wakes()), (Poll::Pending, 1));
    assert_eq!((start.elapsed(), sleeper.wakes()), (ms(5), 1));
    assert_eq!((task.poll(), task.wakes()), (Poll::Ready(()), 0));
    assert_eq!(start.elapsed(), ms(5), "the second poll moves nothing");
    assert_eq!(sleeper.poll(), Poll::Ready(()));
}
