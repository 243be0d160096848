//! A core that changes hands: between a worker's thread and a stand-in, when a task blocks in place, and between a
//! worker's thread and the main thread in `block_on`.
#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringway_loom_models::crew::Bell;
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::{Absence, CoreSlot, ParkWord, ThreadInRing, Unparked};
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
