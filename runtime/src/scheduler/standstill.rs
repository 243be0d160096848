//! A clock that stands, and when time passes by itself.
//!
//! Tests stop the clock of timers. It then moves by `advance`, or, when nothing is left to do, to the next timer. In a
//! current-thread runtime that is the business of the one thread that sleeps ([`super::park`]). Here is what several
//! workers take, in a runtime that was built with its clock standing.
//!
//! **Nothing is left to do** when, at one moment,
//!
//! 1. every worker counts as asleep, nobody searches, and no park word says that its worker is awake or was called;
//! 2. no task is queued, in the injector, a worker's queue or a next-task slot;
//! 3. no blocking job is queued or runs;
//! 4. no thread is inside a root of `block_on`, unless it waits for that root to be woken, and it was not; and none in the
//!    closure of a `block_in_place`, nor the monitor at the service of a worker. What counts is the innermost of these on
//!    a thread: a job, or such a closure, that itself blocks on a root and waits, is at rest;
//! 5. no ring has an answer that nobody has taken, and none an operation that ends by itself, whatever others do: one on a
//!    file;
//! 6. each worker with other operations in its ring has been to the kernel, submitting and looking, since anything last
//!    happened. So what one task has sent and another receives, over a socket of this machine, takes no time.
//!
//! Not waited for: operations that wait for other processes or machines, and threads that are not the runtime's.
//!
//! **Who looks.** Every worker that falls asleep, after it has counted itself as asleep and submitted what was queued;
//! one that finds workers of whom (6) does not hold calls them, and they look in turn. And every thread by whose doing
//! (3) or (4) may have come true calls a worker. So whoever does last what keeps the clock from moving is followed by a
//! look.
//!
//! **The jump** is made under a lock, which who looks has, and which a worker, a root's thread or a job that wakes goes
//! through: so no task runs while the clock moves. All timers that are due then, of all workers, are fired by the one that
//! jumped, worker by worker, before it gives the lock back; and says that it is awake. Timers of different deadlines are
//! never fired by the same jump.

use std::cell::Cell;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use ringway_timer::wheel::{BATCH_ENTRIES, Progress};

use super::root::Root;
use super::shared::Shared;
use super::worker::WorkerContext;
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::wake_all;
use crate::runtime::RuntimeFlavor;
use crate::time_source;

const NOT_PAUSABLE: &str = "`time::pause()` requires the `current_thread` Tokio runtime. This is the default Runtime used by \
     `#[tokio::test].";
const ALREADY_FROZEN: &str = "time is already frozen";
const NOT_FROZEN: &str = "time is not frozen";
/// What the sum of an instant and a duration says that is too long.
const TOO_FAR: &str = "overflow when adding duration to instant";

/// What a runtime keeps to know when nothing is left to do. See the module.
#[derive(Debug)]
pub(crate) struct Standstill {
    /// There are several workers, and their clock may stand.
    is_watched: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Grows with whatever may have given another worker's ring something to do.
    happened: u64,
    looks: Vec<Look>,
    /// Threads that have something to do, and what; of one thread the innermost last.
    doings: Vec<Doing>,
}

/// What is known of a worker since it last looked.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    /// Its polls, until then.
    polls: u64,
    /// `happened`, then.
    seen: u64,
}

#[derive(Debug)]
struct Doing {
    thread: ThreadId,
    /// The thread is one of the pool's, in a job.
    in_job: bool,
    /// `None`: it is busy whatever happens.
    root: Option<RootDoing>,
}

#[derive(Debug)]
struct RootDoing {
    root: Arc<Root>,
    /// The thread waits for the root to be woken.
    waits: bool,
}

thread_local! {
    /// The runtime in whose pool this thread is, or [`NO_POOL`].
    static POOL_OF: Cell<u64> = const { Cell::new(NO_POOL) };
}

const NO_POOL: u64 = u64::MAX;

impl Standstill {
    pub(super) fn new(config: &Config, workers: usize) -> Self {
        Self {
            is_watched: config.flavor == RuntimeFlavor::MultiThread && config.start_paused,
            state: Mutex::new(State {
                happened: 0,
                looks: vec![Look::default(); workers],
                doings: Vec::new(),
            }),
        }
    }

    /// Whether time passes by the rules of this module.
    pub(super) fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Who is about to run a task, a root or a job waits for a jump that is being made.
    #[inline]
    pub(crate) fn pass(&self) {
        if self.is_watched {
            drop(self.state.lock());
        }
    }
}

