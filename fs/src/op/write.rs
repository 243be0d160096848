//! Writing from an owned buffer.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use ringway_runtime::driver::{
    Completion, Operation, SharedFd, is_shutdown, opcode, squeue, types,
};

use super::{IoBuf, call_len, now};

/// Writes the bytes of `buf` from `start` on to `offset` of the file. The output is the count and the buffer.
#[derive(Debug)]
pub(crate) struct Write<B> {
    fd: SharedFd,
    buf: B,
    start: usize,
    len: u32,
    offset: u64,
    mandatory: bool,
}

impl<B: IoBuf> Write<B> {
    /// `offset` may be [`AT_POSITION`](super::AT_POSITION).
    ///
    /// # Panics
    ///
    /// If `start` lies behind the last initialised byte.
    pub(crate) fn new(fd: SharedFd, buf: B, start: usize, offset: u64) -> Self {
        assert!(
            start <= buf.initialized(),
            "bytes to be written must be initialised"
        );
        let len = call_len(buf.initialized() - start);
        Self {
            fd,
            buf,
            start,
            len,
            offset,
            mandatory: false,
        }
    }

    /// Makes up for it by write(2) if the ring gives the operation up: for bytes that were already reported
    /// as written. This happens when the runtime shuts down, and may wait for the disk there.
    pub(crate) fn mandatory(self) -> Self {
        Self {
            mandatory: true,
            ..self
        }
    }
}

// SAFETY: the buffer is owned by self, its bytes do not move with it (IoBuf) and are not written by anybody;
// `start + len` is within its initialised bytes, checked in `new`. The descriptor is held by self.
unsafe impl<B: IoBuf> Operation for Write<B> {
    type Output = (io::Result<usize>, B);

    fn entry(&mut self) -> squeue::Entry {
        let source = self.buf.stable_ptr().wrapping_add(self.start);
        opcode::Write::new(types::Fd(self.fd.as_raw_fd()), source, self.len)
            .offset(self.offset)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        let result = match completion.result {
            Err(error) if self.mandatory && was_given_up(&error) => {
                now::write_waiting(self.fd.as_fd(), &self.buf, self.start, self.offset)
            }
            result => result.map(|count| count as usize),
        };
        (result, self.buf)
    }
}

/// Whether the kernel never began: a write that had begun answers with a count or with EINTR.
pub(super) fn was_given_up(error: &io::Error) -> bool {
    is_shutdown(error) || error.raw_os_error() == Some(libc::ECANCELED)
}
