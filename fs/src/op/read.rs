//! Reading into an owned buffer.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

use super::{IoBufMut, call_len};

/// Fills `buf` from its byte `start` on, with at most `len` bytes that lie at `offset` of the file.
///
/// The output is the count and the buffer, which says that its first `start + count` bytes are initialised.
#[derive(Debug)]
pub(crate) struct Read<B> {
    fd: SharedFd,
    buf: B,
    start: usize,
    len: u32,
    offset: u64,
    off_worker: bool,
}

impl<B: IoBufMut> Read<B> {
    /// `offset` may be [`AT_POSITION`](super::AT_POSITION).
    ///
    /// # Panics
    ///
    /// If the first `start` bytes of `buf` are not initialised.
    pub(crate) fn new(fd: SharedFd, buf: B, start: usize, len: usize, offset: u64) -> Self {
        assert!(
            start <= buf.initialized(),
            "bytes before the start must be initialised"
        );
        let len = call_len(len.min(buf.room() - start));
        Self {
            fd,
            buf,
            start,
            len,
            offset,
            off_worker: false,
        }
    }

    /// Lets a kernel thread do the copying, because there is much to copy.
    pub(crate) fn off_worker(self, off_worker: bool) -> Self {
        Self { off_worker, ..self }
    }
}

// SAFETY: the buffer is owned by self, and its bytes do not move with it (IoBufMut); `start + len` is within
// its room, checked in `new`. The descriptor is held by self.
unsafe impl<B: IoBufMut> Operation for Read<B> {
    type Output = (io::Result<usize>, B);

    const REFUSED: &'static str = super::REFUSED;

    const ENDS_BY_ITSELF: bool = true;

    const KEEPS_A_DEVICE_BUSY: bool = true;

    fn entry(&mut self) -> squeue::Entry {
        let target = self.buf.stable_mut_ptr().wrapping_add(self.start);
        let entry = opcode::Read::new(types::Fd(self.fd.as_raw_fd()), target, self.len)
            .offset(self.offset)
            .build();
        if self.off_worker {
            entry.flags(squeue::Flags::ASYNC)
        } else {
            entry
        }
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let result = completion.result.map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: `start` bytes were initialised before, and the kernel wrote `count` bytes behind
            // them, at most `len`, which `new` cut to the room.
            unsafe { self.buf.set_initialized(self.start + count) };
        }
        (result, self.buf)
    }
}
