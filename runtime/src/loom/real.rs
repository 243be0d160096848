//! The names of a running program: the standard library, `parking_lot` and `crossbeam_deque`.

pub use std::sync::Arc;

pub use parking_lot::{Condvar, Mutex, MutexGuard};

pub use crate::spin::SpinLock;
/// The spin lock, for those who go away if they find it taken.
pub use crate::spin::SpinLock as TryLock;

/// This is no model.
pub const IS_MODEL: bool = false;

/// Atomics and fences.
pub mod atomic {
    pub use std::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
}

/// The work-stealing queue.
pub mod deque {
    pub use crossbeam_deque::{Injector, Steal, Stealer, Worker};
}

/// A cell whose accesses the model checker watches; here it is the standard one.
#[derive(Debug)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Lends a pointer for reading.
    #[inline(always)]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Lends a pointer for reading and writing.
    #[inline(always)]
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Where a model sees to it that counted memory is used and freed rightly; here it is nothing.
#[derive(Debug)]
pub struct Witness(());

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

impl Witness {
    /// For memory that was just allocated.
    #[inline(always)]
    pub fn new() -> Self {
        Self(())
    }

    /// The memory is being used.
    #[inline(always)]
    pub fn touch(&self) {}
}

/// A value for each thread, made without running code.
macro_rules! thread_constant {
    (static $name:ident: $type:ty = $init:expr;) => {
        std::thread_local! {
            static $name: $type = const { $init };
        }
    };
}
pub(crate) use thread_constant;

/// Tells the processor that this thread waits for another.
#[inline(always)]
pub fn spin_hint() {
    std::hint::spin_loop();
}

/// Lets another thread have the processor.
pub fn yield_thread() {
    std::thread::yield_now();
}
