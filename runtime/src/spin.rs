//! A lock for a few instructions: one read-modify-write to take, a plain store to give.
//!
//! For data that one thread touches nearly always and others now and then, for a handful of loads and stores.
//! A parking lock costs a second read-modify-write to find out whether somebody sleeps on it; here nobody does:
//! who finds it taken spins, and soon yields, since the holder may have lost its processor.

use std::fmt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::loom::UnsafeCell;
use crate::loom::atomic::AtomicBool;
use crate::loom::{spin_hint, yield_thread};

/// Spins before each yield, some hundred nanoseconds: longer than a holder needs that is running.
const SPINS: u32 = 32;

/// A lock that spins. See the module.
pub struct SpinLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock lends the value to one thread at a time.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: as for the value itself.
unsafe impl<T: Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value. `f` is short, runs no user code and does not panic with the value broken.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _guard = self.take();
        // SAFETY: the guard says that no other thread has the value.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }

    /// As [`Self::with`], unless somebody else has the value.
    #[inline]
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let _guard = self.try_take().then(|| Guard(&self.taken))?;
        // SAFETY: as above.
        Some(self.value.with_mut(|value| f(unsafe { &mut *value })))
    }

    #[inline]
    fn take(&self) -> Guard<'_> {
        if !self.try_take() {
            self.wait();
        }
        Guard(&self.taken)
    }

    #[inline]
    fn try_take(&self) -> bool {
        // Acquire: pairs with the Release in the guard's drop. Not a swap: who fails writes nothing.
        self.taken
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self) {
        let mut spins = 0;
        while !self.try_take() {
            spins += 1;
            if spins % SPINS == 0 {
                yield_thread()
            } else {
                spin_hint()
            }
        }
    }
}

struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_take`.
        self.0.store(false, Release);
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}
