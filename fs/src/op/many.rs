//! Reading into, and writing from, several owned buffers.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, Pieces, SharedFd, opcode, squeue, types};

use super::{IoBufs, IoBufsMut};

/// Fills `bufs` behind their first `done` bytes with what lies at `offset` of the file. The output is the count, the
/// buffers, and the memory of their list.
#[derive(Debug)]
pub(crate) struct ReadMany<V> {
    fd: SharedFd,
    bufs: V,
    pieces: Pieces,
    done: usize,
    offset: u64,
}

impl<V: IoBufsMut> ReadMany<V> {
    /// The first `done` bytes of the buffers, taken together, are initialised.
    pub(crate) fn new(fd: SharedFd, bufs: V, pieces: Pieces, done: usize, offset: u64) -> Self {
        Self {
            fd,
            bufs,
            pieces,
            done,
            offset,
        }
    }
}

// SAFETY: the buffers are owned by self, and their bytes do not move with it (IoBufsMut); the list of their room is on
// the heap, and made anew for each SQE. The descriptor is held by self.
unsafe impl<V: IoBufsMut> Operation for ReadMany<V> {
    type Output = (io::Result<usize>, V, Pieces);

    const ENDS_BY_ITSELF: bool = true;

    const KEEPS_A_DEVICE_BUSY: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        self.pieces.to_fill(&mut self.bufs, self.done);
        let (iovecs, count) = self.pieces.as_iovecs();
        opcode::Readv::new(types::Fd(self.fd.as_raw_fd()), iovecs, count)
            .offset(self.offset)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let result = completion.result.map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: `done` bytes were initialised before, and the kernel wrote `count` bytes behind them, in the order
            // of the buffers.
            unsafe { self.bufs.set_initialized(self.done + count) };
        }
        (result, self.bufs, self.pieces)
    }
}

/// Writes what is left of `bufs` behind their first `done` bytes to `offset` of the file. The output as that of
/// [`ReadMany`].
#[derive(Debug)]
pub(crate) struct WriteMany<V> {
    fd: SharedFd,
    bufs: V,
    pieces: Pieces,
    done: usize,
    offset: u64,
}

impl<V: IoBufs> WriteMany<V> {
    pub(crate) fn new(fd: SharedFd, bufs: V, pieces: Pieces, done: usize, offset: u64) -> Self {
        Self {
            fd,
            bufs,
            pieces,
            done,
            offset,
        }
    }
}

// SAFETY: the buffers are owned by self, their bytes do not move with it (IoBufs) and nobody writes them; the list of
// them is on the heap. The descriptor is held by self.
unsafe impl<V: IoBufs> Operation for WriteMany<V> {
    type Output = (io::Result<usize>, V, Pieces);

    const ENDS_BY_ITSELF: bool = true;

    const KEEPS_A_DEVICE_BUSY: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        self.pieces.to_drain(&self.bufs, self.done);
        let (iovecs, count) = self.pieces.as_iovecs();
        opcode::Writev::new(types::Fd(self.fd.as_raw_fd()), iovecs, count)
            .offset(self.offset)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        let result = completion.result.map(|count| count as usize);
        (result, self.bufs, self.pieces)
    }
}
