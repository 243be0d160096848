//! The ledger: what a shard has handed out and must get back. Kept in debug builds, and with the feature `ledger`.
//!
//! Who hands something out opens an [`Entry`], and keeps it with the thing; it is closed when it is dropped. Entries are
//! of several kinds ([`Kind`]). When a runtime has ended, with its rings drained in time, no operation is in flight, no waker
//! is stored, no output waits to be made, and no timer is in a wheel: what is open then was lost. Slots may be held by
//! futures that outlive their runtime; they are back when the shard itself goes, which such a future keeps.
//!
//! Provided buffers have a ledger for each pool of them, which is looked at when nobody has the pool any more: they may be
//! used when their runtime has ended.
//!
//! Not in the ledger are descriptors: sockets and files may outlive a runtime and be used without it. Those in the hands of
//! operations go with them. What was leaked on purpose, because the kernel would not let go of it in time, is excused.
//!
//! In release builds an entry is nothing, and opening one costs nothing.

use std::sync::Arc;

/// What is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From the SQE to the last CQE.
    Operation,
    /// A place in the table.
    Slot,
    /// What an operation without a future leaves, until its output was made.
    Output,
    /// Stored with an operation until it is called or dropped.
    Waker,
    /// A provided buffer, from the answer that names it until it is put back.
    Buffer,
    /// A provided buffer that the kernel has taken and no answer has named.
    Unnamed,
}

#[cfg(any(debug_assertions, feature = "ledger"))]
pub use kept::Birth;
#[cfg(any(debug_assertions, feature = "ledger"))]
pub(crate) use kept::{Entry, Ledger, check};
#[cfg(any(debug_assertions, feature = "ledger"))]
pub use kept::{mismatches, shards_alive};

#[cfg(not(any(debug_assertions, feature = "ledger")))]
pub use unkept::Birth;
#[cfg(not(any(debug_assertions, feature = "ledger")))]
pub(crate) use unkept::{Entry, Ledger, check};
#[cfg(not(any(debug_assertions, feature = "ledger")))]
pub use unkept::{mismatches, shards_alive};

#[cfg(any(debug_assertions, feature = "ledger"))]
mod kept {
    use std::cell::Cell;
    use std::fmt;
    use std::panic::Location;
    use std::sync::atomic::Ordering::Relaxed;
    use std::sync::atomic::{AtomicBool, AtomicU64};
    use std::time::{Duration, Instant};

    use parking_lot::Mutex;
    use slab::Slab;

    use super::{Arc, Kind};
    use crate::driver::Shard;

    /// Things that were found to be missing.
    static MISMATCHES: AtomicU64 = AtomicU64::new(0);
    /// Shards that are not gone.
    static SHARDS: AtomicU64 = AtomicU64::new(0);

    /// A thread that is no worker may be about to give something back when its runtime ends.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// Between two looks, then.
    const LOOK: Duration = Duration::from_millis(1);
    /// Lines of a report.
    const LINES_MAX: usize = 20;

    /// How many things were found to be missing in this process so far.
    pub fn mismatches() -> u64 {
        // Relaxed, here and below: only the number counts.
        MISMATCHES.load(Relaxed)
    }

    /// How many shards there are. A cycle of a future and its own waker would keep one for ever.
    pub fn shards_alive() -> u64 {
        SHARDS.load(Relaxed)
    }

    /// The ledger of one shard.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Ledger(Arc<Book>);

    #[derive(Debug, Default)]
    struct Book {
        open: Mutex<Slab<Line>>,
        /// Something was leaked on purpose.
        excused: AtomicBool,
    }

    #[derive(Clone, Copy, Debug)]
    struct Line {
        kind: Kind,
        operation: &'static str,
        birth: Birth,
    }

    /// Where a future was made.
    #[derive(Clone, Copy, Debug)]
    pub struct Birth(&'static Location<'static>);

    thread_local! {
        static BIRTH: Cell<Option<Birth>> = const { Cell::new(None) };
    }

    impl Birth {
        /// In the caller of whoever calls this and says so by `#[track_caller]`.
        ///
        /// # Panics
        ///
        /// Never.
        #[track_caller]
        pub fn here() -> Self {
            Self(Location::caller())
        }

        /// Entries that `f` opens were born here.
        pub(crate) fn during<R>(self, f: impl FnOnce() -> R) -> R {
            let before = BIRTH.replace(Some(self));
            let result = f();
            BIRTH.set(before);
            result
        }
    }

    /// Something that was handed out; closed when dropped.
    #[derive(Debug, Default)]
    #[must_use]
    pub(crate) struct Entry(Option<(Arc<Book>, usize)>);

    impl Entry {
        /// One of another kind, of the same birth.
        pub(crate) fn beside(&self, kind: Kind) -> Self {
            let Some((book, number)) = &self.0 else {
                return Self(None);
            };
            let mut open = book.open.lock();
            let line = Line {
                kind,
                ..open[*number]
            };
            let number = open.insert(line);
            Self(Some((Arc::clone(book), number)))
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            if let Some((book, number)) = self.0.take() {
                book.open.lock().remove(number);
            }
        }
    }

