//! What a look at a shard hands out, until it is acted upon without a lock.

use std::task::Waker;

use super::slots::Settled;
use crate::contain::contain;

/// Room for what reaping hands out; each thread that services shards keeps one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) settled: Settled,
    /// Of timers that another worker has dropped.
    pub(super) removed: Vec<Waker>,
    /// Timers are due that were not fired for want of room.
    pub(super) more_timers: bool,
}

impl Scratch {
    /// Whether the last service, or rescue, has left timers that are due.
    #[inline]
    pub(crate) fn has_more_timers(&self) -> bool {
        self.more_timers
    }
}

/// Wakes each; a panic of one waker does not keep the others from being woken.
pub(crate) fn wake_all(wakers: &mut Vec<Waker>) {
    wakers.reverse();
    while !wakers.is_empty() {
        contain(|| {
            while let Some(waker) = wakers.pop() {
                waker.wake();
            }
        });
    }
}
