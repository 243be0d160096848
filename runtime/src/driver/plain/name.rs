//! What is done with the names of files. All of it may wait for a disk.
//!
//! The safety of each call is the operation's contract: names and buffers are good until the answer.

use super::sqe::Sqe;
use super::sys::answer;

/// As the ring opens: without waiting for who opens the other end of a FIFO, though what is opened waits afterwards.
pub(super) fn open(sqe: &Sqe) -> i32 {
    if sqe.splice_fd_in != 0 {
        return -libc::EINVAL;
    }
    open_promptly(sqe.call_flags() | libc::O_LARGEFILE, |flags| {
        // SAFETY: see the module.
        answer(unsafe { libc::openat(sqe.fd, sqe.source(), flags, sqe.len) } as isize)
    })
}

pub(super) fn open_how(sqe: &Sqe) -> i32 {
    if sqe.splice_fd_in != 0 {
        return -libc::EINVAL;
    }
    let len = sqe.len as usize;
    let how = sqe.second::<How>();
    if len != size_of::<How>() {
        return open_as(sqe, how, len);
    }
    // SAFETY: see the module; the entry says that so many bytes are there.
    let asked = unsafe { how.read_unaligned() };
    let Ok(flags) = i32::try_from(asked.flags) else {
        return open_as(sqe, how, len);
    };
    open_promptly(flags, |flags| {
        let mut how = How {
            flags: flags as u64,
            ..asked
        };
        open_as(sqe, &raw mut how, len)
    })
}

/// `struct open_how` in its first version.
#[derive(Clone, Copy)]
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn open_as(sqe: &Sqe, how: *mut How, len: usize) -> i32 {
    let name = sqe.source::<libc::c_char>();
    // SAFETY: see the module; the structure's length comes with it.
    answer(unsafe { libc::syscall(libc::SYS_openat2, sqe.fd, name, how, len) } as isize)
}

fn open_promptly(flags: i32, open: impl Fn(i32) -> i32) -> i32 {
    const OWN: i32 = libc::O_NONBLOCK | libc::O_PATH;
    if flags & OWN != 0 {
        return open(flags);
    }
    match open(flags | libc::O_NONBLOCK) {
        // Somebody has a lease on the file, and is given his time.
        error if error == -libc::EAGAIN => open(flags),
        error if error < 0 => error,
        fd => {
            // Takes O_NONBLOCK away, and leaves the flags alone that can be changed.
            // SAFETY: no pointer is passed.
            let changed = unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
            debug_assert!(changed == 0, "F_SETFL leaves flags that were there");
            fd
        }
    }
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
