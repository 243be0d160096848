//! One receive from a stream socket, into a buffer that the kernel takes when it has bytes for it.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use ringway_runtime::driver::{
    Completion, Operation, PROVIDED_BUFFER_BYTES, PROVIDED_GROUP, ProvidedBuf, SharedFd, cqueue,
    opcode, squeue, types,
};

/// `IORING_RECVSEND_POLL_FIRST` of the kernel's ABI: wait for bytes before the first try.
///
/// A receive is armed only when there is believed to be nothing, so that first try would be in vain.
const POLL_FIRST: u16 = 1;

/// Receives at most one provided buffer's worth of bytes from a stream socket.
#[derive(Debug)]
pub(crate) struct RecvProvided {
    fd: SharedFd,
    limit: u32,
}

/// What a receive brought.
#[derive(Debug)]
pub(crate) struct Received {
    /// The bytes; `None` at the end of the stream.
    pub(crate) bytes: io::Result<Option<ProvidedBuf>>,
    /// The kernel says that more is waiting (bytes, or the end of the stream).
    pub(crate) more: bool,
}

impl RecvProvided {
    /// A receive of at most `limit` bytes, and at most [`PROVIDED_BUFFER_BYTES`].
    ///
    /// The reader's own buffer size is the right limit: what he has no room for stays in the kernel, where
    /// `MSG_PEEK`, `splice(2)` or another holder of the descriptor finds it.
    pub(crate) fn new(fd: SharedFd, limit: usize) -> RecvProvided {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        RecvProvided {
            fd,
            limit: limit.min(PROVIDED_BUFFER_BYTES),
        }
    }
}

// SAFETY: the entry points to no memory of ours (the buffer comes from the shard's own group, whose memory the
// driver owns), and `self` holds the descriptor that it names.
unsafe impl Operation for RecvProvided {
    type Output = Received;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Recv::new(types::Fd(self.fd.as_raw_fd()), ptr::null_mut(), self.limit)
            .ioprio(POLL_FIRST)
            .buf_group(PROVIDED_GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT)
    }

    fn complete(self, completion: Completion) -> Received {
        let more = cqueue::sock_nonempty(completion.flags);
        let bytes = match (completion.result, completion.buffer) {
            (Err(error), _) => Err(error),
            (Ok(0), _) => Ok(None),
            (Ok(_), Some(buffer)) => Ok(Some(buffer)),
            (Ok(_), None) => Err(io::Error::other(
                "the kernel received bytes but named no buffer",
            )),
        };
        Received { bytes, more }
    }
}