    impl Ledger {
        /// A shard begins that uses this ledger.
        pub(crate) fn begin_shard(&self) {
            SHARDS.fetch_add(1, Relaxed);
        }

        #[track_caller]
        pub(crate) fn open(&self, kind: Kind, operation: &'static str) -> Entry {
            let line = Line {
                kind,
                operation,
                birth: BIRTH.get().unwrap_or(Birth(Location::caller())),
            };
            let number = self.0.open.lock().insert(line);
            Entry(Some((Arc::clone(&self.0), number)))
        }

        /// What was leaked on purpose is not missed.
        pub(crate) fn excuse(&self) {
            self.0.excused.store(true, Relaxed);
        }

        /// The shard goes, and with it its table.
        pub(crate) fn end_shard(&self) {
            SHARDS.fetch_sub(1, Relaxed);
            let missing = self.missing(|kind| kind == Kind::Slot);
            if !missing.is_empty() {
                report(&missing);
            }
        }

        /// Nobody has the pool any more whose ledger this is.
        pub(crate) fn end_pool(&self) {
            let missing = self.missing(|_| true);
            if !missing.is_empty() {
                report(&missing);
            }
        }

        fn missing(&self, of: impl Fn(Kind) -> bool) -> Vec<Line> {
            if self.0.excused.load(Relaxed) {
                return Vec::new();
            }
            let open = self.0.open.lock();
            let lines = open.iter().map(|(_, line)| *line);
            lines.filter(|line| of(line.kind)).collect()
        }
    }

    /// Looks into the ledgers of a runtime that has ended.
    ///
    /// # Panics
    ///
    /// If something is missing, unless the thread panics already.
    pub(crate) fn check<'a>(shards: impl Iterator<Item = &'a Arc<Shard>>) {
        let until = Instant::now() + PATIENCE;
        for shard in shards {
            let ledger = shard.ledger();
            let missing = loop {
                let missing = ledger.missing(|kind| kind != Kind::Slot);
                if missing.is_empty() || Instant::now() >= until {
                    break missing;
                }
                std::thread::sleep(LOOK);
            };
            let timers = !shard.timers().is_empty() && !ledger.0.excused.load(Relaxed);
            if timers {
                MISMATCHES.fetch_add(1, Relaxed);
                eprintln!("ledger: timers are left in the wheel of a runtime that has ended");
            }
            if !missing.is_empty() {
                report(&missing);
            }
            if (timers || !missing.is_empty()) && !std::thread::panicking() {
                panic!("a runtime has ended and something is missing: {missing:?}");
            }
        }
    }

    fn report(missing: &[Line]) {
        MISMATCHES.fetch_add(missing.len() as u64, Relaxed);
        eprintln!("ledger: {} things are missing", missing.len());
        for line in missing.iter().take(LINES_MAX) {
            eprintln!("ledger: {line}");
        }
    }

    impl fmt::Display for Line {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let what = match self.kind {
                Kind::Operation => "operation without its last answer",
                Kind::Slot => "slot that was not given back",
                Kind::Output => "output that was not made",
                Kind::Waker => "waker that was neither called nor dropped",
                Kind::Buffer => "provided buffer that was not put back",
                Kind::Unnamed => "provided buffer that was filled and no answer has named",
            };
            let Self {
                operation, birth, ..
            } = self;
            write!(f, "{what}: {operation}, born at {}", birth.0)
        }
    }
}

#[cfg(not(any(debug_assertions, feature = "ledger")))]
mod unkept {
    use super::{Arc, Kind};
    use crate::driver::Shard;

    /// No ledger.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Ledger;

    /// Where a future was made; nothing where no ledger is kept.
    #[derive(Clone, Copy, Debug)]
    pub struct Birth;

    /// Nothing.
    #[derive(Debug, Default)]
    #[must_use]
    pub(crate) struct Entry;

    impl Entry {
        #[inline(always)]
        pub(crate) fn beside(&self, _: Kind) -> Self {
            Self
        }
    }

    /// No ledger is kept: 0.
    pub fn mismatches() -> u64 {
        0
    }

    /// No ledger is kept: 0.
    pub fn shards_alive() -> u64 {
        0
    }

    impl Birth {
        /// Nothing.
        #[inline(always)]
        pub fn here() -> Self {
            Self
        }

        #[inline(always)]
        pub(crate) fn during<R>(self, f: impl FnOnce() -> R) -> R {
            f()
        }
    }

    impl Ledger {
        #[inline(always)]
        pub(crate) fn begin_shard(&self) {}

        #[inline(always)]
        pub(crate) fn open(&self, _: Kind, _: &'static str) -> Entry {
            Entry
        }

        #[inline(always)]
        pub(crate) fn excuse(&self) {}

        #[inline(always)]
        pub(crate) fn end_shard(&self) {}

        #[inline(always)]
        pub(crate) fn end_pool(&self) {}
    }

    #[inline(always)]
    pub(crate) fn check<'a>(_: impl Iterator<Item = &'a Arc<Shard>>) {}
}
