//! [`Builder`]: the options of a runtime.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::SetupError;
use crate::runtime::{Runtime, RuntimeFlavor};
use crate::scheduler::{Config, Shared};
use crate::time_source;

/// Threads of the blocking pool, unless the user says otherwise. tokio's number.
const MAX_BLOCKING_THREADS: usize = 512;
/// How long an idle thread of the blocking pool waits for a job. tokio's number.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// More workers than this are a mistake in the configuration: their rings alone would take gigabytes.
const WORKERS_MAX: usize = 1 << 15;

/// Makes a [`Runtime`].
///
/// The methods have tokio's names, defaults and panics.
pub struct Builder {
    config: Config,
    workers: Option<usize>,
}

impl Builder {
    /// A runtime with worker threads that share tasks.
    pub fn new_multi_thread() -> Self {
        Self::new(RuntimeFlavor::MultiThread)
    }

    /// A runtime whose tasks run on the thread that blocks on it.
    pub fn new_current_thread() -> Self {
        Self::new(RuntimeFlavor::CurrentThread)
    }

    fn new(flavor: RuntimeFlavor) -> Self {
        let config = Config {
            flavor,
            workers: 1,
            event_interval: 0,
            global_queue_interval: 0,
            start_paused: false,
            time_enabled: false,
            max_blocking_threads: MAX_BLOCKING_THREADS,
            thread_keep_alive: THREAD_KEEP_ALIVE,
            thread_name: Arc::new(|| "ringway-worker".to_owned()),
            thread_stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
            on_thread_park: None,
            on_thread_unpark: None,
        };
        Self {
            config,
            workers: None,
        }
    }

    /// Enables operations and timers.
    pub fn enable_all(&mut self) -> &mut Self {
        self.enable_io().enable_time()
    }

    /// Enables operations. They are always on, for every worker sleeps in its ring.
    pub fn enable_io(&mut self) -> &mut Self {
        self
    }

    /// Enables timers.
    pub fn enable_time(&mut self) -> &mut Self {
        self.config.time_enabled = true;
        self
    }

    /// How many workers a multi-thread runtime has. The default is the environment's
    /// `TOKIO_WORKER_THREADS`, or the number of processors.
    ///
    /// # Panics
    ///
    /// If `workers` is zero, or more than 32,768.
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

    /// How many threads the blocking pool starts at most. The default is 512.
    ///
    /// # Panics
    ///
    /// If `threads` is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Self {
        assert!(threads > 0, "Max blocking threads cannot be set to 0");
        self.config.max_blocking_threads = threads;
        self
    }

    /// How long an idle thread of the blocking pool waits for a job. The default is 10 seconds.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.config.thread_keep_alive = duration;
        self
    }

    /// The name of the runtime's threads. The default is `ringway-worker`.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// A function that names each of the runtime's threads.
    pub fn thread_name_fn<F>(&mut self, name: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.config.thread_name = Arc::new(name);
        self
    }

    /// The stack size, in bytes, of the runtime's threads. The default is the standard library's, 2 MiB.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.config.thread_stack_size = Some(bytes);
        self
    }

    /// A function that each of the runtime's threads calls before anything else.
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// A function that each of the runtime's threads calls before it ends.
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// A function that a worker calls before it sleeps.
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_park = Some(Arc::new(hook));
        self
    }

    /// A function that a worker calls after it has slept.
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.config.on_thread_unpark = Some(Arc::new(hook));
        self
    }

    /// How many polls pass between two looks at the ring and the timers. By default a worker tunes it so that
    /// it looks about every 200 µs.
    ///
    /// # Panics
    ///
    /// If `polls` is zero.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Self {
        assert!(polls > 0, "event_interval must be greater than 0");
        self.config.event_interval = polls;
        self
    }

    /// How many polls pass between two looks at the queue of tasks from outside. The default is 61.
    ///
    /// # Panics
    ///
    /// If `polls` is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, polls: u32) -> &mut Self {
        assert!(polls > 0, "global_queue_interval must be greater than 0");
        self.config.global_queue_interval = polls;
        self
    }

    /// Whether the clock stands from the start; for tests, and current-thread runtimes only.
    pub fn start_paused(&mut self, paused: bool) -> &mut Self {
        self.config.start_paused = paused;
        self
    }

    /// Makes the runtime and starts its threads.
    ///
    /// # Errors
    ///
    /// If the system refuses a ring, a descriptor or a thread. The error names the likely cause and the
    /// remedy; its source is a [`SetupError`] if it was the ring.
    ///
    /// # Panics
    ///
    /// If `start_paused` was asked of a multi-thread runtime.
    #[track_caller]
    pub fn build(&mut self) -> io::Result<Runtime> {
        time_source::install();
        let mut config = self.config.clone();
        if config.flavor == RuntimeFlavor::MultiThread {
            assert!(
                !config.start_paused,
                "the clock of a multi-thread runtime cannot be paused"
            );
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
        Ok(Runtime::from_shared(shared))
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
