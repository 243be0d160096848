//! Moving bytes between a file and a pipe, or a pipe and a socket, without copying them: splice(2).

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

/// One end of a splice.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// A pipe, a socket, or a file at its own position.
    Stream(SharedFd),
    /// A file at this offset, in bytes, at most `i64::MAX`.
    FileAt(SharedFd, u64),
}

impl End {
    fn parts(&self) -> (types::Fd, i64) {
        match self {
            Self::Stream(fd) => (types::Fd(fd.as_raw_fd()), -1),
            Self::FileAt(fd, offset) => (types::Fd(fd.as_raw_fd()), *offset as i64),
        }
    }
}

/// Moves at most `len` bytes. The output is the count; 0 means that the source is at its end.
#[derive(Debug)]
pub(crate) struct Splice {
    from: End,
    to: End,
    len: u32,
    flags: libc::c_uint,
}

impl Splice {
    pub(crate) fn new(from: End, to: End, len: usize, flags: libc::c_uint) -> Self {
        Self {
            from,
            to,
            len: super::call_len(len),
            flags,
        }
    }
}

// SAFETY: the SQE has no pointer (offsets are passed by value), and both descriptors are held by self.
unsafe impl Operation for Splice {
    type Output = io::Result<usize>;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        let (from, from_offset) = self.from.parts();
        let (to, to_offset) = self.to.parts();
        opcode::Splice::new(from, from_offset, to, to_offset, self.len)
            .flags(self.flags)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(|count| count as usize)
    }
}
