//! The timers of a shard between their tasks, their worker, and whoever else looks there.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread::JoinHandle;
use ringway_loom_models::device::{Bells, Machine, at};
use ringway_loom_models::{Count, check, spawn};
use ringway_runtime::internals::{Debts, FromAfar, Removed, Specimen, TimerKey, Timers};

/// Two times that lie in different ticks of the wheel.
const SOON_NS: u64 = 1_000_000;
const LATE_NS: u64 = 9_000_000;
/// The wheel's tick.
const TICK_NS: u64 = 1 << 14;

/// Timers of a worker that is awake.
fn timers_of_who_is_awake() -> Arc<Timers> {
    let timers = Timers::new();
    timers.end_sleep();
    Arc::new(timers)
}

fn insert(timers: &Timers, deadline_ns: u64, waker: &Waker) -> TimerKey {
    let key = timers.insert(deadline_ns, waker.clone());
    key.expect("the shard is open")
}

/// When a timer of this deadline is due: at the end of a tick.
fn due_ns(deadline_ns: u64) -> u64 {
    deadline_ns.next_multiple_of(TICK_NS)
}

/// As `Shard::service` fires what is due.
fn fire(timers: &Timers, now_ns: u64) -> usize {
    let (mut due, mut removed) = (Vec::new(), Vec::new());
    let _ = timers.fire(at(now_ns), 64, &mut due, &mut removed);
    wake(due)
}

/// As `Shard::rescue`, of a worker that nobody waits for.
fn help(timers: &Timers, now_ns: u64) -> usize {
    let (mut due, mut removed) = (Vec::new(), Vec::new());
    let _ = timers.fire_from_afar(at(now_ns), 64, &mut due, &mut removed);
    wake(due)
}

/// A thread that helps.
fn spawn_helper(timers: &Arc<Timers>, now_ns: u64) -> JoinHandle<usize> {
    let timers = Arc::clone(timers);
    spawn(move || help(&timers, now_ns))
}

/// A thread that is no worker and drops a timer.
fn spawn_dropper(timers: &Arc<Timers>, timer: TimerKey) -> JoinHandle<()> {
    let timers = Arc::clone(timers);
    spawn(move || assert!(!timers.remove_from_afar(timer).before_sleeper))
}

/// As `remove_from_afar` in `time_source.rs`, for another worker. Whether the owner may be sleeping past a deadline.
fn drop_as_worker(timers: &Timers, debts: &Debts, timer: TimerKey) -> bool {
    let removed = timers.remove_from_worker(timer);
    if removed.outcome {
        debts.add(0);
    }
    removed.before_sleeper
}

/// A worker that drops a timer and then sleeps, as `Shared::settle` has it. Whether the owner may be sleeping past a deadline.
fn drop_and_settle(timers: &Timers, timer: TimerKey) -> bool {
    let debts = Debts::new();
    let mut before_sleeper = drop_as_worker(timers, &debts, timer);
    debts.take(|_| before_sleeper |= timers.settle().before_sleeper);
    before_sleeper
}

/// As `Shared::settle`, where no timer is moved.
fn settle(timers: &Timers, debts: &Debts) {
    debts.take(|_| assert!(!timers.settle().before_sleeper));
}

/// There is no timer, and no waker of one.
fn assert_gone(timers: &Timers, count: &Arc<Count>) {
    assert!(timers.is_empty(), "it stays");
    assert_eq!(Arc::strong_count(count), 1, "the waker is kept");
}

/// The worker sleeps, and looks when it wakes, until a timer has fired.
fn sleep_until_woken(shard: &Specimen, count: &Count) {
    shard.as_owner(|| {
        while count.wakes() == 0 {
            shard.sleep();
            shard.service(at(LATE_NS));
        }
    });
}

fn wake(due: Vec<Waker>) -> usize {
    let woken = due.len();
    due.into_iter().for_each(Waker::wake);
    woken
}

/// As `from_afar` in `time_source.rs`.
fn from_afar<T>(shard: &Specimen, done: FromAfar<T>) -> T {
    if done.before_sleeper {
        shard.unpark();
    }
    done.outcome
}

