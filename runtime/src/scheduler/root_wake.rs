//! Whether the root of `block_on` was woken, and where its thread is to be found.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use crate::loom::atomic::{AtomicBool, AtomicUsize, fence};

/// Shared by the root's thread and its wakers.
#[derive(Debug)]
pub struct RootWake {
    woken: AtomicBool,
    /// The worker whose core the thread holds, or [`OUTSIDE`].
    holds: AtomicUsize,
}

/// No core.
const OUTSIDE: usize = usize::MAX;

impl RootWake {
    /// A root that is to be polled, by a thread that holds no core.
    pub fn new() -> Self {
        Self {
            woken: AtomicBool::new(true),
            holds: AtomicUsize::new(OUTSIDE),
        }
    }

    /// Wakes the root. Returns the worker in whose ring its thread may sleep; `None`: it parks outside.
    pub fn wake(&self) -> Option<usize> {
        // Release: publishes what was done before the wake to `take`.
        self.woken.store(true, Release);
        // Partner of the fence in `move_to`: either the thread sees the wake, or we see where it sleeps.
        fence(SeqCst);
        // Relaxed: ordered by the fence.
        let holds = self.holds.load(Relaxed);
        (holds != OUTSIDE).then_some(holds)
    }

    /// The thread holds the core of a worker from now on, or none.
    pub fn move_to(&self, worker: Option<usize>) {
        // Relaxed: ordered by the fence.
        self.holds.store(worker.unwrap_or(OUTSIDE), Relaxed);
        // Partner of the fence in `wake`.
        fence(SeqCst);
    }

    /// Whether the root was woken since the last time; the thread's.
    pub fn take(&self) -> bool {
        // AcqRel: Acquire pairs with the Release in `wake`.
        self.is_woken() && self.woken.swap(false, AcqRel)
    }

    /// Whether the thread holds a core.
    pub fn is_on_core(&self) -> bool {
        // Relaxed: who asks has a lock that the thread has had since.
        self.holds.load(Relaxed) != OUTSIDE
    }

    /// Whether a wake waits to be taken.
    pub fn is_woken(&self) -> bool {
        // Acquire: pairs with the Release in `wake`.
        self.woken.load(Acquire)
    }
}

impl Default for RootWake {
    fn default() -> Self {
        Self::new()
    }
}
