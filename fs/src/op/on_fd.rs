//! Operations on an open file that carry nothing but numbers: fsync, ftruncate, fallocate, fadvise, sync_file_range.

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
    Advise {
        advice: libc::c_int,
        offset: u64,
        len: u32,
    },
    SyncRange {
        flags: u32,
        offset: u64,
        len: u32,
    },
}

/// The most that a request says whose length is a `u32`: whole pages.
pub(crate) const PIECE_MAX_BYTES: u64 = 0xffff_f000;

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

    /// What is going to be used: posix_fadvise(2) with one of `POSIX_FADV_*`. No length: up to the end.
    pub(crate) fn advise(fd: SharedFd, offset: u64, len: u32, advice: libc::c_int) -> Self {
        let request = Request::Advise {
            advice,
            offset,
            len,
        };
        Self { fd, request }
    }

    /// A stretch of data to the disk: sync_file_range(2) with `SYNC_FILE_RANGE_*` flags. No length: up to the end.
    pub(crate) fn sync_range(fd: SharedFd, offset: u64, len: u32, flags: u32) -> Self {
        let request = Request::SyncRange { flags, offset, len };
        Self { fd, request }
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
            Request::Advise {
                advice,
                offset,
                len,
            } => opcode::Fadvise::new(fd, len.into(), advice)
                .offset(offset)
                .build(),
            Request::SyncRange { flags, offset, len } => opcode::SyncFileRange::new(fd, len)
                .offset(offset)
                .flags(flags)
                .build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(drop)
    }
}
