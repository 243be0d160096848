//! Falling asleep against everything that wakes: tasks, timers, remote wakes, completions, and the monitor's sleep.
//!
//! The events in capitals are those of `runtime/src/scheduler/README.md`.
#![cfg(loom)]

use std::sync::Arc;
use std::task::Waker;

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::Relaxed;
use ringway_loom_models::crew::{Bed, Bell, Crew};
use ringway_loom_models::kernel::{Kernel, ModelRing, Queues, Read};
use ringway_loom_models::{Count, check, spawn};
use ringway_runtime::internals::{
    CoreSlot, Monitor, NextTimer, Operations, ParkWord, Polled, RootWake, Settled, Spare,
    Submitted, ThreadInRing, Timers, Unparked,
};

/// A worker that is busy pushes a task while the last searcher finds nothing and falls asleep. The searcher must get
/// the task: it sees it when it looks again, or the pusher sees that it sleeps.
///
/// Mutants: no fence (PostFence) in `notify`, no fence (SleepFence) in `fall_asleep`, or `fall_asleep` never says to
/// look again (`scheduler/idle.rs`); `leave_running` in `driver/park.rs` parks though it was notified.
#[test]
fn a_push_during_the_last_searchers_sleep_is_not_lost() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        assert!(crew.idle.begin_search());
        let sleeper = {
            let crew = Arc::clone(&crew);
            spawn(move || crew.work_once(1, true))
        };
        crew.push(7);
        assert_eq!(sleeper.join().expect("no panic"), 7);
    });
}

/// A task comes from outside while the only worker, which does not search, falls asleep.
///
/// Mutant in `scheduler/idle.rs`: only a searcher is told by `fall_asleep` to look again.
#[test]
fn a_task_from_outside_finds_a_worker_that_falls_asleep_unsearching() {
    check(|| {
        let crew = Arc::new(Crew::new(1));
        let worker = {
            let crew = Arc::clone(&crew);
            spawn(move || {
                if let Some(task) = crew.take() {
                    return task;
                }
                if crew.begin_sleep(0, false) {
                    crew.beds[0].bell.wait();
                }
                let searching = crew.end_sleep(0);
                crew.work_once(0, searching)
            })
        };
        crew.push(7);
        assert_eq!(worker.join().expect("no panic"), 7);
    });
}

/// A searcher finds a task and runs it for ever, while another task is pushed by a thread that sees it searching and
/// therefore wakes nobody. The searcher must pass the search on to the sleeper.
///
/// Mutants in `scheduler/idle.rs`: `end_search` has no fence; it never says that the searcher was the last.
#[test]
fn the_last_searcher_that_finds_work_passes_the_search_on() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        crew.queue.push(1);
        assert!(crew.idle.begin_search());
        assert!(!crew.idle.fall_asleep(1, false));
        assert!(crew.beds[1].word.park());
        let searcher = {
            let crew = Arc::clone(&crew);
            spawn(move || crew.work_once(0, true))
        };
        let sleeper = {
            let crew = Arc::clone(&crew);
            spawn(move || {
                crew.beds[1].bell.wait();
                let searching = crew.end_sleep(1);
                crew.work_once(1, searching)
            })
        };
        crew.push(2);
        let ran = searcher.join().expect("no panic") + sleeper.join().expect("no panic");
        assert_eq!(ran, 3);
    });
}

/// A worker that was called to search does not come. A task is pushed by a thread that may see it search; the monitor,
/// which ends the search in its place, wakes the sleeper if nobody else did.
///
/// Mutants in `scheduler/idle.rs`: `LentSearch::take` never gives the search away; `call` does not lend it.
#[test]
fn a_searcher_that_is_stuck_is_relieved_by_the_monitor() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        crew.idle.call(0, false);
        assert!(!crew.idle.fall_asleep(1, false));
        assert!(crew.beds[1].word.park());
        let sleeper = {
            let crew = Arc::clone(&crew);
            spawn(move || {
                crew.beds[1].bell.wait();
                let searching = crew.end_sleep(1);
                crew.work_once(1, searching)
            })
        };
        let monitor = {
            let crew = Arc::clone(&crew);
            spawn(move || crew.relieve(0))
        };
        crew.push(7);
        monitor.join().expect("no panic");
        assert_eq!(sleeper.join().expect("no panic"), 7);
    });
}

