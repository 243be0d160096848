//! A task's birth, and how a wake finds its way to the scheduler.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::shared::Shared;
use super::worker::WorkerContext;
use crate::context::{self, Missing};
use crate::registry;
use crate::task::{
    Birth, Extras, Header, Id, JoinHandle, Notified, Placement, Schedule, TaskRef, new_task,
};
use crate::trace::{self, Kind};

/// Spawns a task onto the runtime that this thread is in.
///
/// The task starts whether the handle is awaited or not. It runs on any of the runtime's workers, and may move
/// between polls.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let tasks: Vec<_> = (0..4).map(|n| ringway_runtime::spawn(async move { n * n })).collect();
/// let mut squares = Vec::new();
/// for task in tasks {
///     squares.push(task.await?);
/// }
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let spawned_at = Location::caller();
    match context::with_current(|shared| shared.spawn(future, spawned_at)) {
        Ok(handle) => handle,
        Err(missing) => no_runtime(missing),
    }
}

/// Runs a closure where it may block: on a thread of the pool for that.
///
/// A job that has started cannot be aborted. When the runtime shuts down, jobs that have not started are
/// cancelled, and those that run are waited for.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let sum = ringway_runtime::spawn_blocking(|| (1..=1_000_000_u64).sum::<u64>());
/// assert_eq!(sum.await?, 500_000_500_000);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Panics
///
/// Outside a runtime, and if the system refuses the pool's first thread.
#[track_caller]
pub fn spawn_blocking<F, R>(job: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let spawned_at = Location::caller();
    match context::with_current(|shared| shared.pool.spawn(shared, job, spawned_at)) {
        Ok(handle) => handle,
        Err(missing) => no_runtime(missing),
    }
}

/// As [`spawn_blocking`], for a closure that finishes what was already reported as done, such as a write from a
/// buffer: once queued it runs even if the runtime shuts down before it has begun. For our own crates.
///
/// `None`: the runtime has shut down, and the closure is not run.
///
/// # Panics
///
/// Outside a runtime.
#[doc(hidden)]
#[track_caller]
pub fn spawn_mandatory_blocking<F, R>(job: F) -> Option<JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let spawned_at = Location::caller();
    match context::with_current(|shared| shared.pool.spawn_mandatory(shared, job, spawned_at)) {
        Ok(handle) => handle,
        Err(missing) => no_runtime(missing),
    }
}

#[track_caller]
#[cold]
fn no_runtime(missing: Missing) -> ! {
    panic!("{}", context::missing(missing))
}

impl Shared {
    /// Spawns a task onto this runtime, from any thread.
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        future: F,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(future, spawned_at, ())
    }

    /// As [`Self::spawn`], with extras for the task.
    pub(crate) fn spawn_with<F, E>(
        self: &Arc<Self>,
        future: F,
        spawned_at: &'static Location<'static>,
        extras: E,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        E: Extras,
    {
        self.spawn_unchecked(future, spawned_at, extras)
    }

    /// Spawns a task that need not be Send onto this local runtime; `None` if this is not its thread.
    pub(crate) fn spawn_local<F, E>(
        self: &Arc<Self>,
        future: F,
        spawned_at: &'static Location<'static>,
        extras: E,
    ) -> Option<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
        E: Extras,
    {
        let may = self.is_local() && self.may_run_here();
        may.then(|| self.spawn_unchecked(future, spawned_at, extras))
    }

    /// The future is Send, or this thread is the only one that runs the runtime's tasks.
    fn spawn_unchecked<F, E>(
        self: &Arc<Self>,
        future: F,
        spawned_at: &'static Location<'static>,
        extras: E,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        E: Extras,
    {
        context::with_worker(|worker| {
            let worker = worker.filter(|worker| worker.shared().id() == self.id());
            let list = worker.map_or_else(|| self.guest_index(), WorkerContext::index);
            let birth = Birth {
                placement: Placement {
                    runtime: self.id(),
                    shard: list as u16,
                },
                id: Id::next(),
                spawned_at,
                born: self.birth_ms(worker.is_some()),
            };
            let kind = if self.is_local() {
                Kind::Local
            } else {
                Kind::Task
            };
            let (future, extras) =
                trace::task::<F, _, _>(kind, future, birth.id, spawned_at, extras);
            let (task, notified, handle) = new_task::<_, Scheduler, _>(future, birth, extras);
            self.config.task_hooks.spawned(|| notified.look().meta());
            if let Err(task) = self.owned.bind(task) {
                drop(notified);
                task.shut_down();
                return handle;
            }
            match worker {
                Some(worker) => worker.schedule_spawned(notified),
                None => self.schedule_outside(notified),
            }
            handle
        })
    }

    #[inline]
    fn release(&self, task: TaskRef<'_>) -> bool {
        self.config.task_hooks.terminated(|| task.meta());
        self.owned.release(task)
    }
}

/// How tasks of a runtime reach it: by the thread's context, or by the number in their header.
struct Scheduler;

impl Schedule for Scheduler {
    fn schedule(task: Notified) {
        route(task, WorkerContext::schedule);
    }

    fn reschedule(task: Notified) {
        route(task, WorkerContext::reschedule);
    }

    #[inline]
    fn polled(task: &Header) {
        context::with_worker(|worker| {
            if let Some(worker) = worker {
                worker.end_poll(task);
            }
        });
    }

    #[inline]
    fn release(task: TaskRef<'_>) -> bool {
        let runtime = task.header().placement().runtime;
        let released = context::with_worker(|worker| {
            let worker = worker.filter(|worker| worker.shared().id() == runtime)?;
            worker.note_completion();
            Some(worker.shared().release(task))
        });
        // Or it completes on the thread that shuts its runtime down.
        let released = released.or_else(|| registry::with(runtime, |shared| shared.release(task)));
        released.unwrap_or(false)
    }

    fn panicked(task: &Header) {
        registry::with(task.placement().runtime, |shared| shared.note_panic());
    }
}

#[inline]
fn route(task: Notified, local: impl FnOnce(&WorkerContext, Notified)) {
    let runtime = task.header().placement().runtime;
    context::with_worker(|worker| match worker {
        Some(worker) if worker.shared().id() == runtime => local(worker, task),
        _ => {
            let mut task = Some(task);
            registry::with(runtime, |shared| {
                shared.schedule_outside(task.take().expect("called once"))
            });
            // Without its runtime the task has been cancelled, and the notification is dropped.
            drop(task);
        }
    });
}
