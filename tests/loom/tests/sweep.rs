//! Answers that the kernel had no memory for: the search for whose they were, by a worker and its helper.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::device::{Bells, Calls, Machine, at, drain, poll, submit, work_until};
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::{Key, Specimen};

/// The kernel drops the answer of one of two operations, and answers the other before, during or after the search, in
/// which a helper takes part. The first ends with an error, and the other as it would have.
///
/// Mutants: in `driver/sweep.rs`, `take_lost` does not wait for the mark, or `hear` forgets nobody; in
/// `driver/operations.rs`, nobody looks for what was dropped.
#[test]
fn of_two_operations_the_one_whose_answer_was_dropped_is_found() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 8);
        let (calls, waker) = Calls::new(&shard);
        let keys = shard.as_owner(|| {
            let keys = [(); 2].map(|()| submit(&shard, &waker).0);
            shard.service(at(0));
            keys
        });
        let kernel = {
            let (machine, shard) = (Arc::clone(&machine), shard.clone());
            spawn(move || {
                machine.drop_answer();
                // As the kernel's overflow flag calls who sleeps there.
                shard.unpark();
                loop {
                    machine.wait();
                    if machine.complete(1) {
                        return;
                    }
                }
            })
        };
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        work_until(&shard, &calls, 2);
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        let results = keys.map(|key| {
            let outcome = poll(&shard, key, Waker::noop()).expect("it has ended");
            outcome.result.ok()
        });
        assert_eq!(results, [None, Some(1)]);
    });
}

/// Two operations, which the kernel has.
fn two(shard: &Specimen, waker: &Waker) -> [Key; 2] {
    shard.as_owner(|| {
        let keys = [(); 2].map(|()| submit(shard, waker).0);
        shard.service(at(0));
        keys
    })
}

/// The kernel drops the answer of the older of two operations.
fn drops_one(machine: &Arc<Machine>, shard: &Specimen) -> loom::thread::JoinHandle<()> {
    let (machine, shard) = (Arc::clone(machine), shard.clone());
    spawn(move || {
        machine.drop_answer();
        // As the kernel's overflow flag calls who sleeps there.
        shard.unpark();
    })
}

/// Both have ended: the one whose answer was dropped, and the other, which is still there to be completed.
fn end_both(shard: &Specimen, machine: &Arc<Machine>, keys: [Key; 2], waits: impl Fn(usize)) {
    waits(1);
    let outcome = poll(shard, keys[0], Waker::noop()).expect("it has ended");
    assert!(outcome.result.is_err());
    let kernel = {
        let machine = Arc::clone(machine);
        spawn(move || {
            machine.wait();
            assert!(machine.complete(1));
        })
    };
    waits(2);
    kernel.join().expect("no panic");
    let outcome = poll(shard, keys[1], Waker::noop()).expect("it has ended");
    assert_eq!(outcome.result.ok(), Some(1));
}

/// The other operation waits for something that comes only when the first has ended, and the first cancel of it comes too
/// early.
///
/// Mutants in `driver/shard.rs`: who sleeps during a sweep sleeps without bound, or does not cancel again.
#[test]
fn an_answer_that_was_dropped_is_found_though_another_operation_waits_on() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 8);
        let (calls, waker) = Calls::new(&shard);
        let keys = two(&shard, &waker);
        machine.miss_a_cancel();
        let kernel = drops_one(&machine, &shard);
        end_both(&shard, &machine, keys, |times| {
            work_until(&shard, &calls, times)
        });
        kernel.join().expect("no panic");
    });
}

/// The same under a worker that always has something else to do, and so submits only what is known to wait.
///
/// Mutants: in `driver/sweep.rs`, the cancels are left out; in `driver/operations.rs`, `go_on_sweeping` does not say that it
/// has queued something.
#[test]
fn a_worker_that_never_sleeps_finds_an_answer_that_was_dropped() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 8);
        let (calls, waker) = Calls::new(&shard);
        let keys = two(&shard, &waker);
        let kernel = drops_one(&machine, &shard);
        end_both(&shard, &machine, keys, |times| {
            shard.as_owner(|| {
                while calls.count() < times {
                    shard.service(at(0));
                    loom::thread::yield_now();
                }
            });
        });
        kernel.join().expect("no panic");
    });
}

/// An operation comes during the search, and waits for long. Another one that comes after the search does not wait for it.
///
/// Mutant in `driver/operations.rs`: `queue` pushes during a sweep, behind the mark.
#[test]
fn what_comes_during_the_search_holds_up_nothing_afterwards() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 8);
        let (calls, waker) = Calls::new(&shard);
        let (lost, _) = shard.as_owner(|| {
            let submitted = submit(&shard, &waker);
            shard.service(at(0));
            submitted
        });
        let guest = {
            let (shard, waker) = (shard.clone(), waker.clone());
            spawn(move || shard.as_guest(|| submit(&shard, &waker).0))
        };
        let kernel = drops_one(&machine, &shard);
        work_until(&shard, &calls, 1);
        kernel.join().expect("no panic");
        drop(poll(&shard, lost, Waker::noop()).expect("it has ended"));
        let waiting = guest.join().expect("no panic");
        let after = shard.as_owner(|| {
            let (key, _) = submit(&shard, &waker);
            while machine.in_flight() < 2 {
                shard.service(at(0));
                loom::thread::yield_now();
            }
            key
        });
        shard.abandon(waiting);
        shard.abandon(after);
        drain(&shard);
    });
}
