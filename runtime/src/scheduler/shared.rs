//! What all workers of a runtime share.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::thread::Thread;
use std::time::Instant;

use parking_lot::Mutex;

use super::coarse::CoarseClock;
use super::doze;
use super::heart::Heart;
use super::idle::Idle;
use super::monitor::Monitor;
use super::queue::{Inject, NextSlot};
use super::shutdown::Shutdown;
use super::slot::CoreSlot;
use super::spare::Spare;
use super::stand_in::StandIns;
use super::standstill::{Standstill, new_clock};
use super::worker::Core;
use crate::blocking::Pool;
use crate::clock::Clock;
use crate::compat::TokioSide;
use crate::config::Config;
use crate::driver::{Driver, SetupError, Shard, enter_home, leave_home, open_devices};
use crate::fork::{self, Process};
use crate::local::ThreadNumber;
use crate::loom::deque::Stealer;
use crate::metrics::WorkerMetrics;
use crate::registry;
use crate::runtime::RuntimeFlavor;
use crate::task::{Notified, OwnedSet};

/// One runtime.
#[derive(Debug)]
pub(crate) struct Shared {
    id: u32,
    process: Process,
    driver: Driver,
    /// The workers, and after them the spare one of a multi-thread runtime.
    pub(super) workers: Box<[Remote]>,
    pub(super) owned: OwnedSet,
    pub(super) inject: Inject,
    pub(super) idle: Idle,
    pub(super) monitor: Monitor,
    pub(super) spare: Spare,
    pub(super) stand_ins: StandIns,
    pub(super) shutdown: Shutdown,
    /// Threads in `block_on` that would take a core over.
    pub(super) waiting_for_core: Mutex<Vec<Thread>>,
    /// Tasks that were queued from outside the workers.
    pub(super) scheduled_outside: AtomicU64,
    pub(crate) clock: Clock,
    pub(crate) standstill: Standstill,
    pub(crate) coarse: Arc<CoarseClock>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) tokio: TokioSide,
    pub(crate) config: Config,
}

/// What others see of a worker. Workers do not share cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Remote {
    pub(super) next: NextSlot,
    pub(super) slot: CoreSlot<Core>,
    pub(super) shard: Arc<Shard>,
    pub(super) stealer: Stealer<Notified>,
    /// Others do well to take tasks from the queue: the worker has called for help, or its turns take longer than
    /// moving a task does, or it is stuck. Nobody else has to: the worker comes to them soon.
    gives: AtomicBool,
    /// Another worker has taken tasks from the queue since the worker's last look.
    robbed: AtomicBool,
    pub(super) heart: Heart,
    /// The thread that runs the core is inside the root future of `block_on`.
    pub(super) polls_root: AtomicBool,
    /// The worker has ended, and nobody gives its core to anybody any more.
    pub(super) has_left: AtomicBool,
    /// Wakes by the root for which help is called at once, because it was found to block its thread.
    pub(super) root_calls: AtomicU32,
    /// For how much of its time the worker was at work lately, in percent.
    work_percent: AtomicU32,
    pub(super) metrics: Arc<WorkerMetrics>,
}

impl Remote {
    /// Whether others do well to take tasks from here: said by the worker, and by the monitor of one that is stuck.
    pub(super) fn offers_tasks(&self, gives: bool) {
        // Relaxed, here and below: a hint. What it hides for a moment, the worker runs, or its next look, or the
        // monitor, offers again. Read first, so that the line stays with its readers while nothing changes.
        if self.gives.load(Relaxed) != gives {
            self.gives.store(gives, Relaxed);
        }
    }

    /// For how much of its time the worker was at work lately.
    pub(super) fn note_work(&self, percent: u32) {
        // Relaxed, here and below: a figure. Read first, as above.
        if self.work_percent.load(Relaxed) != percent {
            self.work_percent.store(percent, Relaxed);
        }
    }

    /// Tasks were taken from the queue by another worker.
    pub(super) fn note_robbery(&self) {
        // Relaxed, here and below: the worker's pace hangs on it, and nothing else.
        self.robbed.store(true, Relaxed);
    }

    /// Whether tasks were taken since the last call; the worker's.
    pub(super) fn was_robbed(&self) -> bool {
        let robbed = self.robbed.load(Relaxed);
        if robbed {
            self.robbed.store(false, Relaxed);
        }
        robbed
    }

    /// Whether the queue has tasks that others do well to take.
    pub(super) fn has_tasks_to_give(&self) -> bool {
        self.gives.load(Relaxed) && !self.stealer.is_empty()
    }
}

