//! Options of tasks: the hooks into their lives, and what a panic of one means for the others.
//!
//! The hooks hear of tasks: those of `spawn`. They do not hear of a root future in `block_on`, which is no task, nor
//! of jobs of the blocking pool.

use std::sync::Arc;

use super::Builder;
use crate::config::UnhandledPanic;
use crate::hooks::TaskMeta;
use crate::runtime::RuntimeFlavor;

impl Builder {
    /// A function that is called for each task that is spawned, by the thread that spawns it and before the task can
    /// be polled.
    ///
    /// A panic in it goes to the spawner, and the task is not spawned.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let spawned = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&spawned);
    /// let runtime = ringway_runtime::Builder::new_current_thread()
    ///     .on_task_spawn(move |_| _ = count.fetch_add(1, Ordering::Relaxed))
    ///     .build()?;
    /// runtime.spawn(async {});
    /// assert_eq!(spawned.load(Ordering::Relaxed), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_task_spawn<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.config.task_hooks.spawn = Some(Arc::new(hook));
        self
    }

    /// A function that is called before each poll of a task, by the thread that polls it. It is called as well before an
    /// aborted task's future is dropped.
    ///
    /// A panic in it is reported like any other, and the task is polled all the same.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let polls = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&polls);
    /// let runtime = ringway_runtime::Builder::new_current_thread()
    ///     .on_before_task_poll(move |_| _ = count.fetch_add(1, Ordering::Relaxed))
    ///     .build()?;
    /// runtime.block_on(runtime.spawn(ringway_runtime::task::yield_now())).unwrap();
    /// assert_eq!(polls.load(Ordering::Relaxed), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_before_task_poll<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.config.task_hooks.before_poll = Some(Arc::new(hook));
        self
    }

    /// A function that is called after each poll of a task, by the thread that polled it; after the last poll too, when
    /// others may already have the task's output.
    ///
    /// A panic in it is reported like any other, and the worker goes on.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::time::Instant;
    ///
    /// thread_local!(static SINCE: Cell<Option<Instant>> = const { Cell::new(None) });
    ///
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .on_before_task_poll(|_| SINCE.set(Some(Instant::now())))
    ///     .on_after_task_poll(|task| {
    ///         let took = SINCE.take().map(|since| since.elapsed()).unwrap_or_default();
    ///         if took.as_millis() > 10 {
    ///             eprintln!("{} took {took:?} for one poll", task.spawned_at());
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_after_task_poll<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.config.task_hooks.after_poll = Some(Arc::new(hook));
        self
    }

    /// A function that is called when a task has ended: returned, panicked, or was cancelled. Its future has been
    /// dropped, and whoever awaits its output does not have it yet.
    ///
    /// A panic in it is reported like any other, and nothing else comes of it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let ended = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&ended);
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .on_task_terminate(move |_| _ = count.fetch_add(1, Ordering::Relaxed))
    ///     .build()?;
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// assert_eq!(ended.load(Ordering::Relaxed), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_task_terminate<F>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    {
        self.config.task_hooks.terminate = Some(Arc::new(hook));
        self
    }

    /// What the runtime does when a task panics. By default nothing but to tell whoever awaits it.
    ///
    /// # Panics
    ///
    /// If a multi-thread runtime is to shut down: other threads may be anywhere in the program's code.
    ///
    /// ```should_panic
    /// use ringway_runtime::{Builder, UnhandledPanic};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .unhandled_panic(UnhandledPanic::ShutdownRuntime)
    ///     .build()
    ///     .unwrap();
    /// runtime.spawn(async { panic!("nobody awaits this task") });
    /// // Would wait for ever otherwise.
    /// runtime.block_on(std::future::pending::<()>());
    /// ```
    #[track_caller]
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut Self {
        if self.config.flavor == RuntimeFlavor::MultiThread
            && matches!(behavior, UnhandledPanic::ShutdownRuntime)
        {
            panic!("UnhandledPanic::ShutdownRuntime is only supported in current thread runtime");
        }
        self.config.unhandled_panic = behavior;
        self
    }
}
