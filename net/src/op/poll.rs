//! One poll of a descriptor: level-triggered, and over with its first event.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Home, Operation, SharedFd, opcode, squeue, types};

/// Waits until the descriptor has one of `events`, or an error or a hang-up.
///
/// It takes nothing from the descriptor, so it may be dropped at any time without loss.
#[derive(Debug)]
pub(crate) struct PollOnce {
    fd: SharedFd,
    events: u32,
}

impl PollOnce {
    /// `events` are `POLL…` bits.
    pub(crate) fn new(fd: SharedFd, events: u32) -> PollOnce {
        PollOnce { fd, events }
    }
}

// SAFETY: the entry points to no memory, and `self` holds the descriptor that it names.
unsafe impl Operation for PollOnce {
    /// The `POLL…` bits that are there.
    type Output = io::Result<u32>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(types::Fd(self.fd.as_raw_fd()), self.events).build()
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}
