//! A core that changes hands: between a worker's thread and a stand-in, when a task blocks in place, and between a
//! worker's thread and the main thread in `block_on`. Whoever goes on with it is called to search.
#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringway_loom_models::crew::{Bell, Crew};
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::{Absence, CoreSlot, ParkWord, Spare, ThreadInRing, Unparked};
use ringway_runtime::loom::atomic::AtomicBool;

type Core = Box<u32>;

/// A worker's place, with the functions of `driver/shard.rs`, `scheduler/root.rs`, `scheduler/park.rs`,
/// `scheduler/in_place.rs` and `scheduler/stand_in.rs`.
struct Place {
    word: ParkWord,
    slot: CoreSlot<u32>,
    in_ring: ThreadInRing,
    absence: Absence,
    /// The ring's doorbell.
    bell: Bell,
    /// The token of the own thread's unparking.
    unparked: Bell,
    /// The stand-in is called.
    called: Bell,
    /// The own thread has its core for good.
    done: AtomicBool,
    /// What somebody queued, for whoever runs the core to see; and that a stand-in has seen it.
    written: AtomicBool,
    seen: Bell,
}

impl Place {
    fn new() -> (Arc<Self>, Core) {
        let place = Self {
            word: ParkWord::new_vacant(),
            slot: CoreSlot::new(Box::new(0)),
            in_ring: ThreadInRing::new(),
            absence: Absence::new(),
            bell: Bell::new(),
            unparked: Bell::new(),
            called: Bell::new(),
            done: AtomicBool::new(false),
            written: AtomicBool::new(false),
            seen: Bell::new(),
        };
        let core = place.slot.take().expect("just put there");
        place.word.wake();
        (Arc::new(place), core)
    }

    /// A thread from outside has something for the core.
    fn write(&self) {
        self.written.store(true, Relaxed);
        self.pay(self.word.unpark());
    }

    /// As `Shard::pay`.
    fn pay(&self, owed: Unparked) {
        match owed {
            Unparked::Noted => {}
            Unparked::RingDoorbell => self.bell.ring(),
            Unparked::StartThread => self.start_thread(),
        }
    }

    /// As `Shard::start_thread`.
    fn start_thread(&self) {
        if self.absence.is_on() {
            return self.called.ring();
        }
        self.unparked.ring();
        if self.in_ring.must_be_rung() {
            self.bell.ring();
        }
    }

    /// Whether whoever runs the core finds nothing to do. What was written is left to the worker's thread, which so
    /// gets the core in the end.
    fn finds_nothing(&self) -> bool {
        !self.written.load(Relaxed)
    }

    /// As `WorkerContext::give_back`.
    fn give_back(&self, core: Core, at_rest: bool) {
        if !at_rest {
            let _ = self.word.unpark();
            self.slot.put(core);
            return self.start_thread();
        }
        if !self.word.vacate() {
            let _ = self.word.unpark();
        }
        if self.slot.lay_down(core, &self.word) {
            self.start_thread();
        }
    }

    /// As `WorkerContext::take_back`, and `return_and_wait` if that brings nothing.
    fn come_back(&self) -> Core {
        if let Some(core) = self.slot.take() {
            self.absence.end_with_core();
            return core;
        }
        let owed = self.absence.end(&self.word);
        self.pay(owed);
        self.wait_for_core()
    }

    fn wait_for_core(&self) -> Core {
        loop {
            if let Some(core) = self.slot.take_if_called(&self.word) {
                return core;
            }
            self.unparked.wait();
        }
    }

    /// As `WorkerContext::sleep_as_worker`.
    fn sleep_as_worker(&self, core: Core) -> Core {
        if !self.word.park() {
            return core;
        }
        self.slot.put(core);
        if self.in_ring.enter(&self.word) {
            self.bell.wait();
        }
        self.in_ring.leave();
        self.slot.take().unwrap_or_else(|| self.wait_for_core())
    }

    /// The worker's loop until it sees what was written.
    fn work(&self, mut core: Core) {
        self.word.wake();
        while !self.written.load(Relaxed) {
            core = self.sleep_as_worker(core);
            self.word.wake();
        }
        drop(core);
    }

    /// As `run_stand_in`, until the worker's thread has done.
    fn stand_in(&self, at_rest: bool) {
        loop {
            self.called.wait();
            if self.done.load(Relaxed) {
                return;
            }
            if let Some(core) = self.slot.take_if_called(&self.word) {
                self.serve(core, at_rest);
            }
        }
    }

    /// As `serve`.
    fn serve(&self, core: Core, at_rest: bool) {
        self.word.wake();
        loop {
            if !self.finds_nothing() {
                self.seen.ring();
            }
            if !self.absence.is_on() {
                return self.give_back(core, at_rest && self.finds_nothing());
            }
            if at_rest {
                return self.give_back(core, true);
            }
            if self.word.park() {
                self.bell.wait();
            }
            self.word.wake();
        }
    }
}

