//! A kernel that comes to refuse every call, under a shard with its owner, its guests and its helper.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::device::{Bells, Calls, Machine, at, drain, poll, submit, work_until};
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::Specimen;

/// The kernel has no memory for a while, at any moment. A guest's operation is ended or submitted, not both, and one that
/// comes later is submitted.
///
/// Mutants in `driver/shard/closed.rs`: a closed ring is never probed, or what stayed in the queue is not submitted when it is
/// opened.
#[test]
fn what_is_refused_for_a_time_is_ended_or_submitted_once() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Both, 4, 4);
        machine.be_prompt();
        let (calls, waker) = Calls::new(&shard);
        let kernel = {
            let machine = Arc::clone(&machine);
            spawn(move || {
                machine.shut(libc::ENOMEM);
                machine.shut(0);
            })
        };
        let guest = {
            let (shard, waker) = (shard.clone(), waker.clone());
            spawn(move || shard.as_guest(|| submit(&shard, &waker)))
        };
        work_until(&shard, &calls, 1);
        let (key, buffer) = guest.join().expect("no panic");
        drop(poll(&shard, key, Waker::noop()).expect("it has ended"));
        assert!(buffer.is_free());
        kernel.join().expect("no panic");
        shard.as_owner(|| shard.service(at(0)));
        assert!(machine.unsubmitted() == 0 || shard.has_unflushed());
        go_on(&shard, &calls, &waker);
    });
}

/// Nothing is refused any more.
fn go_on(shard: &Specimen, calls: &Calls, waker: &Waker) {
    let before = calls.count();
    let (key, _buffer) = shard.as_owner(|| submit(shard, waker));
    work_until(shard, calls, before + 1);
    let outcome = poll(shard, key, Waker::noop()).expect("it has ended");
    assert_eq!(outcome.result.expect("nothing is refused any more"), 1);
}

/// A helper submits for the worker while the kernel begins to refuse. What one of them takes back the other does not
/// submit.
///
/// Mutants: in `driver/operations.rs`, `give_up` does not mind who submits, or who submits is counted after the unlock
/// (three preemptions); in `driver/shard.rs`, who flushes does not say that he submits.
#[test]
fn what_is_taken_back_is_submitted_by_nobody() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Both, 4, 4);
        machine.be_prompt();
        let (calls, waker) = Calls::new(&shard);
        let (key, _buffer) = shard.as_owner(|| submit(&shard, &waker));
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        let kernel = {
            let machine = Arc::clone(&machine);
            spawn(move || {
                machine.shut(libc::ENOMEM);
                machine.shut(0);
            })
        };
        work_until(&shard, &calls, 1);
        drop(poll(&shard, key, Waker::noop()).expect("it has ended"));
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        shard.as_owner(|| shard.service(at(0)));
        go_on(&shard, &calls, &waker);
        drain(&shard);
    });
}

/// A ring is opened while a helper, who has found it closed, is about to take back what is queued. It stays open.
///
/// Mutant: in `driver/shard/closed.rs`, who gives up does not ask again whether the ring is closed.
#[test]
fn a_ring_that_was_opened_stays_open() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Both, 4, 4);
        machine.be_prompt();
        machine.shut(libc::ENOMEM);
        let (calls, waker) = Calls::new(&shard);
        let (key, _buffer) = shard.as_owner(|| submit(&shard, &waker));
        work_until(&shard, &calls, 1);
        drop(poll(&shard, key, Waker::noop()).expect("it has ended"));
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        let kernel = {
            let machine = Arc::clone(&machine);
            spawn(move || machine.shut(0))
        };
        shard.as_owner(|| shard.service(at(0)));
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        shard.as_owner(|| shard.service(at(0)));
        go_on(&shard, &calls, &waker);
    });
}

/// A filter refuses every call from some moment on, for good. A worker that sleeps in the ring, or is on its way there, is
/// woken all the same; what is queued ends.
///
/// Mutants: in `driver/operations.rs`, `begin_sleep` does not arm the doorbell; in `driver/shard.rs`, who finds the ring
/// closed enters it all the same; in `driver/shard/closed.rs`, what is queued in a closed ring is not ended.
#[test]
fn a_sleeper_is_woken_though_every_call_is_refused() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Both, 4, 4);
        machine.be_prompt();
        let (calls, waker) = Calls::new(&shard);
        let kernel = {
            let machine = Arc::clone(&machine);
            spawn(move || machine.shut(libc::EPERM))
        };
        let guest = {
            let shard = shard.clone();
            spawn(move || shard.as_guest(|| submit(&shard, &waker)))
        };
        work_until(&shard, &calls, 1);
        kernel.join().expect("no panic");
        let (key, buffer) = guest.join().expect("no panic");
        drop(poll(&shard, key, Waker::noop()).expect("it has ended"));
        assert!(buffer.is_free());
    });
}
