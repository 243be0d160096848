//! Timers that a task drops on another worker than the one in whose wheel they are, which sleeps: what they hold goes soon.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use ringway_runtime::{Runtime, worker_index};
use ringway_timer::{Sleep, sleep};

use support::{WATCHDOG, wait_until, within, workers};

/// So many that their wheel is large.
const TIMERS: usize = 10_000;
/// More than are taken out together, so that some are left.
const DROPPED: usize = 40;
/// None fires.
const NEVER: Duration = Duration::from_secs(3600);
/// Long enough for a worker without work to fall asleep, mostly. If it does not, it does itself what the others would.
const FALLING_ASLEEP: Duration = Duration::from_millis(20);

type Sleeps = Vec<Pin<Box<Sleep>>>;

/// What each timer holds.
struct Held;

impl Wake for Held {
    fn wake(self: Arc<Self>) {}
}

/// Sleeps that wait in the wheel of a worker, and which that is.
async fn waiting(waker: Waker) -> (Sleeps, Option<usize>) {
    let mut cx = Context::from_waker(&waker);
    let mut sleeps: Sleeps = (0..TIMERS).map(|_| Box::pin(sleep(NEVER))).collect();
    for sleep in &mut sleeps {
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
    }
    (sleeps, worker_index())
}

/// Calls `body` in a task on another worker than `home`, when that sleeps.
fn elsewhere(runtime: &Runtime, home: Option<usize>, body: impl FnOnce() + Send + 'static) {
    let body = Arc::new(Mutex::new(Some(body)));
    while body.lock().expect("no panic").is_some() {
        let (begins, has_begun) = mpsc::channel::<()>();
        // Keeps one of the two workers busy until the other task has begun.
        let holder = runtime.spawn(async move { has_begun.recv().is_ok() });
        let body = Arc::clone(&body);
        let visitor = runtime.spawn(async move {
            if worker_index() == home {
                return;
            }
            begins.send(()).expect("the holder waits");
            thread::sleep(FALLING_ASLEEP);
            let body = body.lock().expect("no panic").take();
            body.expect("it is called once")();
        });
        runtime.block_on(visitor).expect("no panic");
        runtime.block_on(holder).expect("no panic");
    }
}

/// Has some timers dropped on another worker, and calls `then` there; returns when nothing is left of them.
fn leave_behind(then: impl FnOnce(Arc<Held>) + Send + 'static) {
    within(2 * WATCHDOG, || {
        let runtime = workers(2);
        let held = Arc::new(Held);
        let task = runtime.spawn(waiting(Waker::from(Arc::clone(&held))));
        let (mut sleeps, home) = runtime.block_on(task).expect("no panic");
        let dropped = sleeps.split_off(TIMERS - DROPPED);
        let seen = Arc::clone(&held);
        elsewhere(&runtime, home, move || {
            drop(dropped);
            then(seen);
        });
        wait_until("they are gone", || are_gone(&held, 1));
        drop(sleeps);
    });
}

/// Whether only the timers that are left hold something, beside so many others.
fn are_gone(held: &Arc<Held>, others: usize) -> bool {
    Arc::strong_count(held) <= TIMERS - DROPPED + others
}

/// Mutant: a worker that falls asleep does not settle what it owes.
#[test]
fn what_a_worker_drops_of_another_that_sleeps_is_gone_when_it_sleeps_too() {
    leave_behind(drop);
}

/// The task waits, on its worker's thread, until they are gone.
///
/// Mutant: the monitor does not settle what a stuck worker owes.
#[test]
fn what_a_worker_drops_of_another_that_sleeps_is_gone_though_it_is_stuck() {
    leave_behind(|held| {
        // The main thread and this one.
        wait_until("a helper takes them out", || are_gone(&held, 2));
    });
}

/// What is owed to others is done all the same, so the panic ends in the runtime.
///
/// Mutant: `remove_from_worker` does not contain the panic.
#[test]
fn a_waker_whose_destructor_panics_goes_without_harm_on_another_worker() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a waker's destructor");
        }
    }
    within(2 * WATCHDOG, || {
        let runtime = workers(2);
        let task = runtime.spawn(async {
            let mut slept = Box::pin(sleep(NEVER));
            let waker = Waker::from(Arc::new(Bomb));
            assert!(
                slept
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            // The timer's clone is the last.
            drop(waker);
            (slept, worker_index())
        });
        let (slept, home) = runtime.block_on(task).expect("no panic");
        elsewhere(&runtime, home, move || drop(slept));
    });
}