/// The clock of a new runtime.
pub(super) fn new_clock(config: &Config) -> Clock {
    let clock = Clock::new(config.flavor == RuntimeFlavor::CurrentThread || config.start_paused);
    if config.start_paused {
        time_source::note_paused();
        clock.pause();
    }
    clock
}

/// This thread runs jobs of the runtime's pool from now on.
pub(crate) fn enter_pool(shared: &Shared) {
    POOL_OF.set(u64::from(shared.id()));
}

/// As long as it lives, this thread is inside a root.
pub(super) struct InRoot<'a> {
    shared: &'a Shared,
    root: &'a Arc<Root>,
}

impl InRoot<'_> {
    /// Calls `wait`, which waits until the root is woken.
    pub(super) fn wait(&self, wait: impl FnOnce()) {
        self.shared.set_waits(self.root, true);
        wait();
        self.shared.set_waits(self.root, false);
    }
}

impl Drop for InRoot<'_> {
    fn drop(&mut self) {
        if self.shared.process().is_current() {
            self.shared.end_doing();
        }
    }
}

impl Shared {
    /// Stops the clock.
    pub(crate) fn pause_clock(&self) -> Result<(), &'static str> {
        if !self.clock.is_pausable() {
            return Err(NOT_PAUSABLE);
        }
        let _state = self.standstill.state.lock();
        time_source::note_paused();
        self.clock.pause().then_some(()).ok_or(ALREADY_FROZEN)
    }

    /// Lets the clock go on.
    pub(crate) fn resume_clock(&self) -> Result<(), &'static str> {
        let state = self.standstill.state.lock();
        self.clock.resume().then_some(()).ok_or(NOT_FROZEN)?;
        drop(state);
        // They sleep without regard to their timers.
        for worker in &self.workers {
            worker.shard.unpark();
        }
        Ok(())
    }

    /// Moves the clock on, and fires what is due.
    pub(crate) fn advance_clock(&self, by: Duration) -> Result<(), &'static str> {
        let state = self.standstill.state.lock();
        if !self.clock.is_paused() {
            return Err(NOT_FROZEN);
        }
        if !self.clock.advance(by) {
            return Err(TOO_FAR);
        }
        let mut due = Vec::new();
        self.fire_all(&mut due);
        drop(state);
        wake_all(&mut due);
        Ok(())
    }

    /// Moves a clock that stands to `deadline_ns`, without firing anything.
    pub(super) fn let_clock_jump(&self, deadline_ns: u64) {
        let _state = self.standstill.state.lock();
        if self.clock.is_paused() {
            self.clock.advance_to(deadline_ns);
        }
    }

    fn fire_all(&self, due: &mut Vec<Waker>) {
        let now = self.clock.now();
        for worker in &self.workers {
            let timers = worker.shard.timers();
            // Who has moved the clock by hand waits for all. What was dropped meanwhile is woken, for a lock is held.
            let mut removed = Vec::new();
            while timers.fire(now, BATCH_ENTRIES, due, &mut removed) == Progress::More {}
            due.append(&mut removed);
        }
    }

    /// This thread is inside `root` until what is returned is dropped, if anybody wants to know.
    pub(super) fn begin_root<'a>(&'a self, root: &'a Arc<Root>) -> Option<InRoot<'a>> {
        if !self.standstill.is_watched {
            return None;
        }
        let doing = RootDoing {
            root: Arc::clone(root),
            waits: false,
        };
        self.begin_doing(Some(doing));
        Some(InRoot { shared: self, root })
    }

    fn set_waits(&self, root: &Arc<Root>, waits: bool) {
        let mut state = self.standstill.state.lock();
        let doings = state.doings.iter_mut().rev();
        let mut roots = doings.filter_map(|doing| doing.root.as_mut());
        let own = roots.find(|doing| Arc::ptr_eq(&doing.root, root));
        own.expect("it was begun").waits = waits;
        if waits {
            self.something_happened(state);
        }
    }

    /// This thread does something that a clock that stands waits for, until [`Self::end_busy`].
    pub(super) fn begin_busy(&self) {
        if self.standstill.is_watched {
            self.begin_doing(None);
        }
    }

    /// Ends what [`Self::begin_busy`] began on this thread.
    pub(super) fn end_busy(&self) {
        if self.standstill.is_watched {
            self.end_doing();
        }
    }

    fn begin_doing(&self, root: Option<RootDoing>) {
        self.standstill.state.lock().doings.push(Doing {
            thread: thread::current().id(),
            in_job: POOL_OF.get() == u64::from(self.id()),
            root,
        });
    }

    fn end_doing(&self) {
        let mut state = self.standstill.state.lock();
        let own = thread::current().id();
        let place = state.doings.iter().rposition(|doing| doing.thread == own);
        state.doings.remove(place.expect("it was begun"));
        self.something_happened(state);
    }

    /// A job has ended; what comes of it is queued, and its thread still counts as busy.
    pub(crate) fn note_job_end(&self) {
        if self.standstill.is_watched {
            self.standstill.state.lock().happened += 1;
        }
    }

    /// A thread that is no worker has done something, or is done: if nothing is left to do now, a worker is to look.
    fn something_happened(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        state.happened += 1;
        let calls = self.clock.is_paused() && self.is_at_rest(&state);
        drop(state);
        if calls {
            self.workers[0].shard.unpark();
        }
    }

    /// Conditions 1 to 5.
    fn is_at_rest(&self, state: &State) -> bool {
        let mut workers = self.workers.iter();
        self.idle.all_asleep()
            && self.inject.is_empty()
            && workers.all(|worker| {
                !worker.shard.word().is_awake()
                    && worker.stealer.is_empty()
                    && worker.next.is_empty()
                    && !worker.shard.is_about_to_answer()
            })
            && state.is_at_rest()
            && self.pool.busy() == Some(state.jobs_that_wait())
    }

    /// A worker that counts as asleep, and has submitted what was queued, looks whether time may pass; if so it does.
    fn look_and_jump(&self, index: usize) -> Option<Vec<Waker>> {
        for worker in &self.workers {
            worker.shard.timers().work_off_all();
        }
        let mut state = self.standstill.state.lock();
        state.note_look(index, self.workers[index].metrics.all_polls());
        if !self.clock.is_paused() || !self.is_at_rest(&state) {
            return None;
        }
        let behind = self.workers.iter().zip(&state.looks);
        let mut behind = behind
            .filter(|(worker, look)| look.seen != state.happened && worker.shard.has_operations())
            .peekable();
        if behind.peek().is_some() {
            behind.for_each(|(worker, _)| worker.shard.unpark());
            return None;
        }
        let deadlines = self.workers.iter();
        let deadlines =
            deadlines.filter_map(|worker| worker.shard.timers().next_deadline_exact_ns());
        self.clock.advance_to(deadlines.min()?);
        let mut due = Vec::new();
        self.fire_all(&mut due);
        // Says that this worker is awake before the lock is given back: nobody else jumps meanwhile. It need not be called.
        let _ = self.workers[index].shard.word().unpark();
        Some(due)
    }
}

