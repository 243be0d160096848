//! A shard whose ring is closed, for the kernel refuses to be entered: see `refusal`.

use std::io;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::{REFUSED_PAUSE, Scratch, Shard};
use crate::driver::device::{Device, Wait};
use crate::driver::operations::GivenUp;
use crate::driver::refusal::{Closed, PROBE_PAUSE};
use crate::loom::atomic::fence;

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
        match self.operations.give_up(closed, &mut scratch.settled) {
            GivenUp::All => {}
            GivenUp::Taken => self.device.cancel_again(),
            GivenUp::NotYet => {
                // Whoever is in the kernel to submit may sleep there since.
                self.unflushed.store(true, Relaxed);
                self.ring_doorbell();
            }
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
        // Partner of the fence in `ring_outside`: either we see that we are called, or the caller sees that the ring is
        // closed, as we have.
        fence(SeqCst);
        if self.word.is_notified() {
            return;
        }
        self.wait_outside(timeout);
        if self.word.is_notified() {
            // Two may wait here, the worker's own thread and who has taken the core over, and only one has read the bell.
            self.device.ring_outside();
        }
    }

    /// Rings for who sleeps outside.
    pub(super) fn ring_outside(&self) {
        // Partner of the fence in `sleep_outside`.
        fence(SeqCst);
        if self.refusal.closed().is_some() {
            self.device.ring_outside();
        }
    }

    /// Waits for the doorbell, and for an answer. A ring that had no room for one is readable until it is entered, and by then
    /// all that come are put behind that one.
    pub(super) fn wait_outside(&self, timeout: Option<Duration>) {
        let answers = !self.operations.has_overflowed();
        self.device.wait_outside(answers, timeout);
    }

    /// After a refusal that the next service will not do away with, lets the kernel find its memory, or whatever it lacks.
    pub(super) fn rest(&self, error: &io::Error) {
        match error.raw_os_error() {
            Some(libc::ETIME | libc::EBADR) => {}
            Some(libc::EINTR) if !self.refusal.has_failed_often() => {}
            _ if self.operations.has_news() => {}
            _ => std::thread::sleep(REFUSED_PAUSE),
        }
    }
}
