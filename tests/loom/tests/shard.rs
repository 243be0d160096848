//! A shard, whole: its owner, its guests and its helper, over a device that takes what is queued only when entered.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::device::{Bells, Calls, Machine, at, drain, poll, submit, work_until};
use ringway_loom_models::kernel::Read;
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::Specimen;

/// Sleeps until a timer is due, by which the doorbell is armed.
fn sleep_briefly(shard: &Specimen) {
    let timer = shard.timers().insert(1, Waker::noop().clone());
    assert!(timer.is_some());
    shard.as_owner(|| {
        shard.sleep();
        shard.service(at(u64::MAX));
    });
}

/// The kernel's thread: completes `operations`, one after the other.
fn completes(machine: &Arc<Machine>, operations: usize) -> loom::thread::JoinHandle<()> {
    let machine = Arc::clone(machine);
    spawn(move || {
        for _ in 0..operations {
            machine.wait();
            assert!(machine.complete(1));
        }
    })
}

/// A guest queues an operation while the worker looks at its shard and goes to sleep, and a helper looks there too. The
/// operation is submitted by one of them, and its answer delivered.
///
/// Mutants in `driver/shard.rs`: `note_queued` wakes nobody; `sleep` does not count what is queued.
#[test]
fn an_operation_of_a_guest_is_submitted_whatever_the_owner_does() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 4);
        let (calls, waker) = Calls::new(&shard);
        let kernel = completes(&machine, 1);
        let guest = {
            let shard = shard.clone();
            spawn(move || shard.as_guest(|| submit(&shard, &waker).0))
        };
        work_until(&shard, &calls, 1);
        let key = guest.join().expect("no panic");
        assert!(poll(&shard, key, Waker::noop()).is_some());
        kernel.join().expect("no panic");
    });
}

/// A worker that always has something else to do queues an operation while a helper flushes, whose enter the kernel
/// refuses. Nothing waits to be submitted without being known to wait.
///
/// Mutants in `driver/shard.rs`: a `flush` that had nothing to submit and was refused, or one that submitted all, says
/// that nothing waits; one that was refused does not say that something waits.
#[test]
fn what_waits_to_be_submitted_is_known_to_wait() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 4);
        let (first, _) = shard.as_owner(|| submit(&shard, Waker::noop()));
        machine.refuse(&[0, libc::EBADR]);
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        let (second, _) = shard.as_owner(|| {
            shard.service(at(0));
            submit(&shard, Waker::noop())
        });
        helper.join().expect("no panic");
        assert!(machine.unsubmitted() == 0 || shard.has_unflushed());
        shard.abandon(first);
        shard.abandon(second);
        drain(&shard);
    });
}

/// The kernel gives an operation up, as it does when the thread exits that had submitted it, and a helper takes that
/// answer while the worker falls asleep. The operation is submitted once more, also when everybody sleeps.
///
/// Mutants: `act` in `driver/shard.rs` does not mind what `reap` has queued; `reap` in `driver/operations.rs` does not say that it has queued
/// something.
#[test]
fn an_operation_that_is_tried_again_is_submitted_again() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 4);
        let (calls, waker) = Calls::new(&shard);
        let (key, _buffer) = shard.as_owner(|| {
            let submitted = submit(&shard, &waker);
            shard.service(at(0));
            submitted
        });
        let kernel = {
            let machine = Arc::clone(&machine);
            spawn(move || {
                machine.give_up();
                machine.wait();
                machine.complete(1);
            })
        };
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        work_until(&shard, &calls, 1);
        helper.join().expect("no panic");
        kernel.join().expect("no panic");
        assert!(poll(&shard, key, Waker::noop()).is_some());
    });
}

/// A guest unparks the worker, which sleeps until it hears of it.
fn sleep_until_unparked(shard: &Specimen) {
    let guest = {
        let shard = shard.clone();
        spawn(move || shard.unpark())
    };
    while !shard.sleep() {
        shard.service(at(0));
    }
    guest.join().expect("no panic");
}

/// A worker is on its way into the ring when it is notified, and a helper that takes it to be stuck reaps the
/// doorbell's completion. The helper rings again, so the worker does not sleep on.
///
/// Mutants: `rescue` in `driver/shard.rs` does not ring again; `reap` in `driver/operations.rs` does not say that the
/// doorbell had rung.
#[test]
fn a_doorbell_that_a_helper_takes_still_wakes_the_sleeper() {
    check(|| {
        let (shard, _machine) = Machine::new(Bells::Message, 4, 4);
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        sleep_until_unparked(&shard);
        helper.join().expect("no panic");
    });
}

/// The doorbell's poll ends while the worker is on its way into the ring, and a helper, who takes it to be stuck, reaps
/// the end. Who unparks the worker still gets it out of the ring.
///
/// Mutants: `rescue` in `driver/shard.rs` arms the doorbell only if the worker was notified, or leaves its poll in the
/// queue; `reap` in `driver/operations.rs` does not see that it has ended.
#[test]
fn a_doorbell_that_is_down_is_armed_again_by_who_finds_out() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Event, 4, 4);
        sleep_briefly(&shard);
        let helper = {
            let shard = shard.clone();
            spawn(move || {
                machine.end_poll();
                shard.rescue(at(0));
            })
        };
        sleep_until_unparked(&shard);
        helper.join().expect("no panic");
    });
}

