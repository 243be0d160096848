//! [`Handle`]: a way to the runtime that can be cloned and sent.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::context::{self, Blocking, CurrentGuard, Missing};
use crate::runtime::{Id, RuntimeFlavor};
use crate::scheduler::{Shared, block_on};
use crate::task::JoinHandle;

/// A handle to a runtime. It does not keep the runtime running.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Until it is dropped, the thread is in the runtime.
///
/// # Panics
///
/// Guards must be dropped in the reverse order of their making; dropping one out of order panics.
#[derive(Debug)]
#[must_use = "the runtime is left when the guard is dropped"]
pub struct EnterGuard<'a> {
    _guard: CurrentGuard,
    handle: PhantomData<&'a Handle>,
}

// SAFETY: nothing can be done with a shared reference to the guard but to format it, which reads no thread's place.
unsafe impl Sync for EnterGuard<'_> {}

// As for the runtime itself.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The runtime that this thread is in.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// use ringway_runtime::{Handle, Runtime};
    ///
    /// let runtime = Runtime::new()?;
    /// let handle = runtime.block_on(async { Handle::current() });
    /// let task = std::thread::spawn(move || handle.spawn(async { 1 })).join().unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn current() -> Self {
        match Self::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// The runtime that this thread is in.
    ///
    /// # Errors
    ///
    /// Outside a runtime, and while the thread is being torn down.
    ///
    /// ```
    /// assert!(ringway_runtime::Handle::try_current().unwrap_err().is_missing_context());
    /// ```
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::with_current(|shared| Self::new(Arc::clone(shared))).map_err(TryCurrentError)
    }

    /// Enters the runtime: until the guard is dropped, this thread spawns onto it and uses its timers.
    ///
    /// # Panics
    ///
    /// While the thread is being torn down.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let guard = runtime.handle().enter();
    /// let task = ringway_runtime::spawn(async { 1 });
    /// drop(guard);
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _guard: context::enter(Arc::clone(&self.shared)),
            handle: PhantomData,
        }
    }

    /// Spawns a task onto the runtime. See [`crate::spawn`]. In a runtime that has ended the task is cancelled at once.
    ///
    /// # Panics
    ///
    /// In a child of the process that made the runtime.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let task = runtime.handle().spawn(async { 1 });
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.assert_is_here();
        self.shared.spawn(future, Location::caller())
    }

    /// Runs a closure on the runtime's pool for blocking jobs. See [`crate::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let file = runtime.handle().spawn_blocking(|| std::fs::read_to_string("/proc/self/comm"));
    /// assert!(runtime.block_on(file).unwrap().is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, job: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.shared.assert_is_here();
        self.shared
            .pool
            .spawn(&self.shared, job, Location::caller())
    }

    /// Runs a future on this thread until it is ready. See [`crate::Runtime::block_on`]: the tasks, timers and operations
    /// of a current-thread runtime go on here as well. In such a runtime the future counts as outside of it, though:
    /// [`crate::worker_index`] is none, and [`crate::block_in_place`] allowed.
    ///
    /// # Panics
    ///
    /// Inside a task, with the panic of the future, and if a task's panic ends the runtime
    /// ([`Builder::unhandled_panic`](crate::Builder::unhandled_panic)).
    ///
    /// ```
    /// let runtime = ringway_runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// let thread = std::thread::spawn(move || handle.block_on(async { 1 }));
    /// assert_eq!(thread.join().unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.block_on_as(Blocking::InPlace, future)
    }

    /// `root`: what the future may do with this thread.
    #[track_caller]
    pub(crate) fn block_on_as<F: Future>(&self, root: Blocking, future: F) -> F::Output {
        self.shared.assert_is_here();
        assert!(
            context::blocking() == Blocking::Allowed,
            "Cannot start a runtime from within a runtime. This happens because a function (like `block_on`) \
             attempted to block the current thread while the thread is being used to drive asynchronous tasks. If \
             you are in an async function, use `.await` on the future instead of blocking on it."
        );
        let _blocking = context::set_blocking(root);
        block_on(&self.shared, future)
    }

    /// The kind of the runtime.
    ///
    /// ```
    /// use ringway_runtime::{Handle, Runtime, RuntimeFlavor};
    ///
    /// let runtime = Runtime::new()?;
    /// let flavor = runtime.block_on(async { Handle::current().runtime_flavor() });
    /// assert_eq!(flavor, RuntimeFlavor::MultiThread);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        self.shared.config.flavor
    }

    /// The runtime's id, which no other runtime of this process has or will have.
    ///
    /// ```
    /// use ringway_runtime::{Handle, Runtime};
    ///
    /// let runtime = Runtime::new()?;
    /// let id = runtime.block_on(async { Handle::current().id() });
    /// assert_eq!(id, runtime.handle().id());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn id(&self) -> Id {
        Id::new(self.shared.id())
    }

    /// The runtime's name, if it was given one by [`Builder::name`](crate::Builder::name).
    ///
    /// ```
    /// use ringway_runtime::{Builder, Handle};
    ///
    /// let runtime = Builder::new_current_thread().name("ingest").build()?;
    /// let name = runtime.block_on(async { Handle::current().name().map(str::to_owned) });
    /// assert_eq!(name.as_deref(), Some("ingest"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.shared.config.name.as_deref()
    }
}

/// There is no current runtime.
pub struct TryCurrentError(Missing);

impl TryCurrentError {
    /// Whether the thread is in no runtime.
    pub fn is_missing_context(&self) -> bool {
        self.0 == Missing::NoRuntime
    }

    /// Whether the thread is being torn down.
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.0 == Missing::ThreadGone
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryCurrentError")
            .field("kind", &self.0)
            .finish()
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(context::missing(self.0))
    }
}

impl Error for TryCurrentError {}
