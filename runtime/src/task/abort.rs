//! A handle that can abort a task, and no more.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::id::Id;
use super::raw::Reference;
use super::state::Wake;

/// Aborts a task. Made by [`super::JoinHandle::abort_handle`]; any number of them may exist.
#[derive(Clone)]
pub struct AbortHandle(Reference);

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    pub(super) fn new(reference: Reference) -> Self {
        Self(reference)
    }

    /// As [`super::JoinHandle::abort`].
    pub fn abort(&self) {
        let wake = self.0.header().state.abort();
        if wake == Wake::Submit {
            // The transition added the reference that the notification takes; the handle keeps its own.
            // SAFETY: see above.
            unsafe { Reference::from_pointer(self.0.pointer()) }.after_wake(wake);
        }
    }

    /// Whether the task has completed, was cancelled or panicked.
    pub fn is_finished(&self) -> bool {
        self.0.header().state.load().is_complete()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.0.header().id
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .finish()
    }
}
