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
//! Nothing else goes to the kernel meanwhile. What comes behind a waiting mark is held back as well, and newer kernels let
//! go of it one by one, each when all before it have ended: behind an operation that waits for long it would wait as long.
//!
//! Whoever calls these functions holds the shard's lock.

use std::collections::{HashSet, VecDeque};

use io_uring::{opcode, squeue};

use super::slots::{CANCEL, DOORBELL, Key};

/// A sweep under way.
#[derive(Debug)]
pub(super) struct Sweep {
    number: u32,
    /// The operations of which nothing was heard since it began, by their user data.
    suspects: HashSet<u64>,
    /// Cancels and mark, as far as they are not in the ring yet.
    pub(super) outgoing: VecDeque<squeue::Entry>,
}

/// The lower half of a mark's user data: no index of a slot is so large. The upper half numbers the sweeps, for the mark
/// of one may be dropped, and the next sweep must not take a late one for its own.
const MARK: u32 = u32::MAX - 2;

impl Sweep {
    /// Suspects the operations that the kernel has, and the doorbell's poll.
    pub(super) fn new(number: u32, in_kernel: impl Iterator<Item = Key>) -> Self {
        let keys = in_kernel.map(Key::to_user_data);
        let suspects: HashSet<u64> = keys.chain([DOORBELL]).collect();
        let cancels = suspects.iter().map(|user_data| {
            let cancel = opcode::AsyncCancel::new(*user_data).build();
            cancel.user_data(CANCEL)
        });
        let mark = opcode::Nop::new().build().flags(squeue::Flags::IO_DRAIN);
        let outgoing = cancels.chain([mark.user_data(mark_of(number))]).collect();
        Self {
            number,
            suspects,
            outgoing,
        }
    }

    /// The last answer of a request has come.
    pub(super) fn hear(&mut self, user_data: u64) {
        self.suspects.remove(&user_data);
    }

    /// Whether this is the mark behind the cancels of this sweep.
    pub(super) fn is_ended_by(&self, user_data: u64) -> bool {
        user_data == mark_of(self.number)
    }

    /// Those whose answers were dropped, now that the mark has answered.
    pub(super) fn into_lost(self) -> HashSet<u64> {
        self.suspects
    }
}

/// Whether the user data is that of a mark, of whichever sweep.
pub(super) fn is_mark(user_data: u64) -> bool {
    user_data as u32 == MARK
}

fn mark_of(number: u32) -> u64 {
    u64::from(number) << 32 | u64::from(MARK)
}