impl State {
    fn note_look(&mut self, index: usize, polls: u64) {
        let look = &mut self.looks[index];
        if look.polls != polls {
            look.polls = polls;
            self.happened += 1;
        }
        look.seen = self.happened;
    }

    /// Condition 4.
    fn is_at_rest(&self) -> bool {
        let innermost = self.doings.iter().enumerate().filter(|(place, doing)| {
            let inner = &self.doings[place + 1..];
            inner.iter().all(|inner| inner.thread != doing.thread)
        });
        innermost.into_iter().all(|(_, doing)| match &doing.root {
            None => false,
            Some(RootDoing { root, waits }) => (*waits || root.is_on_core()) && !root.is_woken(),
        })
    }

    /// Threads of the pool that are in a job which waits for a root; each of them is at rest, or condition 4 does not hold.
    fn jobs_that_wait(&self) -> usize {
        let jobs = self.doings.iter().enumerate().filter(|(place, doing)| {
            let outer = &self.doings[..*place];
            doing.in_job && outer.iter().all(|outer| outer.thread != doing.thread)
        });
        jobs.count()
    }
}

impl WorkerContext {
    /// The worker counts as asleep. If its clock stands, and nothing is left to do, time passes: what is due then is to be
    /// woken by this worker, which does not sleep.
    pub(super) fn let_time_pass(&self) -> Option<Vec<Waker>> {
        let shared = self.shared();
        if !shared.standstill.is_watched || !shared.clock.is_paused() {
            return None;
        }
        // Submits what is queued and has the kernel post what it has; waits for nothing.
        self.shard().sleep(Some(Duration::ZERO));
        shared.look_and_jump(self.index())
    }
}
