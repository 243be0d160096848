//! The monitor: a thread that does the service of workers that are stuck in user code.
//!
//! While any worker is awake it looks once a tick at each: one that has beaten neither since the last tick nor
//! gone to sleep is taken to be stuck. The monitor then submits what is queued in the worker's ring, reaps its
//! completions, fires its timers, and gives the task in its next-task slot to others. It polls no task itself.
//! When all workers sleep it goes to sleep too, after some ticks of grace, and the first worker that wakes
//! wakes it: an idle runtime makes no system call.
//!
//! It lives as long as the runtime, so that operations which it submitted do not die with it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::shared::{Remote, Shared};
use super::watchdog::Watching;
use crate::context;
use crate::driver::Scratch;
use crate::loom::atomic::{AtomicBool, fence};
use crate::loom::{Condvar, Mutex};
use crate::runtime::RuntimeFlavor;

/// How often the monitor looks: a worker that is stuck is found after one to two ticks. A look costs
/// some 10 µs with the waking, so this is one percent of one processor.
const TICK: Duration = Duration::from_millis(1);
/// Looks that found a worker stuck before it is interrupted: one that was merely preempted is not interrupted at all.
const LOOKS_BEFORE_KICK: u32 = 2;
/// Timers of a stuck worker that are fired while not as many tasks are queued: some hundred microseconds' work. The
/// worker may only have lost its processor for a while, and then has them all to run itself, before whoever comes later.
const RESCUED_TIMERS: usize = 256;
/// Timers that are fired at each look all the same: not all of them wake a task.
const RESCUED_TIMERS_MIN: usize = 16;
/// Ticks with all workers asleep before the monitor sleeps too. Waking it costs as much as some ticks.
const GRACE_TICKS: u32 = 20;

/// What workers and the monitor share.
#[derive(Debug)]
pub struct Monitor {
    asleep: AtomicBool,
    stop: Mutex<bool>,
    wake: Condvar,
}

impl Monitor {
    /// A monitor that is awake.
    pub fn new() -> Self {
        Self {
            asleep: AtomicBool::new(false),
            stop: Mutex::new(false),
            wake: Condvar::new(),
        }
    }

    /// A worker has woken: it is no longer counted as a sleeper.
    #[inline]
    pub fn note_awake(&self) {
        // Partner of the fence in `sleep`: either the monitor sees that a worker is awake, or we see that
        // it sleeps.
        fence(SeqCst);
        if self.asleep.load(Relaxed) {
            self.rouse();
        }
    }

    /// Whether it sleeps; a moment's value.
    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.load(Relaxed)
    }

    #[cold]
    fn rouse(&self) {
        let _stop = self.stop.lock();
        self.asleep.store(false, Relaxed);
        self.wake.notify_one();
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        *self.stop.lock() = true;
        self.wake.notify_one();
    }

    /// Waits for the next tick; `false` if the thread is to end.
    fn wait_tick(&self) -> bool {
        let mut stop = self.stop.lock();
        if !*stop {
            self.wake.wait_for(&mut stop, TICK);
        }
        !*stop
    }

    /// Sleeps until a worker wakes; `false` if the thread is to end.
    pub fn sleep(&self, all_asleep: impl FnOnce() -> bool) -> bool {
        let mut stop = self.stop.lock();
        self.asleep.store(true, Relaxed);
        // Partner of the fence in `note_awake`.
        fence(SeqCst);
        if !all_asleep() {
            self.asleep.store(false, Relaxed);
        }
        while self.asleep.load(Relaxed) && !*stop {
            self.wake.wait(&mut stop);
        }
        !*stop
    }
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    /// A worker that was woken to search, and is stuck in a waker or a drop on its way, searches no longer: or nobody
    /// would be woken for what comes meanwhile.
    fn relieve_of_search(&self, worker: &Remote) {
        if worker.search.take() && self.idle.end_search() && self.has_stealable_work() {
            self.notify();
        }
    }

    fn all_asleep(&self) -> bool {
        !self
            .workers
            .iter()
            .any(|worker| worker.shard.word().is_awake())
    }
}

/// The body of the monitor's thread.
pub(super) fn run_monitor(shared: Arc<Shared>) {
    let _entered = context::enter(Arc::clone(&shared));
    let mut watch = Watch {
        seen: shared.workers.iter().map(|_| Seen::default()).collect(),
        scratch: Scratch::default(),
        watching: Watching::new(&shared),
        rescues: shared.config.flavor == RuntimeFlavor::MultiThread,
    };
    let mut quiet_ticks = 0;
    while shared.monitor.wait_tick() {
        if !shared.all_asleep() {
            let now = Instant::now();
            shared.coarse.set(now);
            quiet_ticks = 0;
            watch.look(&shared, now);
        } else if quiet_ticks < GRACE_TICKS {
            quiet_ticks += 1;
        } else {
            quiet_ticks = 0;
            if !shared.monitor.sleep(|| shared.all_asleep()) {
                return;
            }
        }
    }
}

/// What the monitor remembers from tick to tick.
struct Watch {
    seen: Vec<Seen>,
    scratch: Scratch,
    watching: Watching,
    /// Stuck workers are looked after. In a current-thread runtime nobody else waits for what they owe.
    rescues: bool,
}

/// What it knows of one worker.
#[derive(Default)]
struct Seen {
    /// The worker's heartbeat, if it was awake at the last tick.
    beat: Option<u64>,
    /// Looks in a row that found it stuck.
    stuck: u32,
}

impl Watch {
    fn look(&mut self, shared: &Arc<Shared>, now: Instant) {
        for (index, worker) in shared.workers.iter().enumerate() {
            self.watching.look(shared, index, now);
            if !self.rescues {
                continue;
            }
            let is_awake = worker.shard.word().is_awake();
            let beat = is_awake.then(|| worker.heartbeat.load(Relaxed));
            let seen = &mut self.seen[index];
            let former = std::mem::replace(&mut seen.beat, beat);
            let Some(beat) = beat.filter(|_| beat == former) else {
                seen.stuck = 0;
                continue;
            };
            seen.stuck = seen.stuck.saturating_add(1);
            let kick = seen.stuck >= LOOKS_BEFORE_KICK;
            self.rescue(shared, index, kick);
            if worker.polls_root.load(Relaxed) {
                shared.offer_spare(index, beat);
            }
        }
    }

    fn rescue(&mut self, shared: &Shared, stuck: usize, kick: bool) {
        shared.begin_busy();
        self.serve(shared, stuck, kick);
        shared.end_busy();
    }

    fn serve(&mut self, shared: &Shared, stuck: usize, kick: bool) {
        let worker = &shared.workers[stuck];
        shared.relieve_of_search(worker);
        let begin = Instant::now();
        loop {
            let now = shared.clock.now();
            let queued = shared.inject.len() + worker.stealer.len();
            let timers = RESCUED_TIMERS
                .saturating_sub(queued)
                .max(RESCUED_TIMERS_MIN);
            let scratch = &mut self.scratch;
            worker.shard.rescue(now, kick, timers, scratch);
            // The rest at the next tick, if the worker is still stuck then.
            let is_enough = queued >= RESCUED_TIMERS || begin.elapsed() >= TICK;
            if is_enough || !scratch.has_more_timers() {
                break;
            }
        }
        if let Some(task) = worker.next.take() {
            worker.metrics.next_slot_rescues.add(1);
            shared.inject.push(task);
            shared.notify();
        }
        worker.offers_tasks(true);
        if worker.has_tasks_to_give() {
            shared.note_blocking_root(worker);
            shared.notify();
        }
    }
}
