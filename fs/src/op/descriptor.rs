//! Small calls about a descriptor, none of which waits on a local file system.

use std::io::{self, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Moves the position of the open file description: lseek(2).
pub(crate) fn seek(fd: BorrowedFd<'_>, to: SeekFrom) -> io::Result<u64> {
    let (whence, offset) = match to {
        SeekFrom::Start(offset) => (libc::SEEK_SET, offset as i64),
        SeekFrom::Current(offset) => (libc::SEEK_CUR, offset),
        SeekFrom::End(offset) => (libc::SEEK_END, offset),
    };
    // SAFETY: no pointer is passed.
    let position = unsafe { libc::lseek64(fd.as_raw_fd(), offset, whence) };
    u64::try_from(position).map_err(|_| io::Error::last_os_error())
}

/// Whether the file has a position: pipes, sockets and terminals have none.
pub(crate) fn is_seekable(fd: BorrowedFd<'_>) -> bool {
    seek(fd, SeekFrom::Current(0)).is_ok()
}

/// The `O_*` flags that the file was opened with, or has got since.
pub(crate) fn open_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: no pointer is passed.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(flags)
    }
}

/// Changes those of the flags that can be changed.
pub(crate) fn set_open_flags(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// What can be known about an open file without asking a server for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint {
    /// The `S_IFMT` part of the mode.
    pub(crate) kind: libc::mode_t,
    /// In bytes; what a network file system last knew.
    pub(crate) size: u64,
}

/// Kind and size of an open file. It asks no server, so it does not wait.
pub(crate) fn hint(fd: BorrowedFd<'_>) -> io::Result<Hint> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let mask = libc::STATX_TYPE | libc::STATX_SIZE;
    // SAFETY: the path is a static empty string, and the answer is good for writing.
    let result = unsafe {
        libc::statx(
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            mask,
            answer.as_mut_ptr(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers, zeroed above.
    let answer = unsafe { answer.assume_init() };
    Ok(Hint {
        kind: libc::mode_t::from(answer.stx_mode) & libc::S_IFMT,
        size: answer.stx_size,
    })
}

/// A new pipe, reader first.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array is good for two numbers.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: pipe2 has just made this descriptor, and nobody else has it.
    let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((reader, writer))
}

/// Makes the pipe hold `wanted` bytes if the user may have that much, and says how many it holds.
pub(crate) fn grow_pipe(pipe: BorrowedFd<'_>, wanted: usize) -> io::Result<usize> {
    // SAFETY: no pointer is passed.
    let grown = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, wanted as libc::c_int) };
    if let Ok(size) = usize::try_from(grown) {
        return Ok(size);
    }
    // SAFETY: no pointer is passed.
    let size = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_GETPIPE_SZ) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}
