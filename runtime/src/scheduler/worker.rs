//! A worker: one turn of its loop, and where tasks go that it spawns or wakes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::coarse::CoarseClock;
use super::doze::Doze;
use super::in_place::Away;
use super::pace::Pace;
use super::queue::retry;
use super::rounds::{INJECT_INTERVAL, Rounds};
use super::shared::{Remote, Shared};
use crate::config::Config;
use crate::context::{self, Blocking};
use crate::driver::{Scratch, Shard};
use crate::fork;
use crate::linger::Linger;
use crate::loom::deque::{Stealer, Worker};
use crate::metrics::WorkerMetrics;
use crate::rand::FastRand;
use crate::runtime::RuntimeFlavor;
use crate::task::{Header, Notified, PollTime, coop, take_yielded};

/// What only the holder of a worker's core touches.
pub(crate) struct Core {
    pub(super) index: usize,
    pub(super) queue: Worker<Notified>,
    rand: FastRand,
    pub(super) scratch: Scratch,
    /// Counts turns, to look elsewhere now and then.
    tick: u32,
    /// The tick at which the shard is looked at though nothing is known to wait there.
    service_at: u32,
    pub(super) pace: Pace,
    pub(super) doze: Doze,
    pub(super) linger: Linger,
    /// Wakers that the last look has called.
    pub(super) woken: usize,
    inject_interval: u32,
    /// The tick at which the injector is looked at before the worker's own queues.
    inject_at: u32,
    /// The injector is looked at with the shard, too, and in a flood more often: unless the user has set the interval.
    inject_adapts: bool,
    /// Answers of the kernel delivered at one look, and at one while tasks wait.
    pub(super) events_max: usize,
    pub(super) busy_events_max: usize,
    /// What the running task wakes runs next.
    next_slot: bool,
    /// Tasks and the root run in rounds: in a current-thread runtime.
    pub(super) rounds: Option<Rounds>,
    /// The user wants to hear of polls.
    watch_polls: bool,
    /// The worker counts as searching in `Idle`.
    pub(super) searching: bool,
    /// Tasks were taken from another worker since the last look.
    has_stolen: bool,
    /// Tasks run from the next-task slot in a row.
    streak: u32,
    /// Counts tasks taken from the queue.
    pub(super) popped: u32,
    /// The count at which the queue is through that there was when timers were last fired, of which some were left: then
    /// the next are fired, so that who is queued waits for one batch and no more.
    pub(super) fire_at: u32,
    /// When something was first seen to wait for submission.
    unflushed_since: Option<Instant>,
}

/// Tasks run in a row from the next-task slot while others wait in the queue. Two tasks that wake each other
/// keep the worker's cache warm, but must not keep it for themselves: after that they go behind the others.
const NEXT_SLOT_STREAK_MAX: u32 = 3;
/// An operation waits for submission no longer than this behind tasks that run.
const UNFLUSHED_MAX: Duration = Duration::from_micros(100);
/// For so long after a look at the shard the clock is not read to find out that a later deadline is still to come: longer
/// than from one look to the next, unless a task holds the worker up, and shorter than the tick of most intervals, which is
/// asked for right after the one before.
const SOON: Duration = Duration::from_micros(500);

/// A worker as the thread that holds its core sees it.
pub(crate) struct WorkerContext {
    shared: Arc<Shared>,
    index: usize,
    /// The worker's counters and the clock for them, which every poll touches.
    metrics: Arc<WorkerMetrics>,
    coarse: Arc<CoarseClock>,
    /// The core while user code runs (a poll, a wake, a drop), which may spawn and wake.
    pub(super) core: RefCell<Option<Box<Core>>>,
    /// While user code runs that has given the core up in `block_in_place`: what is to be put right afterwards.
    pub(super) away: RefCell<Option<Away>>,
    /// Completions are being delivered: what they wake goes to the queue, not the next-task slot.
    delivering: Cell<bool>,
    /// The task that is run has completed, and wakes whoever waits for it.
    completing: Cell<bool>,
    /// When the worker last looked at its shard: what was due by then is due.
    looked: Cell<Instant>,
    /// A time shortly after that. What is due later is not due yet, or has become so while a task held the worker up.
    soon: Cell<Instant>,
    /// The root future is being polled: what it spawns or wakes goes to the queue, where others find it.
    pub(super) in_root: Cell<bool>,
}

