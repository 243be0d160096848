//! A waker that is offered to a place behind a lock.
//!
//! To clone a waker may run anybody's code, which may block, or come back for the same lock. So whoever keeps wakers behind
//! a lock takes an offer: if the place wants a clone and there is none yet, it says so ([`Unprepared`]), the lock is given
//! up, the clone made, and the place looked at again, for it may have changed. A clone that is not wanted any more goes
//! with the offer: declare that before the lock's guard, so that it is dropped after it.
//!
//! The waker of a task is cloned on the spot: that adds one to a count.

use std::task::Waker;

use crate::task::is_of_task;

/// A waker, and a clone of it that was made without a lock.
#[derive(Debug)]
pub struct Offer<'a> {
    waker: &'a Waker,
    clone: Option<Waker>,
}

/// A clone is wanted: give up the lock, [prepare](Offer::prepare) it, and come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprepared;

impl<'a> Offer<'a> {
    /// Offers `waker`.
    #[inline]
    pub fn new(waker: &'a Waker) -> Self {
        Self { waker, clone: None }
    }

    /// Makes the clone. Hold no lock.
    pub fn prepare(&mut self) {
        self.clone = Some(self.waker.clone());
    }

    /// Whether `known` wakes the same task.
    #[inline]
    pub fn is_known_as(&self, known: &Waker) -> bool {
        known.will_wake(self.waker)
    }

    /// Whether [`take`](Self::take) will return a clone.
    #[inline]
    pub fn has_clone(&self) -> bool {
        self.clone.is_some() || is_of_task(self.waker)
    }

    /// The clone.
    ///
    /// # Errors
    ///
    /// There is none yet.
    #[inline]
    pub fn take(&mut self) -> Result<Waker, Unprepared> {
        match self.clone.take() {
            Some(clone) => Ok(clone),
            None if is_of_task(self.waker) => Ok(self.waker.clone()),
            None => Err(Unprepared),
        }
    }

    /// Puts the waker in place of `known`, unless that wakes the same task; returns what it replaced, to be dropped when no
    /// lock is held any more.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    #[inline]
    pub fn renew(&mut self, known: &mut Waker) -> Result<Option<Waker>, Unprepared> {
        match self.is_known_as(known) {
            true => Ok(None),
            false => Ok(Some(std::mem::replace(known, self.take()?))),
        }
    }

    /// Offers `waker` to `place`, which takes its lock and gives it up again, until it is served.
    #[inline]
    pub fn until_served<T>(
        waker: &'a Waker,
        mut place: impl FnMut(&mut Self) -> Result<T, Unprepared>,
    ) -> T {
        let mut offer = Self::new(waker);
        loop {
            match place(&mut offer) {
                Ok(served) => return served,
                Err(Unprepared) => offer.prepare(),
            }
        }
    }
}
