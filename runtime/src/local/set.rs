//! [`LocalSet`]: a scheduler of its own inside a task.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::current::{self, CurrentGuard, Here};
use super::poll::{poll_set, poll_until};
use super::shared::Shared;
use super::table;
use crate::config::UnhandledPanic;
use crate::context;
use crate::runtime::{self, Runtime};
use crate::task::{Extras, JoinHandle};

/// A set of tasks that all run on the thread that made the set, and so need not be `Send`.
///
/// Its tasks run while somebody polls the set: [`LocalSet::run_until`] and [`LocalSet::block_on`] run them beside a
/// future, and the set itself is a future that is ready when it has no tasks left. In one poll of the set it runs
/// at most 61 tasks, so that it leaves room for what else its thread has to do. Wakes may come from any
/// thread.
///
/// A set can be in the root future of any runtime, or in another set, but not in a task that is spawned with
/// [`crate::spawn`], for it is not `Send`.
///
/// Dropping the set cancels its tasks: their futures are dropped there, with [`crate::spawn_local`] still
/// leading to the set, whose new tasks are cancelled at once.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ringway_runtime::{LocalSet, Runtime, spawn_local};
///
/// let runtime = Runtime::new()?;
/// let shared = Rc::new(21);
/// let answer = LocalSet::new().block_on(&runtime, async move {
///     let task = spawn_local(async move { *shared * 2 });
///     task.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct LocalSet {
    set: Here,
}

/// Until it is dropped, [`crate::spawn_local`] spawns onto the set. Made by [`LocalSet::enter`].
///
/// Guards may be dropped in any order; each puts back the set that was current when it was made.
#[must_use = "the set is left when the guard is dropped"]
pub struct LocalEnterGuard {
    _guard: CurrentGuard,
    /// The guard belongs to its thread.
    not_send: PhantomData<*const ()>,
}

/// The poller that is the set itself, as a future.
const ITSELF: u64 = 0;

impl LocalSet {
    /// An empty set for this thread.
    ///
    /// ```
    /// let set = ringway_runtime::LocalSet::new();
    /// # drop(set);
    /// ```
    pub fn new() -> Self {
        Self {
            set: Rc::new(Shared::make()),
        }
    }

    /// Enters the set: until the guard is dropped, [`crate::spawn_local`] on this thread spawns onto it.
    ///
    /// ```
    /// use ringway_runtime::{LocalSet, Runtime, spawn_local};
    ///
    /// let set = LocalSet::new();
    /// let entered = set.enter();
    /// let task = spawn_local(async { 7 });
    /// drop(entered);
    /// assert_eq!(set.block_on(&Runtime::new()?, task).unwrap(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter(&self) -> LocalEnterGuard {
        LocalEnterGuard {
            _guard: current::enter(&self.set),
            not_send: PhantomData,
        }
    }

    /// The set's id. It is not that of any runtime either.
    ///
    /// ```
    /// use ringway_runtime::LocalSet;
    ///
    /// assert_ne!(LocalSet::new().id(), LocalSet::new().id());
    /// ```
    pub fn id(&self) -> runtime::Id {
        self.set.id()
    }

    /// What happens when a task of the set panics: nothing but that its handle says so, which is the default, or the end
    /// of the set: all tasks are cancelled, and who polls the set then, or comes to it later, panics.
    ///
    /// # Panics
    ///
    /// When the set has tasks, or has been entered.
    ///
    /// ```should_panic
    /// use ringway_runtime::{LocalSet, Runtime, UnhandledPanic};
    ///
    /// let mut set = LocalSet::new();
    /// set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    /// set.spawn_local(async { panic!("and so the set ends") });
    /// set.block_on(&Runtime::new().unwrap(), std::future::pending::<()>());
    /// ```
    #[track_caller]
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut Self {
        assert!(
            self.set.owned.is_empty() && Rc::strong_count(&self.set) == 1,
            "Unhandled Panic behavior modified after starting LocalSet"
        );
        let ends = matches!(behavior, UnhandledPanic::ShutdownRuntime);
        self.set.own().ends_at_panic.set(ends);
        self
    }

    /// Spawns a task onto the set. It runs when the set is next polled; nothing else need be done to start it.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use ringway_runtime::{LocalSet, Runtime};
    ///
    /// let count = Rc::new(Cell::new(0));
    /// let set = LocalSet::new();
    /// for _ in 0..10 {
    ///     let count = Rc::clone(&count);
    ///     set.spawn_local(async move { count.set(count.get() + 1) });
    /// }
    /// Runtime::new()?.block_on(set);
    /// assert_eq!(count.get(), 10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// Not: the caller is noted as the place that the task comes from.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_with(future, Location::caller(), ())
    }

    pub(crate) fn spawn_with<F, E>(
        &self,
        future: F,
        spawned_at: &'static Location<'static>,
        extras: E,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        E: Extras,
    {
        self.set.spawn(future, spawned_at, extras)
    }

    /// Runs a future on this thread until it is ready, and the tasks of the set beside it. Tasks that are not done
    /// by then go on when the set is next polled.
    ///
    /// # Panics
    ///
    /// As [`Runtime::block_on`].
    ///
    /// ```
    /// use ringway_runtime::{LocalSet, Runtime, spawn_local};
    ///
    /// let length = LocalSet::new().block_on(&Runtime::new()?, async {
    ///     let text = std::rc::Rc::new("local");
    ///     spawn_local(async move { text.len() }).await.unwrap()
    /// });
    /// assert_eq!(length, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn block_on<F>(&self, runtime: &Runtime, future: F) -> F::Output
    where
        F: Future,
    {
        runtime.block_on(self.run_until(future))
    }

    /// Runs a future until it is ready, and the tasks of the set beside it. Tasks that are not done by then go on
    /// when the set is next polled.
    ///
    /// Several futures may be run so at the same time, also in different tasks: each runs the set's tasks.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the given future. Nothing happens to the set's tasks.
    ///
    /// ```
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_runtime::{LocalSet, spawn_local};
    ///
    /// let set = LocalSet::new();
    /// let sum = set.run_until(async {
    ///     let (one, other) = (spawn_local(async { 20 }), spawn_local(async { 22 }));
    ///     one.await.unwrap() + other.await.unwrap()
    /// });
    /// assert_eq!(sum.await, 42);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn run_until<F>(&self, future: F) -> F::Output
    where
        F: Future,
    {
        let poller = Poller::new(&self.set);
        let mut future = pin!(future);
        poll_fn(|cx| poll_until(&self.set, poller.number, future.as_mut(), cx)).await
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        poll_set(&self.set, ITSELF, cx)
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        let _current = current::enter(&self.set);
        let _local = context::set_has_local_tasks(true);
        self.set.end();
        table::leave(self.set.number());
    }
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish_non_exhaustive()
    }
}

/// One `run_until`, as the mailbox knows it.
struct Poller<'a> {
    set: &'a Shared,
    number: u64,
}

impl<'a> Poller<'a> {
    fn new(set: &'a Shared) -> Self {
        let pollers = &set.own().pollers;
        pollers.set(pollers.get() + 1);
        Self {
            set,
            number: pollers.get(),
        }
    }
}

impl Drop for Poller<'_> {
    /// Others that poll the set look after its tasks from here on.
    fn drop(&mut self) {
        self.set.mailbox.forget(self.number);
        if self.set.has_work() {
            self.set.mailbox.wake();
        }
    }
}
