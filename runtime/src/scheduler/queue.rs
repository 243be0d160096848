//! The queues: a worker's next-task slot, its local queue, and the injector for tasks from outside.
//!
//! The local queue is first in, first out for its owner and for thieves alike. The next-task slot holds the
//! task that the running one woke or spawned last, to be run while its data is warm; it is a word that others
//! may empty when the owner is stuck.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};

use crate::loom::atomic::{AtomicBool, AtomicPtr, fence};
use crate::loom::deque::{Injector, Steal, Worker};
use crate::task::{Header, Notified};

/// Tasks for which a worker's queue has room without an allocation: the least that a deque of the crate `crossbeam-deque` holds.
pub(super) const QUEUE_ROOM: usize = 64;
/// Injected tasks that are moved into a worker's queue at once at most: what comes of its timers has room beside them.
const INJECTED_MAX: usize = QUEUE_ROOM / 4;

/// The task to run next on one worker.
#[derive(Debug)]
pub struct NextSlot(AtomicPtr<Header>);

impl NextSlot {
    /// An empty slot.
    pub fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Puts a task in if there is none. The owner's.
    ///
    /// # Errors
    ///
    /// The task itself, if there is one.
    #[inline]
    pub fn fill(&self, task: Notified) -> Result<(), Notified> {
        if !self.is_empty() {
            return Err(task);
        }
        // Release: publishes the task to the Acquire in `take`. A plain store, for nobody but us puts tasks in, so
        // that what was empty is empty still.
        self.0.store(task.into_raw(), Release);
        Ok(())
    }

    /// Puts a task in; returns the one that was there. The owner's.
    #[inline]
    pub fn put(&self, task: Notified) -> Option<Notified> {
        let task = match self.fill(task) {
            Ok(()) => return None,
            Err(task) => task,
        };
        // AcqRel: Release publishes the task to the Acquire of whoever takes it, here or in `take`.
        owned(self.0.swap(task.into_raw(), AcqRel))
    }

    /// Takes the task out. The owner's, and a helper's when the owner is stuck.
    #[inline]
    pub fn take(&self) -> Option<Notified> {
        if self.is_empty() {
            return None;
        }
        // AcqRel: Acquire pairs with the Release in `put` and `fill`.
        owned(self.0.swap(std::ptr::null_mut(), AcqRel))
    }

    /// Whether the slot is empty; a moment's value.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: a hint; `take` looks again.
        self.0.load(Relaxed).is_null()
    }
}

impl Default for NextSlot {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for NextSlot {
    fn drop(&mut self) {
        drop(self.take());
    }
}

fn owned(raw: *mut Header) -> Option<Notified> {
    // SAFETY: the slot holds pointers from `Notified::into_raw` only, and the swap took this one out.
    NonNull::new(raw).map(|raw| unsafe { Notified::from_raw(raw) })
}

/// Tasks that were spawned or woken from outside the workers.
#[derive(Debug)]
pub struct Inject {
    queue: Injector<Notified>,
    closed: AtomicBool,
}

impl Inject {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            queue: Injector::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Appends a task. After [`Self::close`] it is dropped, for nobody would run it.
    pub fn push(&self, task: Notified) {
        self.queue.push(task);
        // Partner of the fence in `close`: either we see that it is closed, or the closer sees the task.
        fence(SeqCst);
        if self.closed.load(Relaxed) {
            self.drop_all();
        }
    }

    /// Takes one task.
    pub fn pop(&self) -> Option<Notified> {
        retry(|| self.queue.steal())
    }

    /// Moves some tasks to `local`, which need not grow for that, and returns another.
    pub fn take_batch(&self, local: &Worker<Notified>) -> Option<Notified> {
        if self.queue.is_empty() {
            return None;
        }
        let room = (QUEUE_ROOM / 2).saturating_sub(local.len());
        let most = room.clamp(1, INJECTED_MAX);
        retry(|| self.queue.steal_batch_with_limit_and_pop(local, most))
    }

    /// How many tasks are queued; a moment's value.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is queued; a moment's value.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Refuses tasks from now on and drops those that are queued.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        // Partner of the fence in `push`.
        fence(SeqCst);
        self.drop_all();
    }

    fn drop_all(&self) {
        while let Some(task) = self.pop() {
            drop(task);
        }
    }
}

impl Default for Inject {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks again as long as a race was lost.
pub(super) fn retry(mut steal: impl FnMut() -> Steal<Notified>) -> Option<Notified> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
