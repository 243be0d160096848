//! Forks: what a runtime is in the child of a process that has one.
//!
//! Nothing. fork(2) copies the memory, but of the threads only the one that calls it, and the rings are not in the copy
//! at all (their mappings are `MADV_DONTFORK`): the kernel would take what the child submits for the parent's. So a
//! runtime belongs to the [`Process`] that made it. In the child
//!
//! - the thread is in no runtime: where it was inside one, in a task or in `block_on`, it has left it when fork(2)
//!   returns, without the core that it ran, and what it calls next says so;
//! - what has a runtime or an operation in its hands, a handle or a future, asks whether it is the process's own before it
//!   takes a lock, for whoever holds the lock may not exist here. If not, calls panic with [`FORKED`] or fail with
//!   it, and drops let go of nothing;
//! - runtimes are found by number in tables that begin empty, so that the child may make its own.
//!
//! All this is set up by a handler that the C library calls in the child before fork(2) returns. It takes no lock and
//! allocates nothing: it counts the process on, and clears cells of the thread. A child that is made without the C
//! library's fork, by a bare clone(2), must do nothing but exec.

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32};

use crate::{context, driver, registry};

/// Why the runtime cannot be used, and what to do about it.
pub(crate) const FORKED: &str = "this runtime belongs to the parent process and cannot be used after fork: neither its \
                                 threads nor its rings exist in the child; build a new runtime in the child, or exec";

/// Forks between the process that this program began as and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The process in which something was made. For our own crates, where they do not ask the driver each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// This one.
    #[inline]
    pub fn current() -> Self {
        // Relaxed: it changes while the process has one thread, which is the one that changes it.
        Self(GENERATION.load(Relaxed))
    }

    /// Whether it is still the same.
    #[inline]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Whether this process is the child of one that had a runtime.
    pub(crate) fn is_child() -> bool {
        Self::current() != Self(0)
    }
}

impl Default for Process {
    /// This one.
    fn default() -> Self {
        Self::current()
    }
}

/// Panics: a runtime of the parent was called.
#[cold]
#[track_caller]
pub(crate) fn refuse() -> ! {
    panic!("{FORKED}")
}

/// Ends a child whose thread comes back from user code into the parent's runtime, where it would go on with the parent's
/// tasks.
#[cold]
pub(crate) fn stop() -> ! {
    eprintln!(
        "a forked child has returned into the task or job that it was forked in; end it by exec or by `_exit` there \
         ({FORKED})"
    );
    std::process::abort()
}

/// Has the C library tell us of forks from now on.
///
/// # Errors
///
/// If it has no memory for that.
pub(crate) fn watch() -> io::Result<()> {
    static REGISTERED: OnceLock<i32> = OnceLock::new();
    // SAFETY: the handler does nothing that is not allowed in the child of a process with threads.
    let register = || unsafe { libc::pthread_atfork(None, None, Some(begin_child)) };
    match *REGISTERED.get_or_init(register) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// In the child, before fork(2) returns.
unsafe extern "C" fn begin_child() {
    GENERATION.fetch_add(1, Relaxed);
    driver::leave_place();
    context::leave_all();
    registry::begin_anew();
    driver::begin_homes_anew();
}

/// A value for each process: the child of a fork begins with a new one, and gives up the parent's, whose locks may be
/// held by threads that it does not have.
pub(crate) struct PerProcess<T> {
    value: AtomicPtr<T>,
    make: fn() -> T,
}

impl<T: Sync> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Self {
            value: AtomicPtr::new(ptr::null_mut()),
            make,
        }
    }

    /// The value of this process.
    pub(crate) fn get(&'static self) -> &'static T {
        // Acquire: pairs with the Release in `fill`.
        let value = ptr::NonNull::new(self.value.load(Acquire));
        let value = value.unwrap_or_else(|| self.fill());
        // SAFETY: what is stored came from a box that is never freed.
        unsafe { value.as_ref() }
    }

    #[cold]
    fn fill(&self) -> ptr::NonNull<T> {
        let made = ptr::NonNull::from(Box::leak(Box::new((self.make)())));
        // Release: pairs with the Acquire in `get`, and Acquire with the Release of who was first.
        let stored = self
            .value
            .compare_exchange(ptr::null_mut(), made.as_ptr(), Release, Acquire);
        match stored.map_err(ptr::NonNull::new) {
            Ok(_) | Err(None) => made,
            Err(Some(first)) => {
                // SAFETY: it came from a box just now, and nobody else has seen it: it was not stored.
                drop(unsafe { Box::from_raw(made.as_ptr()) });
                first
            }
        }
    }

    /// The child's begin.
    pub(crate) fn begin_anew(&self) {
        // Relaxed: the child has one thread.
        self.value.store(ptr::null_mut(), Relaxed);
    }
}

/// What must not be dropped in a child, because the memory or the mappings that it names are not there.
#[derive(Debug)]
pub(crate) struct OfProcess<T> {
    value: std::mem::ManuallyDrop<T>,
    process: Process,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: std::mem::ManuallyDrop::new(value),
            process: Process::current(),
        }
    }

    /// Whether this is the process that made it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.process.is_current()
    }
}

impl<T> std::ops::Deref for OfProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: dropped once, here.
            unsafe { std::mem::ManuallyDrop::drop(&mut self.value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    static MAKERS: Barrier = Barrier::new(2);
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    static VALUE: PerProcess<Counted> = PerProcess::new(|| {
        MAKERS.wait();
        Counted(1)
    });

    struct Counted(#[expect(dead_code, reason = "so that it has an address of its own")] u64);

    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    /// Both make a value, for nobody is through before the other has begun. Mutant: `fill` leaves its own to the leak.
    #[test]
    fn of_two_values_that_are_made_at_once_one_is_dropped() {
        let address = || ptr::from_ref(VALUE.get()).addr();
        let [one, two] = thread::scope(|scope| {
            let threads = [scope.spawn(address), scope.spawn(address)];
            threads.map(|thread| thread.join().expect("no panic"))
        });
        assert_eq!(one, two);
        assert_eq!(DROPPED.load(Relaxed), 1);
    }
}