impl Shared {
    /// Makes the runtime with every core in its slot and every worker asleep.
    pub(crate) fn new(config: Config) -> Result<Arc<Self>, SetupError> {
        fork::watch().map_err(SetupError::of_fork_handler)?;
        let id = registry::next_id();
        let scale = config.seeing.histogram.scale();
        let has_thread = config.flavor == RuntimeFlavor::MultiThread;
        let epoch = Instant::now();
        let count = config.workers + Self::spares_of(config.flavor);
        let (driver, devices) = open_devices(config.driver, count)?;
        let workers = (0..)
            .zip(devices)
            .map(|(index, device)| {
                let core = Core::new(index, &config);
                Ok(Remote {
                    next: NextSlot::new(),
                    stealer: core.stealer(),
                    slot: CoreSlot::new(core),
                    shard: Shard::new(id, index as u32, &config, device)?,
                    gives: AtomicBool::new(true),
                    robbed: AtomicBool::new(false),
                    work_percent: AtomicU32::new(0),
                    heart: Heart::new(),
                    polls_root: AtomicBool::new(false),
                    has_left: AtomicBool::new(false),
                    root_calls: AtomicU32::new(0),
                    metrics: Arc::new(WorkerMetrics::new(scale, has_thread, epoch)),
                })
            })
            .collect::<Result<Box<[_]>, SetupError>>()?;
        let shared = Arc::new(Self {
            id,
            process: Process::current(),
            driver,
            owned: OwnedSet::new(workers.len()),
            inject: Inject::new(),
            idle: Idle::new(config.workers, 0..config.workers),
            monitor: Monitor::new(),
            spare: Spare::new(),
            stand_ins: StandIns::new(&config),
            shutdown: Shutdown::new(workers.len()),
            waiting_for_core: Mutex::new(Vec::new()),
            scheduled_outside: AtomicU64::new(0),
            clock: new_clock(&config),
            standstill: Standstill::new(&config, workers.len()),
            coarse: Arc::new(CoarseClock::new(epoch)),
            pool: Arc::new(Pool::new(&config)),
            tokio: TokioSide::new(),
            config,
            workers,
        });
        shared.connect_devices();
        registry::enter(&shared);
        enter_home(id, shared.shard(0));
        Ok(shared)
    }

    /// Devices that make system calls take to the blocking pool those that may wait.
    fn connect_devices(self: &Arc<Self>) {
        for worker in &self.workers {
            let shared = Arc::downgrade(self);
            worker.shard.set_offload(Box::new(move |job| {
                if let Some(shared) = shared.upgrade() {
                    // One that is refused is dropped, and so cancelled.
                    let place = Location::caller();
                    drop(shared.pool.spawn_mandatory(&shared, job, place));
                }
            }));
        }
    }

    /// What the workers stand on.
    pub(crate) fn driver(&self) -> Driver {
        self.driver
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The process that made the runtime, and the only one that can use it.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Asserts that it is this one.
    ///
    /// # Panics
    ///
    /// In a child of that process.
    #[inline]
    #[track_caller]
    pub(crate) fn assert_is_here(&self) {
        if !self.process.is_current() {
            fork::refuse();
        }
    }

    /// Whether this is a local runtime, on whatever thread.
    pub(crate) fn is_local(&self) -> bool {
        self.config.local_to.is_some()
    }

    /// Whether the calling thread may run tasks of this runtime at all.
    pub(super) fn may_run_here(&self) -> bool {
        self.config
            .local_to
            .is_none_or(|thread| thread == ThreadNumber::current())
    }

    /// The shard to which the calling thread, no worker, queues operations. Threads are spread over shards.
    pub(crate) fn guest_shard(&self) -> &Arc<Shard> {
        &self.workers[self.guest_index()].shard
    }

    pub(super) fn guest_index(&self) -> usize {
        guest_number() % self.config.workers
    }

    /// The shard of a registration.
    pub(crate) fn shard(&self, index: u32) -> &Arc<Shard> {
        &self.workers[index as usize].shard
    }

    /// Takes timers out of other workers' wheels that the worker of `shard` has noted there.
    #[inline]
    pub(crate) fn settle(&self, shard: &Shard) {
        shard.debts().take(|owed_to| {
            let other = self.shard(owed_to);
            // Where another thread found the wheel taken, what it wanted done was done here.
            if other.timers().settle().before_sleeper {
                other.unpark();
            }
        });
    }

    /// A task was queued where others can take it: wakes at most one worker.
    #[inline]
    pub(super) fn notify(&self) {
        if let Some(worker) = self.idle.notify() {
            self.call(worker);
        }
    }

    /// Wakes a worker that was called to search. It may be given no processor: then the monitor will see it, who may be
    /// asleep when all workers are.
    #[cold]
    fn call(&self, worker: usize) {
        self.workers[worker].shard.unpark();
        self.monitor.note_awake();
    }

    /// Queues a task from outside the workers.
    pub(crate) fn schedule_outside(&self, task: Notified) {
        // Relaxed: only the number counts.
        self.scheduled_outside.fetch_add(1, Relaxed);
        self.inject.push(task);
        self.notify();
    }

    /// Whether the workers, all together, were at work for a good part of their time lately.
    pub(super) fn is_busy(&self) -> bool {
        let workers = &self.workers[..self.config.workers];
        let percents = workers
            .iter()
            .map(|worker| worker.work_percent.load(Relaxed));
        percents.sum::<u32>() >= doze::BUSY_PERCENT * workers.len() as u32
    }

    /// Whether a task waits where any worker does well to take it.
    pub(super) fn has_stealable_work(&self) -> bool {
        !self.inject.is_empty() || self.workers.iter().any(Remote::has_tasks_to_give)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.process.is_current() {
            return;
        }
        leave_home(self.id);
        registry::leave(self.id);
    }
}

/// A number for each thread, in the order in which they ask.
fn guest_number() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static MINE: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
    }
    let number = MINE.try_with(|mine| {
        mine.get().unwrap_or_else(|| {
            // Relaxed: only the number counts.
            let number = NEXT.fetch_add(1, Relaxed);
            mine.set(Some(number));
            number
        })
    });
    number.unwrap_or(0) as usize
}
