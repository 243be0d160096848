//! [`LocalRuntime`]: a runtime that never leaves its thread.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::builder::Builder;
use crate::handle::{EnterGuard, Handle};
use crate::metrics::RuntimeMetrics;
use crate::runtime::Runtime;
use crate::scheduler;
use crate::task::JoinHandle;

/// A current-thread runtime whose tasks need not be `Send`.
///
/// It stays on the thread that made it: its tasks run there, while that thread is in [`LocalRuntime::block_on`].
/// Its [`Handle`] can go to other threads, which may spawn tasks that are `Send`, and block on futures of their
/// own, but do not run its tasks.
///
/// Dropping it cancels all tasks and operations, as for [`Runtime`].
///
/// # Panics
///
/// Dropping it inside a task panics.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ringway_runtime::{LocalRuntime, spawn_local};
///
/// let runtime = LocalRuntime::new()?;
/// let shared = Rc::new(21);
/// let answer = runtime.block_on(async move {
///     spawn_local(async move { *shared * 2 }).await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LocalRuntime {
    runtime: Runtime,
    /// The runtime belongs to its thread.
    not_send: PhantomData<*const ()>,
}

/// Options of a [`LocalRuntime`] beyond the builder's; there are none so far. See [`Builder::build_local`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {
    /// There may come options that belong to the thread.
    not_send: PhantomData<*const ()>,
}

// As for `Runtime`.
impl UnwindSafe for LocalRuntime {}
impl RefUnwindSafe for LocalRuntime {}

impl LocalRuntime {
    /// Makes a local runtime with everything enabled.
    ///
    /// # Errors
    ///
    /// See [`Builder::build_local`].
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
    }

    /// `shared` is a local runtime of this thread.
    pub(crate) fn from_shared(shared: Arc<scheduler::Shared>) -> Self {
        Self {
            runtime: Runtime::from_shared(shared),
            not_send: PhantomData,
        }
    }

    /// A handle to the runtime, to be cloned and sent anywhere.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringway_runtime::LocalRuntime::new()?;
    /// let handle = runtime.handle().clone();
    /// // From another thread; the task itself runs on this one.
    /// let task = std::thread::spawn(move || handle.spawn(async { std::thread::current().id() }));
    /// let task = task.join().unwrap();
    /// assert_eq!(runtime.block_on(task)?, std::thread::current().id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Spawns a task onto the runtime. It runs when this thread is next in [`LocalRuntime::block_on`].
    ///
    /// # Panics
    ///
    /// Not: the caller is noted as the place that the task comes from.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let runtime = ringway_runtime::LocalRuntime::new()?;
    /// let count = Rc::new(Cell::new(0));
    /// let mine = Rc::clone(&count);
    /// let task = runtime.spawn_local(async move { mine.set(5) });
    /// assert_eq!(count.get(), 0, "nobody runs it yet");
    /// runtime.block_on(task)?;
    /// assert_eq!(count.get(), 5);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let shared = self.runtime.handle().shared();
        shared
            .spawn_local(future, Location::caller(), ())
            .expect("a local runtime does not leave its thread")
    }

    /// Runs a closure on the runtime's pool for blocking jobs. See [`crate::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringway_runtime::LocalRuntime::new()?;
    /// let job = runtime.spawn_blocking(|| std::thread::current().id());
    /// assert_ne!(runtime.block_on(job)?, std::thread::current().id());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, job: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.runtime.spawn_blocking(job)
    }

    /// Runs a future, and the runtime's tasks, on this thread until the future is ready.
    ///
    /// # Panics
    ///
    /// Inside a task, and with the panic of the future.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Enters the runtime: until the guard is dropped, this thread spawns onto it and uses its timers.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringway_runtime::LocalRuntime::new()?;
    /// let task = {
    ///     let _guard = runtime.enter();
    ///     ringway_runtime::spawn(async { 5 })
    /// };
    /// assert_eq!(runtime.block_on(task)?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Readings of the runtime's counters.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.runtime.metrics()
    }

    /// Ends the runtime, waiting for at most `timeout`. See [`Runtime::shutdown_timeout`].
    ///
    /// ```
    /// let runtime = ringway_runtime::LocalRuntime::new()?;
    /// runtime.spawn_local(std::future::pending::<()>());
    /// runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.runtime.shutdown_timeout(timeout);
    }

    /// Ends the runtime without waiting. May be called inside a task.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::sync::mpsc;
    ///
    /// let runtime = ringway_runtime::LocalRuntime::new()?;
    /// let (end, ended) = mpsc::channel::<()>();
    /// // A job that would go on for as long as anybody waits for it.
    /// runtime.spawn_blocking(move || ended.recv());
    /// runtime.shutdown_background();
    /// drop(end);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown_background(self) {
        self.runtime.shutdown_background();
    }
}