/// The worker comes while the monitor relieves it: one of them ends the search, and the task is found.
///
/// Mutants in `scheduler/idle.rs`: `LentSearch::take` is a load and a store; it never gives the search away.
#[test]
fn a_search_that_was_lent_ends_once() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        crew.idle.call(0, false);
        come_while_relieved(&crew, |crew| crew.idle.take_search(0));
    });
}

/// A worker is called for a task while it wakes by itself, and the monitor takes it to be one that does not come. One of
/// the two ends the search, and the task is found.
///
/// Mutants in `scheduler/idle.rs`: `pop_sleeper` lends the search when it has let go of the lock, or not at all.
#[test]
fn a_worker_that_is_called_while_it_wakes_by_itself_searches_once() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        assert!(crew.begin_sleep(0, false));
        come_while_relieved(&crew, |crew| crew.end_sleep(0));
    });
}

/// The first of two workers comes, searching if `come` says so, while the monitor takes it to be one that does not and a
/// task is pushed. The task is run, and the search has ended once.
fn come_while_relieved(crew: &Arc<Crew>, come: fn(&Crew) -> bool) {
    let worker = {
        let crew = Arc::clone(crew);
        spawn(move || {
            let searching = come(&crew);
            crew.work_once(0, searching)
        })
    };
    let monitor = {
        let crew = Arc::clone(crew);
        spawn(move || crew.relieve(0))
    };
    crew.push(7);
    monitor.join().expect("no panic");
    assert_eq!(worker.join().expect("no panic"), 7);
    // Of two workers one may search: nobody does, and no count has gone below 0.
    assert!(crew.idle.begin_search());
    assert!(!crew.idle.begin_search());
    assert_eq!(crew.idle.sleepers(), 0);
}

/// Two tasks are pushed while two workers fall asleep. Each worker runs one task for ever, so neither may be left
/// asleep.
///
/// Mutants in `scheduler/idle.rs`: `pop_sleeper` does not count the worker as a searcher; it leaves the worker in the
/// list.
#[test]
fn two_pushes_leave_none_of_two_sleepers_asleep() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let crew = Arc::clone(&crew);
                spawn(move || crew.work_once(worker, false))
            })
            .collect();
        crew.push(1);
        crew.push(2);
        let ran: u32 = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .sum();
        assert_eq!(ran, 3);
        assert_eq!(crew.idle.sleepers(), 0);
    });
}

/// A worker wakes by itself, for a completion that it then runs for ever, while a task is pushed. Either the other
/// worker is woken for the task, or this one was, and passes the search on.
///
/// Mutant in `scheduler/idle.rs`: `wake_up` leaves the worker in the list of sleepers.
#[test]
fn a_push_is_not_lost_on_a_worker_that_wakes_by_itself() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        for worker in [1, 0] {
            let _ = crew.idle.fall_asleep(worker, false);
            assert!(crew.beds[worker].word.park());
        }
        let busy = {
            let crew = Arc::clone(&crew);
            spawn(move || {
                if crew.end_sleep(0) {
                    crew.stop_searching();
                }
            })
        };
        let sleeper = {
            let crew = Arc::clone(&crew);
            spawn(move || {
                crew.beds[1].bell.wait();
                let searching = crew.end_sleep(1);
                crew.work_once(1, searching)
            })
        };
        crew.push(7);
        busy.join().expect("no panic");
        assert_eq!(sleeper.join().expect("no panic"), 7);
    });
}

