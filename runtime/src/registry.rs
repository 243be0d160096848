//! The runtimes of this process, by number.
//!
//! Tasks and timers know their runtime by number only, so that making one touches no reference count. Threads
//! of the runtime compare the number with that of the runtime they are in; only others come here, and they are
//! about to pay for a wake-up anyway.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use crate::context;
use crate::fork::PerProcess;
use crate::scheduler::Shared;

static RUNTIMES: PerProcess<RwLock<BTreeMap<u32, Weak<Shared>>>> =
    PerProcess::new(|| RwLock::new(BTreeMap::new()));
static NEXT: AtomicU32 = AtomicU32::new(1);
/// The first number of this process: those below were given away by the processes that it was forked from.
static FIRST: AtomicU32 = AtomicU32::new(1);

/// A number that no runtime has had.
///
/// # Panics
///
/// After 2^32 runtimes.
pub(crate) fn next_id() -> u32 {
    // Relaxed: only the number counts.
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    assert_ne!(id, 0, "a process can make 2^32 runtimes");
    id
}

pub(crate) fn enter(shared: &Arc<Shared>) {
    RUNTIMES
        .get()
        .write()
        .insert(shared.id(), Arc::downgrade(shared));
}

pub(crate) fn leave(id: u32) {
    RUNTIMES.get().write().remove(&id);
}

/// In the child of a fork: it has no runtimes yet.
pub(crate) fn begin_anew() {
    RUNTIMES.begin_anew();
    // Relaxed, here and below: the child has one thread.
    FIRST.store(NEXT.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Whether the runtime of that number is another process's, from which this one was forked.
pub(crate) fn is_of_parent(id: u32) -> bool {
    id < FIRST.load(Ordering::Relaxed)
}

/// Calls `f` with the runtime of that number, if it lives.
pub(crate) fn with<R>(id: u32, f: impl FnOnce(&Arc<Shared>) -> R) -> Option<R> {
    let mut f = Some(f);
    let here = context::with_current(|shared| {
        (shared.id() == id).then(|| (f.take().expect("called once"))(shared))
    });
    if let Ok(Some(result)) = here {
        return Some(result);
    }
    let shared = RUNTIMES.get().read().get(&id).and_then(Weak::upgrade)?;
    f.map(|f| f(&shared))
}
