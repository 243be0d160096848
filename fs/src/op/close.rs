//! Closing with an answer.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use ringway_runtime::driver::{Completion, Operation, opcode, squeue, types};

/// Closes a descriptor that nobody else uses, and tells what close(2) would have said.
#[derive(Debug)]
pub(crate) struct Close(OwnedFd);

impl Close {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

// SAFETY: the SQE has no pointer. The descriptor is owned by self and nobody else knows it; whether the
// kernel has taken it is decided in `complete`.
unsafe impl Operation for Close {
    type Output = io::Result<()>;

    const ENDS_BY_ITSELF: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Close::new(types::Fd(self.0.as_raw_fd())).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        match completion.result {
            // Given up before it began: the descriptor is still ours, and dropping it closes it.
            Err(error) if super::deliver::was_given_up(&error) => Err(error),
            // The kernel has freed the descriptor, also when it answers with an error (EIO of a late write).
            result => {
                let _closed = self.0.into_raw_fd();
                result.map(drop)
            }
        }
    }
}
