//! What all users of an open file share: its descriptor, and what may be tried at once.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use ringway_runtime::driver::{Op, Pieces, SharedFd};
use ringway_runtime::task::{coop, yield_now};

use crate::gate::Gate;
use crate::limits::ON_WORKER_MAX_BYTES;
use crate::op::now::{self, Now, Prompt};
use crate::op::{IoBuf, IoBufMut, IoBufs, IoBufsMut, Read, ReadMany, Write, WriteMany, descriptor};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) fd: SharedFd,
    pub(crate) read_gate: Gate,
    pub(crate) write_gate: Gate,
    /// Whether this is a stream that says WouldBlock instead of waiting. (io_uring waits all the same.)
    nonblocking: bool,
    /// Whether reads and writes go past the cache, so that what they move must be aligned.
    direct: bool,
    /// Whether the file was found to lie in memory, so that nothing waits although the kernel does not promise
    /// it. Once true it stays so; relaxed, because it says nothing about anything else.
    in_memory: AtomicBool,
}

/// With these flags a write waits for the disk although it was told not to wait.
const WRITES_WAIT: libc::c_int = libc::O_DIRECT | libc::O_SYNC | libc::O_DSYNC;

impl Core {
    /// For a file that was opened with these `O_*` flags; O_NONBLOCK not for a regular file.
    pub(crate) fn new(fd: SharedFd, flags: libc::c_int) -> Self {
        let nonblocking = flags & libc::O_NONBLOCK != 0;
        let read_gate = Gate::new(flags & libc::O_DIRECT == 0);
        let write_gate = Gate::new(flags & WRITES_WAIT == 0);
        Self {
            fd,
            read_gate,
            write_gate,
            nonblocking,
            direct: flags & libc::O_DIRECT != 0,
            in_memory: AtomicBool::new(false),
        }
    }

    pub(super) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Gives the descriptor back if nobody else holds it.
    pub(super) fn try_into_owned(self) -> Result<OwnedFd, Self> {
        let Self {
            fd,
            read_gate,
            write_gate,
            nonblocking,
            direct,
            in_memory,
        } = self;
        fd.try_into_owned().map_err(|fd| Self {
            fd,
            read_gate,
            write_gate,
            nonblocking,
            direct,
            in_memory,
        })
    }

