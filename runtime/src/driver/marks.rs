//! What others want done to timers whose owner is awake: a list that the owner works off at its next look.
//!
//! 1. Who drops or moves a timer of another worker leaves a mark, and waits for nobody but those who leave theirs.
//! 2. The owner looks here at each of its looks, before it fires and before it sleeps. If the list is just being
//!    written to, it comes back later and waits for nobody.
//! 3. A worker that sleeps looks at nothing. So who leaves a mark and then finds that the owner sleeps works the
//!    list off itself ([`super::timers`]).

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use ringway_timer::wheel::Key;

use crate::loom::Mutex;
use crate::loom::atomic::AtomicBool;

/// What is to be done to a timer. Nothing happens to one that has fired.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// Nobody waits for it any more.
    Remove(Key),
    /// It has another deadline, in nanoseconds since the runtime's epoch.
    Reset(Key, u64),
}

/// The marks of one wheel.
#[derive(Debug)]
pub(super) struct Marks {
    list: Mutex<VecDeque<Mark>>,
    /// The list is not empty. Written with the list locked.
    waiting: AtomicBool,
}

/// Memory that an empty list keeps, in marks: as many as come in between two looks of a worker that is not stuck.
const KEPT: usize = 4096;

impl Marks {
    pub(super) fn new() -> Self {
        Self {
            list: Mutex::new(VecDeque::new()),
            waiting: AtomicBool::new(false),
        }
    }

    /// Leaves a mark.
    pub(super) fn push(&self, mark: Mark) {
        let mut list = self.list.lock();
        list.push_back(mark);
        // Relaxed, here and below: what hangs on it, hangs on the fences in `timers`, or on the lock.
        self.waiting.store(true, Relaxed);
    }

    /// Whether there is something in the list.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    /// Moves `most` marks to `taken`, the oldest first, unless somebody is at the list.
    pub(super) fn try_take(&self, most: usize, taken: &mut Vec<Mark>) {
        if let Some(mut list) = self.list.try_lock() {
            self.give_out(&mut list, most, taken);
        }
    }

    /// Moves `most` marks to `taken`, the oldest first, when nobody is at the list any more.
    pub(super) fn take(&self, most: usize, taken: &mut Vec<Mark>) {
        self.give_out(&mut self.list.lock(), most, taken);
    }

    fn give_out(&self, list: &mut VecDeque<Mark>, most: usize, taken: &mut Vec<Mark>) {
        let most = most.min(list.len());
        taken.extend(list.drain(..most));
        if list.is_empty() {
            self.waiting.store(false, Relaxed);
            if list.capacity() > KEPT {
                *list = VecDeque::new();
            }
        }
    }
}
