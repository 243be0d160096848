//! The sets of local tasks of this process, by number.
//!
//! A task knows its set by number only, as those of a runtime know theirs, so that spawning touches no count. A thread
//! that is in the set compares the number with its own; others come here.
//!
//! Numbers are used again. That is harmless: before a set leaves the table all its tasks are complete, so what comes
//! too late is the notification of a task that is complete, which does nothing wherever it is run.

use std::sync::Arc;

use parking_lot::RwLock;

use super::owner::ThreadNumber;
use super::shared::Shared;

/// Threads that make sets and wake tasks of different sets do not wait for each other, mostly.
const SHELVES: usize = 16;

static TABLE: [RwLock<Shelf>; SHELVES] = [const { RwLock::new(Shelf::EMPTY) }; SHELVES];

struct Shelf {
    sets: Vec<Option<Arc<Shared>>>,
    free: Vec<usize>,
}

impl Shelf {
    const EMPTY: Self = Self {
        sets: Vec::new(),
        free: Vec::new(),
    };
}

/// Makes a set with a number that no other living set has.
///
/// # Panics
///
/// If 2^28 sets live.
pub(super) fn enter(make: impl FnOnce(u32) -> Shared) -> Arc<Shared> {
    let shelf = (ThreadNumber::current().get() % SHELVES as u64) as usize;
    let mut here = TABLE[shelf].write();
    let place = here.free.pop().unwrap_or_else(|| {
        here.sets.push(None);
        here.sets.len() - 1
    });
    let number = u32::try_from(place * SHELVES + shelf).expect("fewer than 2^28 sets live");
    let set = Arc::new(make(number));
    here.sets[place] = Some(Arc::clone(&set));
    set
}

/// The set is gone.
pub(super) fn leave(number: u32) {
    let (shelf, place) = place_of(number);
    let mut here = TABLE[shelf].write();
    let set = here.sets[place].take();
    here.free.push(place);
    drop(here);
    drop(set);
}

/// The set of that number, if it lives.
pub(super) fn find(number: u32) -> Option<Arc<Shared>> {
    let (shelf, place) = place_of(number);
    TABLE[shelf].read().sets.get(place).cloned().flatten()
}

fn place_of(number: u32) -> (usize, usize) {
    (number as usize % SHELVES, number as usize / SHELVES)
}
