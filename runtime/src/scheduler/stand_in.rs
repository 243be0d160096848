//! Stand-ins: threads that run a worker's core while its own thread is inside `block_in_place`.
//!
//! A thread that is about to give its core up *reserves* a stand-in: there are at least as many stand-ins as
//! reservations, so each core that needs one gets one. A stand-in that is *called* takes the core, if the call still
//! stands, and runs it until there is nothing left to do, until the worker's own thread is back, or until a task takes
//! the core away from it by `block_in_place` in turn.
//!
//! Stand-ins are threads of their own, not the blocking pool's, so that a pool whose threads are all taken by jobs does
//! not keep a worker from going on. There are no more of them than the pool may have threads. One that has had nothing
//! to do for the keep-alive time ends, unless it is reserved, or a shard that it has served has operations in flight: they
//! would die with the thread that submitted them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::shared::Shared;
use super::worker::{Turn, WorkerContext};
use crate::blocking::{Roster, Seat};
use crate::config::Config;
use crate::context::{self, Blocking};
use crate::task::coop;

/// The stand-ins of a runtime.
#[derive(Debug)]
pub(crate) struct StandIns {
    state: Mutex<State>,
    roster: Arc<Roster>,
    threads_max: usize,
    keep_alive: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Threads there are, those that are being started included.
    threads: usize,
    reserved: usize,
    idle: Vec<Seat>,
    /// Workers whose core needs a thread.
    calls: VecDeque<usize>,
    /// Threads that are about to look for a call: they were started, or called, or are giving a core back.
    coming: usize,
    ended: bool,
}

/// A stand-in that is reserved may not end, however short the keep-alive time is, and looks again not sooner than this.
const KEEP_ALIVE_MIN: Duration = Duration::from_millis(10);

/// What a stand-in does next.
enum Next {
    Serve(usize),
    Rest,
    End,
}

/// How a stand-in's rest ends when its time is up.
enum Rested {
    Called,
    /// It is reserved, or owes the kernel its life.
    Needed,
    Ends,
}

impl StandIns {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::default(),
            roster: Arc::default(),
            threads_max: config.max_blocking_threads,
            keep_alive: config.thread_keep_alive.max(KEEP_ALIVE_MIN),
        }
    }

    /// Takes a reservation back.
    pub(super) fn release(&self) {
        self.state.lock().reserved -= 1;
    }

    /// Ends all that have nothing to do, and waits for all until `deadline`.
    pub(super) fn shut_down(&self, deadline: Option<Instant>) {
        let mut state = self.state.lock();
        state.ended = true;
        let idle = std::mem::take(&mut state.idle);
        state.coming += idle.len();
        drop(state);
        idle.iter().for_each(Seat::call);
        self.roster.wait(deadline);
    }

    /// `coming`: the caller was counted as such.
    fn next(&self, seat: &Seat, coming: bool) -> Next {
        let mut state = self.state.lock();
        state.coming -= usize::from(coming);
        if let Some(worker) = state.calls.pop_front() {
            return Next::Serve(worker);
        }
        if state.ended {
            state.threads -= 1;
            return Next::End;
        }
        state.idle.push(seat.clone());
        Next::Rest
    }

    /// A stand-in has rested long enough.
    fn end_rest(&self, seat: &Seat, owes: bool) -> Rested {
        let mut state = self.state.lock();
        let Some(place) = state.idle.iter().position(|idle| idle == seat) else {
            drop(state);
            seat.take_call();
            return Rested::Called;
        };
        state.idle.remove(place);
        if owes || state.threads <= state.reserved {
            return Rested::Needed;
        }
        state.threads -= 1;
        Rested::Ends
    }
}

impl Shared {
    /// Sees to it that there is a stand-in for the caller's core; `false` if there may not be one more, or the system
    /// refuses it.
    pub(super) fn reserve_stand_in(self: &Arc<Self>) -> bool {
        let mut state = self.stand_ins.state.lock();
        if state.ended || state.reserved >= self.stand_ins.threads_max {
            return false;
        }
        state.reserved += 1;
        if state.threads >= state.reserved {
            return true;
        }
        state.threads += 1;
        state.coming += 1;
        drop(state);
        let started = self.start_stand_in();
        if !started {
            self.stand_ins.release();
        }
        started
    }

    /// Calls a stand-in to a worker's core.
    pub(super) fn call_stand_in(self: &Arc<Self>, worker: usize) {
        let mut state = self.stand_ins.state.lock();
        state.calls.push_back(worker);
        if state.calls.len() <= state.coming {
            return;
        }
        if let Some(seat) = state.idle.pop() {
            state.coming += 1;
            drop(state);
            return seat.call();
        }
        // Enough threads are reserved; but a task may keep one of those that are about to be done.
        if !state.ended && state.threads < self.stand_ins.threads_max {
            state.threads += 1;
            state.coming += 1;
            drop(state);
            self.start_stand_in();
        }
    }

    fn start_stand_in(self: &Arc<Self>) -> bool {
        let started = self.stand_ins.roster.start(self, run_stand_in).is_ok();
        if !started {
            let mut state = self.stand_ins.state.lock();
            state.threads -= 1;
            state.coming -= 1;
        }
        started
    }
}

/// The body of a stand-in's thread.
fn run_stand_in(shared: &Arc<Shared>) {
    let stand_ins = &shared.stand_ins;
    let seat = Seat::here();
    let mut served: Vec<usize> = Vec::new();
    let mut coming = true;
    loop {
        match stand_ins.next(&seat, coming) {
            Next::Serve(worker) => {
                coming = serve(shared, worker);
                if !served.contains(&worker) {
                    served.push(worker);
                }
            }
            Next::Rest if seat.wait(stand_ins.keep_alive) => coming = true,
            Next::Rest => {
                served.retain(|&worker| shared.workers[worker].shard.has_operations());
                coming = match stand_ins.end_rest(&seat, !served.is_empty()) {
                    Rested::Called => true,
                    Rested::Needed => false,
                    Rested::Ends => return,
                };
            }
            Next::End => return,
        }
    }
}

/// Runs a worker's core, if it is still there to be run. `true`: the thread was counted as coming.
fn serve(shared: &Arc<Shared>, index: usize) -> bool {
    let remote = &shared.workers[index];
    let Some(core) = remote.slot.take_if_called(remote.shard.word()) else {
        return false;
    };
    let worker = WorkerContext::new(Arc::clone(shared), index);
    let _entered = context::enter_worker(&worker);
    let _blocking = context::set_blocking(Blocking::Forbidden);
    let turns = || {
        let mut core = worker.wake(core);
        loop {
            if !remote.shard.absence().is_on() {
                break;
            }
            if shared.shutdown.has_begun() {
                worker.leave(core);
                return false;
            }
            core = match worker.turn(core) {
                Turn::Ran(core) | Turn::EndedRound(core) => core,
                // Who lays a core down does not look whether a clock that stands may jump.
                Turn::NothingToDo(left)
                    if worker.is_at_rest(&left) && !shared.standstill.is_watched() =>
                {
                    core = left;
                    break;
                }
                Turn::NothingToDo(core) => worker.sleep_as_guest(core, || false),
                Turn::LostCore => {
                    worker.end_away();
                    return false;
                }
            };
        }
        shared.stand_ins.state.lock().coming += 1;
        worker.give_back(core);
        true
    };
    shared.tokio.run(|| coop::scope(turns))
}