/// Two threads push a task each while two workers sleep. Only one is woken: it wakes the other if it has to.
///
/// Mutant in `scheduler/idle.rs`: `pop_sleeper` does not look at the counts again under the lock.
#[test]
fn two_pushes_at_once_wake_one_of_two_sleepers() {
    check(|| {
        let crew = Arc::new(Crew::new(2));
        for worker in 0..2 {
            let _ = crew.idle.fall_asleep(worker, false);
            assert!(crew.beds[worker].word.park());
        }
        let pusher = {
            let crew = Arc::clone(&crew);
            spawn(move || crew.push(1))
        };
        crew.push(2);
        pusher.join().expect("no panic");
        assert_eq!(crew.idle.sleepers(), 1);
    });
}

/// Something is written and its reader unparked while that reader goes to sleep. It does not sleep, or is woken, and
/// sees what was written.
///
/// Mutants in `driver/park.rs`: `leave_running` parks though it was notified; `unpark` does not tell who parked from
/// who runs; its swap is Acquire only.
#[test]
fn a_remote_wake_during_the_way_to_sleep_is_not_lost() {
    check(|| {
        let bed = Arc::new(Bed::new());
        let written = Arc::new(AtomicBool::new(false));
        let sleeper = {
            let (bed, written) = (Arc::clone(&bed), Arc::clone(&written));
            spawn(move || {
                while !written.load(Relaxed) {
                    if bed.word.park() {
                        bed.bell.wait();
                        assert!(bed.word.wake(), "nobody else rings");
                    }
                }
            })
        };
        written.store(true, Relaxed);
        bed.unpark();
        sleeper.join().expect("no panic");
    });
}

/// A worker wakes by itself, or does not get to sleep, and by the park word alone finds out that it was notified. It
/// sees what the notifier wrote before.
///
/// Mutants in `driver/park.rs`: the swap of `wake` is Release only; the exchange in `leave_running` is Relaxed when it
/// fails, and so is the swap behind it.
#[test]
fn who_finds_itself_notified_sees_what_was_written() {
    check(|| {
        let bed = Arc::new(Bed::new());
        let written = Arc::new(AtomicBool::new(false));
        let waker = {
            let (bed, written) = (Arc::clone(&bed), Arc::clone(&written));
            spawn(move || {
                written.store(true, Relaxed);
                let _ = bed.word.unpark();
            })
        };
        let notified = !bed.word.park() || bed.word.wake();
        if notified {
            assert!(written.load(Relaxed));
        }
        waker.join().expect("no panic");
    });
}

/// Two remote wakes at once: one rings, and what both wrote is seen.
///
/// Mutant in `driver/park.rs`: `unpark` writes nothing when the word says *Notified* already, so that what the second
/// wrote is not published.
#[test]
fn two_remote_wakes_are_both_seen() {
    check(|| {
        let bed = Arc::new(Bed::new());
        let written = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let wakers: Vec<_> = (0..2)
            .map(|number| {
                let (bed, written) = (Arc::clone(&bed), Arc::clone(&written));
                spawn(move || {
                    written[number].store(true, Relaxed);
                    bed.unpark();
                })
            })
            .collect();
        while !written.iter().all(|written| written.load(Relaxed)) {
            if bed.word.park() {
                bed.bell.wait();
                bed.word.wake();
            }
        }
        for waker in wakers {
            waker.join().expect("no panic");
        }
    });
}