/// A timer fires while another worker, or a thread from outside, drops its future: its waker is woken, or dropped at the
/// owner's next look at the latest, and never both.
///
/// Mutants in `driver/timers.rs`: `work_off` does not remove; `fire` does not work marks off, or minds no notes.
#[test]
fn a_timer_that_is_dropped_while_it_fires_goes_one_of_two_ways() {
    for (asleep, by_worker) in [(false, false), (true, false), (false, true), (true, true)] {
        check(move || {
            let timers = Arc::new(Timers::new());
            if !asleep {
                timers.end_sleep();
            }
            let (count, waker) = Count::new();
            let timer = insert(&timers, SOON_NS, &waker);
            drop(waker);
            let dropped = Arc::new(AtomicBool::new(false));
            let dropper = {
                let (timers, dropped) = (Arc::clone(&timers), Arc::clone(&dropped));
                spawn(move || {
                    let before_sleeper = match by_worker {
                        true => timers.remove_from_worker(timer).before_sleeper,
                        false => timers.remove_from_afar(timer).before_sleeper,
                    };
                    assert!(!before_sleeper);
                    dropped.store(true, Release);
                })
            };
            let was_dropped = dropped.load(Acquire);
            let fired = fire(&timers, LATE_NS);
            assert!(!was_dropped || fired == 0, "dropped, and fired");
            dropper.join().expect("no panic");
            assert_eq!(fire(&timers, LATE_NS), 0);
            assert!(count.wakes() <= 1);
            assert_gone(&timers, &count);
        });
    }
}

/// A worker drops timers of one that sleeps, wakes, looks and sleeps again: one of the two takes them out, and nothing stays
/// as long as the other sleeps.
///
/// Mutants in `driver/timers.rs`: `settle` does nothing; `remove_from_worker` does not say that something is noted, leaves no
/// mark where the lock is taken, or does not look when it has left one; `begin_sleep` does not mind notes, or does not say that the
/// worker sleeps; `remove_or_note` does not say that there are notes.
#[test]
fn timers_that_another_worker_notes_do_not_stay() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let keys = [1, 2, 3].map(|ticks| insert(&timers, ticks * LATE_NS, &waker));
        drop(waker);
        timers.begin_sleep();
        let dropper = {
            let timers = Arc::clone(&timers);
            spawn(move || {
                let debts = Debts::new();
                for key in keys {
                    assert!(!drop_as_worker(&timers, &debts, key));
                }
                settle(&timers, &debts);
            })
        };
        timers.end_sleep();
        fire(&timers, SOON_NS);
        timers.begin_sleep();
        dropper.join().expect("no panic");
        assert_gone(&timers, &count);
    });
}

/// Two workers drop timers of a third that sleeps: what the one has noted may be taken out by the other, and what that one
/// finds taken out it need not take.
///
/// Mutants in `driver/timers.rs`: `settle` does nothing, nothing where the lock is taken, or does not look when it has given the
/// lock back; `remove_from_worker` does not say that something is noted.
#[test]
fn timers_that_two_other_workers_note_do_not_stay() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let [first, second] = [1, 2].map(|ticks| insert(&timers, ticks * LATE_NS, &waker));
        drop(waker);
        timers.begin_sleep();
        let other = {
            let timers = Arc::clone(&timers);
            spawn(move || drop_and_settle(&timers, first))
        };
        assert!(!drop_and_settle(&timers, second));
        other.join().expect("no panic");
        assert_gone(&timers, &count);
    });
}

/// A worker drops timers of one that sleeps, and then is stuck, while a helper serves it: the helper settles what it owes, or the
/// worker does when it looks again.
///
/// Mutants in `driver/debts.rs`: `add` writes nothing if the shard is there already; `take_all` is Relaxed. In
/// `driver/timers.rs`: `settle` does not look when it has given the lock back.
#[test]
fn what_a_stuck_worker_owes_is_settled_by_a_helper() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let debts = Arc::new(Debts::new());
        let (count, waker) = Count::new();
        let keys = [1, 2, 3].map(|ticks| insert(&timers, ticks * LATE_NS, &waker));
        drop(waker);
        timers.begin_sleep();
        let helper = {
            let (timers, debts) = (Arc::clone(&timers), Arc::clone(&debts));
            spawn(move || settle(&timers, &debts))
        };
        for key in keys {
            assert!(!drop_as_worker(&timers, &debts, key));
        }
        helper.join().expect("no panic");
        let mut again = 0;
        debts.take(|_| again += 1);
        // What is left is what the helper could not know of.
        if again == 0 {
            assert_gone(&timers, &count);
        }
    });
}

/// The same, where it is the owner that drops, and a helper that fires.
///
/// Mutant in `driver/timers.rs`: `remove` gives back nothing.
#[test]
fn a_timer_that_is_dropped_while_a_helper_fires_it_goes_one_of_two_ways() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        let timer = insert(&timers, SOON_NS, &waker);
        let helper = spawn_helper(&timers, LATE_NS);
        let removed = matches!(timers.remove(timer), Removed::One(_));
        helper.join().expect("no panic");
        assert_eq!(count.wakes(), usize::from(!removed));
        assert!(timers.is_empty());
    });
}

