//! [`Handle`]: a way to the runtime that can be cloned and sent.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::context::{self, Blocking, CurrentGuard, Missing};
use crate::runtime::RuntimeFlavor;
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
    #[track_caller]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The runtime that this thread is in.
    ///
    /// # Errors
    ///
    /// Outside a runtime, and while the thread is being torn down.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::with_current(|shared| Self::new(Arc::clone(shared))).map_err(TryCurrentError)
    }

    /// Enters the runtime: until the guard is dropped, this thread spawns onto it and uses its timers.
    #[track_caller]
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _guard: context::enter(Arc::clone(&self.shared)),
            handle: PhantomData,
        }
    }

    /// Spawns a task onto the runtime. See [`crate::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.spawn(future, Location::caller())
    }

    /// Runs a closure on the runtime's pool for blocking jobs. See [`crate::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, job: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.shared
            .pool
            .spawn(&self.shared, job, Location::caller())
    }

    /// Runs a future on this thread until it is ready. See [`crate::Runtime::block_on`].
    ///
    /// # Panics
    ///
    /// Inside a task, and with the panic of the future.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            context::blocking() == Blocking::Allowed,
            "Cannot start a runtime from within a runtime. This happens because a function (like `block_on`) \
             attempted to block the current thread while the thread is being used to drive asynchronous tasks. If \
             you are in an async function, use `.await` on the future instead of blocking on it."
        );
        let _blocking = context::set_blocking(Blocking::Forbidden);
        block_on(&self.shared, future)
    }

    /// The kind of the runtime.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        self.shared.config.flavor
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
        f.write_str(match self.0 {
            Missing::NoRuntime => context::NO_RUNTIME,
            Missing::ThreadGone => context::THREAD_GONE,
        })
    }
}

impl Error for TryCurrentError {}
