//! [`Builder`]: the options of a runtime.
//!
//! Here are the kinds, what is enabled, the number of workers, and the making. The other options are beside it:
//! [`threads`] the runtime's threads and the hooks into them, [`tasks`] the hooks into tasks, [`tuning`] the pace of the
//! workers and what makes tests repeatable.

mod seeing;
mod tasks;
mod threads;
mod tuning;

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::config::Config;
use crate::driver::{Driver, SetupError};
use crate::local::{LocalOptions, LocalRuntime, ThreadNumber};
use crate::runtime::{Runtime, RuntimeFlavor};
use crate::scheduler::Shared;
use crate::time_source;

/// More workers than this are a mistake in the configuration: their rings alone would take gigabytes.
const WORKERS_MAX: usize = 1 << 15;

/// Makes a [`Runtime`].
///
/// The methods have tokio's names, defaults and panics.
///
/// ```
/// use ringway_runtime::Builder;
///
/// let runtime = Builder::new_multi_thread()
///     .worker_threads(2)
///     .name("ingest")
///     .enable_all()
///     .build()?;
/// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Builder {
    config: Config,
    workers: Option<usize>,
}

impl Builder {
    /// A runtime with worker threads that share tasks.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new_multi_thread() -> Self {
        Self::new(RuntimeFlavor::MultiThread)
    }

    /// A runtime whose tasks run on the thread that blocks on it.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new_current_thread() -> Self {
        Self::new(RuntimeFlavor::CurrentThread)
    }

    fn new(flavor: RuntimeFlavor) -> Self {
        Self {
            config: Config::new(flavor),
            workers: None,
        }
    }

    /// Enables sockets and all else that waits for the kernel, and timers.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enable_all(&mut self) -> &mut Self {
        self.enable_io().enable_time()
    }

    /// Enables sockets, pipes, signals and child processes. Making one of them in a runtime without it panics.
    ///
    /// Files need no enabling. Nor does it save anything to leave it out: every worker sleeps in its ring.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().enable_io().build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enable_io(&mut self) -> &mut Self {
        self.config.io_enabled = true;
        self
    }

    /// Enables timers. Making one in a runtime without it panics.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().enable_time().build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enable_time(&mut self) -> &mut Self {
        self.config.time_enabled = true;
        self
    }

    /// The name of the runtime, for those who look at a process with several: [`Handle::name`](crate::Handle::name).
    /// By default it has none.
    ///
    /// # Panics
    ///
    /// If there is nothing in `name` but white space.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().name("ingest").build()?;
    /// assert_eq!(runtime.handle().name(), Some("ingest"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(!name.trim().is_empty(), "runtime name shouldn't be empty");
        self.config.name = Some(name.into());
        self
    }

    /// How many workers a multi-thread runtime has. The default is the environment's
    /// `TOKIO_WORKER_THREADS`, or the number of processors.
    ///
    /// # Panics
    ///
    /// If `workers` is zero, or more than 32,768.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().worker_threads(4).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn worker_threads(&mut self, workers: usize) -> &mut Self {
        assert!(workers > 0, "Worker threads cannot be set to 0");
        assert!(
            workers <= WORKERS_MAX,
            "Worker threads cannot be set to more than {WORKERS_MAX}"
        );
        self.workers = Some(workers);
        self
    }

    /// What the runtime asks the kernel by. The default is [`Driver::Auto`]: io_uring where the system lets it, and
    /// otherwise epoll and the blocking pool. With that default the environment's `RINGWAY_DRIVER` (`auto`, `io_uring`
    /// or `poll`) decides.
    ///
    /// All workers have the same driver, and it stays for as long as the runtime lives.
    ///
    /// ```
    /// use ringway_runtime::{Builder, Driver};
    ///
    /// let runtime = Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .driver(Driver::Poll)
    ///     .enable_all()
    ///     .build()?;
    /// assert_eq!(runtime.metrics().driver(), Driver::Poll);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn driver(&mut self, driver: Driver) -> &mut Self {
        self.config.driver = driver;
        self
    }

    /// Has a runtime of tokio's at the side of this one, for libraries that call tokio themselves (`tokio::spawn`,
    /// `tokio::net`, `tokio::time`): reqwest, sqlx, redis, `axum::serve`, the server of tonic. Feature `tokio-compat`.
    ///
    /// Each thread of this runtime has then entered that one too, so that such calls find it. What a library spawns
    /// runs on the one thread of tokio's runtime, its sockets and timers are in tokio's reactor, and its blocking jobs
    /// in tokio's pool; the program's own tasks, sockets and timers are where they always are. What the library
    /// calls back from its own tasks (a handler of `axum::serve`) runs on tokio's thread, and may use all of
    /// ringway there.
    ///
    /// While such a thread polls tasks or the future of `block_on`, tokio knows that it must not block: `blocking_send` and
    /// its kin, and the `block_on` of a runtime of tokio's, panic there as in a task of tokio's. In blocking jobs and in
    /// `block_in_place` they work. Nor can a `block_on` of this runtime be called in a task of tokio's, but in
    /// `tokio::task::block_in_place`.
    ///
    /// It costs a thread and an epoll instance, and two wakes between threads for each task of a library's that is
    /// awaited; programs and libraries that do without tokio's runtime pay nothing. It ends with this runtime, after the
    /// workers.
    ///
    /// Without it such a call panics, with tokio's text: `there is no reactor running, must be called from the context
    /// of a Tokio 1.x runtime`.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .enable_all()
    ///     .enable_tokio_compat()
    ///     .build()?;
    /// let sum = runtime.block_on(async {
    ///     // A library's code.
    ///     let left = tokio::spawn(async { 1 });
    ///     let right = ringway_runtime::spawn(async { 2 });
    ///     left.await.unwrap() + right.await.unwrap()
    /// });
    /// assert_eq!(sum, 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "tokio-compat")]
    pub fn enable_tokio_compat(&mut self) -> &mut Self {
        self.config.tokio_compat = true;
        self
    }

    /// Makes the runtime and starts its threads.
    ///
    /// The builder may be used again, for another runtime with the same options.
    ///
    /// # Errors
    ///
    /// If the system refuses a descriptor or a thread, or a ring that [was asked for](Builder::driver), or if the
    /// environment's `RINGWAY_DRIVER` names no driver. The error names the likely cause and the remedy; it holds a
    /// [`SetupError`] unless it was a thread.
    ///
    /// # Panics
    ///
    /// If the environment's `TOKIO_WORKER_THREADS` is not a positive number, and decides.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().enable_all().build()?;
    /// assert_eq!(runtime.block_on(async { "done" }), "done");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn build(&mut self) -> io::Result<Runtime> {
        self.build_shared(None).map(Runtime::from_shared)
    }

    /// Makes a runtime that never leaves this thread, and whose tasks need not be `Send`.
    ///
    /// # Errors
    ///
    /// If the system refuses a ring or a descriptor, as for [`Builder::build`].
    ///
    /// # Panics
    ///
    /// For a multi-thread runtime.
    ///
    /// ```
    /// use ringway_runtime::{Builder, LocalOptions};
    ///
    /// let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    /// let text = std::rc::Rc::new("done");
    /// let task = runtime.spawn_local(async move { *text });
    /// assert_eq!(runtime.block_on(task).unwrap(), "done");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn build_local(&mut self, _options: LocalOptions) -> io::Result<LocalRuntime> {
        assert!(
            self.config.flavor == RuntimeFlavor::CurrentThread,
            "multi_thread is not supported for LocalRuntime"
        );
        self.build_shared(Some(ThreadNumber::current()))
            .map(LocalRuntime::from_shared)
    }

    #[track_caller]
    fn build_shared(&self, local_to: Option<ThreadNumber>) -> io::Result<Arc<Shared>> {
        time_source::install();
        let mut config = self.config.clone();
        config.local_to = local_to;
        if config.flavor == RuntimeFlavor::MultiThread {
            config.workers = self.workers.unwrap_or_else(default_workers);
        }
        let shared = Shared::new(config).map_err(SetupError::into_io)?;
        shared.start_threads().map_err(|refused| {
            let text = format!(
                "could not start a worker thread: {refused}; raise the limit on processes (`ulimit -u`, \
                 TasksMax= in systemd, pids.max of the cgroup) or use fewer worker threads"
            );
            io::Error::new(refused.kind(), text)
        })?;
        Ok(shared)
    }
}

/// The environment's word, or the number of processors that this process may use.
///
/// # Panics
///
/// If `TOKIO_WORKER_THREADS` is not a positive number.
#[track_caller]
fn default_workers() -> usize {
    const VARIABLE: &str = "TOKIO_WORKER_THREADS";
    match std::env::var(VARIABLE) {
        Ok(text) => {
            let workers = text.parse().unwrap_or_else(|error| {
                panic!("\"{VARIABLE}\" must be usize, error: {error}, value: {text}")
            });
            assert!(workers > 0, "\"{VARIABLE}\" cannot be set to 0");
            workers
        }
        Err(std::env::VarError::NotPresent) => {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        }
        Err(std::env::VarError::NotUnicode(text)) => {
            panic!(
                "\"{VARIABLE}\" must be valid unicode, value: {}",
                text.display()
            )
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
