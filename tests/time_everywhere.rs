//! Timers wherever futures are polled, moved, dropped and kept: local sets, foreign threads, ended runtimes; and far
//! deadlines, storms of resets, loops of `select!`, queues.

mod support;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use ringway::runtime::{Handle, LocalRuntime};
use ringway::sync::mpsc;
use ringway::task::{self, LocalSet, block_in_place, coop, spawn_blocking, spawn_local};
use ringway::time::{
    self, DelayQueue, Instant, MissedTickBehavior, Sleep, advance, interval, sleep, sleep_until,
    timeout, timeout_at,
};

use support::{
    WATCHDOG, count, current_thread, everywhere, panic_text, paused, text_of, wait_until, within,
    workers,
};

/// An upper bound for what is awaited soon; generous, for the machine has other things to do.
const SOON: Duration = Duration::from_secs(5);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A sleep, a timeout that is needed and one that is not, ticks, and a queue.
async fn all_kinds() {
    let start = Instant::now();
    sleep(ms(2)).await;
    timeout(ms(2), pending::<()>()).await.expect_err("never");
    timeout(SOON, sleep(ms(1))).await.expect("in time");
    let mut ticks = interval(ms(1));
    for _ in 0..3 {
        ticks.tick().await;
    }
    let mut queue = DelayQueue::new();
    queue.insert("element", ms(1));
    let expired = queue.next().await.expect("one element");
    assert_eq!(expired.into_inner(), "element");
    assert!(queue.next().await.is_none());
    assert!(start.elapsed() >= ms(8), "early");
}

#[test]
fn all_kinds_of_timers_work_wherever_a_future_is_polled() {
    everywhere(all_kinds);
    within(WATCHDOG, || {
        let runtime = current_thread();
        LocalSet::new().block_on(&runtime, async {
            all_kinds().await;
            spawn_local(all_kinds()).await.expect("a local task");
        });
        let local = LocalRuntime::new().expect("a runtime");
        local.block_on(async { spawn_local(all_kinds()).await.expect("a local task") });

        let runtime = workers(2);
        runtime.block_on(async {
            spawn_blocking(|| Handle::current().block_on(all_kinds()))
                .await
                .expect("a job");
            let in_place = ringway::spawn(async {
                block_in_place(|| Handle::current().block_on(all_kinds()));
            });
            in_place.await.expect("it blocked in place");
        });
        let handle = runtime.handle().clone();
        std::thread::spawn(move || handle.block_on(all_kinds()))
            .join()
            .expect("a thread that is no worker");
    });
}

