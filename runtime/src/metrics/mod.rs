//! What a runtime counts about itself, for everyone and always.
//!
//! - [`RuntimeMetrics`], here: the readings, under tokio's names where tokio has them.
//! - [`worker`]: the counters of a worker, which only the holder of its core writes.
//! - [`RingMetrics`]: what happened to a ring; it is counted in the driver.
//! - [`histogram`], [`log_histogram`]: the histogram of poll times, if it was asked for.
//!
//! A reading is exact, but two readings are not of the same moment.

mod histogram;
mod log_histogram;
mod worker;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;

pub use self::histogram::{HistogramConfiguration, HistogramScale};
pub use self::log_histogram::{InvalidHistogramConfiguration, LogHistogram, LogHistogramBuilder};
pub use crate::driver::RingMetrics;

pub(crate) use self::worker::{Polled, Sighting, WorkerMetrics};

use self::histogram::{HistogramChoice, Scale};
use crate::driver::Driver;
use crate::runtime::RuntimeFlavor;
use crate::scheduler::{Shared, Watchdog};
use crate::{Handle, Runtime};

/// What the builder was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seeing {
    pub(crate) histogram: HistogramChoice,
    pub(crate) watchdog: Option<Watchdog>,
}

/// Readings of a runtime's counters.
///
/// It costs nothing to have one, and it can be read while the runtime works, while its workers are stuck, and after
/// its end. Workers are numbered from 0 to [`num_workers`](Self::num_workers); a multi-thread runtime has one more,
/// the spare one, which stands in for a root future that blocks its thread, and has the next number.
///
/// # Panics
///
/// Every method that takes the number of a worker panics if there is no such worker.
///
/// ```
/// use ringway_runtime::{Builder, task};
///
/// let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
/// let metrics = runtime.metrics();
/// assert_eq!(metrics.num_workers(), 2);
///
/// runtime.block_on(async {
///     let tasks: Vec<_> = (0..10).map(|_| ringway_runtime::spawn(task::yield_now())).collect();
///     for task in tasks {
///         task.await.unwrap();
///     }
/// });
/// assert!(metrics.spawned_tasks_count() >= 10);
/// assert_eq!((metrics.num_alive_tasks(), metrics.global_queue_depth()), (0, 0));
/// // The workers, and the spare one.
/// let polls: u64 = (0..3).map(|worker| metrics.worker_poll_count(worker)).sum();
/// assert!(polls >= 10);
/// ```
#[derive(Clone)]
pub struct RuntimeMetrics {
    shared: Arc<Shared>,
}

impl Handle {
    /// Readings of the runtime's counters.
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics {
            shared: Arc::clone(self.shared()),
        }
    }
}

impl Runtime {
    /// Readings of the runtime's counters.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle().metrics()
    }
}

impl RuntimeMetrics {
    /// What the workers ask the kernel by: [`Driver::IoUring`] or [`Driver::Poll`].
    pub fn driver(&self) -> Driver {
        self.shared.driver()
    }

    /// How many workers the runtime has; 1 for a current-thread runtime.
    ///
    /// ```
    /// let one = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// assert_eq!(one.metrics().num_workers(), 1);
    /// ```
    pub fn num_workers(&self) -> usize {
        self.shared.config.workers
    }

    /// Tasks that were spawned and have not completed.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// let _task = runtime.spawn(std::future::pending::<()>());
    /// assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    /// ```
    pub fn num_alive_tasks(&self) -> usize {
        self.shared.tasks_alive()
    }

    /// Tasks that wait in the queue for what comes from outside the workers.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.spawn(async {});
    /// runtime.spawn(async {});
    /// assert_eq!(runtime.metrics().global_queue_depth(), 2, "nobody takes them");
    /// ```
    pub fn global_queue_depth(&self) -> usize {
        self.shared.inject_depth()
    }

