//! Where in the file the next read or write happens.

use std::io::{self, SeekFrom};
use std::os::fd::BorrowedFd;

use crate::limits::POSITION_EVERYWHERE_MAX;
use crate::op::{AT_POSITION, descriptor};

/// The position of a file.
///
/// As long as nobody else can share the open file description, we keep the position ourselves and read and
/// write at it: a seek is arithmetic, a read that is given up moves nothing, and O_DIRECT works (the kernel
/// does not move the position when a ring operation reads or writes at it in that mode). Otherwise the
/// position must be the kernel's, because others see and move it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Position {
    /// Kept here. It is that of the reader: bytes read ahead lie behind it.
    Ours(u64),
    /// The kernel's: of a file made from a descriptor, which may be a clone or a log that several processes
    /// write; of a file that was cloned; of an append-only file, where each write moves it to the end. Bytes
    /// read ahead lie before it.
    Shared,
    /// A pipe, a terminal: there is none, and reading has nothing to do with writing.
    Absent,
}

impl Position {
    /// The position of a file that was just opened with these `O_*` flags.
    pub(super) fn of_opened(fd: BorrowedFd<'_>, flags: libc::c_int) -> Self {
        match descriptor::seek(fd, SeekFrom::Current(0)) {
            Err(_) => Self::Absent,
            Ok(_) if flags & libc::O_APPEND != 0 => Self::Shared,
            Ok(position) => Self::Ours(position),
        }
    }

    /// The position of a file whose description others may share.
    pub(super) fn of_shared(fd: BorrowedFd<'_>, flags: libc::c_int) -> Self {
        match Self::of_opened(fd, flags) {
            Self::Ours(_) if flags & libc::O_DIRECT == 0 => Self::Shared,
            position => position,
        }
    }

    pub(super) fn is_absent(self) -> bool {
        matches!(self, Self::Absent)
    }

    /// As an operation wants it.
    pub(super) fn offset(self) -> u64 {
        match self {
            Self::Ours(position) => position,
            Self::Shared | Self::Absent => AT_POSITION,
        }
    }

    /// After `count` bytes were taken by the reader, or written.
    pub(super) fn advance(&mut self, count: usize) {
        if let Self::Ours(position) = self {
            *position += count as u64;
        }
    }

    /// After a write that was counted came to no more than `offset`.
    pub(super) fn retreat_to(&mut self, offset: u64) {
        if let Self::Ours(position) = self {
            *position = offset;
        }
    }

    /// Moves the position and says where it is, seen from the reader, who has not taken `unread` bytes yet.
    pub(super) fn seek(
        &mut self,
        fd: BorrowedFd<'_>,
        to: SeekFrom,
        unread: usize,
    ) -> io::Result<u64> {
        let Self::Ours(position) = self else {
            return seek_shared(fd, to, unread as i64);
        };
        *position = match to {
            SeekFrom::Start(target) => valid(fd, Some(target))?,
            SeekFrom::Current(by) => valid(fd, position.checked_add_signed(by))?,
            SeekFrom::End(_) => descriptor::seek(fd, to)?,
        };
        Ok(*position)
    }

    /// Gives up `unread` bytes: the position is again that of the reader.
    pub(super) fn discard(self, fd: BorrowedFd<'_>, unread: usize) -> io::Result<()> {
        match self {
            Self::Shared if unread > 0 => {
                seek_shared(fd, SeekFrom::Current(0), unread as i64).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Moves the kernel's position to this one, for those who go on with the descriptor.
    pub(super) fn publish(self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Ours(position) => descriptor::seek(fd, SeekFrom::Start(position)).map(drop),
            Self::Shared | Self::Absent => Ok(()),
        }
    }
}

/// Moves the kernel's position, which is `unread` bytes further than the reader's.
fn seek_shared(fd: BorrowedFd<'_>, to: SeekFrom, unread: i64) -> io::Result<u64> {
    let SeekFrom::Current(by) = to else {
        return descriptor::seek(fd, to);
    };
    match by.checked_sub(unread) {
        Some(by) => descriptor::seek(fd, SeekFrom::Current(by)),
        None => {
            descriptor::seek(fd, SeekFrom::Current(-unread))?;
            descriptor::seek(fd, to)
        }
    }
}

/// A position that lseek(2) accepts. Where a file of its file system cannot reach is known to the kernel only.
fn valid(fd: BorrowedFd<'_>, position: Option<u64>) -> io::Result<u64> {
    let position = position
        .filter(|&position| i64::try_from(position).is_ok())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    if position > POSITION_EVERYWHERE_MAX {
        descriptor::seek(fd, SeekFrom::Start(position))?;
    }
    Ok(position)
}
