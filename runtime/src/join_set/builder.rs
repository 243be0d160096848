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
