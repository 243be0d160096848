//! The watchdog: tells when one poll has held a worker for too long, and whose poll it is.
//!
//! A worker says what it polls, in two words of its own that nobody else writes, and does no more for it. The monitor
//! looks at them at each tick: as long as they say the same, it is the same poll. One that goes on for the
//! threshold, from the tick at which it was first seen, is reported, once. So there is no alarm that is false: the
//! poll has lasted at least that long, and is reported a tick or two later than it could be.
//!
//! The report is worked out, and the callback called, on a thread of its own, which the first report starts. The
//! monitor only hands it over: a callback that takes its time keeps it from nothing. If more than [`REPORTS_MAX`]
//! reports wait for the callback, further ones are dropped.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::contain::contain;
use crate::metrics::{Polled, Sighting};
use crate::runtime::RuntimeFlavor;
use crate::task::{Id, Kept};
use crate::trace;

/// Reports that wait for the callback.
const REPORTS_MAX: usize = 64;

/// Who is told, and of what.
#[derive(Clone)]
pub(crate) struct Watchdog {
    pub(crate) threshold: Duration,
    pub(crate) callback: Arc<dyn Fn(&BlockedWorker) + Send + Sync>,
}

/// A worker that one poll has held for longer than it should.
///
/// What [`Builder::on_blocked_worker`](crate::Builder::on_blocked_worker) tells its callback. Prints as a sentence.
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
/// use ringway_runtime::{Builder, task_builder};
///
/// let (alarm, alarms) = mpsc::channel();
/// let runtime = Builder::new_multi_thread()
///     .worker_threads(1)
///     .on_blocked_worker(Duration::from_millis(5), move |blocked| {
///         let _ = alarm.send(blocked.clone());
///     })
///     .build()
///     .unwrap();
/// let hold = async { std::thread::sleep(Duration::from_millis(50)) };
/// let task = task_builder::Builder::new().name("hold").spawn_on(hold, runtime.handle()).unwrap();
/// let blocked = alarms.recv().unwrap();
/// assert!(blocked.held_for() >= Duration::from_millis(5));
/// // Whom it concerns, unless the task has ended just now.
/// if let Some(id) = blocked.task_id() {
///     assert_eq!((id, blocked.name()), (task.id(), Some("hold")));
///     println!("{} of {:?} on {:?}", blocked.location().unwrap(), blocked.thread_name(), blocked.thread_id());
/// }
/// assert_eq!(blocked.worker(), 0);
/// ```
#[derive(Clone)]
pub struct BlockedWorker {
    worker: usize,
    thread: Option<Thread>,
    task: Option<BlockingTask>,
    held_for: Duration,
}

/// The task that holds the worker.
#[derive(Clone)]
struct BlockingTask {
    id: Id,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
}

impl BlockedWorker {
    /// The worker's number.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The thread that runs it.
    pub fn thread_id(&self) -> Option<ThreadId> {
        self.thread.as_ref().map(Thread::id)
    }

    /// That thread's name.
    pub fn thread_name(&self) -> Option<&str> {
        self.thread.as_ref().and_then(Thread::name)
    }

    /// The id of the task that is being polled; `None` if it is the root future of `block_on`, or a task that
    /// completed before it could be looked up.
    pub fn task_id(&self) -> Option<Id> {
        self.task.as_ref().map(|task| task.id)
    }

    /// The task's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.task.as_ref().and_then(|task| task.name.as_deref())
    }

    /// Where in the program the task was spawned.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.task.as_ref().map(|task| task.location)
    }

    /// How long the poll had lasted at least when it was found.
    pub fn held_for(&self) -> Duration {
        self.held_for
    }
}

impl fmt::Display for BlockedWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = self.thread_name().unwrap_or("without a name");
        let held_ms = self.held_for.as_millis();
        write!(
            f,
            "worker {} (thread {thread}) has been held for {held_ms} ms by one poll of ",
            self.worker
        )?;
        let Some(task) = &self.task else {
            return f.write_str("the root future, or a task that has completed meanwhile");
        };
        write!(f, "task {}", task.id)?;
        if let Some(name) = &task.name {
            write!(f, " {name:?}")?;
        }
        write!(f, ", spawned at {}", task.location)
    }
}