    /// How long the worker has been awake so far: running tasks, looking after its ring, or searching.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// let task = runtime.spawn(async { std::thread::sleep(Duration::from_millis(2)) });
    /// runtime.block_on(task).unwrap();
    /// assert!(runtime.metrics().worker_total_busy_duration(0) >= Duration::from_millis(2));
    /// ```
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        self.worker(worker).busy()
    }

    /// How often the worker has parked. A worker starts parked.
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.worker(worker).parks_and_unparks.get().div_ceil(2)
    }

    /// How often the worker has parked and unparked together: odd while it is parked.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let metrics = runtime.metrics();
    /// // It falls asleep for want of work.
    /// while metrics.worker_park_unpark_count(0) % 2 == 0 {
    ///     std::thread::yield_now();
    /// }
    /// assert!(metrics.worker_park_count(0) >= 1);
    /// ```
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.worker(worker).parks_and_unparks.get()
    }

    /// Threads of the pool for blocking jobs.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let (end, ended) = mpsc::channel::<()>();
    /// let job = runtime.spawn_blocking(move || ended.recv().is_err());
    /// let metrics = runtime.metrics();
    /// assert!(metrics.num_blocking_threads() >= 1);
    /// assert!(metrics.num_idle_blocking_threads() <= metrics.num_blocking_threads());
    /// assert!(metrics.blocking_queue_depth() <= 1);
    /// drop(end);
    /// assert!(runtime.block_on(job).unwrap());
    /// ```
    pub fn num_blocking_threads(&self) -> usize {
        self.shared.pool.counts().threads
    }

    /// Threads of that pool that wait for a job.
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.shared.pool.counts().idle
    }

    /// Blocking jobs that wait for a thread.
    pub fn blocking_queue_depth(&self) -> usize {
        self.shared.pool.counts().queued
    }

    /// Tasks that were ever spawned.
    pub fn spawned_tasks_count(&self) -> u64 {
        self.shared.tasks_entered()
    }

    /// Tasks that were queued from outside the workers so far: spawned or woken there.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.spawn(async {});
    /// assert_eq!(runtime.metrics().remote_schedule_count(), 1, "it came from outside");
    /// ```
    pub fn remote_schedule_count(&self) -> u64 {
        self.shared.scheduled_outside()
    }

    /// The thread that runs the worker's core, or ran it last; `None` if there was none yet.
    ///
    /// [`Runtime::block_on`] on the process's main thread takes over a worker's core for the time.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {});
    /// assert_eq!(runtime.metrics().worker_thread_id(0), Some(std::thread::current().id()));
    /// ```
    pub fn worker_thread_id(&self, worker: usize) -> Option<ThreadId> {
        self.worker(worker).thread().map(|thread| thread.id())
    }

    /// How often the worker parked again without having polled any task.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let metrics = runtime.metrics();
    /// runtime.block_on(async { ringway_runtime::spawn(async {}).await.unwrap() });
    /// for worker in 0..metrics.num_workers() {
    ///     // Woken for nothing, woken for a task, and helped out of user code that holds it.
    ///     println!(
    ///         "worker {worker}: {} {} {}",
    ///         metrics.worker_noop_count(worker),
    ///         metrics.worker_wake_count(worker),
    ///         metrics.worker_next_task_rescue_count(worker),
    ///     );
    ///     assert_eq!(metrics.worker_next_task_rescue_count(worker), 0);
    /// }
    /// ```
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.worker(worker).noops.get()
    }

    /// How many tasks the worker has taken from other workers' queues.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let metrics = runtime.metrics();
    /// for worker in 0..metrics.num_workers() {
    ///     // Each time that it takes some it takes at least one.
    ///     assert!(metrics.worker_steal_operations(worker) <= metrics.worker_steal_count(worker));
    ///     assert_eq!(metrics.worker_overflow_count(worker), 0);
    /// }
    /// ```
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.worker(worker).steals.get()
    }

    /// How often it has taken some.
    pub fn worker_steal_operations(&self, worker: usize) -> u64 {
        self.worker(worker).steal_operations.get()
    }

    /// How many times the worker has polled a task. The root future of `block_on` is not counted.
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.worker(worker).polls.get()
    }

    /// How many tasks were queued on the worker by what it ran: spawned or woken there.
    ///
    /// ```
    /// use ringway_runtime::task::yield_now;
    ///
    /// let runtime = ringway_runtime::Builder::new_current_thread().build().unwrap();
    /// let task = runtime.spawn(async {
    ///     ringway_runtime::spawn(yield_now()).await.unwrap();
    /// });
    /// runtime.block_on(task).unwrap();
    /// let metrics = runtime.metrics();
    /// assert!(metrics.worker_local_schedule_count(0) >= 1);
    /// assert_eq!(metrics.worker_local_queue_depth(0), 0);
    /// assert!(!metrics.worker_has_next_task(0));
    /// ```
    pub fn worker_local_schedule_count(&self, worker: usize) -> u64 {
        self.worker(worker).local_schedules.get()
    }

    /// Always 0: a worker's queue has no bound, and never moves tasks to the global one.
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        let _ = self.worker(worker);
        0
    }

    /// Tasks that wait in the worker's queue. As with tokio, the next-task slot of a multi-thread runtime's worker is
    /// no part of it; [`Self::worker_has_next_task`] tells of that.
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        let depth = self.shared.queue_depth(worker);
        if self.shared.config.flavor == RuntimeFlavor::CurrentThread {
            return depth + usize::from(self.shared.has_next_task(worker));
        }
        depth
    }

    /// How long the worker's polls take: an exponentially weighted mean, with what lies between two polls.
    ///
    /// It is brought up to date when the worker looks at its ring, and when it parks; 0 before the first poll.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_runtime::{Builder, HistogramConfiguration};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .metrics_poll_time_histogram_configuration(HistogramConfiguration::linear(Duration::from_millis(1), 3))
    ///     .build()
    ///     .unwrap();
    /// let slow = runtime.spawn(async { std::thread::sleep(Duration::from_millis(5)) });
    /// runtime.block_on(slow).unwrap();
    ///
    /// let metrics = runtime.metrics();
    /// assert!(metrics.poll_time_histogram_enabled());
    /// let last = metrics.poll_time_histogram_num_buckets() - 1;
    /// assert_eq!(metrics.poll_time_histogram_bucket_range(last).start, Duration::from_millis(2));
    /// assert!(metrics.poll_time_histogram_bucket_count(0, last) >= 1);
    /// assert!(metrics.worker_mean_poll_time(0) > Duration::ZERO);
    /// assert_eq!(metrics.budget_forced_yield_count(), 0);
    /// ```
    pub fn worker_mean_poll_time(&self, worker: usize) -> Duration {
        self.worker(worker).mean_poll_time()
    }

    /// Whether poll times are measured: see
    /// [`enable_metrics_poll_time_histogram`](crate::Builder::enable_metrics_poll_time_histogram).
    pub fn poll_time_histogram_enabled(&self) -> bool {
        self.scale().is_some()
    }

    /// How many buckets the histogram has; 0 if poll times are not measured.
    pub fn poll_time_histogram_num_buckets(&self) -> usize {
        self.scale().map_or(0, |scale| scale.buckets())
    }

    /// The poll times that fall into a bucket; nothing if poll times are not measured.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        let Some(scale) = self.scale() else {
            return Duration::ZERO..Duration::ZERO;
        };
        let buckets = scale.buckets();
        assert!(bucket < buckets, "bucket {bucket} of {buckets}");
        let Range { start, end } = scale.bucket_range(bucket);
        Duration::from_nanos(start)..Duration::from_nanos(end)
    }

    /// How many polls of a worker took as long as a bucket says; 0 if poll times are not measured.
    ///
    /// # Panics
    ///
    /// If there is no such worker or bucket.
    #[track_caller]
    pub fn poll_time_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        let histogram = &self.worker(worker).histogram;
        histogram
            .as_ref()
            .map_or(0, |histogram| histogram.count(bucket))
    }

    /// How many polls of tasks ended because the task's budget was used up ([`coop`](crate::task::coop)).
    ///
    /// Counted while poll times are [measured](crate::Builder::enable_metrics_poll_time_histogram), and 0 otherwise: the
    /// budget is tokio's, and to ask for it would cost every poll a nanosecond. The root of `block_on` is not counted.
    pub fn budget_forced_yield_count(&self) -> u64 {
        (0..self.shared.workers_and_spares())
            .filter_map(|worker| self.worker(worker).histogram.as_ref())
            .map(|histogram| histogram.forced_yields())
            .sum()
    }

    /// Descriptors that were made in the runtime for its operations: of sockets and of files, and what a listener has for
    /// itself.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let metrics = runtime.metrics();
    /// let open = metrics.io_driver_fd_registered_count() - metrics.io_driver_fd_deregistered_count();
    /// assert_eq!(open, 0, "no socket, no file");
    /// println!("{} answers of the kernel's so far", metrics.io_driver_ready_count());
    /// ```
    pub fn io_driver_fd_registered_count(&self) -> u64 {
        self.descriptors().map(|(made, _)| made).sum()
    }

    /// How many of those are gone: closed, or given back to the program.
    pub fn io_driver_fd_deregistered_count(&self) -> u64 {
        self.descriptors().map(|(_, gone)| gone).sum()
    }

    /// Operations that the kernel has answered, in all rings.
    pub fn io_driver_ready_count(&self) -> u64 {
        (0..self.shared.workers_and_spares())
            .map(|worker| self.ring(worker).answer_count())
            .sum()
    }

    /// Whether a task waits in the worker's next-task slot.
    pub fn worker_has_next_task(&self, worker: usize) -> bool {
        self.shared.has_next_task(worker)
    }

    /// How often the worker was woken because tasks waited.
    pub fn worker_wake_count(&self, worker: usize) -> u64 {
        self.worker(worker).wakes.get()
    }

    /// How often the task in the worker's next-task slot was given to others because the worker was stuck in user
    /// code.
    pub fn worker_next_task_rescue_count(&self, worker: usize) -> u64 {
        self.worker(worker).next_slot_rescues.get()
    }

    /// What happened to the worker's ring so far. Takes the ring's lock for a moment.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new().unwrap();
    /// let ring = runtime.metrics().ring(0);
    /// // What the kernel was asked has an answer, or is under way.
    /// println!(
    ///     "{} submitted by {} calls, {:.1} at a time; {} in flight",
    ///     ring.submitted_count(),
    ///     ring.enter_count(),
    ///     ring.mean_submit_batch(),
    ///     ring.operations_in_flight(),
    /// );
    /// assert_eq!((ring.overflow_count(), ring.lost_count()), (0, 0));
    /// ```
    pub fn ring(&self, worker: usize) -> RingMetrics {
        let _ = self.worker(worker);
        self.shared.shard(worker as u32).ring_metrics()
    }

    fn descriptors(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..self.shared.workers_and_spares())
            .map(|worker| self.shared.shard(worker as u32).descriptors())
    }

    #[track_caller]
    fn worker(&self, worker: usize) -> &WorkerMetrics {
        self.shared.worker_metrics(worker)
    }

    fn scale(&self) -> Option<Scale> {
        self.shared.config.seeing.histogram.scale()
    }
}

