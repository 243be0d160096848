//! What is done with the names of files. All of it may wait for a disk.
//!
//! The safety of each call is the operation's contract: names and buffers are good until the answer.

use super::sqe::Sqe;
use super::sys::answer;

pub(super) fn open(sqe: &Sqe) -> i32 {
    if sqe.splice_fd_in != 0 {
        return -libc::EINVAL;
    }
    let flags = sqe.call_flags() | libc::O_LARGEFILE;
    // SAFETY: see the module.
    answer(unsafe { libc::openat(sqe.fd, sqe.source(), flags, sqe.len) } as isize)
}

pub(super) fn open_how(sqe: &Sqe) -> i32 {
    if sqe.splice_fd_in != 0 {
        return -libc::EINVAL;
    }
    let (name, how) = (sqe.source::<libc::c_char>(), sqe.second::<libc::c_void>());
    let len = sqe.len as usize;
    // SAFETY: see the module; the structure's length comes with it.
    answer(unsafe { libc::syscall(libc::SYS_openat2, sqe.fd, name, how, len) } as isize)
}

pub(super) fn statx(sqe: &Sqe) -> i32 {
    let (name, flags, mask) = (sqe.source(), sqe.call_flags(), sqe.len);
    // SAFETY: see the module.
    answer(unsafe { libc::statx(sqe.fd, name, flags, mask, sqe.second()) } as isize)
}

pub(super) fn unlink(sqe: &Sqe) -> i32 {
    // SAFETY: see the module.
    answer(unsafe { libc::unlinkat(sqe.fd, sqe.source(), sqe.call_flags()) } as isize)
}

pub(super) fn make_dir(sqe: &Sqe) -> i32 {
    // SAFETY: see the module.
    answer(unsafe { libc::mkdirat(sqe.fd, sqe.source(), sqe.len) } as isize)
}

pub(super) fn rename(sqe: &Sqe) -> i32 {
    let (from, to) = (sqe.source::<libc::c_char>(), sqe.second::<libc::c_char>());
    let (from_dir, to_dir) = (sqe.fd, sqe.len as i32);
    let flags = sqe.op_flags;
    // The system call: not every C library has a function for it.
    // SAFETY: see the module.
    answer(
        unsafe { libc::syscall(libc::SYS_renameat2, from_dir, from, to_dir, to, flags) } as isize,
    )
}

pub(super) fn link(sqe: &Sqe) -> i32 {
    let (from_dir, to_dir) = (sqe.fd, sqe.len as i32);
    let flags = sqe.call_flags();
    // SAFETY: see the module.
    answer(unsafe { libc::linkat(from_dir, sqe.source(), to_dir, sqe.second(), flags) } as isize)
}

pub(super) fn symlink(sqe: &Sqe) -> i32 {
    // SAFETY: see the module.
    answer(unsafe { libc::symlinkat(sqe.source(), sqe.fd, sqe.second()) } as isize)
}
