//! The names under the model checker: loom's, and locked stand-ins for what loom cannot see.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

/// Atomics and fences.
pub mod atomic {
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
}

pub use loom::cell::UnsafeCell;

/// A lock with `parking_lot`'s face over loom's.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

/// The guard of a [`Mutex`].
#[derive(Debug)]
pub struct MutexGuard<'a, T>(loom::sync::MutexGuard<'a, T>);

impl<T> Mutex<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Locks; a panic of another holder is not remembered.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().unwrap_or_else(|poison| poison.into_inner()))
    }

    /// Locks if nobody holds the lock.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(MutexGuard)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A condition with `parking_lot`'s face over loom's.
#[derive(Debug, Default)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    /// Makes one.
    pub fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    /// Waits with the lock given up.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        // SAFETY: the guard is read out, handed to the wait and written back before anybody can see the
        // gap; loom's wait does not unwind.
        let inner = unsafe { std::ptr::read(&guard.0) };
        let inner = self
            .0
            .wait(inner)
            .unwrap_or_else(|poison| poison.into_inner());
        // SAFETY: as above; the old value was moved out, so nothing is dropped twice.
        unsafe { std::ptr::write(&mut guard.0, inner) };
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) -> bool {
        self.0.notify_one();
        true
    }
}

/// A locked queue with the face of `crossbeam_deque`.
pub mod deque {
    use super::VecDeque;
    use std::sync::Arc;

    /// What a thief gets.
    #[derive(Debug)]
    pub enum Steal<T> {
        /// Nothing was there.
        Empty,
        /// This task.
        Success(T),
        /// Lost a race; try again. The stand-in never says so.
        Retry,
    }

    type Shared<T> = Arc<loom::sync::Mutex<VecDeque<T>>>;

    fn pop<T>(queue: &Shared<T>) -> Option<T> {
        queue
            .lock()
            .expect("no model panics with the queue locked")
            .pop_front()
    }

    /// The owner's end.
    #[derive(Debug)]
    pub struct Worker<T>(Shared<T>);

    /// A thief's end.
    #[derive(Debug)]
    pub struct Stealer<T>(Shared<T>);

    /// The queue for all.
    #[derive(Debug)]
    pub struct Injector<T>(Shared<T>);

    impl<T> Worker<T> {
        /// Makes a queue that is first in, first out.
        pub fn new_fifo() -> Self {
            Self(Arc::new(loom::sync::Mutex::new(VecDeque::new())))
        }

        /// Appends.
        pub fn push(&self, task: T) {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .push_back(task);
        }

        /// Takes the oldest.
        pub fn pop(&self) -> Option<T> {
            pop(&self.0)
        }

        /// Makes a thief's end.
        pub fn stealer(&self) -> Stealer<T> {
            Stealer(Arc::clone(&self.0))
        }

        /// Whether nothing is queued.
        pub fn is_empty(&self) -> bool {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .is_empty()
        }

        /// How many are queued.
        pub fn len(&self) -> usize {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .len()
        }
    }

    impl<T> Stealer<T> {
        /// Takes the oldest task.
        pub fn steal_batch_and_pop(&self, _into: &Worker<T>) -> Steal<T> {
            pop(&self.0).map_or(Steal::Empty, Steal::Success)
        }

        /// Whether nothing is queued.
        pub fn is_empty(&self) -> bool {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .is_empty()
        }

        /// How many are queued.
        pub fn len(&self) -> usize {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .len()
        }
    }

    impl<T> Injector<T> {
        /// Makes an empty queue.
        pub fn new() -> Self {
            Self(Arc::new(loom::sync::Mutex::new(VecDeque::new())))
        }

        /// Appends.
        pub fn push(&self, task: T) {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .push_back(task);
        }

        /// Takes the oldest task.
        pub fn steal(&self) -> Steal<T> {
            pop(&self.0).map_or(Steal::Empty, Steal::Success)
        }

        /// Takes the oldest task.
        pub fn steal_batch_and_pop(&self, _into: &Worker<T>) -> Steal<T> {
            self.steal()
        }

        /// Whether nothing is queued.
        pub fn is_empty(&self) -> bool {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .is_empty()
        }

        /// How many are queued.
        pub fn len(&self) -> usize {
            self.0
                .lock()
                .expect("no model panics with the queue locked")
                .len()
        }
    }
}

/// Lets another thread of the model go on, for this one waits for it.
pub fn spin_hint() {
    loom::thread::yield_now();
}

/// As [`spin_hint`].
pub fn yield_thread() {
    loom::thread::yield_now();
}
