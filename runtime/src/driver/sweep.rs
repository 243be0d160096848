//! Answers that the kernel had no memory for, and dropped: finding out whose they were.
//!
//! The kernel keeps what does not fit into the completion queue, until it has no memory for that either. Then it tells
//! how many answers it has dropped, and not which. An operation that waits for such an answer would wait for ever, and
//! its memory must not be freed on a guess.
//!
//! So a *sweep* cancels everything that the kernel has and puts a mark behind the cancels: a request that the kernel
//! does not begin before all earlier ones have ended (`IOSQE_IO_DRAIN`). Until it answers,
//!
//! * an operation that was cancelled says so and is to be submitted again, as one is whose submitting thread exited;
//! * one that cannot be cancelled ends by itself;
//! * the others, the *suspects* of which nothing was heard, are those whose answers were dropped. The kernel has let go
//!   of their memory, and they end with [`Answer::LOST`](super::slots::Answer::LOST).
//!
//! Nothing else goes to the kernel meanwhile, nor for a moment afterwards. What comes behind a waiting mark is held back
//! as well, and newer kernels go on so until a request comes while nothing else is there: behind an operation that waits
//! for long, the next one would wait as long. So a few requests without effect go first, each alone, with pauses in which
//! the kernel clears away the one before.
//!
//! A cancel may miss an operation that the kernel is just about to begin. Who sleeps during a sweep asks again, past the
//! queue, if the mark has not answered in time.
//!
//! Whoever calls these functions holds the shard's lock.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use io_uring::{opcode, squeue};

use super::slots::CANCEL;
use crate::loom::IS_MODEL;

/// A sweep under way.
#[derive(Debug)]
pub(super) struct Sweep {
    number: u32,
    /// What nothing was heard of since it began, by its user data.
    suspects: BTreeSet<u64>,
    /// What is to be put into the ring next.
    pub(super) outgoing: VecDeque<squeue::Entry>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The mark has not answered.
    Marking,
    /// It has, or a request after it: so many are still to come, the next one after a pause.
    Settling { left: u8, since: Option<Instant> },
    /// One of those is in the ring.
    Waiting { left: u8 },
}

/// The lower half of a mark's user data: no index of a slot is so large. The upper half numbers the sweeps, for the mark
/// of one may be dropped, and the next sweep must not take a late one for its own.
const MARK: u32 = u32::MAX - 2;
/// Requests without effect after a mark, and the pause before each: a thread of the kernel that was interrupted
/// just then has gone on.
const SETTLING_REQUESTS: u8 = if IS_MODEL { 1 } else { 3 };
const SETTLING_PAUSE: Duration = Duration::from_millis(if IS_MODEL { 0 } else { 1 });

impl Sweep {
    /// Suspects what the kernel has: operations, and the doorbell's poll if it is armed. (One that is not must not be a
    /// suspect: it would be taken for down when it has been armed meanwhile, and armed twice.)
    ///
    /// What the sweep before it has cancelled is not cancelled once more: each cancel is one more answer that may be
    /// dropped, and then sweeps would follow on sweeps.
    pub(super) fn new(
        number: u32,
        in_kernel: impl Iterator<Item = u64>,
        before: Option<Self>,
    ) -> Self {
        let suspects: BTreeSet<u64> = in_kernel.collect();
        let cancelled = before.map(Self::into_cancelled).unwrap_or_default();
        let cancels = suspects.difference(&cancelled).map(|user_data| {
            let cancel = opcode::AsyncCancel::new(*user_data).build();
            cancel.user_data(CANCEL)
        });
        let mark = opcode::Nop::new().build().flags(squeue::Flags::IO_DRAIN);
        let outgoing = cancels.chain([mark.user_data(mark_of(number))]).collect();
        Self {
            number,
            suspects,
            outgoing,
            phase: Phase::Marking,
        }
    }

    /// The suspects, if the cancels of all of them have gone to the ring.
    fn into_cancelled(self) -> BTreeSet<u64> {
        let has_cancels = |entry: &squeue::Entry| entry.get_user_data() == CANCEL;
        match self.outgoing.iter().any(has_cancels) {
            true => BTreeSet::new(),
            false => self.suspects,
        }
    }

    /// The last answer of a request has come.
    pub(super) fn hear(&mut self, user_data: u64) {
        self.suspects.remove(&user_data);
        if user_data == mark_of(self.number) {
            let left = match self.phase {
                Phase::Marking => SETTLING_REQUESTS,
                Phase::Waiting { left } | Phase::Settling { left, .. } => left - 1,
            };
            self.phase = Phase::Settling { left, since: None };
        }
    }

    /// Those whose answers were dropped, when the mark has answered.
    pub(super) fn take_lost(&mut self) -> BTreeSet<u64> {
        match self.phase {
            Phase::Marking => BTreeSet::new(),
            Phase::Settling { .. } | Phase::Waiting { .. } => std::mem::take(&mut self.suspects),
        }
    }

    /// Puts the next request without effect on its way, when it is time.
    pub(super) fn settle(&mut self, now: Instant) {
        let Phase::Settling { left, since } = &mut self.phase else {
            return;
        };
        let since = *since.get_or_insert(now);
        if now.saturating_duration_since(since) >= SETTLING_PAUSE {
            self.phase = Phase::Waiting { left: *left };
            let request = opcode::Nop::new().build();
            self.outgoing
                .push_back(request.user_data(mark_of(self.number)));
        }
    }

    /// Whether everything may go to the kernel again.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Settling { left: 0, .. })
    }
}

/// Whether the user data is that of a mark, of whichever sweep.
pub(super) fn is_mark(user_data: u64) -> bool {
    user_data as u32 == MARK
}

