//! The end of a shard: every operation is cancelled, and the kernel lets go of all memory.
//!
//! For each cancel the kernel looks at every thread of its own that works for the ring, and holds them up meanwhile: a
//! thousand cancels of operations that a thousand threads wait in take tens of milliseconds. So an operation is told once.
//! But a cancel may miss one that the kernel is just about to begin, and then it is told again: when none has ended for a
//! while, and no cancel waits to be submitted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Scratch, Shard};
use crate::driver::device::{Device, Wait};

/// How long after the last end of an operation a drain asks again for what is left.
const DRAIN_RETRY: Duration = Duration::from_millis(10);

/// How long a ring is drained that may not be entered, where nothing may be left to cancel with.
const REFUSED_DRAIN_MAX: Duration = Duration::from_millis(500);

impl Shard {
    /// Refuses new work, cancels every operation and waits until the kernel has let go of all of them, or
    /// until `deadline`. Returns whether none is left.
    pub(crate) fn drain(self: &Arc<Self>, deadline: Instant, scratch: &mut Scratch) -> bool {
        // Release: pairs with the Acquire in `is_closed`.
        self.closed.store(true, Ordering::Release);
        self.timers.close(&mut scratch.settled.wakers);
        self.cancel_all();
        let begin = Instant::now();
        let mut since = begin;
        loop {
            let before = self.operations.in_flight();
            self.enter_to_drain();
            self.end_refused(scratch);
            self.operations
                .reap(&mut { usize::MAX }, &mut scratch.settled);
            self.act(scratch);
            let left = self.operations.in_flight();
            if left == 0 {
                return true;
            }
            let now = Instant::now();
            let deadline = match self.refusal.closed() {
                Some(_) => deadline.min(begin + REFUSED_DRAIN_MAX),
                None => deadline,
            };
            if now >= deadline {
                self.ledger.excuse();
                return false;
            }
            if left < before {
                since = now;
            } else if now - since >= DRAIN_RETRY {
                self.cancel_all();
                since = now;
            }
        }
    }

    fn cancel_all(&self) {
        self.operations.close(|| self.device.cancel_everything());
    }

