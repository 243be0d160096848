//! Pipes: making them, asking what a descriptor is, and reading and writing without `recv(2)` and `send(2)`.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use ringway_runtime::driver::without_sigpipe;

use super::datagram::{Filled, Room};
use super::sys::{SLICES_MAX, checked, uninterrupted};

/// A new pipe, close-on-exec and non-blocking: the end to read from, and the end to write to.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` is room for the two descriptors.
    checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    // SAFETY: `pipe2` has just made this descriptor, and nobody else knows its number.
    let read = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let write = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((read, write))
}

/// Whether the descriptor is an end of a pipe, with or without a name.
pub(crate) fn is_pipe(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `status` is room for the answer.
    checked(unsafe { libc::fstat(fd.as_raw_fd(), status.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, and so filled the answer in.
    let status = unsafe { status.assume_init() };
    Ok(status.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

/// The status flags of an open file (`O_RDWR`, `O_NONBLOCK` and others).
pub(crate) fn flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: no pointer is passed.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
}

/// Sets the status flags of an open file.
pub(crate) fn set_flags(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

/// Reads what there is.
pub(crate) fn read(fd: &impl AsFd, room: &mut Room) -> io::Result<Filled<()>> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the pointer and the length are those of `room`, which is lent to us for writing.
    let count = moved(|| unsafe { libc::read(fd, room.as_mut_ptr().cast(), room.len()) })?;
    Ok(Filled::of_stream(count))
}

/// Reads into several slices, the first one first.
pub(crate) fn read_vectored(fd: &impl AsFd, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let count = slices.len().min(SLICES_MAX) as libc::c_int;
    // SAFETY: an `IoSliceMut` has the layout of an `iovec`, and its memory is lent to us for writing.
    moved(|| unsafe { libc::readv(fd, slices.as_mut_ptr().cast(), count) })
}

/// Writes what there is room for.
pub(crate) fn write(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    write_vectored(fd, &[IoSlice::new(bytes)])
}

/// `RWF_NOSIGNAL`: a pipe that nobody reads is an error, and no SIGPIPE.
const NO_SIGNAL: libc::c_int = 0x100;

/// At the file's own position: a pipe has no other.
const OWN_POSITION: libc::off_t = -1;

/// Whether the kernel has said that it does not know the flag, which came with Linux 6.18.
static RAISES_SIGNALS: AtomicBool = AtomicBool::new(false);

/// Writes what there is room for of several slices, the first one first.
pub(crate) fn write_vectored(fd: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let (pointer, count) = (slices.as_ptr().cast(), slices.len().min(SLICES_MAX));
    let count = count as libc::c_int;
    // Relaxed: whoever misses it asks the kernel himself.
    if !RAISES_SIGNALS.load(Ordering::Relaxed) {
        // SAFETY: an `IoSlice` has the layout of an `iovec`, and its memory is lent to us.
        let written =
            moved(|| unsafe { libc::pwritev2(fd, pointer, count, OWN_POSITION, NO_SIGNAL) });
        match written {
            Err(error) if is_unknown(&error) => RAISES_SIGNALS.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    // SAFETY: as above.
    without_sigpipe(|| moved(|| unsafe { libc::writev(fd, pointer, count) }))
}

/// Whether the kernel does not know the call, or its flag.
fn is_unknown(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM)
    )
}

/// The count that a read or a write returned.
fn moved(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    uninterrupted(|| usize::try_from(call()).map_err(|_| io::Error::last_os_error()))
}