/// The kernel completes an operation while its worker falls asleep, and a helper may take the completion before the
/// worker enters the ring. The task that it wakes gets run: by the worker, whom the completion or the helper wakes.
///
/// Mutants: `settle` in `driver/slots.rs` hands out no waker; no fence (PostFence) in `notify`, or no fence
/// (SleepFence) in `fall_asleep` (`scheduler/idle.rs`).
#[test]
fn a_completion_during_the_way_to_sleep_is_not_lost() {
    check(|| {
        let queues = Queues::new(4);
        let operations = Arc::new(Operations::new(ModelRing(Arc::clone(&queues))));
        let crew = Arc::new(Crew::new(1));
        let (_, waker) = Count::new();
        let (read, _buffer) = Read::new();
        let Submitted::Queued { key, .. } = operations.submit(read, Some(waker.clone())) else {
            unreachable!("the shard is open")
        };
        let mut kernel = Kernel::new(&queues);
        kernel.take();
        let completer = spawn(move || kernel.complete(1));
        let helper = {
            let (queues, operations) = (Arc::clone(&queues), Arc::clone(&operations));
            let crew = Arc::clone(&crew);
            spawn(move || {
                let mut settled = Settled::default();
                operations.try_reap(&mut settled);
                if !settled.wakers.is_empty() {
                    // The task that is woken goes to the injector.
                    crew.queue.push(7);
                    let called = crew.idle.notify();
                    let unparked = called.map(|worker| crew.beds[worker].word.unpark());
                    if unparked == Some(Unparked::RingDoorbell) {
                        queues.ring_doorbell();
                    }
                }
                settled
            })
        };
        let mut settled = Settled::default();
        let mut searching = false;
        loop {
            operations.reap(&mut { usize::MAX }, &mut settled);
            if !settled.wakers.is_empty() || crew.take().is_some() {
                break;
            }
            searching |= crew.idle.begin_search();
            if crew.begin_sleep(0, std::mem::take(&mut searching)) {
                queues.sleep();
            }
            searching = crew.end_sleep(0);
        }
        let others = helper.join().expect("no panic");
        assert_eq!(settled.wakers.len() + others.wakers.len(), 1);
        completer.join().expect("no panic");
        let Polled::Ready(read, answer) = operations.poll::<Read>(key, &waker) else {
            panic!("a task was woken in vain")
        };
        assert_eq!(answer.result, 1);
        drop(read);
    });
}

/// The worker's own timer is far off. Another thread inserts an earlier one while the worker goes to sleep. Either the
/// worker sleeps no longer than until that one, or it is woken.
///
/// Mutants in `driver/timers.rs`: `begin_sleep` keeps the earlier of the old deadline and the new one; `insert` reads
/// the sleeper's deadline before it has the lock for the wheel.
#[test]
fn an_earlier_timer_wakes_a_worker_that_sleeps_past_it() {
    const FAR_NS: u64 = 1_000_000_000;
    const NEAR_NS: u64 = 10_000_000;
    // The wheel rounds to its ticks.
    let is_near = |next: Option<NextTimer>| next.is_some_and(|next| next.deadline_ns < FAR_NS / 2);
    check(move || {
        let timers = Arc::new(Timers::new());
        let bed = Arc::new(Bed::new());
        // An earlier sleep was a short one.
        let short = timers
            .insert(NEAR_NS / 2, Waker::noop().clone())
            .expect("open");
        assert!(is_near(timers.begin_sleep()));
        drop(timers.remove(short));
        timers.insert(FAR_NS, Waker::noop().clone()).expect("open");
        let sleeper = {
            let (timers, bed) = (Arc::clone(&timers), Arc::clone(&bed));
            spawn(move || {
                while bed.word.park() {
                    if is_near(timers.begin_sleep()) {
                        break;
                    }
                    bed.bell.wait();
                    bed.word.wake();
                }
                assert!(is_near(timers.begin_sleep()));
            })
        };
        let near = timers.insert_from_afar(NEAR_NS, Waker::noop().clone());
        near.outcome.expect("open");
        if near.before_sleeper {
            match bed.word.unpark() {
                Unparked::RingDoorbell => bed.bell.ring(),
                Unparked::Noted => {}
                Unparked::StartThread => unreachable!("the core is not given up in this model"),
            }
        }
        sleeper.join().expect("no panic");
    });
}

