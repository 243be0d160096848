//! Waiting until a descriptor is ready.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

/// Completes once the descriptor is ready for one of `events` (`POLLIN`, `POLLOUT`), or has failed or hung up.
#[derive(Debug)]
pub(crate) struct Ready {
    fd: SharedFd,
    events: libc::c_short,
}

impl Ready {
    pub(crate) fn new(fd: SharedFd, events: libc::c_short) -> Self {
        Self { fd, events }
    }
}

// SAFETY: the SQE has no pointer, and the descriptor is held by self.
unsafe impl Operation for Ready {
    type Output = io::Result<()>;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(types::Fd(self.fd.as_raw_fd()), self.events as u32).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(drop)
    }
}
