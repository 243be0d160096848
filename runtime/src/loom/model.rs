//! The names under the model checker: loom's, and locked stand-ins for what loom cannot see.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// This is a model: sizes are not those of a running program.
pub const IS_MODEL: bool = true;

/// Atomics and fences.
pub mod atomic {
    pub use loom::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
}

pub use loom::cell::UnsafeCell;
pub use loom::sync::Arc;

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

/// The spin lock as one that blocks, for loom lets two spinners spin for ever and the holder wait. The real one has a
/// model of its own.
#[derive(Debug)]
pub struct SpinLock<T>(Mutex<T>);

impl<T> SpinLock<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Calls `f` with the value.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock())
    }

    /// Calls `f` with the value, unless somebody else has it.
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.0.try_lock().map(|mut value| f(&mut value))
    }
}

/// The spin lock of those who go away if they find it taken. For loom nothing lies between taking and giving back, so
/// nobody would ever find it so; here the holder says that it has it.
#[derive(Debug)]
pub struct TryLock<T> {
    lock: SpinLock<T>,
    held: atomic::AtomicBool,
}

impl<T> TryLock<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self {
            lock: SpinLock::new(value),
            held: atomic::AtomicBool::new(false),
        }
    }

    /// Calls `f` with the value.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.lock.with(|value| self.hold(value, f))
    }

    /// Calls `f` with the value, unless somebody else has it. As by a compare-and-exchange that fails, the lock may be
    /// found taken that has just been given back.
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.held.load(Relaxed) {
            return None;
        }
        self.lock.try_with(|value| self.hold(value, f))
    }

    fn hold<R>(&self, value: &mut T, f: impl FnOnce(&mut T) -> R) -> R {
        self.held.store(true, Relaxed);
        let result = f(value);
        self.held.store(false, Relaxed);
        result
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

    /// Waits until it is notified, since loom has no time.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _timeout: Duration) {
        self.wait(guard);
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) -> bool {
        self.0.notify_one();
        true
    }
}

/// Queues with the face of `crossbeam_deque`, and as weak as their users may take them to be.
///
/// Whoever takes a task sees what was done before it was queued. Nothing else is promised: a look at a queue may
/// be as stale as two relaxed loads, so that a fence that is missing around it shows. The items lie behind a lock
/// of the standard library, which loom does not see and which is never held at a switch of threads.
pub mod deque {
    use std::sync::{Arc, Mutex, PoisonError};

    use loom::sync::atomic::AtomicUsize;
    use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

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

    #[derive(Debug)]
    struct Queue<T> {
        /// How many were ever taken, and queued.
        head: AtomicUsize,
        tail: AtomicUsize,
        items: Mutex<Vec<Option<T>>>,
    }

    impl<T> Queue<T> {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                head: AtomicUsize::new(0),
                tail: AtomicUsize::new(0),
                items: Mutex::new(Vec::new()),
            })
        }

        fn push(&self, task: T) {
            let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
            items.push(Some(task));
            drop(items);
            // Release: publishes the task to the Acquire in `pop`.
            self.tail.fetch_add(1, AcqRel);
        }

        fn pop(&self) -> Option<T> {
            // Acquire: pairs with the AcqRel of whoever took the one before.
            let mut head = self.head.load(Acquire);
            loop {
                // Acquire: pairs with the Release in `push`.
                if head >= self.tail.load(Acquire) {
                    return None;
                }
                // AcqRel, Acquire: pair with the other takers'.
                match self.head.compare_exchange(head, head + 1, AcqRel, Acquire) {
                    Ok(_) => break,
                    Err(found) => head = found,
                }
            }
            let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
            items[head].take()
        }

        fn len(&self) -> usize {
            let head = self.head.load(Relaxed);
            self.tail.load(Relaxed).saturating_sub(head)
        }
    }

    /// The owner's end.
    #[derive(Debug)]
    pub struct Worker<T>(Arc<Queue<T>>);

    /// A thief's end.
    #[derive(Debug)]
    pub struct Stealer<T>(Arc<Queue<T>>);

    /// The queue for all.
    #[derive(Debug)]
    pub struct Injector<T>(Arc<Queue<T>>);

    impl<T> Worker<T> {
        /// Makes a queue that is first in, first out.
        pub fn new_fifo() -> Self {
            Self(Queue::new())
        }

        /// Appends.
        pub fn push(&self, task: T) {
            self.0.push(task);
        }

        /// Takes the oldest.
        pub fn pop(&self) -> Option<T> {
            self.0.pop()
        }

        /// Makes a thief's end.
        pub fn stealer(&self) -> Stealer<T> {
            Stealer(Arc::clone(&self.0))
        }

        /// Whether nothing is queued.
        pub fn is_empty(&self) -> bool {
            self.0.len() == 0
        }

        /// How many are queued.
        pub fn len(&self) -> usize {
            self.0.len()
        }
    }

    impl<T> Stealer<T> {
        /// Takes the oldest task.
        pub fn steal_batch_and_pop(&self, _into: &Worker<T>) -> Steal<T> {
            self.0.pop().map_or(Steal::Empty, Steal::Success)
        }

        /// Whether nothing is queued.
        pub fn is_empty(&self) -> bool {
            self.0.len() == 0
        }

        /// How many are queued.
        pub fn len(&self) -> usize {
            self.0.len()
        }
    }

    impl<T> Injector<T> {
        /// Makes an empty queue.
        #[expect(
            clippy::new_without_default,
            reason = "the face of the real one is enough"
        )]
        pub fn new() -> Self {
            Self(Queue::new())
        }

        /// Appends.
        pub fn push(&self, task: T) {
            self.0.push(task);
        }

        /// Takes the oldest task.
        pub fn steal(&self) -> Steal<T> {
            self.0.pop().map_or(Steal::Empty, Steal::Success)
        }

        /// Takes the oldest task.
        pub fn steal_batch_with_limit_and_pop(&self, _into: &Worker<T>, _limit: usize) -> Steal<T> {
            self.steal()
        }

        /// Whether nothing is queued.
        pub fn is_empty(&self) -> bool {
            self.0.len() == 0
        }

        /// How many are queued.
        pub fn len(&self) -> usize {
            self.0.len()
        }
    }
}

/// Lies in memory that references count, and sees that nobody uses it before it was made known to them or when it is
/// freed, and that it is freed.
#[derive(Debug)]
pub struct Witness {
    reads: loom::cell::UnsafeCell<()>,
    _leak: loom::alloc::Track<()>,
}

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

impl Witness {
    /// For memory that was just allocated.
    pub fn new() -> Self {
        let witness = Self {
            reads: loom::cell::UnsafeCell::new(()),
            _leak: loom::alloc::Track::new(()),
        };
        // Loom checks that every use comes after.
        witness.reads.with_mut(|_| ());
        witness
    }

    /// The memory is being used.
    pub fn touch(&self) {
        self.reads.with(|_| ());
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Loom checks that every use came before.
        self.reads.with_mut(|_| ());
    }
}

/// A value for each thread of the model.
macro_rules! thread_constant {
    (static $name:ident: $type:ty = $init:expr;) => {
        loom::thread_local! {
            static $name: $type = $init;
        }
    };
}
pub(crate) use thread_constant;

/// Lets another thread of the model go on, for this one waits for it.
pub fn spin_hint() {
    loom::thread::yield_now();
}

/// As [`spin_hint`].
pub fn yield_thread() {
    loom::thread::yield_now();
}
