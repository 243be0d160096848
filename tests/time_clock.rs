//! Intervals, and the clock that stands still until there is nothing left to do but to wait.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringway::net::{TcpListener, TcpStream};
use ringway::task::{spawn_blocking, yield_now};
use ringway::time::{
    self, Instant, MissedTickBehavior, advance, interval, interval_at, sleep, timeout,
};

use support::{WATCHDOG, panic_text, paused, within, workers};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs `body` on a clock that stands, and bounds the real time that it takes.
fn on_a_paused_clock<F: Future<Output = ()> + Send + 'static>(body: F) {
    within(WATCHDOG, move || paused().block_on(body));
}

#[test]
fn a_day_passes_at_once_and_exactly() {
    on_a_paused_clock(async {
        let start = Instant::now();
        sleep(Duration::from_secs(86_400)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(86_400));
        sleep(Duration::from_nanos(1)).await;
        assert_eq!(start.elapsed(), Duration::from_nanos(86_400_000_000_001));
    });
}

/// As in tokio. They are moved from list to list on their way to their deadline, some at a time.
///
/// Mutants, of the clock that is moved by hand: `empty` takes them from both ends of a list; `Timers::fire` prepares others, which
/// takes them from both ends, too.
#[test]
fn timers_that_are_due_at_the_same_time_fire_in_the_order_in_which_they_were_made() {
    const TIMERS: u64 = 100;
    on_a_paused_clock(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..TIMERS)
            .map(|number| {
                let order = Arc::clone(&order);
                ringway::spawn(async move {
                    // Some are due before, on whose occasion others are moved.
                    let seconds = [100, 3, 96, 100][number as usize % 4];
                    sleep(Duration::from_secs(seconds)).await;
                    order.lock().unwrap().push((seconds, number));
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("its timer fires");
        }
        let order = order.lock().unwrap();
        assert_eq!(order.len() as u64, TIMERS);
        assert!(order.is_sorted(), "{order:?}");
    });
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    on_a_paused_clock(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [50, 10, 40, 20, 30, 10]
            .into_iter()
            .map(|millis| {
                let order = Arc::clone(&order);
                ringway::spawn(async move {
                    sleep(ms(millis)).await;
                    order.lock().expect("nobody panics with it").push(millis);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("its timer fires");
        }
        assert_eq!(
            *order.lock().expect("nobody panics with it"),
            [10, 10, 20, 30, 40, 50]
        );
    });
}

/// The clock does not move as long as a task is ready, a blocking job runs, or bytes are on their way.
///
/// Mutants: the clock moves while the pool has a job; it moves when the root yields.
#[test]
fn the_clock_waits_for_tasks_and_blocking_jobs() {
    on_a_paused_clock(async {
        let start = Instant::now();
        let timer = ringway::spawn(sleep(ms(1)));
        for _ in 0..1000 {
            yield_now().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        let job = spawn_blocking(|| std::thread::sleep(ms(30)));
        job.await.expect("the job");
        assert_eq!(start.elapsed(), Duration::ZERO, "the job ran meanwhile");
        timer.await.expect("the timer");
        assert_eq!(start.elapsed(), ms(1));
    });
}

#[test]
fn advance_moves_the_clock_by_hand_and_fires_what_is_due() {
    on_a_paused_clock(async {
        let fired = Arc::new(AtomicUsize::new(0));
        for millis in [10, 20, 30] {
            let fired = Arc::clone(&fired);
            ringway::spawn(async move {
                sleep(ms(millis)).await;
                fired.fetch_add(1, Ordering::Relaxed);
            });
        }
        yield_now().await;
        let start = Instant::now();
        advance(ms(25)).await;
        assert_eq!(start.elapsed(), ms(25));
        yield_now().await;
        assert_eq!(fired.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn pause_and_resume_tell_those_who_misuse_them() {
    on_a_paused_clock(async {
        assert_eq!(panic_text(time::pause), "time is already frozen");
        time::resume();
        assert_eq!(panic_text(time::resume), "time is not frozen");
        let start = std::time::Instant::now();
        sleep(ms(5)).await;
        assert!(start.elapsed() >= ms(5), "the clock runs again");
        time::pause();
    });
    workers(1).block_on(async {
        let text = panic_text(time::pause);
        assert!(
            text.starts_with("`time::pause()` requires the `current_thread` Tokio runtime."),
            "{text}"
        );
    });
}

/// Sockets go on while the clock stands.
#[test]
fn sockets_work_on_a_clock_that_stands() {
    use ringway::io::{AsyncReadExt, AsyncWriteExt};
    on_a_paused_clock(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let server = ringway::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut byte = [0];
            stream.read_exact(&mut byte).await.expect("a byte");
            stream.write_all(&byte).await.expect("the peer reads");
        });
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"x").await.expect("the peer reads");
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a byte");
        server.await.expect("the server");
        assert_eq!(byte, *b"x");
    });
}

#[test]
fn an_interval_ticks_at_once_and_then_every_period() {
    on_a_paused_clock(async {
        let start = Instant::now();
        let mut ticks = interval(ms(10));
        for number in 0..5 {
            assert_eq!(ticks.tick().await - start, ms(10 * number));
            assert_eq!(start.elapsed(), ms(10 * number));
        }
        let mut late = interval_at(start + ms(100), ms(7));
        assert_eq!(late.tick().await - start, ms(100));
        assert_eq!(late.tick().await - start, ms(107));
        assert_eq!(late.period(), ms(7));
    });
    let runtime = paused();
    let _entered = runtime.enter();
    assert_eq!(
        panic_text(|| drop(interval(Duration::ZERO))),
        "`period` must be non-zero."
    );
}

#[test]
fn missed_ticks_come_as_their_behaviour_says() {
    let expected = [
        (MissedTickBehavior::Burst, [50, 100, 150, 200, 250]),
        (MissedTickBehavior::Delay, [50, 100, 270, 320, 370]),
        (MissedTickBehavior::Skip, [50, 100, 250, 300, 350]),
    ];
    for (behaviour, times) in expected {
        on_a_paused_clock(async move {
            let start = Instant::now();
            let mut ticks = interval_at(start + ms(50), ms(50));
            ticks.set_missed_tick_behavior(behaviour);
            assert_eq!(ticks.missed_tick_behavior(), behaviour);
            let mut seen = vec![ticks.tick().await];
            sleep(ms(170)).await;
            for _ in 0..4 {
                seen.push(ticks.tick().await);
            }
            let seen: Vec<_> = seen.into_iter().map(|tick| tick - start).collect();
            assert_eq!(seen, times.map(ms), "{behaviour:?}");
        });
    }
}

#[test]
fn a_reset_interval_starts_anew() {
    on_a_paused_clock(async {
        let start = Instant::now();
        let mut ticks = interval(ms(100));
        ticks.tick().await;
        sleep(ms(30)).await;
        ticks.reset();
        assert_eq!(ticks.tick().await - start, ms(130));
        ticks.reset_immediately();
        assert_eq!(ticks.tick().await - start, ms(130));
        ticks.reset_after(ms(5));
        assert_eq!(ticks.tick().await - start, ms(135));
        ticks.reset_at(start + ms(200));
        assert_eq!(ticks.tick().await - start, ms(200));
        assert_eq!(ticks.tick().await - start, ms(300));
    });
}

/// A timeout that is dropped and one that fires, in the same tick of a standing clock.
#[test]
fn timeouts_are_exact_on_a_clock_that_stands() {
    on_a_paused_clock(async {
        let start = Instant::now();
        let inner = timeout(ms(20), sleep(ms(10)));
        assert!(timeout(ms(15), inner).await.expect("in time").is_ok());
        assert_eq!(start.elapsed(), ms(10));
        assert!(timeout(ms(5), sleep(ms(6))).await.is_err());
        assert_eq!(start.elapsed(), ms(15));
    });
}
