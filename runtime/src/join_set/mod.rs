//! [`JoinSet`]: tasks that are awaited together, in the order in which they complete.
//!
//! The set has the tasks' join handles in a table. Each task, when it completes, puts its place in the table into a
//! queue (`done.rs`), by the waker that its join handle was given. So the set looks at no task that has not completed,
//! and takes the lock of the queue once for all that have since it looked last.
//!
//! A place in the queue is a hint: a task that was detached may leave its place behind after somebody else got it.
//! Whether a task has completed is asked of its handle.

mod builder;
mod done;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use slab::Slab;

use self::done::Done;
use crate::handle::Handle;
use crate::local::LocalSet;
use crate::task::{AbortHandle, Id, JoinError, JoinHandle, coop};

pub use self::builder::Builder;

/// For models.
pub(crate) mod internals {
    use super::JoinSet;
    use crate::task::JoinHandle;

    /// Puts a task into a set.
    #[doc(hidden)]
    pub fn put_into_set<T: 'static>(set: &mut JoinSet<T>, task: JoinHandle<T>) {
        drop(set.insert(task));
    }
}

/// A set of tasks whose outputs are all of one type, and which are awaited as they complete.
///
/// Dropping the set aborts all tasks in it.
///
/// ```
/// use ringway_runtime::join_set::JoinSet;
///
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut squares = JoinSet::new();
/// for number in 1..=3 {
///     squares.spawn(async move { number * number });
/// }
/// let mut sum = 0;
/// while let Some(square) = squares.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 14);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JoinSet<T> {
    handles: Slab<JoinHandle<T>>,
    done: Arc<Done>,
    /// Keys that were taken from `done` and not looked at yet.
    taken: VecDeque<usize>,
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self {
            handles: Slab::new(),
            done: Arc::default(),
            taken: VecDeque::new(),
        }
    }

    /// How many tasks are in the set: those whose output nobody has taken yet.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether no task is in the set.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }
}

