//! Who sleeps and who searches: the protocol that loses no task and wakes no worker in vain.
//!
//! The README beside this file has the protocol in full and the sketch of its proof. This file has the
//! counters: one word with two counts, and the list of sleepers under a lock that only those take who fall
//! asleep, wake up or wake another.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};

use crate::loom::SpinLock;
use crate::loom::atomic::{AtomicBool, AtomicU64, fence};

/// The idle workers of a runtime.
#[derive(Debug)]
pub struct Idle {
    /// Searchers in the low half, sleepers in the high half. Changed under the lock of `sleepers`, except
    /// for the searchers' own coming and going.
    counts: AtomicU64,
    sleepers: SpinLock<Vec<usize>>,
    workers: usize,
    /// The search of each worker that was called to one, the spare worker included.
    called: Box<[LentSearch]>,
}

const SEARCHER: u64 = 1;
const SLEEPER: u64 = 1 << 32;

#[derive(Clone, Copy)]
struct Counts(u64);

impl Counts {
    fn searchers(self) -> u64 {
        self.0 & (SLEEPER - 1)
    }

    fn sleepers(self) -> u64 {
        self.0 / SLEEPER
    }

    fn wants_waking(self) -> bool {
        self.searchers() == 0 && self.sleepers() > 0
    }
}

/// The search of a worker that was called to it and is on its way: it may not be given a processor, or calls user code, and
/// so may not get there for a long time. Whoever finds it stuck ends the search in its place; who ends it is settled by
/// one swap.
#[derive(Debug)]
struct LentSearch(AtomicBool);

impl LentSearch {
    /// No search.
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// The worker is made to search, and counts as searching.
    fn lend(&self) {
        // Release: pairs with the Acquire in `take`: the search was counted before. A swap, because the models take a store
        // for one that a take before it may overwrite.
        self.0.swap(true, Release);
    }

    fn take(&self) -> bool {
        // AcqRel: Acquire pairs with the Release in `lend`, and with that of the other taker's swap.
        self.0.swap(false, AcqRel)
    }
}

impl Idle {
    /// `asleep`: the workers that begin as sleepers.
    pub fn new(workers: usize, asleep: impl Iterator<Item = usize>) -> Self {
        let sleepers: Vec<_> = asleep.collect();
        Self {
            counts: AtomicU64::new(sleepers.len() as u64 * SLEEPER),
            sleepers: SpinLock::new(sleepers),
            workers,
            called: (0..=workers).map(|_| LentSearch::new()).collect(),
        }
    }

    /// A task was queued where others can take it. Returns the sleeper to wake, if one has to be; it counts
    /// as searching from now on.
    #[inline]
    pub fn notify(&self) -> Option<usize> {
        // PostFence of the README: partner of SleepFence in `fall_asleep`.
        fence(SeqCst);
        if !self.counts().wants_waking() {
            return None;
        }
        self.pop_sleeper()
    }

    #[cold]
    fn pop_sleeper(&self) -> Option<usize> {
        self.sleepers.with(|sleepers| {
            if !self.counts().wants_waking() {
                return None;
            }
            let worker = sleepers.pop()?;
            // SeqCst: one total order with the other changes of the counts; the lock orders it too.
            self.counts
                .fetch_add(SEARCHER.wrapping_sub(SLEEPER), SeqCst);
            // Under the lock, by which the worker finds out that it was called.
            self.called[worker].lend();
            Some(worker)
        })
    }

    /// A worker without work wants to search. `false`: enough others do.
    pub fn begin_search(&self) -> bool {
        if 2 * self.counts().searchers() >= self.workers as u64 {
            return false;
        }
        // SeqCst: see `pop_sleeper`.
        self.counts.fetch_add(SEARCHER, SeqCst);
        true
    }

    /// `worker` is made to search by someone who hands it work, and will call it. `counted`: who does so hands on a search
    /// that was his own.
    pub fn call(&self, worker: usize, counted: bool) {
        if !counted {
            // SeqCst: see `pop_sleeper`.
            self.counts.fetch_add(SEARCHER, SeqCst);
        }
        self.called[worker].lend();
    }

    /// `worker` goes on with a core that somebody gives up. It is called to search, if it takes calls; otherwise a search that
    /// was `counted` ends, for nobody would take it. `true`: it was the last, and the caller owes the others a `notify`.
    #[must_use]
    pub fn hand_over(&self, worker: usize, counted: bool, takes_calls: bool) -> bool {
        if takes_calls {
            self.call(worker, counted);
            return false;
        }
        counted && self.end_search()
    }

    /// The search to which `worker` was called. `true`: it is the caller's, to go on with or to end, be it the worker, who
    /// has come, or the monitor, who has found that it does not come. The other one has none.
    #[must_use]
    pub fn take_search(&self, worker: usize) -> bool {
        self.called[worker].take()
    }

    /// A searcher found work. `true`: it was the last, and owes the others a `notify`.
    #[must_use]
    pub fn end_search(&self) -> bool {
        // SeqCst: see `pop_sleeper`.
        let last = Counts(self.counts.fetch_sub(SEARCHER, SeqCst)).searchers() == 1;
        if last {
            // Partner of PostFence in `notify`: whoever queued a task and saw us searching is seen by the look
            // at the injector that the caller owes.
            fence(SeqCst);
        }
        last
    }

    /// `worker` falls asleep. `true`: nobody searches now, so it must look at all queues once more, and if it
    /// finds a task there `notify`.
    #[must_use]
    pub fn fall_asleep(&self, worker: usize, searching: bool) -> bool {
        let change = if searching {
            SLEEPER - SEARCHER
        } else {
            SLEEPER
        };
        let before = self.sleepers.with(|sleepers| {
            sleepers.push(worker);
            // SeqCst: see `pop_sleeper`.
            Counts(self.counts.fetch_add(change, SeqCst))
        });
        // SleepFence of the README: partner of PostFence in `notify`.
        fence(SeqCst);
        before.searchers() == u64::from(searching)
    }

    /// A worker falls asleep without counting as a sleeper. As [`Self::fall_asleep`] otherwise.
    #[must_use]
    pub fn retire(&self, searching: bool) -> bool {
        if !searching {
            return false;
        }
        let last = self.end_search();
        // SleepFence of the README: partner of PostFence in `notify`.
        fence(SeqCst);
        last
    }

    /// `worker` has woken. `false`: somebody woke it by `notify`, and it counts as searching until somebody takes that search
    /// ([`Self::take_search`]).
    pub fn wake_up(&self, worker: usize) -> bool {
        self.sleepers.with(|sleepers| {
            let place = sleepers.iter().rposition(|&sleeper| sleeper == worker);
            let Some(place) = place else { return false };
            sleepers.remove(place);
            // SeqCst: see `pop_sleeper`.
            self.counts.fetch_sub(SLEEPER, SeqCst);
            true
        })
    }

    /// Whether all workers sleep, and nobody searches; a moment's value.
    pub fn all_asleep(&self) -> bool {
        let counts = self.counts();
        counts.sleepers() == self.workers as u64 && counts.searchers() == 0
    }

    /// How many workers sleep; a moment's value.
    pub fn sleepers(&self) -> usize {
        self.counts().sleepers() as usize
    }

    fn counts(&self) -> Counts {
        // Relaxed: ordered by the fences above.
        Counts(self.counts.load(Relaxed))
    }
}