    /// Tries to do it at once, if `gate` lets it. `None` means that the ring is to do it.
    pub(crate) fn at_once(
        &self,
        gate: &Gate,
        attempt: impl FnMut(Prompt<'_>) -> Now,
    ) -> Option<io::Result<usize>> {
        if gate.is_shut() && !self.nonblocking {
            return None;
        }
        match self.attempt(attempt) {
            Now::Done(result) => {
                gate.charge(result.as_ref().map_or(0, |&count| count));
                return Some(result);
            }
            Now::Later if self.nonblocking => return Some(Err(io::ErrorKind::WouldBlock.into())),
            Now::Later => gate.rest(),
            Now::Never => gate.shut(),
        }
        None
    }

    /// Lets other tasks run if this one has had its share of what is done at once.
    async fn pause(&self, gate: &Gate) {
        coop::consume_budget().await;
        if !gate.admits() {
            yield_now().await;
        }
    }

    /// Whether this stretch of the file seems to be in memory.
    pub(crate) fn is_cached(&self, offset: u64, len: usize) -> bool {
        matches!(
            self.attempt(|file| now::look(file, offset, len)),
            Now::Done(_)
        )
    }

    fn attempt(&self, mut attempt: impl FnMut(Prompt<'_>) -> Now) -> Now {
        let fd = self.as_fd();
        if self.nonblocking || self.in_memory.load(Ordering::Relaxed) {
            return attempt(Prompt::plain(fd));
        }
        match attempt(Prompt::asking(fd)) {
            Now::Never if descriptor::is_in_memory(fd) => {
                self.in_memory.store(true, Ordering::Relaxed);
                attempt(Prompt::plain(fd))
            }
            now => now,
        }
    }

    /// Reads at most `len` bytes at `offset` into `buf`, from its byte `start` on.
    pub(crate) async fn read<B: IoBufMut>(
        &self,
        mut buf: B,
        start: usize,
        len: usize,
        offset: u64,
    ) -> (io::Result<usize>, B) {
        let large = len > ON_WORKER_MAX_BYTES;
        loop {
            if !large {
                self.pause(&self.read_gate).await;
                let attempt = |file: Prompt<'_>| now::read_into(file, &mut buf, start, len, offset);
                if let Some(result) = self.at_once(&self.read_gate, attempt) {
                    return (result, buf);
                }
            }
            let result;
            let operation = Read::new(self.fd.clone(), buf, start, len, offset).off_worker(large);
            (result, buf) = Op::new(operation).await;
            if !is_interrupted(&result) {
                return (result, buf);
            }
        }
    }

    /// Writes the bytes of `buf` from `start` on to `offset`.
    pub(crate) async fn write<B: IoBuf>(
        &self,
        mut buf: B,
        start: usize,
        offset: u64,
    ) -> (io::Result<usize>, B) {
        loop {
            if buf.initialized() - start <= ON_WORKER_MAX_BYTES {
                self.pause(&self.write_gate).await;
                let attempt = |file: Prompt<'_>| now::write_from(file, &buf, start, offset);
                if let Some(result) = self.at_once(&self.write_gate, attempt) {
                    return (result, buf);
                }
            }
            let result;
            (result, buf) = Op::new(Write::new(self.fd.clone(), buf, start, offset)).await;
            if !is_interrupted(&result) {
                return (result, buf);
            }
        }
    }
}

/// Several buffers.
impl Core {
    /// Fills `bufs` behind their first `done` bytes with what lies at `offset`.
    pub(super) async fn read_many<V: IoBufsMut>(
        &self,
        mut bufs: V,
        done: usize,
        offset: u64,
    ) -> (io::Result<usize>, V) {
        let mut pieces = Pieces::default();
        loop {
            pieces.to_fill(&mut bufs, done);
            if pieces.total() <= ON_WORKER_MAX_BYTES {
                self.pause(&self.read_gate).await;
                let attempt =
                    |file: Prompt<'_>| now::read_many(file, &mut bufs, &mut pieces, done, offset);
                if let Some(result) = self.at_once(&self.read_gate, attempt) {
                    return (result, bufs);
                }
            }
            let result;
            let operation = ReadMany::new(self.fd.clone(), bufs, pieces, done, offset);
            (result, bufs, pieces) = Op::new(operation).await;
            if !is_interrupted(&result) {
                return (result, bufs);
            }
        }
    }

    /// Writes what is left of `bufs` behind their first `done` bytes to `offset`.
    pub(super) async fn write_many<V: IoBufs>(
        &self,
        mut bufs: V,
        done: usize,
        offset: u64,
    ) -> (io::Result<usize>, V) {
        let mut pieces = Pieces::default();
        loop {
            pieces.to_drain(&bufs, done);
            if pieces.total() <= ON_WORKER_MAX_BYTES {
                self.pause(&self.write_gate).await;
                let attempt =
                    |file: Prompt<'_>| now::write_many(file, &bufs, &mut pieces, done, offset);
                if let Some(result) = self.at_once(&self.write_gate, attempt) {
                    return (result, bufs);
                }
            }
            let result;
            let operation = WriteMany::new(self.fd.clone(), bufs, pieces, done, offset);
            (result, bufs, pieces) = Op::new(operation).await;
            if !is_interrupted(&result) {
                return (result, bufs);
            }
        }
    }
}

/// Whether a signal came in between, so that it is to be tried again.
pub(crate) fn is_interrupted<T>(result: &io::Result<T>) -> bool {
    result
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
}

impl AsFd for Core {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Core {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}
