//! What a look at a shard hands out, until it is acted upon without a lock.

use std::task::Waker;

use super::slots::{Settled, Told};
use crate::contain::contain;
use crate::prefetch::prefetch;

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
///
/// To wake a task is a read-modify-write of its memory, which of many is in no cache, and during which a processor fetches
/// nothing else: so the memory of some that follow is asked for before.
pub(crate) fn wake_all(wakers: &mut Vec<Waker>) {
    each(wakers, |waker| waker.data(), Waker::wake);
}

/// Tells each, likewise.
pub(super) fn tell_all(told: &mut Vec<Told>) {
    each(told, Told::place, Told::tell);
}

fn each<T>(handed_out: &mut Vec<T>, place: impl Fn(&T) -> *const (), act: impl Fn(T)) {
    handed_out.reverse();
    let first = handed_out.iter().rev().skip(1).take(FETCHED_AHEAD);
    first.for_each(|one| prefetch(place(one)));
    while !handed_out.is_empty() {
        contain(|| {
            while let Some(one) = handed_out.pop() {
                let ahead = handed_out.len().checked_sub(1 + FETCHED_AHEAD);
                if let Some(later) = ahead.and_then(|at| handed_out.get(at)) {
                    prefetch(place(later));
                }
                act(one);
            }
        });
    }
}

/// How many wakers ahead memory is asked for: a wake of a task whose memory is there takes some 10 ns, and memory 100.
const FETCHED_AHEAD: usize = 10;
