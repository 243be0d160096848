//! Moving bytes from one stream to another by way of a pipe, without copying them: splice(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use ringway_runtime::driver::without_sigpipe;

use super::sys::{counted, uninterrupted};

/// Moves at most `length` bytes; one of the two is a pipe. Zero is the end of `from`.
pub(crate) fn splice(from: &impl AsFd, to: &impl AsFd, length: usize) -> io::Result<usize> {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    let none = ptr::null_mut::<libc::loff_t>();
    let flags = libc::SPLICE_F_NONBLOCK;
    without_sigpipe(|| {
        uninterrupted(|| {
            // SAFETY: neither end has an offset.
            let moved = unsafe { libc::splice(from, none, to, none, length, flags) };
            counted(moved as libc::c_long)
        })
    })
}
