//! The monitor: a thread that does the service of workers that are stuck in user code.
//!
//! While any worker is awake it looks at each: one that has neither beaten nor gone to sleep for [`STUCK_AFTER`] is taken
//! to be stuck. It looks again when that can next be the case, and at every tick while one is stuck. The monitor then submits what is queued in the worker's ring, reaps its
//! completions, fires its timers, and gives the task in its next-task slot to others. It polls no task itself.
//! When all workers sleep it goes to sleep too, after some ticks of grace, and the first worker that wakes
//! wakes it: an idle runtime makes no system call.
//!
//! It lives as long as the runtime, so that operations which it submitted do not die with it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::heart::Beat;
use super::shared::{Remote, Shared};
use super::watchdog::Watching;
use crate::context;
use crate::driver::Scratch;
use crate::loom::atomic::{AtomicBool, fence};
use crate::loom::{Condvar, Mutex};
use crate::runtime::RuntimeFlavor;

/// A worker that is awake and has not looked at its shard for so long is stuck. Workers that are not look every 200 µs or
/// so, and a monitor that is to find the others has to wake some 550 times a second. To wake costs it some 10 to 20 µs, and
/// whom it interrupts as much again.
const STUCK_AFTER: Duration = Duration::from_millis(2);
/// How often the monitor looks while a worker is stuck, and while somebody wants to be told of long polls.
const TICK: Duration = Duration::from_millis(1);
/// The least time between two looks, though a worker be stuck sooner than that.
const PAUSE_MIN: Duration = Duration::from_micros(250);
/// Looks that found a worker stuck before it is interrupted: one that was merely preempted is not interrupted at all.
const LOOKS_BEFORE_KICK: u32 = 2;
/// Timers of a stuck worker that are fired while not as many tasks are queued: some hundred microseconds' work. The
/// worker may only have lost its processor for a while, and then has them all to run itself, before whoever comes later.
const RESCUED_TIMERS: usize = 256;
/// Timers that are fired at each look all the same: not all of them wake a task.
const RESCUED_TIMERS_MIN: usize = 16;
/// Looks that found all workers asleep before the monitor sleeps too. Waking it costs as much as some looks.
const GRACE_LOOKS: u32 = 10;

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

    /// A worker has woken, or was called: it is no longer counted as a sleeper.
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

    /// Waits until the next look; `false` if the thread is to end.
    fn wait(&self, pause: Duration) -> bool {
        let mut stop = self.stop.lock();
        if !*stop {
            self.wake.wait_for(&mut stop, pause);
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
    /// A worker that was called to search, and does not come, because it was given no processor or is stuck in a waker, a
    /// drop or a hook on its way, searches no longer: or nobody would be woken for what comes meanwhile.
    fn relieve_of_search(&self, worker: usize) {
        if self.idle.take_search(worker) && self.idle.end_search() && self.has_stealable_work() {
            self.notify();
        }
    }

    fn all_asleep(&self) -> bool {
        // A core that was called where no thread comes to it waits in its slot until somebody blocks on the runtime.
        let is_awake = |worker: &Remote| {
            let waits = !worker.shard.has_thread() && !worker.slot.is_empty();
            worker.shard.word().is_awake() && !waits
        };
        !self.workers.iter().any(is_awake)
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
    let mut quiet_looks = 0;
    let mut pause = TICK;
    while shared.monitor.wait(pause) {
        if !shared.all_asleep() {
            let now = Instant::now();
            shared.coarse.set(now);
            quiet_looks = 0;
            pause = watch.look(&shared, now);
        } else if quiet_looks < GRACE_LOOKS {
            quiet_looks += 1;
            pause = STUCK_AFTER;
        } else {
            quiet_looks = 0;
            if !shared.monitor.sleep(|| shared.all_asleep()) {
                return;
            }
        }
    }
}

/// What the monitor remembers from look to look.
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
    /// The worker's last heartbeat, if it was awake at the last look, and when it was awake and alive for all we know.
    alive: Option<(Beat, Instant)>,
    /// Looks in a row that found it stuck.
    stuck: u32,
}

impl Seen {
    /// The worker is awake, and `beat` its last sign of life; returns since when it has given none.
    fn alive_at(&mut self, shared: &Shared, beat: Beat, now: Instant) -> Instant {
        let since = match self.alive {
            Some((former, since)) if former == beat => since,
            // It has been called since, and may not be awake yet.
            _ if beat.is_last() => now,
            _ => shared.coarse.instant_of(beat.at_ns()),
        };
        self.alive = Some((beat, since));
        since
    }
}

impl Watch {
    /// Looks at every worker; returns how long it will be until one can be stuck that is not, or has to be seen to again.
    fn look(&mut self, shared: &Arc<Shared>, now: Instant) -> Duration {
        let mut pause = match self.watching.is_on() {
            true => TICK,
            false => STUCK_AFTER,
        };
        for (index, worker) in shared.workers.iter().enumerate() {
            self.watching.look(shared, index, now);
            if !self.rescues {
                continue;
            }
            let seen = &mut self.seen[index];
            if !worker.shard.word().is_awake() {
                *seen = Seen::default();
                continue;
            }
            let beat = worker.heart.last_beat();
            let silent = now.saturating_duration_since(seen.alive_at(shared, beat, now));
            if silent < STUCK_AFTER {
                seen.stuck = 0;
                pause = pause.min(STUCK_AFTER - silent);
                continue;
            }
            pause = pause.min(TICK);
            seen.stuck = seen.stuck.saturating_add(1);
            let kick = seen.stuck >= LOOKS_BEFORE_KICK;
            self.rescue(shared, index, kick);
            if worker.polls_root.load(Relaxed) {
                shared.offer_spare(index, beat.to_bits());
            }
        }
        pause.max(PAUSE_MIN)
    }

    fn rescue(&mut self, shared: &Shared, stuck: usize, kick: bool) {
        shared.begin_busy();
        self.serve(shared, stuck, kick);
        shared.end_busy();
    }

    fn serve(&mut self, shared: &Shared, stuck: usize, kick: bool) {
        let worker = &shared.workers[stuck];
        shared.relieve_of_search(stuck);
        shared.settle(&worker.shard);
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
