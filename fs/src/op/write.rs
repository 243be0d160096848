//! Writing from an owned buffer.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

use super::{IoBuf, call_len};

/// Writes the bytes of `buf` from `start` on to `offset` of the file. The output is the count and the buffer.
#[derive(Debug)]
pub(crate) struct Write<B> {
    fd: SharedFd,
    buf: B,
    start: usize,
    len: u32,
    offset: u64,
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
        }
    }
}

// SAFETY: the buffer is owned by self, its bytes do not move with it (IoBuf) and are not written by anybody;
// `start + len` is within its initialised bytes, checked in `new`. The descriptor is held by self.
unsafe impl<B: IoBuf> Operation for Write<B> {
    type Output = (io::Result<usize>, B);

    const REFUSED: &'static str = super::REFUSED;

    const ENDS_BY_ITSELF: bool = true;

    const KEEPS_A_DEVICE_BUSY: bool = true;

    fn entry(&mut self) -> squeue::Entry {
        let source = self.buf.stable_ptr().wrapping_add(self.start);
        opcode::Write::new(types::Fd(self.fd.as_raw_fd()), source, self.len)
            .offset(self.offset)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (completion.result.map(|count| count as usize), self.buf)
    }
}
