//! Polls of a descriptor: one event, or one after the other.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Answers, Completion, Home, Operation, SharedFd, opcode, squeue, types,
};

/// Waits until the descriptor has one of `events`, or an error or a hang-up.
///
/// It is level-triggered, and over with its first event. It takes nothing from the descriptor, so it may be dropped at
/// any time without loss.
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

/// As [`PollOnce`], and goes on: after a first look it tells whenever something happens to the descriptor, whether or
/// not it has one of `events` all the time. The kernel may end it, with an event or without.
#[derive(Debug)]
pub(crate) struct PollMany(PollOnce);

impl PollMany {
    /// `events` are `POLL…` bits.
    pub(crate) fn new(fd: SharedFd, events: u32) -> PollMany {
        PollMany(PollOnce::new(fd, events))
    }
}

// SAFETY: as that of `PollOnce`.
unsafe impl Operation for PollMany {
    /// The `POLL…` bits that were there since somebody asked.
    type Output = io::Result<u32>;

    const ANSWERS: Answers<PollMany> = Answers::Mask(|_, completion| completion.result);

    fn home(&self) -> Option<Home> {
        self.0.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.0.fd.as_raw_fd());
        opcode::PollAdd::new(fd, self.0.events).multi(true).build()
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}