/// A thread has taken the core over while the worker's own is on its way into the ring, and reaps there the end of the
/// doorbell's poll. The worker's thread is called out of the ring when it is given the core back.
///
/// Mutants in `driver/shard.rs`: `service` does not arm the doorbell for who is in the ring, or leaves its poll in the
/// queue; `start_thread` does not ring.
#[test]
fn a_thread_that_is_called_leaves_the_ring_though_the_doorbell_was_down() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Event, 4, 4);
        sleep_briefly(&shard);
        assert!(shard.park());
        let own = {
            let shard = shard.clone();
            spawn(move || shard.sleep_as_thread())
        };
        shard.take_core();
        machine.end_poll();
        shard.as_owner(|| shard.service(at(0)));
        shard.give_core_back();
        own.join().expect("no panic");
    });
}

/// A guest queues an operation while the worker drains its shard, which the kernel refuses at first, and a helper looks
/// there too. It is refused, or it gets
/// an answer; when the drain is done, nothing is with the kernel.
///
/// Mutants: `submit` in `driver/operations.rs` does not mind that the shard is closed; `drain` in `driver/shard.rs` does
/// not close it, or does not look whether all have gone.
#[test]
fn a_drain_leaves_nothing_whoever_submits_and_reaps_meanwhile() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 4);
        let (first, _) = shard.as_owner(|| {
            let submitted = submit(&shard, Waker::noop());
            shard.service(at(0));
            submitted
        });
        machine.refuse(&[libc::EBADR]);
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        let guest = {
            let shard = shard.clone();
            spawn(move || {
                let (read, buffer) = Read::new();
                let key = shard.as_guest(|| shard.submit(read, Waker::noop()));
                (key, buffer)
            })
        };
        shard.as_owner(|| drain(&shard));
        assert_eq!(machine.in_flight(), 0, "the kernel has let go of all");
        let (second, buffer) = guest.join().expect("no panic");
        helper.join().expect("no panic");
        assert_eq!(buffer.is_free(), second.is_none());
        for key in [Some(first), second].into_iter().flatten() {
            assert!(poll(&shard, key, Waker::noop()).is_some());
        }
    });
}

/// The future of an operation is dropped on another thread while the worker sleeps, or goes to sleep. The cancel reaches
/// the kernel, and the operation's memory is freed.
///
/// Mutants: `abandon` in `driver/operations.rs` queues no cancel; `abandon` in `driver/shard.rs` tells nobody.
#[test]
fn a_drop_on_another_thread_cancels_what_a_sleeping_worker_waits_for() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 4);
        let (key, buffer) = shard.as_owner(|| submit(&shard, Waker::noop()));
        let other = {
            let shard = shard.clone();
            spawn(move || shard.abandon(key))
        };
        shard.as_owner(|| {
            while !shard.is_idle() {
                shard.sleep();
                shard.service(at(0));
            }
        });
        other.join().expect("no panic");
        assert!(buffer.is_free());
        assert_eq!(machine.in_flight(), 0);
    });
}

/// The ring has room for one SQE, and the kernel refuses an enter. What the worker and a guest queue is submitted all the
/// same, in the end.
///
/// Mutants in `driver/operations.rs`: `unsubmitted` moves nothing out of the backlog; `queue` gives up what finds no room.
#[test]
fn what_finds_no_room_in_the_ring_is_submitted_later() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 1, 4);
        let (calls, waker) = Calls::new(&shard);
        let kernel = completes(&machine, 3);
        let guest = {
            let (shard, waker) = (shard.clone(), waker.clone());
            spawn(move || shard.as_guest(|| submit(&shard, &waker).0))
        };
        machine.refuse(&[libc::EBADR]);
        let mut keys = shard.as_owner(|| [(); 2].map(|()| submit(&shard, &waker).0).to_vec());
        work_until(&shard, &calls, 3);
        keys.push(guest.join().expect("no panic"));
        kernel.join().expect("no panic");
        for key in keys {
            assert!(poll(&shard, key, Waker::noop()).is_some());
        }
    });
}

/// There is room for one answer, and the kernel keeps the others until somebody enters. None is forgotten, whoever reaps.
///
/// Mutants: `reap` in `driver/operations.rs` does not say that answers wait for an enter; `service` in
/// `driver/shard.rs` does not enter for them.
#[test]
fn answers_that_find_no_room_are_reaped_all_the_same() {
    check(|| {
        let (shard, machine) = Machine::new(Bells::Message, 4, 1);
        let (calls, waker) = Calls::new(&shard);
        let keys = shard.as_owner(|| {
            let keys = [(); 2].map(|()| submit(&shard, &waker).0);
            shard.service(at(0));
            keys
        });
        let kernel = completes(&machine, 2);
        let helper = {
            let shard = shard.clone();
            spawn(move || shard.rescue(at(0)))
        };
        work_until(&shard, &calls, 1);
        // A worker that is not asleep looks once more, and must not rely on the kernel to come by.
        kernel.join().expect("no panic");
        helper.join().expect("no panic");
        shard.as_owner(|| shard.service(at(0)));
        for key in keys {
            assert!(poll(&shard, key, Waker::noop()).is_some());
        }
    });
}
