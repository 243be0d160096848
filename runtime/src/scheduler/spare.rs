//! The spare worker: it stands in for a root future that blocks its thread.
//!
//! The root of `block_on` runs on a worker's core. A root that blocks in user code, say on a channel of the
//! standard library that a task is to answer, takes that core away from the tasks; with one worker nothing would
//! ever answer. So a multi-thread runtime has one worker more than it uses. It is *retired*, and sleeps, until the
//! monitor finds a root stuck, tasks waiting and no worker asleep, and *offers* it the root's part. The spare
//! worker then is *active*, a worker like the others, until it falls asleep after the root has gone on.
//!
//! ```text
//!   Retired ──offer (monitor)──► Offered ──accept (spare, awake)──► Active ──retire (spare, falling asleep)──► Retired
//! ```
//!
//! An offer counts a searcher in `Idle`, and the spare worker that accepts it is that searcher. While it is
//! retired the spare worker is not among the sleepers of `Idle`; it wakes for operations and timers of its own
//! shard only.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::idle::Idle;
use super::shared::{Remote, Shared};
use super::worker::{Core, WorkerContext};
use crate::loom::atomic::{AtomicU32, AtomicU64, AtomicUsize};
use crate::runtime::RuntimeFlavor;

const RETIRED: u32 = 0;
const OFFERED: u32 = 1;
const ACTIVE: u32 = 2;

/// Spawns and wakes by a root that was found to block its thread for which another worker is woken at once. One
/// that has stopped blocking pays some 5 µs for each; one that goes on is found again after these, in a millisecond or
/// two.
const CALLS_OF_BLOCKING_ROOT: u32 = 64;

/// The state of the spare worker.
#[derive(Debug)]
pub struct Spare {
    state: AtomicU32,
    /// The worker whose core the stuck root holds, and its heartbeat then.
    root_worker: AtomicUsize,
    root_beat: AtomicU64,
}

impl Default for Spare {
    fn default() -> Self {
        Self::new()
    }
}

impl Spare {
    /// A spare worker that is retired.
    pub fn new() -> Self {
        Self {
            state: AtomicU32::new(RETIRED),
            root_worker: AtomicUsize::new(0),
            root_beat: AtomicU64::new(0),
        }
    }

    /// The monitor's offer to `spare`, the spare worker, to stand in for the root on `worker`. `true`: it is to be woken.
    pub fn offer(&self, idle: &Idle, spare: usize, worker: usize, beat: u64) -> bool {
        self.root_worker.store(worker, Relaxed);
        self.root_beat.store(beat, Relaxed);
        // Relaxed: only the monitor, which is us, ends this state.
        if self.state.load(Relaxed) != RETIRED {
            return false;
        }
        // Counted before the offer is seen, for who accepts it may be done searching at once.
        idle.call(spare, false);
        let offered = self.change(RETIRED, OFFERED);
        debug_assert!(offered, "nobody but the monitor makes offers");
        true
    }

    /// The spare worker is awake. `true`: it was made an offer, is active from now on, and counts as searching.
    pub fn accept(&self) -> bool {
        self.change(OFFERED, ACTIVE)
    }

    /// The spare worker is not needed any more.
    pub fn retire(&self) {
        self.change(ACTIVE, RETIRED);
    }

    /// The spare worker, which is `worker`, has woken. `true`: somebody made it search, and counted it.
    pub fn was_called(&self, idle: &Idle, worker: usize) -> bool {
        self.accept() || self.is_active() && !idle.wake_up(worker)
    }

    /// Whether the spare worker is a worker like the others.
    pub fn is_active(&self) -> bool {
        // Acquire: pairs with the AcqRel in `accept`; only the holder of its core asks.
        self.state.load(Acquire) == ACTIVE
    }

    fn change(&self, from: u32, to: u32) -> bool {
        // AcqRel: Release publishes the root's heartbeat from `offer` to `accept`, which acquires it.
        self.state
            .compare_exchange(from, to, AcqRel, Acquire)
            .is_ok()
    }
}

impl Shared {
    /// The number of spare workers of a kind of runtime.
    pub(super) fn spares_of(flavor: RuntimeFlavor) -> usize {
        usize::from(flavor == RuntimeFlavor::MultiThread)
    }

    /// The monitor found the root on `worker` stuck: has the spare worker stand in for it, if tasks wait and
    /// nobody else would take them.
    pub(super) fn offer_spare(&self, worker: usize, beat: u64) {
        if !self.has_stealable_work() || self.idle.sleepers() > 0 {
            return;
        }
        let spare = self.config.workers;
        if self.spare.offer(&self.idle, spare, worker, beat) {
            self.workers[spare].shard.unpark();
        }
    }

    /// The worker is stuck while tasks wait in its queue: if it is in the root, the root blocks its thread.
    pub(super) fn note_blocking_root(&self, worker: &Remote) {
        if worker.polls_root.load(Relaxed) {
            // Relaxed: a hint.
            worker.root_calls.store(CALLS_OF_BLOCKING_ROOT, Relaxed);
        }
    }

    /// Whether the root that the spare worker stands in for is still where it was.
    fn is_root_stuck(&self) -> bool {
        let worker = &self.workers[self.spare.root_worker.load(Relaxed)];
        worker.polls_root.load(Relaxed)
            && worker.heart.last_beat().to_bits() == self.spare.root_beat.load(Relaxed)
    }
}

impl WorkerContext {
    fn is_spare(&self) -> bool {
        self.index() == self.shared().config.workers
    }

    /// This worker's number, or that of the worker in whose place the spare one stands.
    pub(super) fn stands_for(&self) -> usize {
        if self.is_spare() {
            self.shared().spare.root_worker.load(Relaxed)
        } else {
            self.index()
        }
    }

    /// Falling asleep: `true` if this is the spare worker and is not needed any more, and so must not count
    /// among the sleepers.
    pub(super) fn retires(&self) -> bool {
        if !self.is_spare() {
            return false;
        }
        let shared = self.shared();
        if shared.spare.is_active() && shared.is_root_stuck() {
            return false;
        }
        shared.spare.retire();
        true
    }

    /// Whether who goes on with the core takes a search that it is called to. A spare worker that is not active takes none but
    /// that of the monitor's offer, and another one that was counted would never end.
    pub(super) fn takes_calls(&self) -> bool {
        !self.is_spare() || self.shared().spare.is_active()
    }

    /// Woken: `true` if somebody made this worker search, and counted it. The search is lent still.
    pub(super) fn was_called(&self) -> bool {
        let shared = self.shared();
        match self.is_spare() {
            true => shared.spare.was_called(&shared.idle, self.index()),
            false => !shared.idle.wake_up(self.index()),
        }
    }

    /// The root has spawned or woken a task, which is in the queue. Tasks of a root are not worth the waking of another
    /// worker, for it will await them soon; unless it blocks its thread instead. So help is called for now and then,
    /// and each time for some time after the monitor has found that it does block.
    pub(super) fn share_of_root(&self, core: &Core) {
        let calls = &self.remote().root_calls;
        // Relaxed: a hint; only this thread counts down, and the monitor's answer may be lost to it once.
        match calls.load(Relaxed) {
            0 => self.share_queue(core),
            left => {
                calls.store(left - 1, Relaxed);
                self.call_for_help();
            }
        }
    }

    /// While `polling` is true, the thread is inside the root future.
    pub(super) fn set_polls_root(&self, polling: bool) {
        self.in_root.set(polling);
        // Release: a monitor that reads it needs no more than the value.
        self.remote().polls_root.store(polling, Release);
    }
}
