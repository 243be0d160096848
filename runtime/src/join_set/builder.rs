//! A task of a set that has a name.

use std::fmt;
use std::future::Future;
use std::io;

use super::JoinSet;
use crate::handle::Handle;
use crate::local::LocalSet;
use crate::task::AbortHandle;
use crate::task_builder;

/// Prepares a task of a [`JoinSet`]. Made by [`JoinSet::build_task`].
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// use ringway_runtime::join_set::JoinSet;
///
/// let mut downloads = JoinSet::new();
/// let first = downloads.build_task().name("first").spawn(async { 1 }).unwrap();
/// downloads.build_task().name("second").spawn_blocking(|| 2).unwrap();
/// assert!(!first.is_finished() || downloads.len() == 2);
/// assert_eq!(downloads.join_all().await.iter().sum::<i32>(), 3);
/// # });
/// ```
#[must_use = "builders do nothing unless used to spawn a task"]
pub struct Builder<'a, T> {
    set: &'a mut JoinSet<T>,
    task: task_builder::Builder<'a>,
}

impl<'a, T: 'static> Builder<'a, T> {
    pub(super) fn new(set: &'a mut JoinSet<T>) -> Self {
        Self {
            set,
            task: task_builder::Builder::new(),
        }
    }

    /// Gives the task a name.
    pub fn name(self, name: &'a str) -> Self {
        let task = self.task.name(name);
        Self { task, ..self }
    }

    /// As [`JoinSet::spawn`].
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn(future)?))
    }

    /// As [`JoinSet::spawn_on`].
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// As [`task::Builder::spawn_on`](crate::task_builder::Builder::spawn_on).
    ///
    /// ```
    /// use ringway_runtime::{Runtime, join_set::JoinSet};
    ///
    /// let runtime = Runtime::new().unwrap();
    /// // Outside of the runtime a handle says where.
    /// let mut set = JoinSet::new();
    /// set.build_task().name("task").spawn_on(async { 1 }, runtime.handle()).unwrap();
    /// set.build_task().name("job").spawn_blocking_on(|| 2, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(set.join_all()).len(), 2);
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn_on(future, handle)?))
    }

    /// As [`JoinSet::spawn_local`].
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// As [`JoinSet::spawn_local`].
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
    /// set.build_task().name("there").spawn_local_on(async move { *mine }, &local).unwrap();
    /// let sum = local.run_until(async move {
    ///     set.build_task().name("here").spawn_local(async move { *shared + 2 }).unwrap();
    ///     set.join_all().await.iter().sum::<i32>()
    /// });
    /// assert_eq!(sum.await, 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self.set.insert(self.task.spawn_local(future)?))
    }

    /// As [`JoinSet::spawn_local_on`].
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// As [`task::Builder::spawn_local_on`](crate::task_builder::Builder::spawn_local_on).
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local: &LocalSet) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self.set.insert(self.task.spawn_local_on(future, local)?))
    }

    /// As [`JoinSet::spawn_blocking`].
    ///
    /// # Errors
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(self, job: F) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn_blocking(job)?))
    }

    /// As [`JoinSet::spawn_blocking_on`].
    ///
    /// # Errors
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// # Panics
    ///
    /// As [`task::Builder::spawn_blocking_on`](crate::task_builder::Builder::spawn_blocking_on).
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, job: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.task.spawn_blocking_on(job, handle)?))
    }
}

impl<T> fmt::Debug for Builder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("join_set::Builder")
            .field("joinset", &self.set)
            .field("builder", &self.task)
            .finish()
    }
}