/// What a turn did.
#[derive(Debug)]
pub(super) enum Turn {
    /// Ran a task, or looked for those whose timers are due.
    Ran(Box<Core>),
    NothingToDo(Box<Core>),
    /// Ended a round: the shard was looked at, and who has yielded is queued again.
    EndedRound(Box<Core>),
    /// Ran a task, which gave the core up in `block_in_place`, and somebody took it.
    LostCore,
}

impl WorkerContext {
    pub(super) fn new(shared: Arc<Shared>, index: usize) -> Self {
        Self {
            metrics: Arc::clone(&shared.workers[index].metrics),
            coarse: Arc::clone(&shared.coarse),
            shared,
            index,
            core: RefCell::new(None),
            away: RefCell::new(None),
            delivering: Cell::new(false),
            completing: Cell::new(false),
            looked: Cell::new(Instant::now()),
            soon: Cell::new(Instant::now()),
            in_root: Cell::new(false),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.remote().shard
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Whether `deadline` has come, if the last look tells: that it has, for sure; that it has not, unless a task has held
    /// the worker up.
    pub(crate) fn has_come(&self, deadline: Instant) -> Option<bool> {
        if deadline <= self.looked.get() {
            return Some(true);
        }
        (deadline > self.soon.get()).then_some(false)
    }

    /// The number of the worker to whom the task on this thread belongs; none for the root of a runtime that has
    /// worker threads. The spare worker has the number of the one in whose place it stands.
    pub(crate) fn task_index(&self) -> Option<usize> {
        let polls_root = self.remote().polls_root.load(Relaxed);
        match self.shared.config.flavor {
            RuntimeFlavor::CurrentThread => {
                let is_outside = polls_root && context::blocking() == Blocking::InPlace;
                (!is_outside).then_some(self.index)
            }
            RuntimeFlavor::MultiThread => (!polls_root).then(|| self.stands_for()),
        }
    }

    pub(super) fn metrics(&self) -> &WorkerMetrics {
        &self.metrics
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.shared.workers[self.index]
    }

    /// One turn: at most one task is run.
    pub(super) fn turn(&self, mut core: Box<Core>) -> Turn {
        if core.is_round_used_up() {
            return Turn::EndedRound(self.end_round(core));
        }
        core.tick = core.tick.wrapping_add(1);
        if self.is_service_due(&mut core) {
            let answers = core.busy_events_max;
            core = self.service_at(core, Instant::now(), answers);
            if core.inject_adapts && core.rounds.is_none() {
                core.inject_at = core.tick;
            }
        }
        let mut task = self.next_task(&mut core);
        if task.is_none() && core.rounds.is_some() {
            task = self.take_one_injected();
            if task.is_none() {
                return self.turn_without_task(core);
            }
        }
        if task.is_none() && self.shard().has_news() {
            // What the kernel has for this worker comes before others' tasks, and before a sleep that would be none.
            core = self.service(core);
            task = self.next_task(&mut core);
        }
        if task.is_none() && core.scratch.has_more_timers() {
            core.fire_at = core.popped;
            return Turn::Ran(self.service(core));
        }
        match task.or_else(|| self.search(&mut core)) {
            Some(task) => match self.run(core, task) {
                Some(core) => Turn::Ran(core),
                None => {
                    self.stop_child();
                    Turn::LostCore
                }
            },
            None => Turn::NothingToDo(core),
        }
    }

    fn is_service_due(&self, core: &mut Core) -> bool {
        if core.tick == core.service_at || core.scratch.has_more_timers() && core.may_fire() {
            return true;
        }
        if !self.shard().has_unflushed() {
            core.unflushed_since = None;
            return false;
        }
        core.unflushed_since
            .get_or_insert_with(Instant::now)
            .elapsed()
            >= UNFLUSHED_MAX
    }

    /// Looks at the shard of a worker that has nothing else to do.
    pub(super) fn service(&self, core: Box<Core>) -> Box<Core> {
        self.service_idle(core, Instant::now())
    }

    /// As `service`, for who has read the clock.
    pub(super) fn service_idle(&self, core: Box<Core>, now: Instant) -> Box<Core> {
        let answers = core.events_max;
        self.service_at(core, now, answers)
    }

    /// Looks at the shard: submits, reaps `answers` at most, fires timers, wakes. Also shares tasks with sleepers.
    pub(super) fn service_at(
        &self,
        mut core: Box<Core>,
        now: Instant,
        answers: usize,
    ) -> Box<Core> {
        self.remote().heart.beat(self.coarse.ns_of(now));
        self.metrics().end_poll();
        self.metrics().mark(now);
        self.coarse.set(now);
        self.looked.set(now);
        self.soon.set(now + SOON);
        core.service_at = core.tick.wrapping_add(self.look(&mut core, now));
        self.remote().offers_tasks(core.pace.is_worth_moving());
        core.unflushed_since = None;
        let timers = match core.may_fire() {
            true => core.pace.timers_at_once(),
            false => 0,
        };
        let most = (answers, timers);
        let mut scratch = std::mem::take(&mut core.scratch);
        let mut woken = 0;
        let mut core = self.deliver(core, || {
            self.shared.settle(self.shard());
            let now = self.shared.clock.at(now);
            woken = self.shard().service(now, most, &mut scratch);
        });
        core.scratch = scratch;
        core.woken = woken;
        if timers > 0 {
            core.fire_at = core.popped.wrapping_add(core.queue.len() as u32);
        }
        core
    }

    /// Calls what wakes tasks because of completions or timers, and shares them with sleepers.
    pub(super) fn deliver(&self, core: Box<Core>, wake: impl FnOnce()) -> Box<Core> {
        let core = self.lend(core, || {
            self.delivering.set(true);
            wake();
            self.delivering.set(false);
        });
        self.share(&core, core.queue.len().saturating_sub(1));
        core
    }

    /// Tells the pace; returns the number of turns to the next look.
    fn look(&self, core: &mut Core, now: Instant) -> u32 {
        let robbed = self.remote().was_robbed();
        let disturbed = std::mem::take(&mut core.has_stolen) || robbed;
        core.pace.look(now, core.tick, disturbed)
    }

    /// Wakes another worker if `waiting` tasks are more than this one should keep for itself.
    fn share(&self, core: &Core, waiting: usize) {
        if waiting > 0 && core.pace.wants_help(waiting) {
            self.call_for_help();
        }
    }

    /// Has another worker woken for tasks of this one's queue.
    pub(super) fn call_for_help(&self) {
        self.remote().offers_tasks(true);
        self.shared.notify();
    }

    /// As `share`, for all that is in the queue.
    pub(super) fn share_queue(&self, core: &Core) {
        if core.pace.may_want_help() {
            self.share(core, core.queue.len());
        }
    }

    /// A task from outside, to be run before our own; some more go behind them. One alone at a time would keep a flood
    /// waiting as long as our own tasks are always ready.
    fn take_injected(&self, core: &Core) -> Option<Notified> {
        self.shared.inject.take_batch(&core.queue)
    }

    /// The next task of our own: the injector now and then, the next-task slot, the queue.
    fn next_task(&self, core: &mut Core) -> Option<Notified> {
        if core.tick == core.inject_at {
            let task = self.take_injected(core);
            let turns = match task {
                None => core.inject_interval,
                // One round of the queue: in a flood, each of our own tasks has a turn for each batch, not more.
                Some(_) if core.inject_adapts => {
                    (core.queue.len() as u32 + 1).min(core.inject_interval)
                }
                Some(_) => core.inject_interval,
            };
            core.inject_at = core.tick.wrapping_add(turns);
            if task.is_some() {
                return task;
            }
        }
        let next = self.next_of_slot(core);
        next.or_else(|| {
            core.streak = 0;
            let task = core.queue.pop();
            core.popped = core.popped.wrapping_add(u32::from(task.is_some()));
            task
        })
    }

    /// The task in the next-task slot, unless the slot has had its turns: then that task goes behind those that wait.
    fn next_of_slot(&self, core: &mut Core) -> Option<Notified> {
        let task = self.remote().next.take()?;
        if core.streak >= NEXT_SLOT_STREAK_MAX && !core.queue.is_empty() {
            core.queue.push(task);
            return None;
        }
        core.streak = core.streak.saturating_add(1);
        Some(task)
    }

    /// Looks for a task elsewhere: the injector, then others' queues.
    fn search(&self, core: &mut Core) -> Option<Notified> {
        self.metrics().end_poll();
        if let Some(task) = self.take_injected(core) {
            return Some(task);
        }
        if self.shared.workers.len() == 1 {
            return None;
        }
        if !core.searching {
            core.searching = self.shared.idle.begin_search();
        }
        if !core.searching {
            return None;
        }
        self.steal(core)
    }

    fn steal(&self, core: &mut Core) -> Option<Notified> {
        let workers = &self.shared.workers;
        let start = core.rand.below(workers.len());
        let victims = (start..workers.len())
            .chain(0..start)
            .filter(|&victim| victim != self.index);
        for victim in victims {
            if !workers[victim].has_tasks_to_give() {
                continue;
            }
            let stealer = &workers[victim].stealer;
            if let Some(task) = retry(|| stealer.steal_batch_and_pop(&core.queue)) {
                let metrics = self.metrics();
                metrics.steal_operations.add(1);
                metrics.steals.add(1 + core.queue.len() as u64);
                core.has_stolen = true;
                workers[victim].note_robbery();
                return Some(task);
            }
        }
        self.shared.inject.take_batch(&core.queue)
    }

    /// Runs a task with the core within reach of what it spawns and wakes. `None`: it gave the core up.
    fn run(&self, mut core: Box<Core>, task: Notified) -> Option<Box<Core>> {
        self.stop_searching(&mut core);
        self.metrics()
            .begin_poll(task.header().id().as_u64(), self.coarse.ms());
        if core.rounds.is_some() {
            // What others have yielded is not this one's.
            take_yielded();
        }
        if core.watch_polls {
            return self.run_watched(core, task);
        }
        coop::refill();
        self.lend_to_task(core, || task.run())
    }

    /// As `run`, with the user's hooks around it, and a look at the clock before and after.
    #[cold]
    fn run_watched(&self, core: Box<Core>, task: Notified) -> Option<Box<Core>> {
        self.lend_to_task(core, || {
            self.shared.config.task_hooks.around_poll(task, |task| {
                coop::refill();
                let Some(histogram) = &self.metrics().histogram else {
                    return task.run();
                };
                histogram.time(|| task.run());
                if !coop::has_budget_remaining() {
                    histogram.note_forced_yield();
                }
            });
        })
    }

    /// A poll of a task has returned, and the task waits. If the clock went on meanwhile, the task is told for how long:
    /// one tick says nothing, for it may fall into a poll of any length.
    #[inline]
    pub(super) fn end_poll(&self, task: &Header) {
        let began = self.metrics().poll_began_ms();
        let ticks = self.coarse.ms().wrapping_sub(began);
        if ticks > 1 {
            task.note_poll_time(PollTime::new(Duration::from_millis(u64::from(ticks - 1))));
        }
    }

    /// The worker has work: if it was the last searcher, another takes its place.
    pub(super) fn stop_searching(&self, core: &mut Core) {
        if std::mem::take(&mut core.searching) && self.shared.idle.end_search() {
            self.share(core, core.queue.len());
            if !self.shared.inject.is_empty() {
                self.shared.notify();
            }
        }
    }

    /// Calls wakers and drops with the core within their reach.
    fn lend(&self, core: Box<Core>, user_code: impl FnOnce()) -> Box<Core> {
        self.lend_to_task(core, user_code)
            .unwrap_or_else(|| self.lost_core())
    }

    /// Calls user code with the core within its reach. `None`: it gave the core up in `block_in_place`.
    #[inline]
    pub(super) fn lend_to_task(
        &self,
        core: Box<Core>,
        user_code: impl FnOnce(),
    ) -> Option<Box<Core>> {
        *self.core.borrow_mut() = Some(core);
        user_code();
        self.completing.set(false);
        self.core.borrow_mut().take()
    }

    /// User code has returned, and the core is not where it was lent.
    #[cold]
    fn lost_core(&self) -> ! {
        self.stop_child();
        unreachable!("while completions are delivered the core is not given up")
    }

    /// Ends the process, if it was forked in the user code that has just returned.
    #[cold]
    pub(super) fn stop_child(&self) {
        if !self.shared.process().is_current() {
            fork::stop();
        }
    }

    /// In the child of a fork: the core is the parent's, and its tasks are not to be run twice.
    pub(crate) fn forget_core(&self) {
        if let Ok(mut core) = self.core.try_borrow_mut() {
            std::mem::forget(core.take());
        }
    }

    /// The core that user code on this thread has within its reach, to be given up.
    pub(super) fn take_lent(&self) -> Option<Box<Core>> {
        if self.delivering.get() {
            return None;
        }
        self.core.borrow_mut().take()
    }

    /// Puts within reach of user code again what [`Self::take_lent`] took.
    pub(super) fn lend_again(&self, mut core: Box<Core>) {
        // Whatever waits in the shard is looked at as soon as the task has ended its poll.
        core.service_at = core.tick.wrapping_add(1);
        *self.core.borrow_mut() = Some(core);
    }

    /// A task was woken by user code on this thread: it is run next, while what woke it is warm, in place of one
    /// that was woken before it.
    pub(super) fn schedule(&self, task: Notified) {
        self.schedule_here(task, |core, task| {
            if self.completing.get() && !core.queue.is_empty() {
                return Some(task);
            }
            self.remote().next.put(task)
        });
    }

    /// A task was spawned on this thread: it is run after those that were spawned before it.
    #[inline]
    pub(super) fn schedule_spawned(&self, task: Notified) {
        self.schedule_here(task, |_, task| self.remote().next.fill(task).err());
    }

    /// Queues a task with the core; `next` may put one into the next-task slot, and returns the one for the queue.
    #[inline]
    fn schedule_here(
        &self,
        task: Notified,
        next: impl FnOnce(&Core, Notified) -> Option<Notified>,
    ) {
        let core = self.core.borrow();
        let Some(core) = core.as_ref() else {
            return self.shared.schedule_outside(task);
        };
        self.metrics().local_schedules.add(1);
        if self.delivering.get() {
            return core.queue.push(task);
        }
        if self.in_root.get() {
            return self.enqueue_of_root(core, task);
        }
        let behind = if core.next_slot {
            next(core, task)
        } else {
            Some(task)
        };
        if let Some(task) = behind {
            self.enqueue(core, task);
        }
    }

    /// Behind the others, of whom another worker may take some.
    #[inline]
    fn enqueue(&self, core: &Core, task: Notified) {
        core.queue.push(task);
        self.share_queue(core);
    }

    /// As `enqueue`, for what the root has spawned or woken.
    fn enqueue_of_root(&self, core: &Core, task: Notified) {
        core.queue.push(task);
        self.share_of_root(core);
    }

    /// The task that runs on this thread has completed: whom it wakes now, waits for its end. Who waits for this
    /// task likely waits for some that are queued too, and does better to be run after them.
    #[inline]
    pub(super) fn note_completion(&self) {
        self.completing.set(true);
    }

    /// A task was woken while it ran: behind the others with it.
    pub(super) fn reschedule(&self, task: Notified) {
        let Some(task) = self.hold_back_if_it_yields(task) else {
            return;
        };
        match self.core.borrow().as_ref() {
            Some(core) => {
                self.metrics().local_schedules.add(1);
                core.queue.push(task);
            }
            None => self.shared.schedule_outside(task),
        }
    }

    /// Whether tasks wait that only the core's holder would run soon.
    pub(super) fn has_local_work(&self, core: &Core) -> bool {
        let has_yielded = || core.rounds.as_ref().is_some_and(Rounds::has_yielded);
        !core.queue.is_empty() || !self.remote().next.is_empty() || has_yielded()
    }

    /// Drops every task that is queued here.
    pub(super) fn drop_queued(&self, core: &mut Core) {
        core.rounds.iter_mut().for_each(Rounds::drop_yielded);
        while let Some(task) = core.queue.pop().or_else(|| self.remote().next.take()) {
            drop(task);
        }
    }
}

impl fmt::Debug for WorkerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerContext")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// The body of a worker's thread.
pub(super) fn run_worker(shared: Arc<Shared>, index: usize) {
    let cx = WorkerContext::new(shared, index);
    let _entered = context::enter_worker(&cx);
    let _blocking = context::set_blocking(context::Blocking::Forbidden);
    cx.metrics().note_thread();
    let turns = || {
        let mut next = cx.wait_for_core().map(|core| cx.wake(core));
        while let Some(core) = next {
            if cx.shared.shutdown.has_begun() {
                return cx.leave(core);
            }
            next = match cx.turn(core) {
                Turn::Ran(core) | Turn::EndedRound(core) => Some(core),
                Turn::NothingToDo(core) => cx.sleep_as_worker(core),
                Turn::LostCore => cx.return_and_wait(),
            };
        }
    };
    cx.shared.tokio.run(|| coop::scope(turns));
}

impl Core {
    pub(super) fn new(index: usize, config: &Config) -> Box<Self> {
        let in_rounds = config.flavor == RuntimeFlavor::CurrentThread;
        let pace = match config.event_interval {
            0 => Pace::tuned(DEFAULT_INTERVAL),
            // The end of the round comes first, at which the shard is looked at, too.
            polls if in_rounds => Pace::fixed(polls.saturating_add(1)),
            polls => Pace::fixed(polls),
        };
        let inject_interval = match config.global_queue_interval {
            0 if in_rounds => INJECT_INTERVAL,
            0 => DEFAULT_INTERVAL,
            interval => interval,
        };
        Box::new(Self {
            index,
            queue: Worker::new_fifo(),
            rand: match &config.seed {
                Some(seed) => FastRand::seeded(seed, index),
                None => FastRand::new(),
            },
            scratch: Scratch::default(),
            tick: 0,
            service_at: 1,
            pace,
            doze: Doze::new(),
            linger: Linger::new(),
            woken: 0,
            inject_interval,
            inject_at: inject_interval,
            inject_adapts: config.global_queue_interval == 0,
            events_max: config.events_max,
            busy_events_max: config.busy_events_max.unwrap_or(config.events_max),
            next_slot: config.next_slot && !in_rounds,
            rounds: in_rounds.then(|| Rounds::new(config.event_interval)),
            watch_polls: config.task_hooks.watch_polls() || config.seeing.histogram.enabled,
            searching: false,
            has_stolen: false,
            streak: 0,
            popped: 0,
            fire_at: 0,
            unflushed_since: None,
        })
    }

    /// Whether timers may be fired: all of those that are due were, or the tasks that were queued then have run.
    fn may_fire(&self) -> bool {
        !self.scratch.has_more_timers() || self.popped.wrapping_sub(self.fire_at) as i32 >= 0
    }

    pub(super) fn stealer(&self) -> Stealer<Notified> {
        self.queue.stealer()
    }
}

/// Turns between two looks at the shard, to begin with, and at the injector: a prime, so that the two do not
/// keep step with a program's own periods.
const DEFAULT_INTERVAL: u32 = 61;

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("index", &self.index)
            .field("tick", &self.tick)
            .field("searching", &self.searching)
            .finish_non_exhaustive()
    }
}
