//! A shard whose ring is closed, for the kernel refuses to be entered: see `refusal`.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{REFUSED_PAUSE, Scratch, Shard};
use crate::driver::device::{Device, Wait};
use crate::driver::refusal::{Closed, PROBE_PAUSE};

impl Shard {
    /// Where the kernel does not let the ring be entered: ends what waits for that, unless it lets us again.
    pub(super) fn end_refused(&self, scratch: &mut Scratch) {
        if let Some(closed) = self.refusal.closed() {
            self.serve_closed(closed, scratch);
        }
    }

    #[cold]
    fn serve_closed(&self, closed: Closed, scratch: &mut Scratch) {
        let probes = !closed.lasts && self.refusal.take_probe(Instant::now());
        if probes && self.enter(0, Wait::No).is_ok() {
            self.operations.open(|| self.refusal.open());
            // What stayed in the queue.
            return self.note_queued(false);
        }
        let closed = || self.refusal.closed();
        if !self.operations.give_up(closed, &mut scratch.settled) {
            // Whoever is in the kernel to submit may sleep there since.
            self.unflushed.store(true, Ordering::Relaxed);
            self.ring_doorbell();
        }
    }

    /// As [`Self::sleep`], where the kernel does not let the ring be entered.
    #[cold]
    pub(super) fn sleep_outside(&self, closed: Closed, timeout: Option<Duration>) {
        let most = match closed.lasts {
            // What is not ended yet waits for somebody to leave the kernel.
            _ if self.has_unflushed() => Some(REFUSED_PAUSE),
            true => None,
            false => Some(PROBE_PAUSE),
        };
        let timeout = timeout.into_iter().chain(most).min();
        self.device.wait_outside(timeout);
    }
}