/// The owner drops a timer that is not the last it has made, and then falls asleep or looks, while a helper, which took it
/// to be stuck, looks too: the timer is taken out, and does not fire if the helper came after the drop.
///
/// Mutants in `driver/timers.rs`: `remove` does not say that there are notes; `begin_sleep` does not mind them; neither does
/// `fire`, or it fires before it takes them out.
#[test]
fn a_timer_that_its_owner_drops_is_taken_out_at_the_next_look() {
    for asleep in [false, true] {
        // A helper that comes when the timer is due fires it, or takes it out; one that comes before leaves it.
        let helped_at_ns = if asleep { 0 } else { LATE_NS };
        check(move || {
            let timers = timers_of_who_is_awake();
            let (count, waker) = Count::new();
            let timer = insert(&timers, SOON_NS, &waker);
            drop(waker);
            insert(&timers, 4 * LATE_NS, Waker::noop());
            let dropped = Arc::new(AtomicBool::new(false));
            let helper = {
                let (timers, dropped) = (Arc::clone(&timers), Arc::clone(&dropped));
                spawn(move || {
                    let was_dropped = dropped.load(Acquire);
                    let fired = help(&timers, helped_at_ns);
                    assert!(!was_dropped || fired == 0, "dropped, and fired");
                })
            };
            assert!(matches!(timers.remove(timer), Removed::None));
            dropped.store(true, Release);
            if asleep {
                timers.begin_sleep();
            } else {
                assert_eq!(fire(&timers, LATE_NS), 0, "dropped, and fired");
            }
            helper.join().expect("no panic");
            assert!(count.wakes() <= 1);
            assert_eq!(Arc::strong_count(&count), 1, "the waker is kept");
        });
    }
}

/// Of timers that their owner drops one after the other, some are taken out together, and their wakers handed out.
///
/// Mutants in `driver/timers.rs`: `take_noted` does not empty the list; `remove` never takes out what was noted.
#[test]
fn timers_that_their_owner_drops_are_taken_out_together() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        let keys = [1, 2, 3, 4].map(|ticks| insert(&timers, ticks * LATE_NS, &waker));
        drop(waker);
        let newest = insert(&timers, LATE_NS, Waker::noop());
        for pair in keys.chunks(2) {
            assert!(matches!(timers.remove(pair[0]), Removed::None));
            let Removed::Several(mut wakers) = timers.remove(pair[1]) else {
                panic!("they are two");
            };
            assert_eq!(wakers.len(), 2);
            wakers.clear();
            timers.keep_room(wakers);
        }
        assert_eq!(Arc::strong_count(&count), 1, "a waker is kept");
        assert!(matches!(timers.remove(newest), Removed::One(_)));
        assert!(timers.is_empty());
    });
}

/// A timer is put off by another worker while it fires: it fires once, now or at the new time.
///
/// Mutants in `driver/timers.rs`: `work_off` moves nothing; `fire` does not work marks off.
#[test]
fn a_timer_that_is_put_off_while_it_fires_fires_once() {
    for asleep in [false, true] {
        check(move || {
            let timers = Arc::new(Timers::new());
            if !asleep {
                timers.end_sleep();
            }
            let (count, waker) = Count::new();
            let timer = insert(&timers, SOON_NS, &waker);
            let moved = Arc::new(AtomicBool::new(false));
            let task = {
                let (timers, moved) = (Arc::clone(&timers), Arc::clone(&moved));
                spawn(move || {
                    let _ = timers.reset_from_afar(timer, 2 * LATE_NS);
                    moved.store(true, Release);
                })
            };
            let was_moved = moved.load(Acquire);
            let early = fire(&timers, LATE_NS);
            assert!(!was_moved || early == 0, "put off, and fired");
            task.join().expect("no panic");
            assert_eq!(fire(&timers, 2 * LATE_NS - 1), 0, "put off, and fired");
            fire(&timers, 3 * LATE_NS);
            assert_eq!(count.wakes(), 1, "{early}");
            assert!(timers.is_empty());
        });
    }
}

