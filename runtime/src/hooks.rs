//! The user's hooks into the lives of tasks, and what they are told.
//!
//! They run on whatever thread does the thing that they are told of, with no lock held, and inside the runtime. None
//! of them costs anything as long as it is not set: a worker asks one flag of its core before a poll, and spawning
//! and completing ask whether there is a function.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::contain::contain;
use crate::task::{Id, Notified};

/// What a hook is told of a task.
///
/// ```
/// use std::sync::Mutex;
/// use std::sync::Arc;
///
/// let spawned = Arc::new(Mutex::new(Vec::new()));
/// let list = Arc::clone(&spawned);
/// let runtime = ringway_runtime::Builder::new_current_thread()
///     .on_task_spawn(move |task| list.lock().unwrap().push((task.id(), task.spawned_at().line())))
///     .build()?;
/// let handle = runtime.spawn(async {});
/// assert_eq!(spawned.lock().unwrap()[0].0, handle.id());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct TaskMeta<'a> {
    id: Id,
    spawned_at: &'static Location<'static>,
    name: Option<&'a str>,
}

impl<'a> TaskMeta<'a> {
    pub(crate) fn new(
        id: Id,
        spawned_at: &'static Location<'static>,
        name: Option<&'a str>,
    ) -> Self {
        Self {
            id,
            spawned_at,
            name,
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Where in the program the task was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// The task's name, if it was given one.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }
}

impl fmt::Debug for TaskMeta<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskMeta")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("spawned_at", &self.spawned_at)
            .finish()
    }
}

/// A hook of tasks that the user set.
pub(crate) type TaskHook = Arc<dyn Fn(&TaskMeta<'_>) + Send + Sync>;

/// The hooks of one runtime.
#[derive(Clone, Default)]
pub(crate) struct TaskHooks {
    pub(crate) spawn: Option<TaskHook>,
    pub(crate) before_poll: Option<TaskHook>,
    pub(crate) after_poll: Option<TaskHook>,
    pub(crate) terminate: Option<TaskHook>,
}

impl TaskHooks {
    /// Whether a poll has to be announced.
    pub(crate) fn watch_polls(&self) -> bool {
        self.before_poll.is_some() || self.after_poll.is_some()
    }

    /// A task was made and is about to be queued. A panic of the hook is the spawner's.
    #[inline]
    pub(crate) fn spawned<'a>(&self, task: impl FnOnce() -> TaskMeta<'a>) {
        if let Some(hook) = &self.spawn {
            hook(&task());
        }
    }

    /// Calls `poll` with the task, and the hooks before and after it.
    pub(crate) fn around_poll(&self, task: Notified, poll: impl FnOnce(Notified)) {
        // The poll may be the last, after which only our reference keeps what the second hook is told.
        let kept = task.keep();
        call(self.before_poll.as_ref(), &kept.look().meta());
        poll(task);
        call(self.after_poll.as_ref(), &kept.look().meta());
    }

    /// A task has returned, panicked or was cancelled; its future is gone.
    #[inline]
    pub(crate) fn terminated<'a>(&self, task: impl FnOnce() -> TaskMeta<'a>) {
        if self.terminate.is_some() {
            call(self.terminate.as_ref(), &task());
        }
    }
}

/// A hook that panics keeps neither the worker nor the task from going on.
fn call(hook: Option<&TaskHook>, task: &TaskMeta<'_>) {
    if let Some(hook) = hook {
        contain(|| hook(task));
    }
}

impl fmt::Debug for TaskHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHooks")
            .field("spawn", &self.spawn.is_some())
            .field("before_poll", &self.before_poll.is_some())
            .field("after_poll", &self.after_poll.is_some())
            .field("terminate", &self.terminate.is_some())
            .finish()
    }
}
