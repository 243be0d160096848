//! Who of the pool's threads sleeps and who searches: no job is lost, and no thread woken for nothing.
//!
//! A thread of the pool is **searching** (it is between two jobs, was just started, or was just called), **busy** (it is
//! inside a job, perhaps for ever), or **asleep** in the list. One word counts all three; what the scheduler's README
//! says of its workers holds here too, with two differences: a post may ask for a thread to be started, and a thread
//! that has slept long enough leaves.
//!
//! **Post**, after a job was queued: a fence, and a look at the counts. If somebody searches, that is all: it will take
//! the job, or the one before it. Otherwise a sleeper is called, who fell asleep last first, or a thread started, if
//! there may be one more; it counts as a searcher from then on. If there may not, everybody is busy, and who is
//! done first takes the job.
//!
//! **Take**: who has taken a job stops searching before it runs it. If it was the last searcher, it fences, looks at
//! the queue, and if there is a job posts. So a burst of jobs costs one call by whoever queues them; every job behind
//! has a thread that is on its way, whatever the jobs before it do.
//!
//! **Fall asleep**: into the list and out of the searchers in one change, a fence, and if nobody searches now a look at
//! the queue, and if there is a job a post.
//!
//! **Leave**: under the list's lock, and only who is still in the list. Who posts picks a sleeper under the same lock, so
//! it either calls the sleeper, which then stays, or finds one thread less, and may start another.
//!
//! **The end**: a bit of the same word, set under the lock. Who leaves after it looks at the queue once more, as in falling
//! asleep; so who posts relies upon a searcher as before, and if there is none takes back what it queued. The proof is the scheduler's: each side writes, fences, and reads what the
//! other has written.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::loom::SpinLock;
use crate::loom::atomic::{AtomicU64, fence};

/// The threads of a pool. `S` is how a sleeping one is called.
#[derive(Debug)]
pub struct Crew<S> {
    /// Changed under the lock of `asleep`, except for the searchers' own coming and going.
    counts: AtomicU64,
    asleep: SpinLock<Vec<S>>,
    threads_max: u64,
}

/// What who posts has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Call<S> {
    /// Nothing: somebody will come to the job.
    Nobody,
    /// Call this sleeper; it counts as searching.
    Wake(S),
    /// Start a thread; it counts as searching. If it cannot be started, say [`Crew::start_refused`].
    Start,
    /// The pool has ended: take back what is queued.
    Ended,
}

/// What who runs out of jobs has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rest {
    /// Sleep until called.
    Sleep,
    /// Look at the queue once more, post if there is a job, and then sleep until called.
    LookAndSleep,
    /// The pool has ended, and this thread is not counted any more: look at the queue once more, and go.
    Leave,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts(u64);

const SEARCHER: u64 = 1;
const SLEEPER: u64 = 1 << 20;
const THREAD: u64 = 1 << 40;
const ENDED: u64 = 1 << 63;
/// Each count has twenty bits; more threads than a count holds no system gives anyway.
const COUNT_MAX: u64 = SLEEPER - 1;

impl Counts {
    /// Threads that look for a job, those that were just called or started among them.
    pub fn searching(self) -> usize {
        (self.0 & COUNT_MAX) as usize
    }

    /// Threads that wait for a call.
    pub fn asleep(self) -> usize {
        ((self.0 / SLEEPER) & COUNT_MAX) as usize
    }

    /// All threads.
    pub fn threads(self) -> usize {
        ((self.0 / THREAD) & COUNT_MAX) as usize
    }

    /// Whether the pool has ended.
    pub fn has_ended(self) -> bool {
        self.0 & ENDED != 0
    }
}

impl<S: PartialEq> Crew<S> {
    /// A pool that has no thread yet, and will have no more than `threads_max`.
    pub fn new(threads_max: usize) -> Self {
        Self {
            counts: AtomicU64::new(0),
            asleep: SpinLock::new(Vec::new()),
            threads_max: (threads_max as u64).min(COUNT_MAX),
        }
    }

    /// The counts, as they were at one moment.
    pub fn counts(&self) -> Counts {
        // Relaxed: ordered by the fences, or by the lock, of those who act upon it.
        Counts(self.counts.load(Relaxed))
    }