/// A timer is moved to an earlier time by another worker while its own goes to sleep until the later one: it sleeps no
/// longer than until the earlier, or is woken.
///
/// Mutants in `driver/timers.rs`: `reset_from_afar` does not say that the worker may be sleeping past it; `begin_sleep`
/// does not remember how long the worker sleeps; no fence in `begin_sleep`; `begin_sleep` works no marks off, or takes the lock
/// once more at its end.
#[test]
fn a_timer_that_is_moved_nearer_reaches_a_worker_that_falls_asleep() {
    check(|| {
        let (shard, _machine) = Machine::new(Bells::Message, 4, 4);
        let (count, waker) = Count::new();
        let never = 1 << 60;
        let timer = insert(shard.timers(), never, &waker);
        shard.timers().end_sleep();
        let other = {
            let shard = shard.clone();
            spawn(move || {
                let done = shard.timers().reset_from_afar(timer, SOON_NS);
                from_afar(&shard, done);
            })
        };
        sleep_until_woken(&shard, &count);
        other.join().expect("no panic");
    });
}

/// A timer of a worker that sleeps is moved to an earlier time by another worker, while a third takes out there what it has
/// noted: whoever moves it in the end says that the worker may be sleeping past it.
///
/// Mutants in `driver/timers.rs`: `settle` does not look when it has given the lock back, or does not say that a timer was moved
/// there; `remove_from_worker` does not say that.
#[test]
fn a_timer_that_is_moved_nearer_while_another_worker_settles_reaches_the_sleeper() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let dropped = insert(&timers, 2 * LATE_NS, Waker::noop());
        let moved = insert(&timers, 4 * LATE_NS, Waker::noop());
        timers.begin_sleep();
        let other = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.reset_from_afar(moved, SOON_NS).before_sleeper)
        };
        let here = drop_and_settle(&timers, dropped);
        let there = other.join().expect("no panic");
        assert!(here || there, "it sleeps past the timer");
    });
}

/// A timer is moved to an earlier time while its worker, which never sleeps, fires what is due: the worker learns of it.
///
/// Mutants in `driver/timers.rs`: `work_off` does not publish the next deadline; `fire` does not work marks off.
#[test]
fn a_timer_that_is_moved_nearer_reaches_a_worker_that_is_busy() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        let timer = insert(&timers, 4 * LATE_NS, &waker);
        let other = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.reset_from_afar(timer, SOON_NS).outcome)
        };
        fire(&timers, LATE_NS);
        assert!(other.join().expect("no panic"));
        fire(&timers, LATE_NS + 1);
        assert_eq!(count.wakes(), 1);
    });
}

/// A worker that never sleeps sees the timer that comes first without the lock: one that it has made, or moved nearer, but not
/// what it has said of one that has fired.
///
/// Mutants in `driver/timers.rs`: `publish_earlier` keeps the later of the two, writes nothing, or does not round up; `reset` does not
/// call it, or does so though no timer was moved.
#[test]
fn a_worker_that_is_busy_sees_the_timer_that_comes_first() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let timer = insert(&timers, 4 * LATE_NS, Waker::noop());
        insert(&timers, 5 * LATE_NS, Waker::noop());
        assert_eq!(timers.next_deadline_ns(), due_ns(4 * LATE_NS));
        assert!(timers.reset(timer, SOON_NS));
        assert_eq!(timers.next_deadline_ns(), due_ns(SOON_NS));
        assert_eq!(fire(&timers, LATE_NS), 1);
        assert!(!timers.reset(timer, 2 * LATE_NS));
        assert_eq!(timers.next_deadline_ns(), due_ns(5 * LATE_NS));
    });
}

/// A timer is moved by another worker, and then by its own to which the task has come, while a helper looks: the last word
/// counts.
///
/// Mutant in `driver/timers.rs`: `reset` does not mind that marks wait.
#[test]
fn a_timer_that_is_moved_there_and_here_fires_when_the_last_one_said() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        let timer = insert(&timers, 4 * LATE_NS, &waker);
        let helper = spawn_helper(&timers, 0);
        let other = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.reset_from_afar(timer, SOON_NS).outcome)
        };
        assert!(other.join().expect("no panic"));
        assert!(timers.reset(timer, 3 * LATE_NS));
        helper.join().expect("no panic");
        assert_eq!(fire(&timers, LATE_NS), 0);
        assert_eq!(fire(&timers, 3 * LATE_NS), 0);
        assert_eq!(fire(&timers, 4 * LATE_NS), 1);
        assert_eq!(count.wakes(), 1);
    });
}

/// A timer is dropped by another worker while its own goes to sleep: one of the two takes it out, and its waker does not
/// stay as long as the worker sleeps.
///
/// Mutants in `driver/timers.rs`: no fence in `begin_sleep`; no fence in `answer_from_afar`; `begin_sleep` works no marks
/// off; it does not say that the worker sleeps; `answer_from_afar` does not look; `work_off` does not remove;
/// `remove_from_afar` leaves no mark where the lock is taken.
#[test]
fn a_timer_that_is_dropped_while_its_worker_falls_asleep_does_not_stay() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        let timer = insert(&timers, LATE_NS, &waker);
        drop(waker);
        let dropper = spawn_dropper(&timers, timer);
        timers.begin_sleep();
        dropper.join().expect("no panic");
        assert_gone(&timers, &count);
    });
}