/// A worker's thread gives its core up to block, while somebody has work for the core, and comes back. Whoever has the
/// core sees the work, and the thread gets its core again.
///
/// Mutants: `end` of `Absence` unparks nobody, or says so after it has unparked; `begin` says nothing
/// (`driver/park.rs`); no fence in `lay_down`, or in `take_if_called` (`scheduler/slot.rs`).
#[test]
fn a_core_that_is_given_up_to_block_is_run_and_comes_back() {
    let cases = 0..8;
    for (laid_down, at_rest, waits) in
        cases.map(|case| (case & 1 == 0, case & 2 == 0, case & 4 == 0))
    {
        check(move || {
            let (place, core) = Place::new();
            let stand_in = {
                let place = Arc::clone(&place);
                spawn(move || place.stand_in(at_rest))
            };
            let other = {
                let place = Arc::clone(&place);
                spawn(move || place.write())
            };
            place.absence.begin();
            place.give_back(core, laid_down);
            // The closure waits for what somebody else has to do, or just returns.
            if waits {
                place.seen.wait();
            }
            let core = place.come_back();
            place.work(core);
            place.done.store(true, Relaxed);
            place.called.ring();
            stand_in.join().expect("no panic");
            other.join().expect("no panic");
        });
    }
}

/// A worker's thread goes to sleep while the main thread takes the core over, and gives it back, with work or without,
/// while somebody has work for the core. The worker sees the work.
///
/// Mutants: no fence in `lay_down` (`scheduler/slot.rs`); no fence in `enter`, or in `must_be_rung` (`driver/park.rs`).
#[test]
fn a_core_that_the_main_thread_takes_and_gives_back_loses_no_work() {
    for at_rest in [false, true] {
        check(move || {
            let (place, core) = Place::new();
            let worker = {
                let place = Arc::clone(&place);
                spawn(move || place.work(core))
            };
            let other = {
                let place = Arc::clone(&place);
                spawn(move || place.write())
            };
            if let Some(core) = place.slot.take() {
                place.word.wake();
                place.give_back(core, at_rest && place.finds_nothing());
            }
            worker.join().expect("no panic");
            other.join().expect("no panic");
        });
    }
}

/// A task blocks in place on the spare worker, which is needed or was retired, and whose core was searching or not; a stand-in
/// goes on with it, while two tasks are pushed. It runs one at most, so the worker that sleeps is woken: no search is left that
/// nobody has.
///
/// Mutants: `hand_over` in `scheduler/idle.rs` calls who takes no calls, or leaves its search counted, or does not say that it
/// was the last; `was_called` in `scheduler/spare.rs` says no of a worker that is active.
#[test]
fn the_core_of_a_spare_worker_is_handed_over_without_a_search_that_nobody_takes() {
    for (active, searching) in [(false, false), (false, true), (true, false), (true, true)] {
        check(move || {
            let crew = Arc::new(Crew::new(1));
            let spare = Arc::new(Spare::new());
            if active {
                assert!(spare.offer(&crew.idle, SPARE, 0, 1));
                assert!(spare.was_called(&crew.idle, SPARE));
                assert!(crew.idle.take_search(SPARE) && crew.idle.end_search());
            }
            if searching {
                assert!(crew.idle.begin_search());
            }
            assert_eq!(crew.idle.fall_asleep(0, false), !searching);
            assert!(crew.beds[0].word.park());
            let sleeper = {
                let crew = Arc::clone(&crew);
                spawn(move || {
                    crew.beds[0].bell.wait();
                    let searching = crew.end_sleep(0);
                    crew.work_once(0, searching)
                })
            };
            let stand_in = {
                let (crew, spare) = (Arc::clone(&crew), Arc::clone(&spare));
                spawn(move || {
                    hand_over_spare(&crew, &spare, searching);
                    serve_spare(&crew, &spare);
                })
            };
            // One for each of them, who runs it for ever.
            crew.push(7);
            crew.push(7);
            stand_in.join().expect("no panic");
            assert_eq!(sleeper.join().expect("no panic"), 7);
            assert!(crew.idle.begin_search(), "nobody searches");
            assert_eq!(crew.idle.sleepers(), 0);
        });
    }
}

/// The number of the spare worker, behind that of the only other one.
const SPARE: usize = 1;

/// As `WorkerContext::hand_over`.
fn hand_over_spare(crew: &Crew, spare: &Spare, searching: bool) {
    let owes = crew.idle.hand_over(SPARE, searching, spare.is_active());
    if owes && !crew.queue.is_empty() {
        crew.notify();
    }
}

/// As `serve` of `scheduler/stand_in.rs`: wakes with the core, runs a task, and falls asleep, for the root has gone on.
fn serve_spare(crew: &Crew, spare: &Spare) {
    let called = spare.was_called(&crew.idle, SPARE);
    let mut searching = called && crew.idle.take_search(SPARE);
    if crew.take().is_some() && std::mem::take(&mut searching) {
        crew.stop_searching();
    }
    spare.retire();
    if crew.idle.retire(searching) && !crew.queue.is_empty() {
        crew.notify();
    }
}
