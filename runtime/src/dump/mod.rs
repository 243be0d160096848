//! [`Dump`]: which tasks a runtime has, what they are doing, and which of them holds a worker right now.
//!
//! It is for the moment when something hangs. It needs no worker: any thread may ask while every worker is stuck in
//! user code, and so may a task on another worker. It holds up nobody: the lists of tasks are read in pieces of some
//! tens of tasks, each under its list's lock for a microsecond or two.
//!
//! Prints as a table:
//!
//! ```text
//! worker 0 (tokio-rt-worker): polls task 17 since 3.012 s
//! worker 1 (tokio-rt-worker): asleep
//!
//! id  state    age      polls  last   longest  worker  name      spawned at
//! 17  running  3.015 s  12     <2 ms  <2 ms    0       importer  src/main.rs:40:9
//! 18  idle     3.014 s  3      <2 ms  4 ms     -       -         src/main.rs:52:17
//! ```

mod table;

use std::fmt;
use std::future::{IntoFuture, Ready, ready};
use std::ops::ControlFlow;
use std::panic::Location;
use std::thread::{Thread, ThreadId};
use std::time::Duration;

use crate::Handle;
use crate::metrics::Polled;
use crate::scheduler::Shared;
use crate::task::{self, Kept};

pub use crate::task::Activity;

/// What a runtime's tasks and workers were doing.
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new()?;
/// let task = runtime.spawn(std::future::pending::<()>());
/// let dump = runtime.handle().dump();
/// let entry = dump.tasks().iter().find(|entry| entry.id() == task.id());
/// assert!(entry.unwrap().location().file().ends_with(".rs"));
/// println!("{dump}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    workers: Vec<Worker>,
    tasks: Vec<Task>,
}

/// A task in a [`Dump`].
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// use ringway_runtime::{Handle, task_builder::Builder};
///
/// let importer = Builder::new().name("importer").spawn(std::future::pending::<()>()).unwrap();
/// let dump = Handle::current().dump();
/// let task = dump.tasks().iter().find(|task| task.id() == importer.id()).unwrap();
/// assert_eq!((task.name(), task.worker()), (Some("importer"), task.polled_for().and(task.worker())));
/// assert!(task.polls() <= 1 && task.last_poll() <= task.longest_poll());
/// println!("{} is {:?} since {:?}", task.location(), task.activity(), task.age());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Task {
    id: task::Id,
    name: Option<Box<str>>,
    location: &'static Location<'static>,
    activity: Activity,
    age: Duration,
    polls: u32,
    last_poll: Duration,
    longest_poll: Duration,
    /// The worker that polls it, and for how long so far.
    polled: Option<(usize, Duration)>,
}

/// A worker in a [`Dump`].
///
/// ```
/// use ringway_runtime::dump::Holder;
///
/// let runtime = ringway_runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
/// let (tell, told) = std::sync::mpsc::channel();
/// let handle = runtime.handle().clone();
/// // A task looks at the worker that it holds itself.
/// runtime.spawn(async move { tell.send(handle.dump()) });
/// let dump = told.recv().unwrap();
/// let worker = &dump.workers()[0];
/// assert_eq!(worker.index(), 0);
/// assert!(matches!(worker.holder(), Holder::Task(_)));
/// println!("{:?} {:?} since {:?}", worker.thread_id(), worker.thread_name(), worker.polled_for());
/// ```
#[derive(Clone, Debug)]
pub struct Worker {
    index: usize,
    thread: Option<Thread>,
    holder: Holder,
    polled_for: Duration,
}

/// What holds a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// Nothing: it sleeps.
    Asleep,
    /// No poll: it is between two, looks for work, or looks after its ring.
    Runtime,
    /// The root future of `block_on`.
    Root,
    /// The poll of a task. Its number, which [`task::Id`] prints as.
    Task(u64),
}

impl Handle {
    /// Lists the runtime's live tasks and what they are doing.
    ///
    /// Works from any thread, also while all workers are stuck. A task that is spawned or completes meanwhile may be
    /// listed or not; every other one is listed once. Tasks of a `LocalSet` and jobs of the blocking pool are not.
    ///
    /// The result is there at once, and may be awaited all the same.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let stuck = runtime.spawn(std::future::pending::<()>());
    /// let handle = runtime.handle().clone();
    /// // Any thread may ask, at any time: one that waits for a signal, say.
    /// let text = std::thread::spawn(move || handle.dump().to_string()).join().unwrap();
    /// assert!(text.contains(&stuck.id().to_string()));
    /// ```
    pub fn dump(&self) -> Dump {
        Dump::of(self.shared())
    }
}

