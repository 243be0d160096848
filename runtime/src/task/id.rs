//! The number of a task, and the number of the task that this thread runs.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a task: unique in the process as long as tasks live.
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// use ringway_runtime::task;
///
/// let handle = ringway_runtime::spawn(async { task::id() });
/// let seen_outside = handle.id();
/// assert_eq!(handle.await.unwrap(), seen_outside);
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

/// The id of the task that runs on this thread.
///
/// # Panics
///
/// Outside a task.
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// use ringway_runtime::task;
///
/// let ids = [0, 1].map(|_| ringway_runtime::spawn(async { (task::id(), task::try_id()) }));
/// let [one, other] = ids;
/// let ((one, same), (other, _)) = (one.await.unwrap(), other.await.unwrap());
/// assert_eq!(Some(one), same);
/// assert_ne!(one, other);
/// # });
/// ```
#[track_caller]
pub fn id() -> Id {
    try_id().expect("Can't get a task id when not inside a task")
}

/// The id of the task that runs on this thread, if one does.
///
/// ```
/// assert_eq!(ringway_runtime::task::try_id(), None, "no task runs here");
/// ```
pub fn try_id() -> Option<Id> {
    RUNNING.try_with(Cell::get).ok().flatten()
}

/// Ids that a thread takes from the common counter at a time, so that spawning shares no counter.
const BLOCK: u64 = 1024;

static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static RUNNING: Cell<Option<Id>> = const { Cell::new(None) };
    /// The next id of this thread's block, and the block's end.
    static MINE: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

impl Id {
    /// The number itself, never 0.
    pub(crate) fn as_u64(self) -> u64 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn next() -> Self {
        let number = MINE.try_with(|mine| {
            let (next, end) = match mine.get() {
                (next, end) if next < end => (next, end),
                _ => take_block(),
            };
            mine.set((next + 1, end));
            next
        });
        let number = number.unwrap_or_else(|_| take_block().0);
        Self(NonZeroU64::new(number).expect("the first block starts at one"))
    }
}

#[cold]
fn take_block() -> (u64, u64) {
    // Relaxed: only the number counts, and no other memory hangs on it.
    let first = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed);
    (first, first + BLOCK)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// While it lives, this thread runs the task with the id.
pub(super) struct IdGuard(Option<Id>);

impl IdGuard {
    #[inline]
    pub(super) fn enter(id: Id) -> Self {
        Self(
            RUNNING
                .try_with(|running| running.replace(Some(id)))
                .unwrap_or(None),
        )
    }
}

impl Drop for IdGuard {
    #[inline]
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.set(self.0));
    }
}
