//! Rounds: the order in which a current-thread runtime runs its tasks and its root, which is tokio's. docs/adr/0045 says why.
//!
//! 1. What is woken or spawned is queued in that order, and runs in it. There is no next-task slot.
//! 2. A *round* ends when nothing is queued, here or in the injector; and after 61 turns, or as many as `event_interval` says.
//! 3. At its end the kernel's answers and the timers that are due come first. Then those are queued that have yielded in the
//!    round, the last one first. Then the root has its turn, if it was woken, and only then.
//!
//! A task yields in two ways. In `yield_now` it leaves its waker, which is called at the end of the round: so something else may
//! wake the task before. A task that was woken while it ran, and has used up its budget, or has yielded with a waker that is not
//! a task's, is held back itself. Such a waker is called at once, for it may be that of an executor that waits on this thread.

use std::task::Waker;
use std::time::Instant;

use super::worker::{Core, Turn, WorkerContext};
use crate::runtime::RuntimeFlavor;
use crate::task::{Notified, Yielded, coop, go_on, take_yielded};

/// Turns of a round at most, where the user says nothing: tokio's number.
const TURNS_MAX: u32 = 61;
/// Turns between two looks at the injector while tasks are queued: tokio's number.
pub(super) const INJECT_INTERVAL: u32 = 31;

/// How a core is with its round.
pub(super) struct Rounds {
    turns_max: u32,
    turns_left: u32,
    /// Who has yielded in this round.
    yielded: Vec<Yielded>,
    /// So has the root.
    root_yielded: bool,
}

impl Rounds {
    /// `event_interval`: turns of a round at most; 0 if the user says nothing.
    pub(super) fn new(event_interval: u32) -> Self {
        let turns_max = match event_interval {
            0 => TURNS_MAX,
            turns => turns,
        };
        Self {
            turns_max,
            turns_left: turns_max,
            yielded: Vec::new(),
            root_yielded: false,
        }
    }

    /// Whether somebody waits for the end of the round.
    pub(super) fn has_yielded(&self) -> bool {
        self.root_yielded || !self.yielded.is_empty()
    }

    pub(super) fn note_yield_of_root(&mut self) {
        self.root_yielded = true;
    }

    /// The next round begins.
    fn begin(&mut self) {
        self.turns_left = self.turns_max;
        self.root_yielded = false;
    }

    /// At the end of the runtime.
    pub(super) fn drop_yielded(&mut self) {
        while let Some(yielded) = self.yielded.pop() {
            drop(yielded);
        }
    }
}

impl WorkerContext {
    /// A task from outside. One alone: what it wakes comes before the next.
    pub(super) fn take_one_injected(&self) -> Option<Notified> {
        let inject = &self.shared().inject;
        if inject.is_empty() {
            return None;
        }
        inject.pop()
    }

    /// Nothing is queued, and so the round is over.
    pub(super) fn turn_without_task(&self, mut core: Box<Core>) -> Turn {
        self.metrics().end_poll();
        let Some(rounds) = &mut core.rounds else {
            return Turn::NothingToDo(core);
        };
        if rounds.has_yielded() || core.scratch.has_more_timers() || self.shard().has_news() {
            return Turn::EndedRound(self.end_round(core));
        }
        rounds.begin();
        Turn::NothingToDo(core)
    }

    /// The kernel's answers come before those who have yielded.
    pub(super) fn end_round(&self, core: Box<Core>) -> Box<Core> {
        let mut core = self.service_of_round(core);
        if let Some(rounds) = &mut core.rounds {
            rounds.begin();
        }
        self.wake_yielded(core)
    }

    /// Looks at the shard at the end of a round.
    fn service_of_round(&self, mut core: Box<Core>) -> Box<Core> {
        let is_busy = self.has_local_work(&core);
        let answers = match is_busy {
            true => core.busy_events_max,
            false => core.events_max,
        };
        if core.queue.is_empty() {
            core.fire_at = core.popped;
        }
        self.service_at(core, Instant::now(), answers)
    }

    /// Queues those that have yielded, the last one first.
    pub(super) fn wake_yielded(&self, mut core: Box<Core>) -> Box<Core> {
        let mut yielded = match &mut core.rounds {
            Some(rounds) if !rounds.yielded.is_empty() => std::mem::take(&mut rounds.yielded),
            _ => return core,
        };
        let mut core = self.deliver(core, || go_on(&mut yielded));
        // The memory is used again, unless somebody has yielded meanwhile.
        if let Some(rounds) = &mut core.rounds
            && rounds.yielded.is_empty()
        {
            rounds.yielded = yielded;
        }
        core
    }

    /// Whether tasks run in rounds here: the core is within reach.
    pub(crate) fn is_in_rounds(&self) -> bool {
        let core = self.core.borrow();
        core.as_ref().is_some_and(|core| core.rounds.is_some())
    }

    /// Calls a task's waker at the end of the round. `false`: there are no rounds here.
    pub(crate) fn wake_after_round(&self, waker: &Waker) -> bool {
        if self.shared().config.flavor != RuntimeFlavor::CurrentThread {
            return false;
        }
        // Who watches tasks hears of the clone, and may be about to spawn one.
        let waker = waker.clone();
        let mut core = self.core.borrow_mut();
        let Some(rounds) = core.as_mut().and_then(|core| core.rounds.as_mut()) else {
            return false;
        };
        rounds.yielded.push(Yielded::Waker(waker));
        true
    }

    /// As `hold_back`, if the task has yielded or used up its budget.
    pub(super) fn hold_back_if_it_yields(&self, task: Notified) -> Option<Notified> {
        let in_rounds = self.shared().config.flavor == RuntimeFlavor::CurrentThread;
        if in_rounds && (take_yielded() || !coop::has_budget_remaining()) {
            return self.hold_back(task);
        }
        Some(task)
    }

    /// A task that was woken while it ran waits for the end of the round. Gives it back if there are no rounds here.
    fn hold_back(&self, task: Notified) -> Option<Notified> {
        let mut core = self.core.borrow_mut();
        let Some(rounds) = core.as_mut().and_then(|core| core.rounds.as_mut()) else {
            return Some(task);
        };
        rounds.yielded.push(Yielded::Task(task));
        None
    }
}

impl Core {
    /// Takes a turn of the round. `true`: there was none.
    #[inline]
    pub(super) fn is_round_used_up(&mut self) -> bool {
        let Some(rounds) = &mut self.rounds else {
            return false;
        };
        let left = rounds.turns_left.checked_sub(1);
        rounds.turns_left = left.unwrap_or(0);
        left.is_none()
    }
}
