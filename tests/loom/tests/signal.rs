//! A signal on its way from its handler to the tasks that listen.
#![cfg(loom)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use ringway_loom_models::{block_on_bell, check, spawn};
use ringway_signal::internals::{Ear, Specimen};

/// Waits for the next signal; polls so often for each wake, all but one of them for other reasons.
fn recv(ear: &mut Ear, polls: usize) {
    block_on_bell(poll_fn(|cx| {
        let is_told = (0..polls).any(|_| ear.poll_recv(cx).is_ready());
        if is_told {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
}

/// A signal comes while two begin to listen on their threads. Both are told of it, though one of them finds the doorbell
/// silent.
///
/// Mutants in `signal/src/source.rs`: `deliver` rings before it counts; `dispatch` reads the count before it has made the
/// doorbell silent; `advance` wakes none of the others, or looks whether a signal has come before it has dispatched.
#[test]
fn a_signal_reaches_both_who_listen() {
    check(|| {
        let kind = Specimen::new();
        let (mut first, mut second) = (kind.listen(), kind.listen());
        let other = spawn(move || recv(&mut second, 1));
        let handler = spawn(move || kind.deliver());
        recv(&mut first, 1);
        other.join().expect("no panic");
        handler.join().expect("no panic");
        assert_eq!(kind.waiters(), 0);
    });
}

/// Two signals come one after the other, the second while the first is reported. They may count as one, but the second is
/// not lost.
///
/// Mutants in `signal/src/source.rs`: `deliver` rings before it counts; `dispatch` reads the count before it has made the
/// doorbell silent.
#[test]
fn a_signal_that_comes_while_another_is_reported_is_not_lost() {
    check(|| {
        let kind = Specimen::new();
        let mut ear = kind.listen();
        let handler = spawn(move || {
            kind.deliver();
            kind.deliver();
        });
        while ear.seen() < 2 {
            recv(&mut ear, 1);
        }
        handler.join().expect("no panic");
    });
}

/// A task that listens is polled because of something else, again and again, by one waker and then by another, while a
/// signal comes. It is told of the signal, and sees what the thread did that the signal came to.
///
/// Mutants in `signal/src/source.rs`: `deliver` counts with Relaxed, or `dispatch` reads so.
#[test]
fn a_listener_that_is_polled_for_other_reasons_is_told_and_sees_what_came_before() {
    check(|| {
        let kind = Specimen::new();
        let done = Arc::new(AtomicUsize::new(0));
        let mut ear = kind.listen();
        let handler = {
            let done = Arc::clone(&done);
            spawn(move || {
                done.store(1, Relaxed);
                kind.deliver();
            })
        };
        let mut former = Context::from_waker(Waker::noop());
        if ear.poll_recv(&mut former).is_pending() {
            // Once more than is needed, as by a loop around a choice.
            recv(&mut ear, 2);
        }
        assert_eq!(done.load(Relaxed), 1);
        handler.join().expect("no panic");
    });
}

/// A listener is polled once and dropped while a signal comes: if it has made the doorbell silent, the other is told all the
/// same.
///
/// Mutant in `signal/src/source.rs`: `advance` wakes none of the others.
#[test]
fn a_listener_that_is_dropped_while_a_signal_comes_keeps_nothing_from_the_other() {
    check(|| {
        let kind = Specimen::new();
        let (mut stays, mut goes) = (kind.listen(), kind.listen());
        let handler = spawn(move || kind.deliver());
        let other = spawn(move || {
            let _ = goes.poll_recv(&mut Context::from_waker(Waker::noop()));
            drop(goes);
        });
        recv(&mut stays, 1);
        other.join().expect("no panic");
        handler.join().expect("no panic");
        assert_eq!(kind.waiters(), 0);
    });
}
