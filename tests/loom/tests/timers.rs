//! The timers of a shard between their tasks, their worker, and whoever else looks there.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::device::{Bells, Machine, at};
use ringway_loom_models::{Count, check, spawn};
use ringway_runtime::internals::{Inserted, Timers};

/// Two times that lie in different ticks of the wheel.
const SOON_NS: u64 = 1_000_000;
const LATE_NS: u64 = 9_000_000;

fn insert(timers: &Timers, deadline_ns: u64, waker: &Waker) -> Inserted {
    let inserted = timers.insert(deadline_ns, waker.clone());
    inserted.expect("the shard is open")
}

/// As `Shard::service` and `Shard::rescue` fire what is due.
fn fire(timers: &Timers, now_ns: u64) -> usize {
    let mut due = Vec::new();
    timers.fire(at(now_ns), &mut due);
    let fired = due.len();
    due.into_iter().for_each(Waker::wake);
    fired
}

/// A timer fires while its future is dropped: its waker is woken or given back, and neither twice.
///
/// Mutants in `driver/timers.rs`: `remove` leaves the timer where it is; it gives back nothing.
#[test]
fn a_timer_that_is_dropped_while_it_fires_goes_one_of_two_ways() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let timer = insert(&timers, SOON_NS, &waker);
        let dropper = {
            let timers = Arc::clone(&timers);
            spawn(move || {
                let removed = timers.remove(timer.key).is_some();
                assert!(timers.is_empty());
                removed
            })
        };
        fire(&timers, LATE_NS);
        let removed = dropper.join().expect("no panic");
        assert_eq!(count.wakes(), usize::from(!removed));
        assert!(timers.is_empty());
        assert_eq!(fire(&timers, LATE_NS), 0);
    });
}

/// A timer is put off while it fires: its task is told that it has fired, or it fires at the new time, once.
///
/// Mutants in `driver/timers.rs`: `reset` says that a timer that has fired was moved; it moves nothing.
#[test]
fn a_timer_that_is_put_off_while_it_fires_fires_once() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let timer = insert(&timers, SOON_NS, &waker);
        let task = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.reset(timer.key, 2 * LATE_NS).is_some())
        };
        fire(&timers, LATE_NS);
        let moved = task.join().expect("no panic");
        assert_eq!(count.wakes(), usize::from(!moved));
        fire(&timers, 3 * LATE_NS);
        assert_eq!(count.wakes(), 1);
        assert!(timers.is_empty());
    });
}

/// A timer is moved to an earlier time by a thread from outside while its worker goes to sleep until the later one: the
/// worker sleeps no longer than until the earlier, or is woken.
///
/// Mutants in `driver/timers.rs`: `reset` does not say that the worker may be sleeping past it; `begin_sleep` does not
/// remember how long the worker sleeps.
#[test]
fn a_timer_that_is_moved_nearer_reaches_a_worker_that_falls_asleep() {
    check(|| {
        let (shard, _machine) = Machine::new(Bells::Message, 4, 4);
        let (count, waker) = Count::new();
        let never = 1 << 60;
        let timer = insert(shard.timers(), never, &waker);
        let other = {
            let shard = shard.clone();
            spawn(move || {
                if shard.timers().reset(timer.key, SOON_NS) == Some(true) {
                    shard.unpark();
                }
            })
        };
        shard.as_owner(|| {
            while count.wakes() == 0 {
                shard.sleep();
                shard.service(at(LATE_NS));
            }
        });
        other.join().expect("no panic");
    });
}

/// A timer is moved to an earlier time while its worker, which never sleeps, fires what is due: the worker learns of it.
///
/// Mutants in `driver/timers.rs`: `reset` does not publish the next deadline, or publishes it before it has the lock.
#[test]
fn a_timer_that_is_moved_nearer_reaches_a_worker_that_is_busy() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let timer = insert(&timers, 4 * LATE_NS, &waker);
        let other = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.reset(timer.key, SOON_NS).is_some())
        };
        fire(&timers, LATE_NS);
        assert!(other.join().expect("no panic"));
        fire(&timers, LATE_NS + 1);
        assert_eq!(count.wakes(), 1);
    });
}

/// The same for a timer that is inserted from outside where there was none.
///
/// Mutants in `driver/timers.rs`: `insert` does not say that the worker may be sleeping past it; `begin_sleep` does not
/// remember how long the worker sleeps.
#[test]
fn a_timer_from_outside_reaches_a_worker_that_falls_asleep() {
    check(|| {
        let (shard, _machine) = Machine::new(Bells::Message, 4, 4);
        let (count, waker) = Count::new();
        let other = {
            let shard = shard.clone();
            spawn(move || {
                if insert(shard.timers(), SOON_NS, &waker).before_sleeper {
                    shard.unpark();
                }
            })
        };
        shard.as_owner(|| {
            while count.wakes() == 0 {
                shard.sleep();
                shard.service(at(LATE_NS));
            }
        });
        other.join().expect("no panic");
    });
}

/// The owner and a helper fire at once, while the owner inserts one more: each timer fires once, and none is overlooked
/// by who has read an old deadline.
///
/// Mutants in `driver/timers.rs`: `fire` publishes what is next when it has let go of the lock; `insert` does not publish
/// it.
#[test]
fn an_owner_and_a_helper_that_fire_at_once_fire_each_timer_once() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        insert(&timers, SOON_NS, &waker);
        let helper = {
            let timers = Arc::clone(&timers);
            spawn(move || fire(&timers, LATE_NS))
        };
        fire(&timers, LATE_NS);
        insert(&timers, 2 * LATE_NS, &waker);
        helper.join().expect("no panic");
        assert_eq!(count.wakes(), 1);
        assert_eq!(fire(&timers, LATE_NS + 1), 0, "nothing is due yet");
        assert_eq!(fire(&timers, 3 * LATE_NS), 1);
        assert!(timers.is_empty());
    });
}

/// A task moves to another waker while its timer fires: the new waker is woken, or the task is told.
///
/// Mutants: `update` in `driver/timers.rs` says that a timer is there that has fired; `Wheel::update` keeps the waker
/// that it has.
#[test]
fn a_timer_whose_task_moves_while_it_fires_wakes_it() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (_, former) = Count::new();
        let (count, waker) = Count::new();
        let timer = insert(&timers, SOON_NS, &former);
        let task = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.update(timer.key, &waker))
        };
        fire(&timers, LATE_NS);
        let waits = task.join().expect("no panic");
        assert_eq!(count.wakes(), usize::from(waits));
    });
}

/// The timers are closed while a thread inserts one: it is refused, or its task is woken.
///
/// Mutants in `driver/timers.rs`: `insert` does not mind that they are closed; `close` does not close them, or leaves
/// what is there.
#[test]
fn a_timer_that_comes_during_the_end_is_refused_or_woken() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let other = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.insert(LATE_NS, waker).is_some())
        };
        let mut all = Vec::new();
        timers.close(&mut all);
        all.into_iter().for_each(Waker::wake);
        let inserted = other.join().expect("no panic");
        assert_eq!(count.wakes(), usize::from(inserted));
        assert!(timers.is_empty());
    });
}
