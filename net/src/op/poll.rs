//! Polls of a descriptor: one event, or one after the other.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use ringway_runtime::driver::{
    Answers, Completion, Home, Operation, SharedFd, Tell, opcode, squeue, types,
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
pub(crate) struct PollMany {
    poll: PollOnce,
    teller: Arc<dyn Tell>,
}

impl PollMany {
    /// `events` are `POLL…` bits, and so is what `teller` is told.
    pub(crate) fn new(fd: SharedFd, events: u32, teller: Arc<dyn Tell>) -> PollMany {
        let poll = PollOnce::new(fd, events);
        PollMany { poll, teller }
    }
}

impl fmt::Debug for PollMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PollMany").field(&self.poll).finish()
    }
}

// SAFETY: as that of `PollOnce`.
unsafe impl Operation for PollMany {
    /// The `POLL…` bits that were there at its end.
    type Output = io::Result<u32>;

    const ANSWERS: Answers<PollMany> = Answers::Told(|poll| &poll.teller);

    fn home(&self) -> Option<Home> {
        self.poll.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.poll.fd.as_raw_fd());
        let poll = opcode::PollAdd::new(fd, self.poll.events);
        poll.multi(true).build()
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}