fn mark_of(number: u32) -> u64 {
    u64::from(number) << 32 | u64::from(MARK)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;
    use std::thread;

    use parking_lot::Mutex;

    use super::*;
    use crate::driver::bounds::tests::Nop;
    use crate::driver::operations::{Operations, Ring, Submitted};
    use crate::driver::slots::{Answer, Key, Polled, Settled};

    /// A ring, and its kernel, which does as the test says.
    #[derive(Clone, Debug, Default)]
    struct Kernel(Arc<Mutex<Queues>>);

    #[derive(Debug, Default)]
    struct Queues {
        pushed: Vec<u64>,
        answers: Vec<(u64, Answer)>,
        dropped: u32,
    }

    impl Kernel {
        /// What was pushed since.
        fn take(&self) -> Vec<u64> {
            std::mem::take(&mut self.0.lock().pushed)
        }

        fn answer(&self, user_data: u64, result: i32) {
            let answer = Answer { result, flags: 0 };
            self.0.lock().answers.push((user_data, answer));
        }

        fn drop_answer(&self) {
            self.0.lock().dropped += 1;
        }
    }

    impl Ring for Kernel {
        fn push(&mut self, entry: &squeue::Entry) -> bool {
            self.0.lock().pushed.push(entry.get_user_data());
            true
        }

        fn reap(&mut self, _left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
            let answers = std::mem::take(&mut self.0.lock().answers);
            for (user_data, answer) in answers {
                visit(user_data, answer);
            }
        }

        fn unsubmitted(&mut self) -> usize {
            self.0.lock().pushed.len()
        }

        fn dropped(&mut self) -> u32 {
            self.0.lock().dropped
        }
    }

    type Table = Operations<Kernel>;

    fn submit(operations: &Table) -> Key {
        match operations.submit(Nop, Some(Waker::noop().clone())) {
            Submitted::Queued { key, .. } => key,
            _ => unreachable!("there is room"),
        }
    }

    fn reap(operations: &Table) -> Settled {
        let mut out = Settled::default();
        operations.reap(&mut { usize::MAX }, &mut out);
        out
    }

    fn is_pending(operations: &Table, key: Key) -> bool {
        matches!(
            operations.poll::<Nop>(key, Waker::noop()),
            Polled::Pending(_)
        )
    }

    /// The kernel drops an answer: what it is sent, but for the mark, which comes last.
    fn begin(operations: &Table, kernel: &Kernel) -> (Vec<u64>, u64) {
        kernel.drop_answer();
        assert!(reap(operations).queued, "the cancels are to be submitted");
        let mut sent = kernel.take();
        let mark = sent.pop().expect("a mark");
        assert!(is_mark(mark));
        (sent, mark)
    }

    /// The kernel answers the mark, and the requests that follow it, each of which is sent alone. What is sent when it is
    /// over.
    fn end(operations: &Table, kernel: &Kernel, mark: u64) -> Vec<u64> {
        let mut requests = 0;
        kernel.answer(mark, 0);
        loop {
            assert!(reap(operations).queued, "there may be something to submit");
            let sent = kernel.take();
            match sent[..] {
                [] if requests == SETTLING_REQUESTS => return sent,
                [] => thread::sleep(SETTLING_PAUSE),
                [request] if is_mark(request) => {
                    requests += 1;
                    kernel.answer(request, 0);
                }
                _ => {
                    assert_eq!(requests, SETTLING_REQUESTS, "{sent:?}");
                    return sent;
                }
            }
        }
    }

    /// Mutants: the cancels are left out; `reap` does not say that it has queued them, or `go_on_sweeping` what follows;
    /// `queue` pushes during a sweep.
    #[test]
    fn a_search_cancels_all_and_sends_nothing_else_meanwhile() {
        let kernel = Kernel::default();
        let operations = Table::new(kernel.clone());
        let (lost, waits) = (submit(&operations), submit(&operations));
        assert_eq!(kernel.take().len(), 2);
        let (sent, mark) = begin(&operations, &kernel);
        assert_eq!(sent, [CANCEL; 2]);
        let late = submit(&operations);
        assert_eq!(kernel.take(), []);
        kernel.answer(CANCEL, 0);
        kernel.answer(CANCEL, 0);
        kernel.answer(waits.to_user_data(), -libc::ECANCELED);
        assert!(reap(&operations).wakers.is_empty(), "nothing is known yet");
        let mut sent = end(&operations, &kernel, mark);
        sent.sort_unstable();
        let mut held_back = [late, waits].map(Key::to_user_data);
        held_back.sort_unstable();
        assert_eq!(sent, held_back);
        let polled = operations.poll::<Nop>(lost, Waker::noop());
        assert!(matches!(polled, Polled::Ready(Nop, Answer::LOST)));
        assert!(is_pending(&operations, waits));
        assert!(is_pending(&operations, late));
    }

    /// Mutant: `expect_sweep` marks nothing, so that to be cancelled counts as to be given up.
    #[test]
    fn an_operation_outlives_any_number_of_searches() {
        let kernel = Kernel::default();
        let operations = Table::new(kernel.clone());
        let waits = submit(&operations);
        for search in 0..20 {
            assert_eq!(kernel.take(), [waits.to_user_data()]);
            let lost = submit(&operations);
            assert_eq!(kernel.take(), [lost.to_user_data()]);
            let (sent, mark) = begin(&operations, &kernel);
            assert_eq!(sent, [CANCEL; 2]);
            kernel.answer(waits.to_user_data(), -libc::ECANCELED);
            let sent = end(&operations, &kernel, mark);
            assert!(is_pending(&operations, waits), "search {search}");
            assert!(!is_pending(&operations, lost));
            kernel.0.lock().pushed = sent;
        }
    }
}
