//! The pool's queue: some queues side by side, so that many who submit do not wait for one another.
//!
//! Each is first in, first out, and without a lock. A thread submits always to the same, so its jobs are begun in
//! their order. Who takes begins each time at another, so none waits behind the others.

use std::cell::Cell;
use std::thread;

use crate::loom::deque::{Injector, Steal};

/// The queue. See the module.
#[derive(Debug)]
pub struct Queue<T> {
    lanes: Box<[Lane<T>]>,
}

/// Lanes do not share cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<T>(Injector<T>);

/// Lanes are one per processor, but no more than this: who takes has to look at all of them.
const LANES_MAX: usize = 8;

impl<T> Queue<T> {
    /// An empty queue with so many lanes, or the next power of two.
    pub fn new(lanes: usize) -> Self {
        Self {
            lanes: (0..lanes.next_power_of_two())
                .map(|_| Lane(Injector::new()))
                .collect(),
        }
    }

    /// An empty queue for this machine.
    pub fn for_processors() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::new(processors.min(LANES_MAX))
    }

    /// Appends, behind what the same `submitter` has appended.
    pub fn push(&self, submitter: usize, item: T) {
        self.lane(submitter).push(item);
    }

    /// Takes the oldest of a lane, `first` or one behind it.
    pub fn take(&self, first: usize) -> Option<T> {
        (first..first + self.lanes.len()).find_map(|number| take(self.lane(number)))
    }

    /// Whether nothing is queued; a moment's value.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.0.is_empty())
    }

    /// How many are queued; a moment's value.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.0.len()).sum()
    }

    fn lane(&self, number: usize) -> &Injector<T> {
        &self.lanes[number & (self.lanes.len() - 1)].0
    }
}

fn take<T>(lane: &Injector<T>) -> Option<T> {
    if lane.is_empty() {
        return None;
    }
    loop {
        match lane.steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}

/// A number for each thread that submits, in the order in which they first do.
pub(super) fn submitter() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = MINE.try_with(|mine| {
        mine.get().unwrap_or_else(|| {
            // Relaxed: only the number counts.
            let number = NEXT.fetch_add(1, Relaxed);
            mine.set(Some(number));
            number
        })
    });
    number.unwrap_or(0)
}
