//! Receiving again and again into provided buffers, by one request.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use ringway_runtime::driver::{
    Answers, Completion, Home, Operation, Pool, ProvidedBuf, SharedFd, opcode, squeue, types,
};

use super::poll;

/// What one receive of a stream holds at most that nobody has taken yet, in buffers: 64 KiB. When it has so many it is
/// cancelled, and submitted again when they were taken. What the kernel adds before it hears of that is bounded by the pool.
pub(crate) const UNREAD_MAX: u32 = 16;

/// Receives until the kernel ends it. Its outputs are buffers; one without bytes is the end of a stream.
#[derive(Debug)]
pub(crate) struct RecvMany {
    fd: SharedFd,
    pool: Arc<Pool>,
}

impl RecvMany {
    /// `pool` is the one of the shard where it will be submitted.
    pub(crate) fn new(fd: &SharedFd, pool: Arc<Pool>) -> Self {
        Self {
            fd: fd.clone(),
            pool,
        }
    }

    fn item(&self, completion: Completion) -> io::Result<ProvidedBuf> {
        let count = completion.result.as_ref().map_or(-1, |&count| count as i32);
        // SAFETY: `new` was told the pool of the shard where the operation lies, whose answer this is, and which the
        // driver hands in once.
        let buf = unsafe { self.pool.adopt(count, completion.flags) };
        completion.result?;
        Ok(buf.unwrap_or_else(|| ProvidedBuf::from_vec(Vec::new())))
    }
}

// SAFETY: the SQE has no pointer: the kernel takes buffers of the pool, which lives as long as self and is written by
// nobody else until they are given back. The descriptor is held by self.
unsafe impl Operation for RecvMany {
    type Output = io::Result<ProvidedBuf>;

    const ANSWERS: Answers<Self> = Answers::Queue {
        item: Self::item,
        limit: UNREAD_MAX,
    };

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        opcode::RecvMulti::new(types::Fd(self.fd.as_raw_fd()), self.pool.group()).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        self.item(completion)
    }
}

/// Waits until there is something to receive, and takes nothing.
#[derive(Debug)]
pub(crate) struct Readable {
    fd: SharedFd,
}

impl Readable {
    pub(crate) fn new(fd: &SharedFd) -> Self {
        Self { fd: fd.clone() }
    }
}

// SAFETY: the SQE has no pointer, and the descriptor is held by self.
unsafe impl Operation for Readable {
    type Output = io::Result<()>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        poll(types::Fd(self.fd.as_raw_fd()), libc::POLLIN)
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(drop)
    }
}