impl Dump {
    fn of(shared: &Shared) -> Self {
        let mut tasks = Vec::with_capacity(shared.tasks_alive());
        let now_ms = shared.coarse.now_ms();
        shared.walk_tasks(|task| {
            tasks.push(Task::of(task, now_ms));
            ControlFlow::Continue(())
        });
        // What the workers poll is read last: the longer one is stuck, the better the tasks fit.
        let now_ms = shared.coarse.now_ms();
        let workers: Vec<_> = (0..shared.workers_and_spares())
            .map(|index| Worker::of(shared, index, now_ms))
            .collect();
        tasks.sort_unstable_by_key(|task| task.id.as_u64());
        for worker in &workers {
            let Holder::Task(id) = worker.holder else {
                continue;
            };
            if let Ok(place) = tasks.binary_search_by_key(&id, |task| task.id.as_u64()) {
                tasks[place].polled = Some((worker.index, worker.polled_for));
            }
        }
        Self { workers, tasks }
    }

    /// The tasks, ordered by their ids.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The workers, and after them the spare one of a multi-thread runtime.
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }
}

impl IntoFuture for Dump {
    type Output = Self;
    type IntoFuture = Ready<Self>;

    /// Is there already.
    fn into_future(self) -> Ready<Self> {
        ready(self)
    }
}

impl Task {
    fn of(task: &Kept, now_ms: u32) -> Self {
        let task = task.look();
        let header = task.header();
        let (last, longest) = header.poll_times();
        Self {
            id: header.id(),
            name: task.name().map(Box::from),
            location: header.spawned_at(),
            activity: header.activity(),
            age: between(header.born(), now_ms),
            polls: header.polls(),
            last_poll: last.duration(),
            longest_poll: longest.duration(),
            polled: None,
        }
    }

    /// The task's id.
    pub fn id(&self) -> task::Id {
        self.id
    }

    /// The name that it was given.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where in the program it was spawned.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// What it was doing.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// How long ago it was spawned, in milliseconds; wrong after 24 days.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// How often it has been polled, the running poll included; modulo 2^32.
    pub fn polls(&self) -> u64 {
        u64::from(self.polls)
    }

    /// How long its last poll took that returned. Zero stands for less than 2 ms; what is longer is told to within an
    /// eighth, but for a millisecond or two.
    ///
    /// A current-thread runtime has no clock that ticks during a poll, and so tells zero, unless it is
    /// [watched](crate::Builder::on_blocked_worker).
    pub fn last_poll(&self) -> Duration {
        self.last_poll
    }

    /// How long its longest poll took that returned; as [`Self::last_poll`].
    pub fn longest_poll(&self) -> Duration {
        self.longest_poll
    }

    /// The worker that polled it at the time.
    pub fn worker(&self) -> Option<usize> {
        self.polled.map(|(worker, _)| worker)
    }

    /// How long that poll had taken so far, to within a millisecond or two.
    pub fn polled_for(&self) -> Option<Duration> {
        self.polled.map(|(_, time)| time)
    }
}

impl Worker {
    fn of(shared: &Shared, index: usize, now_ms: u32) -> Self {
        let metrics = shared.worker_metrics(index);
        let holder = match metrics.sighting().polled {
            Polled::Nothing if metrics.is_parked() => Holder::Asleep,
            Polled::Nothing => Holder::Runtime,
            Polled::Root => Holder::Root,
            Polled::Task(id) => Holder::Task(id),
        };
        let polled_for = match holder {
            Holder::Root | Holder::Task(_) => between(metrics.poll_began_ms(), now_ms),
            Holder::Asleep | Holder::Runtime => Duration::ZERO,
        };
        Self {
            index,
            thread: metrics.thread(),
            holder,
            polled_for,
        }
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The thread that ran it, or had run it last.
    pub fn thread_id(&self) -> Option<ThreadId> {
        self.thread.as_ref().map(Thread::id)
    }

    /// That thread's name.
    pub fn thread_name(&self) -> Option<&str> {
        self.thread.as_ref().and_then(Thread::name)
    }

    /// What held it at the time.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// How long the poll that held it had taken so far, to within a millisecond or two; zero if none did.
    pub fn polled_for(&self) -> Duration {
        self.polled_for
    }
}

/// From one reading of the coarse clock to another; zero if the first is the later one.
fn between(then_ms: u32, now_ms: u32) -> Duration {
    let passed = now_ms.wrapping_sub(then_ms) as i32;
    Duration::from_millis(passed.max(0) as u64)
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asleep => f.write_str("nothing, asleep"),
            Self::Runtime => f.write_str("nothing, between polls"),
            Self::Root => f.write_str("the root"),
            Self::Task(id) => write!(f, "task {id}"),
        }
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table::print(self, f)
    }
}