/// The root of `block_on` is woken while its thread takes a core over, or gives it back. The thread sees the wake, or is
/// woken where it sleeps: in the ring, or outside. It sees what the waker wrote.
///
/// Mutants in `scheduler/root_wake.rs`: no fence in `wake`; no fence in `move_to`; the flag is written with Relaxed.
#[test]
fn a_wake_of_the_root_finds_its_thread_wherever_it_goes() {
    for gives_back in [false, true] {
        check(move || {
            let root = Arc::new(RootWake::new());
            assert!(root.take());
            let (bed, outside) = (Arc::new(Bed::new()), Arc::new(Bell::new()));
            let written = Arc::new(AtomicBool::new(false));
            root.move_to(gives_back.then_some(0));
            let waker = {
                let (root, bed) = (Arc::clone(&root), Arc::clone(&bed));
                let (outside, written) = (Arc::clone(&outside), Arc::clone(&written));
                spawn(move || {
                    written.store(true, Relaxed);
                    match root.wake() {
                        None => outside.ring(),
                        Some(_) => bed.unpark(),
                    }
                })
            };
            root.move_to((!gives_back).then_some(0));
            while !root.take() {
                if gives_back {
                    outside.wait();
                } else {
                    if !root.is_woken() && bed.word.park() {
                        bed.bell.wait();
                    }
                    bed.word.wake();
                }
            }
            assert!(written.load(Relaxed));
            waker.join().expect("no panic");
        });
    }
}

/// The monitor finds all workers asleep and goes to sleep, while one wakes. It does not sleep on.
///
/// Mutants in `scheduler/monitor.rs`: no fence in `sleep`; no fence in `note_awake`; `rouse` does not clear the flag.
#[test]
fn the_monitor_does_not_sleep_while_a_worker_is_awake() {
    check(|| {
        let monitor = Arc::new(Monitor::new());
        let word = Arc::new(ParkWord::new_vacant());
        let sleeper = {
            let (monitor, word) = (Arc::clone(&monitor), Arc::clone(&word));
            spawn(move || assert!(monitor.sleep(|| !word.is_awake())))
        };
        word.wake();
        monitor.note_awake();
        sleeper.join().expect("no panic");
    });
}

/// A core that was called where no thread comes to it lies in its slot, so the monitor goes to sleep; meanwhile somebody blocks
/// on the runtime and takes the core. The monitor does not sleep on.
///
/// Mutants in `scheduler/monitor.rs`: no fence in `sleep`; no fence in `note_awake`.
#[test]
fn the_monitor_does_not_sleep_while_a_core_that_was_left_is_run() {
    check(|| {
        let monitor = Arc::new(Monitor::new());
        let word = Arc::new(ParkWord::new_vacant());
        let slot = Arc::new(CoreSlot::new(Box::new(0)));
        assert_eq!(word.unpark(), Unparked::StartThread);
        let sleeper = {
            let (monitor, word, slot) =
                (Arc::clone(&monitor), Arc::clone(&word), Arc::clone(&slot));
            // As `Shared::all_asleep`, of a worker without a thread.
            let sleeps = move || !(word.is_awake() && slot.is_empty());
            spawn(move || assert!(monitor.sleep(sleeps)))
        };
        assert!(slot.take().is_some());
        word.wake();
        monitor.note_awake();
        sleeper.join().expect("no panic");
    });
}

