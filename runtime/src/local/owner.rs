//! A cell that only one thread gets into.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a thread; no two threads of a process ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadNumber(NonZeroU64);

impl ThreadNumber {
    /// The number of the calling thread, also while the thread is being torn down.
    #[inline]
    pub(crate) fn current() -> Self {
        Self(MINE.with(|mine| mine.get().unwrap_or_else(|| number_this_thread(mine))))
    }

    pub(super) fn get(self) -> u64 {
        self.0.get()
    }
}

thread_local! {
    /// Without a destructor, so that it can be read at any time.
    static MINE: Cell<Option<NonZeroU64>> = const { Cell::new(None) };
}

#[cold]
fn number_this_thread(mine: &Cell<Option<NonZeroU64>>) -> NonZeroU64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only the number counts.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let number = NonZeroU64::new(number).expect("a process makes fewer than 2^64 threads");
    mine.set(Some(number));
    number
}

/// A value that anybody may hold, and only the thread that wrapped it may look at.
pub(super) struct OwnerCell<T> {
    owner: ThreadNumber,
    value: T,
}

// SAFETY: `get`, the only way in, gives the value to the thread whose number was stored when the cell was made, and no
// other thread has that number, then or later. The drop may be on another thread, for which `T` is Send.
unsafe impl<T: Send> Sync for OwnerCell<T> {}

impl<T> OwnerCell<T> {
    /// Wraps `value` for the calling thread.
    pub(super) fn new(value: T) -> Self {
        Self {
            owner: ThreadNumber::current(),
            value,
        }
    }

    /// The value, if this is its thread.
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        (self.owner == ThreadNumber::current()).then_some(&self.value)
    }
}

impl<T> fmt::Debug for OwnerCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerCell")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