impl<T: 'static> JoinSet<T> {
    /// Prepares a task that has a name.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut set = ringway_runtime::join_set::JoinSet::new();
    /// set.build_task().name("answer").spawn(async { 42 })?;
    /// assert_eq!(set.join_all().await, [42]);
    /// # std::io::Result::Ok(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder::new(self)
    }

    /// Spawns a task onto this thread's runtime. See [`crate::spawn`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(crate::spawn(task))
    }

    /// Spawns a task onto the runtime of `handle`.
    ///
    /// # Panics
    ///
    /// In a child of the process that made the runtime.
    ///
    /// ```
    /// use ringway_runtime::{Runtime, join_set::JoinSet};
    ///
    /// let runtime = Runtime::new().unwrap();
    /// // Outside of the runtime a handle says where.
    /// let mut set = JoinSet::new();
    /// set.spawn_on(async { 1 }, runtime.handle());
    /// set.spawn_blocking_on(|| 2, runtime.handle());
    /// assert_eq!(runtime.block_on(set.join_all()).len(), 2);
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(task))
    }

    /// Spawns a task that need not be `Send`. See [`crate::spawn_local`].
    ///
    /// # Panics
    ///
    /// As [`crate::spawn_local`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::rc::Rc;
    /// use ringway_runtime::{LocalSet, join_set::JoinSet};
    ///
    /// let (local, shared) = (LocalSet::new(), Rc::new(20));
    /// let mut set = JoinSet::new();
    /// let mine = Rc::clone(&shared);
    /// set.spawn_local_on(async move { *mine }, &local);
    /// let sum = local.run_until(async move {
    ///     set.spawn_local(async move { *shared + 2 });
    ///     set.join_all().await.iter().sum::<i32>()
    /// });
    /// assert_eq!(sum.await, 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(crate::spawn_local(task))
    }

    /// Spawns a task that need not be `Send` onto `local`.
    ///
    /// # Panics
    ///
    /// Not: the caller is noted as the place that the task comes from.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(local.spawn_local(task))
    }

    /// Runs a closure where it may block. See [`crate::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// As [`crate::spawn_blocking`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let mut hashes = JoinSet::new();
    /// for block in 0..4_u64 {
    ///     hashes.spawn_blocking(move || (block * 1000..block * 1000 + 1000).sum::<u64>());
    /// }
    /// assert_eq!(hashes.join_all().await.into_iter().sum::<u64>(), (0..4000).sum());
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, job: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(crate::spawn_blocking(job))
    }

    /// Runs a closure on the pool for blocking jobs of the runtime of `handle`.
    ///
    /// # Panics
    ///
    /// If the system refuses the pool's first thread.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, job: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn_blocking(job))
    }

    fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let place = self.handles.vacant_entry();
        let key = place.key();
        if !handle.watch(self.done.waker(key)) {
            self.taken.push_back(key);
        }
        place.insert(handle);
        abort
    }

    /// Waits until a task completes, and takes it out of the set; `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// The [`JoinError`] of a task that panicked or was aborted.
    ///
    /// # Cancel safety
    ///
    /// A task leaves the set only when its output is returned, so nothing is lost if the future is dropped.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`Self::join_next`], with the task's id. An error has its task's id in itself.
    ///
    /// # Errors
    ///
    /// As [`Self::join_next`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::join_next`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::collections::HashMap;
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let mut set = JoinSet::new();
    /// let names: HashMap<_, _> = ["ada", "bob"]
    ///     .into_iter()
    ///     .map(|name| (set.spawn(async move { name.len() }).id(), name))
    ///     .collect();
    /// while let Some(result) = set.join_next_with_id().await {
    ///     let (id, length) = result.unwrap();
    ///     assert_eq!(names[&id].len(), length);
    /// }
    /// # });
    /// ```
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// Takes a task out of the set that has completed; `None` if none has, or the set is empty.
    ///
    /// # Errors
    ///
    /// As [`Self::join_next`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use ringway_runtime::{join_set::JoinSet, task::yield_now};
    ///
    /// let mut set = JoinSet::new();
    /// assert!(set.try_join_next().is_none(), "it is empty");
    /// set.spawn(async { 5 });
    /// // Whatever else there is to do meanwhile.
    /// let five = loop {
    ///     match set.try_join_next() {
    ///         Some(result) => break result.unwrap(),
    ///         None => yield_now().await,
    ///     }
    /// };
    /// assert_eq!(five, 5);
    /// # });
    /// ```
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.next_completed(Done::take).map(|(_, output)| output)
    }

    /// As [`Self::try_join_next`], with the task's id.
    ///
    /// # Errors
    ///
    /// As [`Self::join_next`].
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.next_completed(Done::take).map(with_id)
    }

    /// As [`Self::join_next`], outside an `async` context: the task of the last call is woken when another task of
    /// the set completes.
    ///
    /// # Errors
    ///
    /// As [`Self::join_next`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let mut set = JoinSet::from_iter([async { 5 }]);
    /// assert_eq!(poll_fn(|cx| set.poll_join_next(cx)).await.unwrap().unwrap(), 5);
    /// assert!(poll_fn(|cx| set.poll_join_next(cx)).await.is_none());
    /// # });
    /// ```
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        let completed = ready!(self.poll_completed(cx));
        Poll::Ready(completed.map(|(_, output)| output))
    }

    /// As [`Self::poll_join_next`], with the task's id.
    ///
    /// # Errors
    ///
    /// As [`Self::join_next`].
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        let completed = ready!(self.poll_completed(cx));
        Poll::Ready(completed.map(with_id))
    }

    fn poll_completed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Completed<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let unit = ready!(coop::poll_proceed(cx));
        match self.next_completed(|done, taken| done.take_or_wait(taken, cx)) {
            None => Poll::Pending,
            completed => {
                unit.made_progress();
                Poll::Ready(completed)
            }
        }
    }

    /// The next task that has completed. `take` moves keys from the queue, and says whether there were any.
    fn next_completed(
        &mut self,
        mut take: impl FnMut(&Done, &mut VecDeque<usize>) -> bool,
    ) -> Option<Completed<T>> {
        loop {
            let Some(key) = self.taken.pop_front() else {
                if take(&self.done, &mut self.taken) {
                    continue;
                }
                return None;
            };
            // The key may be a former task's, see the module.
            let output = self
                .handles
                .get_mut(key)
                .and_then(JoinHandle::take_if_finished);
            if let Some(output) = output {
                return Some((self.handles.remove(key).id(), output));
            }
        }
    }

    /// Waits for all tasks and returns their outputs, in the order in which the tasks completed.
    ///
    /// # Panics
    ///
    /// With the panic of the first task that panicked, and if a task was aborted. The others are aborted then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the set and the outputs that it has.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let mut set: JoinSet<_> = (1..=3).map(|number| async move { number * number }).collect();
    /// set.spawn(async { 100 });
    /// let mut squares = set.join_all().await;
    /// // They come in the order in which the tasks have ended.
    /// squares.sort();
    /// assert_eq!(squares, [1, 4, 9, 100]);
    /// # });
    /// ```
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(output) = self.join_next().await {
            match output {
                Ok(output) => outputs.push(output),
                Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                Err(error) => panic!("{error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks and waits until they are gone. Outputs and panics are dropped.
    ///
    /// # Cancel safety
    ///
    /// The tasks are aborted even so; those that are not gone yet are still in the set.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let mut set = JoinSet::new();
    /// set.spawn(std::future::pending::<()>());
    /// set.shutdown().await;
    /// assert!(set.is_empty());
    /// # });
    /// ```
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Aborts all tasks. They stay in the set until they are awaited.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let mut set = JoinSet::new();
    /// set.spawn(std::future::pending::<()>());
    /// set.abort_all();
    /// // It tells of each.
    /// assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort_all(&mut self) {
        for (_, handle) in &self.handles {
            handle.abort();
        }
    }

    /// Takes all tasks out of the set and lets them run on.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::sync::mpsc;
    /// use ringway_runtime::join_set::JoinSet;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let mut set = JoinSet::new();
    /// set.spawn(async move { tell.send("I have run on") });
    /// set.detach_all();
    /// drop(set);
    /// assert_eq!(told.recv(), Ok("I have run on"));
    /// # });
    /// ```
    pub fn detach_all(&mut self) {
        self.handles.clear();
    }
}

/// A task's id and what has become of it.
type Completed<T> = (Id, Result<T, JoinError>);

fn with_id<T>((id, output): Completed<T>) -> Result<(Id, T), JoinError> {
    output.map(|output| (id, output))
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for (_, handle) in &self.handles {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Spawns each future as a task.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(tasks: I) -> Self {
        let mut set = Self::new();
        set.extend(tasks);
        set
    }
}

/// Spawns each future as a task.
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, tasks: I) {
        for task in tasks {
            self.spawn(task);
        }
    }
}
