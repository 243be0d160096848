//! What other threads leave for a set of local tasks, and whom they wake.
//!
//! Anybody may [`Mailbox::push`]; all else is the owner's, the thread of the set. The pollers are the futures in which
//! the set is being polled: usually one, but two `run_until` of the same set may be in two tasks.
//!
//! # No task is left behind
//!
//! A poll first registers its waker ([`Mailbox::register`]), and then takes tasks out until there are none. Who pushes
//! takes the registered wakers out under the same lock and wakes them. So either the push came before the
//! registration, and the poll finds the task, for the lock orders the push's mark before the poll's look at it; or
//! it came after, and found the waker. A waker that was taken out needs no second wake: its poll is still to come,
//! and will register again.
//!
//! Wakers are called, and dropped, with the lock given up.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use crate::contain::contain;
use crate::loom::Mutex;
use crate::loom::atomic::AtomicBool;
use crate::task::Notified;

/// Tasks from other threads, and the wakers of those who poll the set.
pub struct Mailbox {
    inside: Mutex<Inside>,
    /// Whether there are tasks; written under the lock.
    mark: AtomicBool,
}

struct Inside {
    tasks: VecDeque<Notified>,
    closed: bool,
    pollers: Pollers,
}

/// The first has a place of its own, so that a set with one poller never allocates here.
#[derive(Default)]
struct Pollers {
    first: Option<(u64, Waker)>,
    others: Vec<(u64, Waker)>,
}

impl Mailbox {
    /// An empty mailbox that wakes nobody.
    pub fn new() -> Self {
        let inside = Inside {
            tasks: VecDeque::new(),
            closed: false,
            pollers: Pollers::default(),
        };
        Self {
            inside: Mutex::new(inside),
            mark: AtomicBool::new(false),
        }
    }

    /// A poll begins: `waker` is woken by the next push, or [`Self::wake`]. It replaces the poller's last one.
    pub fn register(&self, poller: u64, waker: &Waker) {
        if self.inside.lock().pollers.has(poller, waker) {
            return;
        }
        let waker = waker.clone();
        let former = self.inside.lock().pollers.put(poller, waker);
        drop(former);
    }

    /// The poller will not poll again.
    pub fn forget(&self, poller: u64) {
        let former = self.inside.lock().pollers.remove(poller);
        drop(former);
    }

    /// Leaves a task, and wakes. When the mailbox is closed the task is dropped, for nobody would run it.
    pub fn push(&self, task: Notified) {
        let mut inside = self.inside.lock();
        if inside.closed {
            drop(inside);
            return drop(task);
        }
        inside.tasks.push_back(task);
        // Relaxed: the lock orders it for who registers after us; who registered before is woken.
        self.mark.store(true, Relaxed);
        let pollers = std::mem::take(&mut inside.pollers);
        drop(inside);
        pollers.wake();
    }

    /// Wakes the pollers.
    pub fn wake(&self) {
        let pollers = std::mem::take(&mut self.inside.lock().pollers);
        pollers.wake();
    }

    /// Moves all tasks to the back of `queue`; the owner's, who may be told that there are none by a look that is
    /// older than a push, if that push wakes it.
    pub fn take(&self, queue: &mut VecDeque<Notified>) {
        if self.is_empty() {
            return;
        }
        let mut inside = self.inside.lock();
        queue.append(&mut inside.tasks);
        self.mark.store(false, Relaxed);
    }

    /// Whether there are no tasks; a look as in [`Self::take`].
    pub fn is_empty(&self) -> bool {
        // Relaxed: see `push`.
        !self.mark.load(Relaxed)
    }

    /// Takes no more tasks, and drops those that are there.
    pub fn close(&self) {
        let mut inside = self.inside.lock();
        inside.closed = true;
        self.mark.store(false, Relaxed);
        let tasks = std::mem::take(&mut inside.tasks);
        let pollers = std::mem::take(&mut inside.pollers);
        drop(inside);
        drop(tasks);
        drop(pollers);
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Pollers {
    fn has(&self, poller: u64, waker: &Waker) -> bool {
        self.iter()
            .any(|(number, former)| *number == poller && former.will_wake(waker))
    }

    fn put(&mut self, poller: u64, waker: Waker) -> Option<(u64, Waker)> {
        let former = self.remove(poller);
        match &self.first {
            None => self.first = Some((poller, waker)),
            Some(_) => self.others.push((poller, waker)),
        }
        former
    }

    fn remove(&mut self, poller: u64) -> Option<(u64, Waker)> {
        if let Some(first) = self.first.take_if(|(number, _)| *number == poller) {
            return Some(first);
        }
        let place = self
            .others
            .iter()
            .position(|(number, _)| *number == poller)?;
        Some(self.others.swap_remove(place))
    }

    fn iter(&self) -> impl Iterator<Item = &(u64, Waker)> {
        self.first.iter().chain(&self.others)
    }

    fn wake(self) {
        for (_, waker) in self.first.into_iter().chain(self.others) {
            // The panic of one is not the others' business, nor that of who wakes a task.
            contain(|| waker.wake());
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("is_empty", &self.is_empty())
            .finish_non_exhaustive()
    }
}