    /// Has the kernel cancel what it is told to, and waits for some answers.
    fn enter_to_drain(&self) {
        if self.refusal.closed().is_some() {
            self.device.cancel_again();
            if self.operations.in_flight() > 0 {
                self.wait_outside(Some(DRAIN_RETRY));
            }
            return;
        }
        let outgoing = self.operations.outgoing();
        let queued = outgoing.count();
        let wait = match self.operations.in_flight() {
            0 => Wait::No,
            _ => Wait::ForAnswer(Some(DRAIN_RETRY)),
        };
        let sweeping = self.operations.is_sweeping();
        let entered = self.enter(queued, wait);
        drop(outgoing);
        // Refused, it is tried again, until the ring is closed.
        if let Err(error) = entered {
            self.rest(&error);
            if sweeping {
                // Cancels in the queue would come behind the sweep's mark.
                self.device.cancel_again();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::task::Waker;

    use io_uring::squeue;
    use parking_lot::Mutex;

    use super::*;
    use crate::driver::bounds::tests::Nop;
    use crate::driver::features::Features;
    use crate::driver::operations::Ring;
    use crate::driver::slots::{Answer, CANCEL, Polled};
    use crate::driver::specimen::Specimen;

    /// More than the kernel takes at once.
    const OPERATIONS: usize = 50;
    /// SQEs that it takes at once.
    const ROOM: usize = 2;

    /// A kernel in which operations end only when they are cancelled, and each a while after that.
    #[derive(Clone, Debug, Default)]
    struct Kernel(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        pushed: VecDeque<squeue::Entry>,
        operations: VecDeque<u64>,
        /// How many of these are to end.
        cancelled: usize,
        answers: Vec<(u64, i32)>,
        /// How many cancels it will not find the operations of.
        misses: usize,
        cancels: usize,
        enters: usize,
    }

    impl State {
        fn take(&mut self, entry: &squeue::Entry) {
            if entry.get_user_data() != CANCEL {
                return self.operations.push_back(entry.get_user_data());
            }
            self.cancels += 1;
            self.answers.push((CANCEL, -libc::EALREADY));
            match self.misses {
                0 => self.cancelled += 1,
                _ => self.misses -= 1,
            }
        }

        /// One that was cancelled ends at every third enter.
        fn end_one(&mut self) {
            self.enters += 1;
            if self.cancelled > 0
                && self.enters.is_multiple_of(3)
                && let Some(ended) = self.operations.pop_front()
            {
                self.cancelled -= 1;
                self.answers.push((ended, -libc::ECANCELED));
            }
        }
    }

    impl Ring for Kernel {
        fn push(&mut self, entry: &squeue::Entry) -> bool {
            let pushed = &mut self.0.lock().pushed;
            let has_room = pushed.len() < ROOM;
            if has_room {
                pushed.push_back(entry.clone());
            }
            has_room
        }

        fn reap(&mut self, _left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
            let answers = std::mem::take(&mut self.0.lock().answers);
            for (user_data, result) in answers {
                visit(user_data, Answer { result, flags: 0 });
            }
        }

        fn unsubmitted(&mut self) -> usize {
            self.0.lock().pushed.len()
        }
    }

    impl Device for Kernel {
        fn enter(&self, _to_submit: usize, _wait: Wait) -> io::Result<usize> {
            let mut state = self.0.lock();
            let taken = std::mem::take(&mut state.pushed);
            for entry in &taken {
                state.take(entry);
            }
            state.end_one();
            Ok(taken.len())
        }

        fn ring_doorbell(&self) {}

        fn doorbell_entry(&self) -> Option<squeue::Entry> {
            None
        }

        fn hasten(&self) {}

        fn cancel_everything(&self) -> Option<squeue::Entry> {
            None
        }

        fn features(&self) -> Features {
            Features::NONE
        }

        fn batch_max(&self) -> usize {
            ROOM
        }
    }

    /// Drains a shard with operations in flight. How many cancels the kernel took, and how long it was.
    fn drain(kernel: &Kernel) -> (usize, Duration) {
        let shard = Specimen::new(Box::new(kernel.clone()), Box::new(kernel.clone()));
        let submit = |_| shard.submit(Nop, Waker::noop()).expect("it is open");
        let keys: Vec<_> = (0..OPERATIONS).map(submit).collect();
        let begin = Instant::now();
        assert!(shard.drain(begin + Duration::from_secs(10)), "all end");
        let took = begin.elapsed();
        for key in keys {
            let polled = shard.poll::<Nop>(key, Waker::noop());
            assert!(matches!(polled, Polled::Ready(..)));
        }
        (kernel.0.lock().cancels, took)
    }

    /// Mutant: all that is left is cancelled at each turn of `drain`, or when nothing has ended in the last one.
    #[test]
    fn each_operation_is_cancelled_once_however_long_it_takes_to_end() {
        // A thread that loses its processor for long in the midst of it asks again.
        let tries = (0..5).map(|_| drain(&Kernel::default()).0);
        assert_eq!(tries.min(), Some(OPERATIONS));
    }

    /// Mutants: nothing is cancelled twice; it is cancelled again when nothing has ended in the last turn.
    #[test]
    fn what_a_cancel_has_missed_is_cancelled_again_after_a_while() {
        let tries = (0..5).map(|_| {
            let kernel = Kernel::default();
            kernel.0.lock().misses = OPERATIONS;
            let (cancels, took) = drain(&kernel);
            assert!(took >= DRAIN_RETRY, "{took:?}");
            cancels
        });
        assert_eq!(tries.min(), Some(2 * OPERATIONS));
    }
}