    /// A job was queued.
    pub fn post(&self) -> Call<S> {
        // Partner of the fences in `end_search`, `fall_asleep` and `start_refused`: either they see the job, or we see them.
        fence(SeqCst);
        if self.counts().searching() > 0 {
            return Call::Nobody;
        }
        self.pick(true)
    }

    /// As [`Self::post`], for who knows that no thread can be started.
    pub fn post_to_sleepers(&self) -> Call<S> {
        // Partner of the fence in `fall_asleep`.
        fence(SeqCst);
        self.pick(false)
    }

    #[cold]
    fn pick(&self, may_start: bool) -> Call<S> {
        self.asleep.with(|asleep| {
            let counts = self.counts();
            if counts.has_ended() {
                return Call::Ended;
            }
            if counts.searching() > 0 {
                return Call::Nobody;
            }
            if let Some(sleeper) = asleep.pop() {
                self.add(SEARCHER.wrapping_sub(SLEEPER));
                return Call::Wake(sleeper);
            }
            if !may_start || counts.threads() as u64 >= self.threads_max {
                return Call::Nobody;
            }
            self.add(SEARCHER + THREAD);
            Call::Start
        })
    }

    /// A thread is done with its job, and looks for the next.
    pub fn begin_search(&self) {
        self.add(SEARCHER);
    }

    /// A searcher has taken a job. `true`: it was the last, and if another job is queued it has to post.
    #[must_use]
    pub fn end_search(&self) -> bool {
        let last = self.add(SEARCHER.wrapping_neg()).searching() == 1;
        if last {
            // Partner of the fence in `post`.
            fence(SeqCst);
        }
        last
    }

    /// A searcher has found nothing.
    pub fn fall_asleep(&self, sleeper: S) -> Rest {
        let rest = self.asleep.with(|asleep| {
            if self.counts().has_ended() {
                self.add((SEARCHER + THREAD).wrapping_neg());
                return Rest::Leave;
            }
            asleep.push(sleeper);
            match self.add(SLEEPER - SEARCHER).searching() {
                1 => Rest::LookAndSleep,
                _ => Rest::Sleep,
            }
        });
        // Partner of the fence in `post`.
        fence(SeqCst);
        rest
    }

    /// A sleeper has slept long enough. `false`: somebody has called it, and it counts as searching.
    #[must_use]
    pub fn leave(&self, sleeper: &S) -> bool {
        self.asleep.with(|asleep| {
            let Some(place) = asleep.iter().position(|other| other == sleeper) else {
                return false;
            };
            asleep.remove(place);
            self.add((SLEEPER + THREAD).wrapping_neg());
            true
        })
    }

    /// The thread that was to be started cannot be. Returns how many there are. If there is one, and a job is queued,
    /// the caller has to [`Self::post_to_sleepers`]; if there is none, nobody will come to what is queued.
    pub fn start_refused(&self) -> usize {
        let before = self
            .asleep
            .with(|_| self.add((SEARCHER + THREAD).wrapping_neg()));
        // Partner of the fence in `post`: who has relied upon our searcher queued its job before we look.
        fence(SeqCst);
        before.threads() - 1
    }

    /// Ends the pool. Returns the sleepers, which have to be called; they count as searching.
    pub fn end(&self) -> Vec<S> {
        self.asleep.with(|asleep| {
            // SeqCst: as in `add`.
            self.counts.fetch_or(ENDED, SeqCst);
            let called = std::mem::take(asleep);
            self.add(
                SEARCHER
                    .wrapping_sub(SLEEPER)
                    .wrapping_mul(called.len() as u64),
            );
            called
        })
    }

    /// Whether no thread will look at what was queued before this call.
    pub fn is_deserted(&self) -> bool {
        // Partner of the fence in `fall_asleep`.
        fence(SeqCst);
        self.counts().threads() == 0
    }

    fn add(&self, change: u64) -> Counts {
        // SeqCst: one total order of all changes.
        Counts(self.counts.fetch_add(change, SeqCst))
    }
}
