//! Those who wait at a side of a socket, the operation that wakes them, and their going.
#![cfg(loom)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ringway_loom_models::{Alarm, Count, block_on, check, spawn};
use ringway_net::internals::{Everybody, OneByOne, Specimen};

/// As the driver, when an operation of the side is done.
fn tell<C: ringway_net::internals::Crowd>(side: &Arc<Specimen<C>>) -> loom::thread::JoinHandle<()> {
    let (side, waker) = (Arc::clone(side), side.waker());
    spawn(move || {
        side.happen();
        waker.wake();
    })
}

/// An event comes while one future registers and another is registered: both are woken.
///
/// Mutants in `net/src/socket/side.rs`: `wake_waiters` wakes the first only; in `net/src/socket/waiters.rs`: `take_first` stops
/// at the last ticket.
#[test]
fn an_event_for_all_wakes_who_waits_and_who_is_about_to() {
    check(|| {
        let side = Arc::new(Specimen::<Everybody>::default());
        let driver = tell(&side);
        let other = {
            let side = Arc::clone(&side);
            spawn(move || block_on(side.event()))
        };
        block_on(side.event());
        other.join().expect("no panic");
        driver.join().expect("no panic");
    });
}

/// A future that was woken for a turn is dropped before it takes it, while another waits: that one gets the turn.
///
/// Mutants in `net/src/socket/side.rs`: the drop of a place hands nothing on, or hands on before it has given its place
/// up, or leaves its place on the list.
#[test]
fn a_turn_whose_future_is_dropped_goes_to_the_next() {
    check(|| {
        let side = Arc::new(Specimen::<OneByOne>::default());
        let dropper = {
            let side = Arc::clone(&side);
            spawn(move || {
                let mut event = Box::pin(side.event());
                let mut cx = Context::from_waker(Waker::noop());
                let taken = event.as_mut().poll(&mut cx).is_ready();
                drop(event);
                taken
            })
        };
        let driver = tell(&side);
        let stays = {
            let side = Arc::clone(&side);
            spawn(move || block_on(side.event()))
        };
        driver.join().expect("no panic");
        if dropper.join().expect("no panic") {
            // It took the turn: there is one more for who stays.
            tell(&side).join().expect("no panic");
        }
        stays.join().expect("no panic");
    });
}

/// Two turns come while two futures begin to wait: each gets one.
///
/// Mutants in `net/src/socket/side.rs`: `wake_waiters` wakes nobody but the last `poll_…` caller; in
/// `net/src/socket/waiters.rs`: `take_first` leaves the first where it is.
#[test]
fn two_turns_reach_two_who_wait() {
    check(|| {
        let side = Arc::new(Specimen::<OneByOne>::default());
        let drivers = [tell(&side), tell(&side)];
        let other = {
            let side = Arc::clone(&side);
            spawn(move || block_on(side.event()))
        };
        block_on(side.event());
        other.join().expect("no panic");
        for driver in drivers {
            driver.join().expect("no panic");
        }
    });
}

/// The caller of a `poll_…` function moves to another task while an event comes: the last one's waker is called, or it
/// finds the event.
///
/// Mutants in `net/src/socket/waiters.rs`: `register` keeps the waker that it has; `take_last` takes none.
#[test]
fn the_last_caller_of_a_poll_function_is_woken() {
    check(|| {
        let side = Arc::new(Specimen::<Everybody>::default());
        let driver = tell(&side);
        let mut former = Context::from_waker(Waker::noop());
        if side.poll_event(&mut former).is_pending() {
            let waker = Alarm::waker();
            let mut cx = Context::from_waker(&waker);
            while side.poll_event(&mut cx).is_pending() {
                loom::thread::park();
            }
        }
        driver.join().expect("no panic");
    });
}

/// A side is dropped while the waker of its operation is called: no waker is kept, and nobody is woken afterwards.
///
/// Mutants in `net/src/socket/side.rs`: the drop leaves the state where it is; it drops another state than its own.
#[test]
fn a_side_that_is_dropped_while_it_is_woken_keeps_no_waker() {
    check(|| {
        let side = Specimen::<Everybody>::default();
        let (count, waker) = Count::new();
        let operations = side.waker();
        let driver = spawn(move || {
            operations.wake_by_ref();
            operations
        });
        let polled = side.poll_event(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        drop(waker);
        drop(side);
        let operations = driver.join().expect("no panic");
        assert_eq!(Arc::strong_count(&count), 1, "no waker is left");
        let before = count.wakes();
        operations.wake();
        assert_eq!(count.wakes(), before);
    });
}

/// A future is dropped while an event for all comes: its waker is called or given back, and is not kept.
///
/// Mutants: the drop of a place in `net/src/socket/side.rs` leaves the waker on the list; `position` in
/// `net/src/socket/waiters.rs` finds nobody.
#[test]
fn a_future_that_is_dropped_while_an_event_comes_leaves_no_waker() {
    check(|| {
        let side = Arc::new(Specimen::<Everybody>::default());
        let operations = side.waker();
        let driver = spawn(move || operations.wake());
        let (count, waker) = Count::new();
        {
            let mut event = pin!(side.event());
            let _ = event.as_mut().poll(&mut Context::from_waker(&waker));
        }
        drop(waker);
        driver.join().expect("no panic");
        assert_eq!(Arc::strong_count(&count), 1, "no waker is left");
    });
}