/// The monitor offers the spare worker a part in running a queued task, while that worker is awake for reasons of its
/// own, and on its way to sleep. It takes the task, and is counted as a searcher before it stops being one.
///
/// Mutants: `offer` in `scheduler/spare.rs` counts the searcher after the offer; it counts none; `accept` says so to a
/// worker that was made no offer.
#[test]
fn a_spare_worker_that_is_offered_a_part_takes_it_once() {
    /// The number behind the one of the only worker.
    const SPARE: usize = 1;
    check(|| {
        let crew = Arc::new(Crew::new(1));
        let spare = Arc::new(Spare::new());
        let bed = Arc::new(Bed::new());
        crew.queue.push(7);
        let monitor = {
            let (crew, spare, bed) = (Arc::clone(&crew), Arc::clone(&spare), Arc::clone(&bed));
            spawn(move || {
                if spare.offer(&crew.idle, SPARE, 0, 1) {
                    bed.unpark();
                }
            })
        };
        while !spare.accept() {
            assert!(!crew.idle.retire(false));
            if bed.word.park() {
                bed.bell.wait();
            }
            bed.word.wake();
        }
        assert_eq!(crew.take(), Some(7));
        assert!(crew.idle.take_search(SPARE), "it was called");
        assert!(crew.idle.end_search(), "it was the only searcher");
        monitor.join().expect("no panic");
        assert!(!spare.accept(), "the offer was accepted");
        spare.retire();
    });
}

/// The main thread lays a core down, under a worker's thread that is on its way into the ring or waits outside, while
/// a third thread needs the core to be run. The thread gets the core, and sees what the third wrote.
///
/// Mutants: no fence in `lay_down`, or in `take_if_called` (`scheduler/slot.rs`); no fence in `enter`, or in
/// `must_be_rung`, or `enter` always agrees (`driver/park.rs`).
#[test]
fn a_core_that_is_laid_down_is_taken_by_the_thread_that_is_called() {
    for starts_in_ring in [false, true] {
        check(move || {
            let place = Arc::new(Place {
                word: ParkWord::new_vacant(),
                slot: CoreSlot::new(Box::new(0)),
                in_ring: ThreadInRing::new(),
                bell: Bell::new(),
                unparked: Bell::new(),
            });
            // The main thread has the core.
            let core = place.slot.take().expect("just put there");
            place.word.wake();
            let written = Arc::new(AtomicBool::new(false));
            let thread = {
                let (place, written) = (Arc::clone(&place), Arc::clone(&written));
                spawn(move || {
                    drop(place.get_core(starts_in_ring));
                    place.word.wake();
                    assert!(written.load(Relaxed));
                })
            };
            let caller = {
                let (place, written) = (Arc::clone(&place), Arc::clone(&written));
                spawn(move || {
                    written.store(true, Relaxed);
                    if place.word.unpark() == Unparked::StartThread {
                        place.start_thread();
                    }
                })
            };
            place.lay_down(core);
            thread.join().expect("no panic");
            caller.join().expect("no panic");
        });
    }
}

/// A worker's place, with the functions of `driver/shard.rs`, `scheduler/park.rs` and `scheduler/root.rs`.
struct Place {
    word: ParkWord,
    slot: CoreSlot<u32>,
    in_ring: ThreadInRing,
    bell: Bell,
    /// The token of the thread's unparking.
    unparked: Bell,
}

impl Place {
    /// As `WorkerContext::lay_down`.
    fn lay_down(&self, core: Box<u32>) {
        if !self.word.vacate() {
            let _ = self.word.unpark();
        }
        if self.slot.lay_down(core, &self.word) {
            self.start_thread();
        }
    }

    /// As `Shard::start_thread`.
    fn start_thread(&self) {
        self.unparked.ring();
        if self.in_ring.must_be_rung() {
            self.bell.ring();
        }
    }

    /// As `WorkerContext::sleep_as_worker`, from the ring, or `wait_for_core`.
    fn get_core(&self, from_ring: bool) -> Box<u32> {
        if from_ring {
            if self.in_ring.enter(&self.word) {
                self.bell.wait();
            }
            self.in_ring.leave();
            if let Some(core) = self.slot.take() {
                return core;
            }
        }
        loop {
            if let Some(core) = self.slot.take_if_called(&self.word) {
                return core;
            }
            self.unparked.wait();
        }
    }
}