/// The names that tokio gave up.
impl RuntimeMetrics {
    /// The old name of [`Self::num_alive_tasks`].
    #[deprecated(note = "renamed to `num_alive_tasks`")]
    pub fn active_tasks_count(&self) -> usize {
        self.num_alive_tasks()
    }

    /// The old name of [`Self::global_queue_depth`].
    #[deprecated(note = "renamed to `global_queue_depth`")]
    pub fn injection_queue_depth(&self) -> usize {
        self.global_queue_depth()
    }

    /// The old name of [`Self::poll_time_histogram_enabled`].
    #[deprecated(note = "renamed to `poll_time_histogram_enabled`")]
    pub fn poll_count_histogram_enabled(&self) -> bool {
        self.poll_time_histogram_enabled()
    }

    /// The old name of [`Self::poll_time_histogram_num_buckets`].
    #[deprecated(note = "renamed to `poll_time_histogram_num_buckets`")]
    pub fn poll_count_histogram_num_buckets(&self) -> usize {
        self.poll_time_histogram_num_buckets()
    }

    /// The old name of [`Self::poll_time_histogram_bucket_range`].
    ///
    /// # Panics
    ///
    /// As that.
    #[deprecated(note = "renamed to `poll_time_histogram_bucket_range`")]
    #[track_caller]
    pub fn poll_count_histogram_bucket_range(&self, bucket: usize) -> Range<Duration> {
        self.poll_time_histogram_bucket_range(bucket)
    }

    /// The old name of [`Self::poll_time_histogram_bucket_count`].
    ///
    /// # Panics
    ///
    /// As that.
    #[deprecated(note = "renamed to `poll_time_histogram_bucket_count`")]
    #[track_caller]
    pub fn poll_count_histogram_bucket_count(&self, worker: usize, bucket: usize) -> u64 {
        self.poll_time_histogram_bucket_count(worker, bucket)
    }
}

impl fmt::Debug for RuntimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetrics")
            .field("num_workers", &self.num_workers())
            .field("num_alive_tasks", &self.num_alive_tasks())
            .field("global_queue_depth", &self.global_queue_depth())
            .finish_non_exhaustive()
    }
}