fn poll_once(timer: &mut Pin<Box<Sleep>>) -> Poll<()> {
    timer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// In a debug build the end of the runtime fails if a timer is left in a wheel.
///
/// Mutant: `Timer` does not give its place back when it is dropped.
#[test]
fn timers_that_are_dropped_on_foreign_threads_leave_nothing_behind() {
    within(WATCHDOG, || {
        for runtime in [workers(2), current_thread()] {
            let timers = runtime.block_on(async {
                let tasks: Vec<_> = (0..8)
                    .map(|_| {
                        ringway::spawn(async {
                            let mut timers: Vec<_> =
                                (0..100).map(|_| Box::pin(sleep(SOON * 100))).collect();
                            assert!(timers.iter_mut().all(|timer| poll_once(timer).is_pending()));
                            timers
                        })
                    })
                    .collect();
                let mut timers = Vec::new();
                for task in tasks {
                    timers.push(task.await.expect("it made timers"));
                }
                timers
            });
            let mut threads: Vec<_> = timers
                .into_iter()
                .map(|timers| std::thread::spawn(move || drop(timers)))
                .collect();
            let kept = {
                let _entered = runtime.enter();
                let mut kept = Box::pin(sleep(SOON * 100));
                assert!(poll_once(&mut kept).is_pending());
                kept
            };
            threads.drain(..).for_each(|thread| {
                thread.join().expect("it dropped timers");
            });
            drop(runtime);
            drop(kept);
        }
    });
}

#[test]
fn a_timer_whose_runtime_has_ended_is_ready_if_it_is_due_and_panics_if_it_would_have_to_wait() {
    within(WATCHDOG, || {
        for runtime in [workers(1), current_thread()] {
            let (mut due, mut fresh, mut polled) = {
                let _entered = runtime.enter();
                let due = Box::pin(sleep(ms(1)));
                let mut polled = Box::pin(sleep(SOON * 100));
                assert!(poll_once(&mut polled).is_pending());
                (due, Box::pin(sleep(SOON * 100)), polled)
            };
            drop(runtime);
            std::thread::sleep(ms(2));
            assert!(poll_once(&mut due).is_ready());
            for timer in [&mut fresh, &mut polled] {
                let text = panic_text(|| {
                    let _ = poll_once(timer);
                });
                assert_eq!(
                    text,
                    "A Tokio 1.x context was found, but it is being shutdown."
                );
            }
            polled.as_mut().reset(Instant::now());
            assert!(poll_once(&mut polled).is_ready());
        }
        let text = panic_text(|| drop(sleep(ms(1))));
        assert!(text.starts_with("there is no reactor running"), "{text}");
    });
}

#[test]
fn durations_of_any_length_are_no_trouble() {
    everywhere(|| async {
        let long = [
            Duration::MAX,
            Duration::from_secs(u64::MAX / 2),
            SOON * 1_000_000_000,
        ];
        for duration in long {
            let mut sleeper = Box::pin(sleep(duration));
            assert!(poll_once(&mut sleeper).is_pending());
            assert!(timeout(duration, sleep(ms(1))).await.is_ok());
            let mut ticks = interval(duration);
            ticks.tick().await;
            assert!(timeout(ms(1), ticks.tick()).await.is_err());
            ticks.reset_after(duration);
            assert!(timeout(ms(1), ticks.tick()).await.is_err());
            sleeper.as_mut().reset(Instant::now() + ms(1));
            sleeper.as_mut().await;
        }
        // Further than the wheels count.
        let far = Instant::now() + Duration::from_secs(1 << 40);
        assert!(timeout(ms(1), sleep_until(far)).await.is_err());
        assert!(timeout_at(far, sleep(ms(1))).await.is_ok());
    });
}

/// Timers are reset to earlier and later by other threads than those that wait for them: in the end each is ready, at the
/// last of its deadlines and not before.
///
/// Mutants: a reset to earlier from outside does not wake the sleeper; a timer that has fired is not taken up again.
#[test]
fn timers_that_are_reset_by_other_threads_end_at_their_last_deadline() {
    const TIMERS: usize = 32;
    let resets = count("RINGWAY_TEST_TIMER_RESETS", 4_000);
    for runtime in [workers(2), current_thread()] {
        within(WATCHDOG, move || {
            let timers: Arc<Vec<_>> = {
                let _entered = runtime.enter();
                let timer = || Mutex::new(Box::pin(sleep(SOON * 100)));
                Arc::new((0..TIMERS).map(|_| timer()).collect())
            };
            let tasks: Vec<_> = (0..TIMERS)
                .map(|which| {
                    let timers = Arc::clone(&timers);
                    runtime.spawn(poll_fn(move |cx| {
                        let mut timer = timers[which].lock().expect("nobody panics with it");
                        let ready = timer.as_mut().poll(cx);
                        let early = ready.is_ready() && Instant::now() < timer.deadline();
                        assert!(!early, "early");
                        ready
                    }))
                })
                .collect();
            let threads: Vec<_> = (0..3)
                .map(|seed| {
                    let timers = Arc::clone(&timers);
                    let handle = runtime.handle().clone();
                    std::thread::spawn(move || {
                        let _entered = handle.enter();
                        storm(&timers, seed, resets);
                    })
                })
                .collect();
            runtime.block_on(async {
                for task in tasks {
                    task.await.expect("it is ready in the end");
                }
            });
            for thread in threads {
                thread.join().expect("it reset timers");
            }
        });
    }
}

fn storm(timers: &[Mutex<Pin<Box<Sleep>>>], seed: u64, resets: usize) {
    let mut number = seed;
    let mut below = |bound: u64| {
        number = number.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (number >> 33) % bound
    };
    for _ in 0..resets {
        let which = below(timers.len() as u64) as usize;
        // Half a second at least: so no task is done before the last resets.
        let ahead = ms(500) + Duration::from_micros(below(100_000_000));
        let mut timer = timers[which].lock().expect("nobody panics with it");
        timer.as_mut().reset(Instant::now() + ahead);
    }
    for timer in timers {
        let mut timer = timer.lock().expect("nobody panics with it");
        timer.as_mut().reset(Instant::now() + ms(1));
    }
}

/// Mutant: the deadline is looked at within the budget that the future has used up.
#[test]
fn a_future_that_is_always_ready_again_does_not_outlast_its_timeout() {
    everywhere(|| async {
        let rounds = AtomicUsize::new(0);
        let greedy = async {
            loop {
                coop::consume_budget().await;
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        };
        let start = Instant::now();
        timeout(ms(5), greedy).await.expect_err("it never ends");
        assert!(start.elapsed() >= ms(5));
        assert!(
            rounds.load(Ordering::Relaxed) > 128,
            "it went on after a yield"
        );
        // One that never returns from its poll is over when it does.
        let blocking = async { std::thread::sleep(ms(10)) };
        timeout(ms(1), blocking).await.expect("the value wins");
    });
}

/// Timers live through the rounds of a loop, and those of one round only are dropped.
#[test]
fn loops_of_select_lose_no_tick_no_message_and_no_deadline() {
    async fn serve() {
        let start = Instant::now();
        let (sender, mut receiver) = mpsc::channel(1);
        let producer = ringway::spawn(async move {
            for number in 0..20 {
                sleep(ms(3)).await;
                sender.send(number).await.expect("somebody receives");
            }
        });
        let mut end = std::pin::pin!(sleep(ms(100)));
        let mut ticks = interval(ms(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut received, mut ticked, mut idle) = (0, 0, 0);
        loop {
            ringway::select! {
                () = &mut end => break,
                tick = ticks.tick() => {
                    assert_eq!(tick - start, ms(10) * ticked, "a tick is late or lost");
                    ticked += 1;
                }
                Some(number) = receiver.recv() => {
                    assert_eq!(number, received);
                    received += 1;
                }
                () = sleep(SOON) => idle += 1,
            }
        }
        assert_eq!((start.elapsed(), idle), (ms(100), 0));
        // The end and the eleventh tick are due at once, and either may come first.
        assert!((10..=11).contains(&ticked), "{ticked} ticks");
        assert_eq!(received, 20);
        producer.await.expect("it has sent all");
    }
    within(WATCHDOG, || paused().block_on(serve()));
}

#[test]
fn a_queue_gives_what_is_due_in_order_while_others_fill_it() {
    everywhere(|| async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        ringway::spawn(async move {
            for number in 0..300_u64 {
                sender
                    .send(number * 7919 % 20_000)
                    .expect("somebody receives");
                if number % 50 == 0 {
                    sleep(ms(1)).await;
                }
            }
        });
        let mut queue = DelayQueue::new();
        let (mut came, mut open) = (0, true);
        while open || !queue.is_empty() {
            ringway::select! {
                more = receiver.recv(), if open => match more {
                    Some(micros) => {
                        let deadline = Instant::now() + Duration::from_micros(micros);
                        let key = queue.insert_at(deadline, deadline);
                        assert_eq!(queue.deadline(&key), deadline);
                    }
                    None => open = false,
                },
                Some(expired) = queue.next() => {
                    assert_eq!(expired.deadline(), *expired.get_ref());
                    assert!(Instant::now() >= expired.deadline(), "early");
                    came += 1;
                }
            }
        }
        assert_eq!(came, 300);
    });
}

/// tokio's words, wherever the clock is misused.
#[test]
fn a_clock_that_is_misused_says_so() {
    let outside = "time cannot be frozen from outside the Tokio runtime";
    for misuse in [time::pause, time::resume] {
        assert_eq!(panic_text(misuse), outside);
    }
    let runtime = paused();
    assert_eq!(
        panic_text(time::pause),
        outside,
        "there is a runtime, but not here"
    );
    let misused = |future: Pin<Box<dyn Future<Output = ()> + Send>>| {
        let error = runtime
            .block_on(runtime.spawn(future))
            .expect_err("it panics");
        text_of(error.into_panic())
    };
    let too_far = "overflow when adding duration to instant";
    assert_eq!(misused(Box::pin(advance(Duration::MAX))), too_far);
    let misuse = async {
        time::resume();
        advance(ms(1)).await;
    };
    assert_eq!(misused(Box::pin(misuse)), "time is not frozen");
}

/// A clock that stands waits for operations on files, as it waits for the blocking jobs that they are in tokio.
///
/// Mutant: the operations do not count.
#[test]
fn no_time_passes_while_an_operation_on_a_file_is_awaited() {
    use ringway::fs::{self, OpenOptions};
    use ringway::io::AsyncWriteExt;
    within(WATCHDOG, || {
        let folder = tempfile::tempdir().expect("a folder");
        paused().block_on(async {
            let impatient = Duration::from_nanos(1);
            let path = folder.path().join("file");
            for _ in 0..20 {
                let start = Instant::now();
                let work = async {
                    let mut file = OpenOptions::new()
                        .create(true)
                        .append(true)
                        .open(&path)
                        .await?;
                    file.write_all(&[7; 100_000]).await?;
                    file.sync_all().await?;
                    fs::metadata(&path).await?;
                    fs::read(&path).await
                };
                let read = timeout(impatient, work).await.expect("no time has passed");
                assert!(read.expect("the file").len() >= 100_000);
                assert_eq!(start.elapsed(), Duration::ZERO);
            }
        });
    });
}

/// What fires at once keeps no other task from its turn, and all of it fires.
#[test]
fn a_hundred_thousand_timers_at_one_instant_do_not_hold_up_others_for_long() {
    let timers = count("RINGWAY_TEST_TIMERS_AT_ONCE", 100_000);
    within(WATCHDOG, move || {
        let runtime = workers(2);
        let fired = Arc::new(AtomicUsize::new(0));
        let deadline = {
            let _entered = runtime.enter();
            Instant::now() + ms(400)
        };
        for _ in 0..timers {
            let fired = Arc::clone(&fired);
            runtime.spawn(async move {
                sleep_until(deadline).await;
                assert!(Instant::now() >= deadline);
                fired.fetch_add(1, Ordering::Relaxed);
            });
        }
        runtime
            .block_on(runtime.spawn(async move {
                while Instant::now() < deadline + ms(50) {
                    task::yield_now().await;
                }
            }))
            .expect("it had its turns");
        wait_until("all fired", || fired.load(Ordering::Relaxed) == timers);
    });
}
