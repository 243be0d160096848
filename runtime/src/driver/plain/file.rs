//! What is done with an open file.

use super::sqe::Sqe;
use super::sys::{answer, is_stream};
use super::{Place, Step};

const FSYNC_DATASYNC: u32 = 1;

/// Closing a file may write what it has left to write.
pub(super) fn close(sqe: &Sqe, place: Place) -> Step {
    if sqe.splice_fd_in != 0 {
        return Step::Done(-libc::EINVAL);
    }
    match is_stream(sqe.fd) {
        Err(error) => Step::Done(error),
        Ok(false) if place == Place::Worker => Step::Elsewhere,
        // The descriptor is gone whatever the answer: not called again after EINTR, and the ring has no EINTR.
        // SAFETY: the operation's contract: the descriptor is its own.
        Ok(_) => match answer(unsafe { libc::close(sqe.fd) } as isize) {
            interrupted if interrupted == -libc::EINTR => Step::Done(0),
            answer => Step::Done(answer),
        },
    }
}

pub(super) fn sync(sqe: &Sqe) -> i32 {
    let done = if sqe.op_flags & FSYNC_DATASYNC != 0 {
        // SAFETY: no pointer is passed.
        unsafe { libc::fdatasync(sqe.fd) }
    } else {
        // SAFETY: no pointer is passed.
        unsafe { libc::fsync(sqe.fd) }
    };
    answer(done as isize)
}

pub(super) fn sync_range(sqe: &Sqe) -> i32 {
    let (offset, len) = (sqe.offset(), i64::from(sqe.len));
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::sync_file_range(sqe.fd, offset, len, sqe.op_flags) } as isize)
}

pub(super) fn truncate(sqe: &Sqe) -> i32 {
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::ftruncate(sqe.fd, sqe.offset()) } as isize)
}

pub(super) fn allocate(sqe: &Sqe) -> i32 {
    let (mode, offset, len) = (sqe.len as i32, sqe.offset(), sqe.addr as i64);
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::fallocate(sqe.fd, mode, offset, len) } as isize)
}

pub(super) fn advise(sqe: &Sqe) -> i32 {
    let len = match sqe.addr {
        0 => i64::from(sqe.len),
        len => len as i64,
    };
    // SAFETY: no pointer is passed. It returns the errno.
    -unsafe { libc::posix_fadvise(sqe.fd, sqe.offset(), len, sqe.call_flags()) }
}

pub(super) fn advise_memory(sqe: &Sqe) -> i32 {
    let len = match sqe.off {
        0 => sqe.len as usize,
        len => len as usize,
    };
    // SAFETY: the operation's contract: the memory is its own, and the advice one that it can bear.
    answer(unsafe { libc::madvise(sqe.target(), len, sqe.call_flags()) } as isize)
}
