//! [`Runtime`]: what the user holds and drops.

use std::fmt;
use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::builder::Builder;
use crate::context::{self, Blocking};
use crate::driver;
use crate::handle::{EnterGuard, Handle};
use crate::scheduler::Shared;
use crate::task::JoinHandle;

/// The kind of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One core, run by the thread that blocks on it.
    CurrentThread,
    /// Worker threads that share tasks.
    MultiThread,
}

/// The id of a runtime, or of a local set: unique in the process, also among those that have ended.
///
/// ```
/// let (one, other) = (ringway_runtime::Runtime::new()?, ringway_runtime::Runtime::new()?);
/// assert_ne!(one.handle().id(), other.handle().id());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    pub(crate) fn new(number: u32) -> Self {
        Self(NonZeroU64::new(number.into()).expect("runtimes are counted from one"))
    }

    /// The id of a new local set: beyond those of all runtimes.
    pub(crate) fn of_set() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1 << u32::BITS);
        // Relaxed: only the number counts.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(number).expect("a process makes fewer than 2^63 sets"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A runtime: workers, their rings and timers, and a pool for blocking jobs.
///
/// Dropping it cancels all tasks and operations and waits until every worker and every blocking job that has
/// started is done; [`Runtime::shutdown_timeout`] and [`Runtime::shutdown_background`] wait less.
///
/// # Forks
///
/// A runtime belongs to the process that made it. All its descriptors are closed on exec. In a child of fork(2) that does
/// not exec, the runtime's calls panic and operations fail with a text that says so, dropping it does nothing, and a new
/// one may be made, as far as fork(2) allows: what other threads had locked at that moment stays locked in it. A child that is forked inside of a task or of a blocking job must not return from it: it would go on
/// with its parent's tasks, and is ended instead. A child made by clone(2) itself must do nothing but exec.
///
/// # Panics
///
/// Dropping it inside a task panics.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    ended: bool,
}

// A panic can leave none of our state broken for another thread: user code runs with no lock held, and what it may
// unwind through is put back by guards.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Runtime {
    /// Makes a multi-thread runtime with everything enabled, one worker for each processor.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> io::Result<Self> {
        Builder::new_multi_thread().enable_all().build()
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self {
            handle: Handle::new(shared),
            ended: false,
        }
    }

    /// A handle to the runtime, to be cloned and sent anywhere.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// std::thread::spawn(move || handle.spawn(async {})).join().unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task onto the runtime. See [`crate::spawn`].
    ///
    /// # Panics
    ///
    /// In a child of the process that made the runtime.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let task = runtime.spawn(async { 6 * 7 });
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.shared().assert_is_here();
        self.handle.shared().spawn(future, Location::caller())
    }

    /// Runs a closure on the runtime's pool for blocking jobs. See [`crate::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let job = runtime.spawn_blocking(|| std::fs::read_to_string("/proc/self/comm"));
    /// assert!(runtime.block_on(job).unwrap().is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, job: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(job)
    }

    /// Runs a future on this thread until it is ready.
    ///
    /// On the process's main thread the future runs on a worker's core: its tasks, timers and operations are
    /// local to it. A current-thread runtime runs its tasks only while a thread is in here.
    ///
    /// # Panics
    ///
    /// Inside a task, with the panic of the future, and if a task's panic ends the runtime
    /// ([`Builder::unhandled_panic`](crate::Builder::unhandled_panic)).
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let text = String::from("the future may borrow");
    /// assert_eq!(runtime.block_on(async { text.len() }), 21);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on_as(Blocking::Forbidden, future)
    }

    /// Enters the runtime: until the guard is dropped, this thread spawns onto it and uses its timers.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let guard = runtime.enter();
    /// let task = ringway_runtime::spawn(async { 1 });
    /// drop(guard);
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Ends the runtime, waiting for at most `timeout`. Whatever is not done by then goes on by itself, and
    /// memory that the kernel has not let go of is leaked. A timeout further away than the clock reaches is none.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// runtime.spawn_blocking(|| std::thread::sleep(Duration::from_secs(60)));
    /// runtime.shutdown_timeout(Duration::from_millis(10));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        self.ended = true;
        self.handle.shared().shut_down(Some(timeout));
    }

    /// Ends the runtime without waiting. May be called inside a task.
    ///
    /// ```
    /// let outer = ringway_runtime::Runtime::new()?;
    /// let inner = ringway_runtime::Runtime::new()?;
    /// outer.block_on(async {
    ///     inner.spawn(async { /* ... */ });
    ///     inner.shutdown_background();
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }
}

impl Drop for Runtime {
    #[track_caller]
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if context::blocking() != Blocking::Allowed {
            self.handle.shared().shut_down(Some(Duration::ZERO));
            if std::thread::panicking() {
                return;
            }
            panic!(
                "Cannot drop a runtime in a context where blocking is not allowed. \
                 This happens when a runtime is dropped from within an asynchronous context."
            );
        }
        self.handle.shared().shut_down(None);
    }
}

/// The number of the worker on whose core this thread runs a task: from 0 to one less than the number of workers.
///
/// `None` on a thread that runs no tasks, in a job of the blocking pool, and in the root future that `block_on` polls:
/// that one is no task and on no worker, but on a current-thread runtime, whose only worker is the thread in `block_on`.
/// A task may be on another worker after each `.await`.
///
/// ```
/// let runtime = ringway_runtime::Builder::new_multi_thread().worker_threads(2).build()?;
/// let index = runtime.block_on(runtime.spawn(async { ringway_runtime::worker_index() })).unwrap();
/// assert!(index.unwrap() < 2);
/// assert_eq!(ringway_runtime::worker_index(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn worker_index() -> Option<usize> {
    context::with_worker(|worker| worker?.task_index())
}

/// Whether `error` came from an operation whose runtime has shut down.
///
/// ```
/// let error = std::io::Error::other("something else");
/// assert!(!ringway_runtime::is_rt_shutdown_err(&error));
/// ```
pub fn is_rt_shutdown_err(error: &io::Error) -> bool {
    driver::is_shutdown(error)
}
