//! Time that passes while nobody looks: a process that is stopped, and deadlines at the end of time.
//!
//! The clock is `CLOCK_MONOTONIC`, as of [`std::time::Instant`] and so of tokio: it goes on while the process is stopped,
//! and stands while the machine is suspended. What was due meanwhile fires as soon as the process goes on, once, in a
//! bounded number of steps; nothing fires twice, and nothing early.

mod support;

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringway::task::yield_now;
use ringway::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};

use rustix::process::{Pid, Signal, kill_process};

use support::{WATCHDOG, count, wait_until, within, workers};

/// How long the child is stopped, in milliseconds, unless the environment says otherwise.
const STOPPED_MS: usize = 1_500;
/// Timers that become due meanwhile.
const TIMERS: usize = 10_000;
/// Tells the child what it is.
const CHILD: &str = "RINGWAY_TEST_STOPPED_CHILD";
/// What became due while the process was stopped has fired so soon after, on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(5);

/// Thousands of timers become due, level after level of the wheel, while the process is stopped.
#[test]
fn timers_that_become_due_while_the_process_is_stopped_fire_when_it_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        return be_stopped();
    }
    let stopped = Duration::from_millis(count("RINGWAY_TEST_STOPPED_MS", STOPPED_MS) as u64);
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["timers_that_become_due", "--nocapture"])
        .env(CHILD, "1")
        .spawn()
        .expect("this program once more");
    thread::sleep(stopped / 3);
    signal(&child, Signal::STOP);
    thread::sleep(stopped);
    signal(&child, Signal::CONT);
    let deadline = Instant::now() + WATCHDOG;
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("our child");
            panic!("it never ended");
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
}

fn signal(child: &Child, signal: Signal) {
    // It has not been waited for, so its number is its own.
    kill_process(Pid::from_child(child), signal).expect("our child");
}

/// The child: it sees the time jump, and what fires then.
fn be_stopped() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        let (fired, early) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let begin = Instant::now();
        let stopped_ms = count("RINGWAY_TEST_STOPPED_MS", STOPPED_MS) as u64;
        for timer in 0..TIMERS as u64 {
            let deadline =
                begin + Duration::from_micros(timer * stopped_ms * 1_500 / TIMERS as u64);
            let (fired, early) = (Arc::clone(&fired), Arc::clone(&early));
            runtime.spawn(async move {
                sleep_until(deadline.into()).await;
                early.fetch_add(usize::from(Instant::now() < deadline), Ordering::Relaxed);
                fired.fetch_add(1, Ordering::Relaxed);
            });
        }
        let ticks = runtime.spawn(ticks_that_are_missed());
        let jump = wait_for_jump(Duration::from_millis(stopped_ms / 2));
        let went_on = Instant::now();
        println!("stopped for {jump:?}");
        wait_until("all fire", || fired.load(Ordering::Relaxed) == TIMERS);
        let last = begin + Duration::from_millis(stopped_ms * 3 / 2);
        let late = Instant::now().saturating_duration_since(last.max(went_on));
        assert!(late < SOON, "{late:?} late");
        assert_eq!(early.load(Ordering::Relaxed), 0);
        runtime.block_on(ticks).expect("it ticks");
    });
}

/// Returns when this thread has stood still for longer than `least`.
fn wait_for_jump(least: Duration) -> Duration {
    let mut last = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        if now - last >= least {
            return now - last;
        }
        last = now;
    }
}

/// An interval leaves out what it has missed, and is in step afterwards.
async fn ticks_that_are_missed() {
    let period = Duration::from_millis(10);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let first = ticks.tick().await;
    let mut last = first;
    for _ in 0..20 {
        let tick = ticks.tick().await;
        assert!(tick > last, "the same tick twice");
        assert_eq!((tick - first).as_nanos() % period.as_nanos(), 0);
        last = tick;
    }
}

/// Deadlines as far off as they can be said neither fire nor keep what is near from firing, whatever is done to them.
#[test]
fn deadlines_at_the_end_of_time_disturb_nobody() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let far = [
            Duration::MAX,
            Duration::from_nanos(u64::MAX),
            Duration::from_nanos(u64::MAX / 2),
            Duration::from_secs(u64::from(u32::MAX)),
        ];
        let waits = runtime.spawn(async move {
            let mut sleeps: Vec<_> = far.iter().map(|&far| Box::pin(sleep(far))).collect();
            for (sleep, far) in sleeps.iter_mut().zip(far) {
                let polled = timeout(Duration::from_millis(2), sleep.as_mut()).await;
                assert!(polled.is_err(), "{far:?} has passed");
                if let Some(deadline) = ringway::time::Instant::now().checked_add(far) {
                    sleep.as_mut().reset(deadline);
                    let polled = timeout(Duration::from_millis(2), sleep.as_mut()).await;
                    assert!(polled.is_err(), "{far:?} has passed");
                }
            }
            // One that is moved back from there comes.
            for sleep in &mut sleeps {
                let soon = ringway::time::Instant::now() + Duration::from_millis(1);
                sleep.as_mut().reset(soon);
                yield_now().await;
                sleep.as_mut().await;
            }
        });
        runtime.block_on(waits).expect("nothing panics");
    });
}