impl fmt::Debug for BlockedWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockedWorker")
            .field("worker", &self.worker)
            .field("thread", &self.thread_name())
            .field("task_id", &self.task_id())
            .field("name", &self.name())
            .field("location", &self.location())
            .field("held_for", &self.held_for)
            .finish()
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

/// What the monitor remembers for the watchdog.
pub(super) struct Watching {
    watchdog: Option<Watchdog>,
    workers: Vec<Option<Episode>>,
    reports: Option<SyncSender<Report>>,
}

/// One poll, seen at more than one tick.
struct Episode {
    sighting: Sighting,
    since: Instant,
    reported: bool,
}

/// What the monitor hands over.
struct Report {
    worker: usize,
    polled: Polled,
    held_for: Duration,
}

impl Watching {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            watchdog: shared.watchdog(),
            workers: shared.workers.iter().map(|_| None).collect(),
            reports: None,
        }
    }

    /// Whether somebody is to be told.
    pub(super) fn is_on(&self) -> bool {
        self.watchdog.is_some()
    }

    /// A tick's look at one worker.
    pub(super) fn look(&mut self, shared: &Arc<Shared>, worker: usize, now: Instant) {
        let Some(watchdog) = &self.watchdog else {
            return;
        };
        let sighting = shared.workers[worker].metrics.sighting();
        let episode = &mut self.workers[worker];
        if sighting.polled == Polled::Nothing {
            *episode = None;
            return;
        }
        let episode = match episode {
            Some(episode) if episode.sighting == sighting => episode,
            _ => {
                *episode = Some(Episode {
                    sighting,
                    since: now,
                    reported: false,
                });
                return;
            }
        };
        let held_for = now.saturating_duration_since(episode.since);
        if episode.reported || held_for < watchdog.threshold {
            return;
        }
        episode.reported = true;
        let report = Report {
            worker,
            polled: sighting.polled,
            held_for,
        };
        let reports = self
            .reports
            .get_or_insert_with(|| start_thread(shared, watchdog.clone()));
        // Full: the callback does not keep up. Closed: there is no thread.
        let _ = reports.try_send(report);
    }
}

/// Starts the thread that calls the callback. It ends when the monitor does; nobody waits for it, for a callback may
/// take for ever.
fn start_thread(shared: &Arc<Shared>, watchdog: Watchdog) -> SyncSender<Report> {
    let (sender, reports) = sync_channel(REPORTS_MAX);
    let runtime = Arc::downgrade(shared);
    let thread = thread::Builder::new().name("ringway-watchdog".to_owned());
    // If the system refuses the thread, the reports are lost: the receiver is gone.
    let _ = thread.spawn(move || tell_reports(&reports, &runtime, &watchdog));
    sender
}

fn tell_reports(reports: &Receiver<Report>, runtime: &Weak<Shared>, watchdog: &Watchdog) {
    for report in reports {
        let Some(shared) = runtime.upgrade() else {
            return;
        };
        let blocked = work_out(&shared, &report);
        // A callback that takes for ever does not keep the runtime.
        drop(shared);
        contain(|| (watchdog.callback)(&blocked));
    }
}

fn work_out(shared: &Shared, report: &Report) -> BlockedWorker {
    let mut task = None;
    if let Polled::Task(id) = report.polled {
        shared.walk_tasks(|candidate: &Kept| {
            let look = candidate.look();
            if look.header().id().as_u64() != id {
                return ControlFlow::Continue(());
            }
            task = Some(BlockingTask {
                id: look.header().id(),
                name: look.name().map(Box::from),
                location: look.header().spawned_at(),
            });
            ControlFlow::Break(())
        });
    }
    BlockedWorker {
        worker: report.worker,
        thread: shared.workers[report.worker].metrics.thread(),
        task,
        held_for: report.held_for,
    }
}

impl Shared {
    /// What the user asked for, or what there is without.
    pub(super) fn watchdog(&self) -> Option<Watchdog> {
        let seeing = &self.config.seeing;
        match self.config.flavor {
            RuntimeFlavor::CurrentThread => seeing.watchdog.clone(),
            RuntimeFlavor::MultiThread => seeing
                .watchdog
                .clone()
                .or_else(trace::warn_of_blocked_workers),
        }
    }

    /// Whether there is a monitor: in a current-thread runtime only for the watchdog's sake.
    pub(super) fn has_monitor(&self) -> bool {
        self.config.flavor == RuntimeFlavor::MultiThread || self.watchdog().is_some()
    }
}
