//! Sleeps and timeouts on a clock that runs: never early, never lost.

mod support;

use std::future::{Future, pending, poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use ringway::sync::oneshot;
use ringway::task::yield_now;
use ringway::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};

use support::{WATCHDOG, count, current_thread, everywhere, within, workers};

/// An upper bound for what is awaited soon; generous, for the machine has other things to do.
const SOON: Duration = Duration::from_secs(5);

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

#[test]
fn a_sleep_is_never_early() {
    everywhere(|| async {
        for micros in [0, 1, 10, 16, 17, 100, 999, 1000, 5000, 20_000] {
            let wanted = Duration::from_micros(micros);
            let start = Instant::now();
            sleep(wanted).await;
            let took = start.elapsed();
            assert!(took >= wanted, "{took:?} instead of {wanted:?}");
            assert!(took < SOON, "{took:?} instead of {wanted:?}");
        }
    });
}

/// Mutants: a deadline is rounded down to the tick; a timer that another worker made is not seen by its sleeper.
#[test]
fn ten_thousand_random_timers_fire_none_early_and_none_lost() {
    let timers = count("RINGWAY_TEST_TIMERS", 10_000);
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            runtime.block_on(async move {
                let mut numbers = Numbers(timers as u64);
                let early = Arc::new(AtomicUsize::new(0));
                let tasks: Vec<_> = (0..timers)
                    .map(|_| {
                        let wanted = Duration::from_micros(numbers.below(300_000));
                        let early = Arc::clone(&early);
                        ringway::spawn(async move {
                            let deadline = Instant::now() + wanted;
                            sleep_until(deadline).await;
                            early.fetch_add(
                                usize::from(Instant::now() < deadline),
                                Ordering::Relaxed,
                            );
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.expect("its timer fires");
                }
                assert_eq!(early.load(Ordering::Relaxed), 0);
            });
        });
    }
}

/// Made here, dropped, reset and awaited there: the wheels are shared by workers and threads.
///
/// Mutant: an earlier deadline that comes from outside does not wake the sleeper.
#[test]
fn timers_that_are_reset_dropped_and_moved_between_tasks_fire_when_they_should() {
    let rounds = count("RINGWAY_TEST_TIMER_MOVES", 300);
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            runtime.block_on(async move {
                let tasks: Vec<_> = (0..rounds)
                    .map(|number| ringway::spawn(pass_a_timer_around(number as u64)))
                    .collect();
                for task in tasks {
                    task.await.expect("its timer fires");
                }
            });
        });
    }
}

async fn pass_a_timer_around(number: u64) {
    let mut numbers = Numbers(number);
    let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
    for _ in 0..5 {
        poll_once(&mut timer).await;
        let task = ringway::spawn(async move {
            poll_once(&mut timer).await;
            [timer]
        });
        [timer] = task.await.expect("the task that has the timer");
        let another = Box::pin(sleep(Duration::from_micros(numbers.below(2_000))));
        drop(std::mem::replace(&mut timer, another));
        poll_once(&mut timer).await;
        let deadline = Instant::now() + Duration::from_micros(numbers.below(3_000));
        timer.as_mut().reset(deadline);
        timer.as_mut().await;
        assert!(Instant::now() >= deadline, "early");
        timer.as_mut().reset(Instant::now() + SOON);
    }
}

async fn poll_once(timer: &mut std::pin::Pin<Box<Sleep>>) {
    poll_fn(|cx| {
        let _ = timer.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// A worker sleeps for long; a timer from outside must not wait for that.
///
/// Mutant: `before_sleeper` is ignored.
#[test]
fn a_short_sleep_on_another_thread_does_not_wait_for_a_worker_that_sleeps_long() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let long = runtime.spawn(async { sleep(Duration::from_secs(3600)).await });
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        runtime.block_on(async { sleep(Duration::from_millis(5)).await });
        assert!(start.elapsed() < SOON);
        long.abort();
    });
}

#[test]
fn a_timeout_gives_the_value_or_says_that_time_has_elapsed() {
    everywhere(|| async {
        assert_eq!(timeout(SOON, ready(1)).await, Ok(1));
        let start = Instant::now();
        let error = timeout(Duration::from_millis(5), pending::<()>()).await;
        assert_eq!(
            error.expect_err("it never ends").to_string(),
            "deadline has elapsed"
        );
        assert!(start.elapsed() >= Duration::from_millis(5));
        // What is ready wins, though the time is over.
        assert_eq!(timeout(Duration::ZERO, ready(2)).await, Ok(2));
        assert_eq!(timeout_at(Instant::now() + SOON, ready(3)).await, Ok(3));
        assert!(timeout(Duration::MAX, ready(4)).await.is_ok());
    });
}

#[test]
fn a_timeout_that_is_not_needed_takes_its_timer_back() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let start = Instant::now();
        runtime.block_on(async {
            for _ in 0..10_000 {
                let (tell, told) = oneshot::channel();
                ringway::spawn(async move { tell.send(()).expect("the root waits") });
                timeout(Duration::from_secs(60), told)
                    .await
                    .expect("in time")
                    .expect("it is told");
            }
        });
        drop(runtime);
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn extreme_deadlines_are_no_trouble() {
    everywhere(|| async {
        sleep_until(Instant::now()).await;
        sleep_until(Instant::now() - Duration::from_millis(1)).await;
        let far = ringway::spawn(async { sleep(Duration::MAX).await });
        yield_now().await;
        assert!(!far.is_finished());
        far.abort();
        assert!(far.await.expect_err("aborted").is_cancelled());
    });
}

/// All at once: nobody else is kept from running for long.
#[test]
fn fifty_thousand_timers_at_one_instant_all_fire() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        runtime.block_on(async {
            let deadline = Instant::now() + Duration::from_millis(300);
            let tasks: Vec<_> = (0..50_000)
                .map(|_| ringway::spawn(sleep_until(deadline)))
                .collect();
            for task in tasks {
                task.await.expect("its timer fires");
            }
            assert!(Instant::now() >= deadline);
        });
    });
}
