//! [`Builder`]: spawning a task that has a name.
//!
//! A name is a second allocation, which only tasks with a name have: it lies behind the task as its extras.

use std::future::Future;
use std::io;
use std::panic::Location;

use crate::handle::Handle;
use crate::local::{LocalSet, spawn_local_with};
use crate::task::{Extras, JoinHandle};

/// Prepares a task that has a name, which hooks are told, and which looks at a
/// runtime's tasks show.
///
/// ```
/// # use ringway_runtime::task_builder as task;
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let answer = task::Builder::new().name("answer").spawn(async { 42 })?;
/// assert_eq!(answer.await.unwrap(), 42);
/// # std::io::Result::Ok(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

/// A task's name.
struct Name(Box<str>);

impl Extras for Name {
    fn name(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl<'a> Builder<'a> {
    /// A task without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the task a name.
    pub fn name(&self, name: &'a str) -> Self {
        Self { name: Some(name) }
    }

    /// Spawns a task onto this thread's runtime. See [`crate::spawn`].
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_on(future, &Handle::current())
    }

    /// Spawns a task onto the runtime of `handle`.
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// In a child of the process that made the runtime.
    ///
    /// ```
    /// use ringway_runtime::{Runtime, task_builder::Builder};
    ///
    /// let runtime = Runtime::new().unwrap();
    /// // Outside of the runtime a handle says where.
    /// let task = Builder::new().name("task").spawn_on(async { 1 }, runtime.handle()).unwrap();
    /// let job = Builder::new().name("job").spawn_blocking_on(|| 2, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(async { task.await.unwrap() + job.await.unwrap() }), 3);
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (shared, spawned_at) = (handle.shared(), Location::caller());
        Ok(match self.extras() {
            Some(name) => shared.spawn_with(future, spawned_at, name),
            None => shared.spawn(future, spawned_at),
        })
    }

    /// Spawns a task that need not be `Send`. See [`crate::spawn_local`].
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// As [`crate::spawn_local`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::rc::Rc;
    /// use ringway_runtime::{LocalSet, task_builder::Builder};
    ///
    /// let (local, shared) = (LocalSet::new(), Rc::new(20));
    /// let mine = Rc::clone(&shared);
    /// let there = Builder::new().name("there").spawn_local_on(async move { *mine }, &local).unwrap();
    /// let sum = local.run_until(async move {
    ///     let here = Builder::new().name("here").spawn_local(async move { *shared + 2 }).unwrap();
    ///     here.await.unwrap() + there.await.unwrap()
    /// });
    /// assert_eq!(sum.await, 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let spawned_at = Location::caller();
        Ok(match self.extras() {
            Some(name) => spawn_local_with(future, spawned_at, name),
            None => spawn_local_with(future, spawned_at, ()),
        })
    }

    /// Spawns a task that need not be `Send` onto a set.
    ///
    /// # Errors
    ///
    /// None; the `Result` is there for compatibility.
    ///
    /// # Panics
    ///
    /// Not: the caller is noted as the place that the task comes from.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let spawned_at = Location::caller();
        Ok(match self.extras() {
            Some(name) => set.spawn_with(future, spawned_at, name),
            None => set.spawn_with(future, spawned_at, ()),
        })
    }

    /// Runs a closure where it may block. See [`crate::spawn_blocking`].
    ///
    /// # Errors
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use ringway_runtime::task_builder::Builder;
    ///
    /// let job = Builder::new().name("sum").spawn_blocking(|| (1..=10).sum::<u32>()).unwrap();
    /// assert_eq!(job.await.unwrap(), 55);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, job: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_on(job, &Handle::current())
    }

    /// Runs a closure on the pool for blocking jobs of the runtime of `handle`.
    ///
    /// # Errors
    ///
    /// If the system refuses the pool's first thread.
    ///
    /// # Panics
    ///
    /// In a child of the process that made the runtime.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, job: F, handle: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (shared, spawned_at) = (handle.shared(), Location::caller());
        match self.extras() {
            Some(name) => shared.pool.try_spawn(shared, job, name, spawned_at),
            None => shared.pool.try_spawn(shared, job, (), spawned_at),
        }
    }

    fn extras(self) -> Option<Name> {
        self.name.map(|name| Name(name.into()))
    }
}
