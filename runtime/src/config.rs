//! [`Config`]: what the builder decided. A plain value, which the runtime keeps as long as it lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::Driver;
use crate::hooks::TaskHooks;
use crate::local::ThreadNumber;
use crate::metrics::Seeing;
use crate::rand::RngSeed;
use crate::runtime::RuntimeFlavor;

/// A hook of the runtime's threads that the user set.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What the builder decided.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) flavor: RuntimeFlavor,
    /// The thread that a local runtime never leaves.
    pub(crate) local_to: Option<ThreadNumber>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) workers: usize,
    pub(crate) driver: Driver,
    /// Turns between two looks at the shard; zero: the worker finds them out.
    pub(crate) event_interval: u32,
    /// Turns between two looks at the injector; zero: the default.
    pub(crate) global_queue_interval: u32,
    /// Completions delivered at one look at the ring; the others stay there until the next.
    pub(crate) events_max: usize,
    /// The same while tasks wait for the worker; `events_max` if there is none.
    pub(crate) busy_events_max: Option<usize>,
    /// A task that the running one wakes runs next.
    pub(crate) next_slot: bool,
    /// What the workers' random numbers begin with; random if there is none.
    pub(crate) seed: Option<RngSeed>,
    pub(crate) start_paused: bool,
    pub(crate) time_enabled: bool,
    pub(crate) io_enabled: bool,
    /// A runtime of tokio's stands at the side of this one.
    #[cfg(feature = "tokio-compat")]
    pub(crate) tokio_compat: bool,
    pub(crate) max_blocking_threads: usize,
    pub(crate) thread_keep_alive: Duration,
    pub(crate) thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) thread_stack_size: Option<usize>,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
    pub(crate) on_thread_park: Option<Hook>,
    pub(crate) on_thread_unpark: Option<Hook>,
    pub(crate) task_hooks: TaskHooks,
    pub(crate) unhandled_panic: UnhandledPanic,
    pub(crate) seeing: Seeing,
    /// What the simulated rings play, if there are any.
    #[cfg(feature = "scripted-ring")]
    pub(crate) ring_script: Option<crate::driver::Script>,
}

/// What a runtime does when a spawned task panics. See [`crate::Builder::unhandled_panic`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// The panic goes to whoever awaits the task's [`crate::task::JoinHandle`], and the other tasks go on.
    Ignore,
    /// The runtime ends at once: all tasks are dropped, those spawned from then on are cancelled, and `block_on`
    /// panics, in every thread that is in it or comes to it later.
    ShutdownRuntime,
}

/// Completions delivered at one look at the ring. tokio's number.
const EVENTS_MAX: usize = 1024;
/// Threads of the blocking pool, unless the user says otherwise. tokio's number.
const MAX_BLOCKING_THREADS: usize = 512;
/// How long an idle thread of the blocking pool waits for a job. tokio's number.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What threads are called, unless the user says otherwise: tokio's name, by which programs and their tools (a filter
/// in `perf`, a rule for affinities) know these threads.
const THREAD_NAME: &str = "tokio-rt-worker";

impl Config {
    /// The defaults of a kind of runtime.
    pub(crate) fn new(flavor: RuntimeFlavor) -> Self {
        Self {
            flavor,
            local_to: None,
            name: None,
            workers: 1,
            driver: Driver::Auto,
            event_interval: 0,
            global_queue_interval: 0,
            events_max: EVENTS_MAX,
            busy_events_max: None,
            next_slot: true,
            seed: None,
            start_paused: false,
            time_enabled: false,
            io_enabled: false,
            #[cfg(feature = "tokio-compat")]
            tokio_compat: false,
            max_blocking_threads: MAX_BLOCKING_THREADS,
            thread_keep_alive: THREAD_KEEP_ALIVE,
            thread_name: Arc::new(|| THREAD_NAME.to_owned()),
            thread_stack_size: None,
            on_thread_start: None,
            on_thread_stop: None,
            on_thread_park: None,
            on_thread_unpark: None,
            task_hooks: TaskHooks::default(),
            unhandled_panic: UnhandledPanic::Ignore,
            seeing: Seeing::default(),
            #[cfg(feature = "scripted-ring")]
            ring_script: crate::driver::Script::from_environment(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("flavor", &self.flavor)
            .field("name", &self.name)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