/// Two workers drop timers of one that sleeps, and another thread makes one: whoever finds the lock taken leaves it to the
/// holder.
///
/// Mutants in `driver/timers.rs`: `answer_from_afar` does not look; no fence there; `insert_from_afar` does not look.
#[test]
fn timers_that_two_drop_while_their_worker_sleeps_do_not_stay() {
    check(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = Count::new();
        let first = insert(&timers, LATE_NS, &waker);
        timers.begin_sleep();
        let dropper = spawn_dropper(&timers, first);
        let made = timers.insert_from_afar(2 * LATE_NS, waker.clone());
        assert!(!made.before_sleeper);
        dropper.join().expect("no panic");
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 2, "the waker of a dropped timer");
        let dropped = timers.remove_from_afar(made.outcome.expect("it is open"));
        assert!(!dropped.before_sleeper);
        assert!(timers.is_empty(), "it stays");
    });
}

/// A worker falls asleep while another drops its timer, with a helper, which took it to be stuck, at its wheel.
///
/// Mutants in `driver/timers.rs`: no fence in `answer_from_afar`, or no look; `work_off` does not remove; `begin_sleep` does
/// not say that the worker sleeps; `remove_from_afar` leaves no mark where the lock is taken.
#[test]
fn a_timer_that_is_dropped_while_a_helper_looks_does_not_stay() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        let timer = insert(&timers, LATE_NS, &waker);
        drop(waker);
        let helper = spawn_helper(&timers, LATE_NS - 1);
        let dropper = spawn_dropper(&timers, timer);
        timers.begin_sleep();
        helper.join().expect("no panic");
        dropper.join().expect("no panic");
        assert_gone(&timers, &count);
    });
}

/// A helper fires a timer of a worker that has fallen asleep meanwhile, and another worker, which drops a timer of the same
/// one, finds the wheel taken: the helper sees to it.
///
/// Mutant in `driver/timers.rs`: `fire_from_afar` does not look when it has given the lock back.
#[test]
fn a_timer_that_is_dropped_while_a_helper_fires_another_does_not_stay() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        insert(&timers, SOON_NS, &waker);
        let dropped = insert(&timers, LATE_NS, &waker);
        drop(waker);
        timers.begin_sleep();
        let helper = spawn_helper(&timers, LATE_NS - 1);
        let _ = timers.remove_from_afar(dropped);
        assert_eq!(helper.join().expect("no panic"), 1);
        assert_gone(&timers, &count);
    });
}

/// A timer is inserted from outside while its worker goes to sleep for ever: it does not, or is woken.
///
/// Mutants in `driver/timers.rs`: `insert_from_afar` does not say that the worker may be sleeping past it; `begin_sleep` does not
/// remember how long the worker sleeps.
#[test]
fn a_timer_from_outside_reaches_a_worker_that_falls_asleep() {
    check(|| {
        let (shard, _machine) = Machine::new(Bells::Message, 4, 4);
        let (count, waker) = Count::new();
        let other = {
            let shard = shard.clone();
            spawn(move || {
                let made = shard.timers().insert_from_afar(SOON_NS, waker);
                from_afar(&shard, made).expect("the shard is open");
            })
        };
        sleep_until_woken(&shard, &count);
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
        let timers = timers_of_who_is_awake();
        let (count, waker) = Count::new();
        insert(&timers, SOON_NS, &waker);
        let helper = spawn_helper(&timers, LATE_NS);
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
/// Mutants in `driver/timers.rs`: `update` says that a timer is there that has fired between its two looks; it keeps the
/// waker that is there.
#[test]
fn a_timer_whose_task_moves_while_it_fires_wakes_it() {
    check(|| {
        let timers = timers_of_who_is_awake();
        let (_, former) = Count::new();
        let (count, waker) = Count::new();
        let timer = insert(&timers, SOON_NS, &former);
        let task = {
            let timers = Arc::clone(&timers);
            spawn(move || timers.update_from_afar(timer, &waker).outcome)
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
            spawn(move || timers.insert_from_afar(LATE_NS, waker).outcome.is_some())
        };
        let mut all = Vec::new();
        timers.close(&mut all);
        all.into_iter().for_each(Waker::wake);
        let inserted = other.join().expect("no panic");
        assert_eq!(count.wakes(), usize::from(inserted));
        assert!(timers.is_empty());
    });
}
