//! Operations on an open file that carry nothing but numbers: fsync, ftruncate, fallocate.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

/// One such operation.
#[derive(Debug)]
pub(crate) struct FdOp {
    fd: SharedFd,
    request: Request,
}

#[derive(Debug)]
enum Request {
    SyncAll,
    SyncData,
    SetLen(u64),
    Allocate {
        mode: libc::c_int,
        offset: u64,
        len: u64,
    },
}

impl FdOp {
    /// Data and metadata to the disk: fsync(2).
    pub(crate) fn sync_all(fd: SharedFd) -> Self {
        Self {
            fd,
            request: Request::SyncAll,
        }
    }

    /// Data, and what is needed to find it, to the disk: fdatasync(2).
    pub(crate) fn sync_data(fd: SharedFd) -> Self {
        Self {
            fd,
            request: Request::SyncData,
        }
    }

    /// A new length: ftruncate(2).
    pub(crate) fn set_len(fd: SharedFd, len: u64) -> Self {
        Self {
            fd,
            request: Request::SetLen(len),
        }
    }

    /// Room on the disk: fallocate(2) with `FALLOC_FL_*` flags.
    pub(crate) fn allocate(fd: SharedFd, mode: libc::c_int, offset: u64, len: u64) -> Self {
        Self {
            fd,
            request: Request::Allocate { mode, offset, len },
        }
    }
}

// SAFETY: the SQE has no pointer, and the descriptor is held by self.
unsafe impl Operation for FdOp {
    type Output = io::Result<()>;

    const ENDS_BY_ITSELF: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        match self.request {
            Request::SyncAll => opcode::Fsync::new(fd).build(),
            Request::SyncData => opcode::Fsync::new(fd)
                .flags(types::FsyncFlags::DATASYNC)
                .build(),
            Request::SetLen(len) => opcode::Ftruncate::new(fd, len).build(),
            Request::Allocate { mode, offset, len } => opcode::Fallocate::new(fd, len)
                .offset(offset)
                .mode(mode)
                .build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(drop)
    }
}
