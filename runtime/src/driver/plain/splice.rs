//! Splice and tee: pipes, and what stands at their other end.

use std::os::fd::RawFd;
use std::ptr;

use super::sqe::Sqe;
use super::sys::{answer, is_stream, uninterrupted};
use super::{Place, Request, Step, poll_now};
use crate::driver::without_sigpipe;

/// The source is a registered file.
const SPLICE_F_FD_IN_FIXED: u32 = 1 << 31;

impl Request {
    /// Between two streams where the request begins; with a file at one end where it may wait for a disk. Never does it
    /// wait for a stream but by readiness.
    pub(super) fn splice(&mut self, place: Place) -> Step {
        let sqe = &self.sqe;
        let (source, sink) = (sqe.splice_fd_in, sqe.fd);
        if place == Place::Worker {
            match (is_stream(source), is_stream(sink)) {
                (Err(error), _) | (_, Err(error)) => return Step::Done(error),
                (Ok(true), Ok(true)) => {}
                (Ok(_), Ok(_)) => return Step::Elsewhere,
            }
        }
        // Sockets wait whatever the call says, unless they are told not to themselves.
        if is_stream(source) == Ok(true) && is_bare(source, libc::POLLIN) {
            return self.wait_for(source, libc::POLLIN);
        }
        self.after_splice(without_sigpipe(|| splice(sqe)))
    }

    pub(super) fn tee(&mut self) -> Step {
        let sqe = &self.sqe;
        let flags = sqe.op_flags & !SPLICE_F_FD_IN_FIXED | libc::SPLICE_F_NONBLOCK;
        let tee = || {
            // SAFETY: no pointer is passed.
            answer(unsafe { libc::tee(sqe.splice_fd_in, sqe.fd, sqe.len as usize, flags) })
        };
        let moved = without_sigpipe(|| uninterrupted(tee));
        self.after_splice(moved)
    }

    fn after_splice(&self, moved: i32) -> Step {
        if moved != -libc::EAGAIN {
            return Step::Done(moved);
        }
        let (source, sink) = (self.sqe.splice_fd_in, self.sqe.fd);
        if is_stream(sink) == Ok(true) && is_bare(sink, libc::POLLOUT) {
            self.wait_for(sink, libc::POLLOUT)
        } else {
            self.wait_for(source, libc::POLLIN)
        }
    }

    fn wait_for(&self, fd: RawFd, event: libc::c_short) -> Step {
        if self.sqe.op_flags & libc::SPLICE_F_NONBLOCK != 0 {
            return Step::Done(-libc::EAGAIN);
        }
        Step::Wait(fd, event as u32)
    }
}

/// Whether nothing can be done with it now: no event, no error.
fn is_bare(fd: RawFd, event: libc::c_short) -> bool {
    poll_now(fd, event as u32) == 0
}

fn splice(sqe: &Sqe) -> i32 {
    if sqe.op_flags & SPLICE_F_FD_IN_FIXED != 0 {
        return -libc::EBADF;
    }
    let mut offset_in = sqe.addr as i64;
    let mut offset_out = sqe.offset();
    let flags = sqe.op_flags | libc::SPLICE_F_NONBLOCK;
    uninterrupted(|| {
        let offset_in = pointer_unless_none(&mut offset_in);
        let offset_out = pointer_unless_none(&mut offset_out);
        // SAFETY: the offsets are ours, and live for the call.
        answer(unsafe {
            libc::splice(
                sqe.splice_fd_in,
                offset_in,
                sqe.fd,
                offset_out,
                sqe.len as usize,
                flags,
            )
        })
    })
}

/// -1 means none.
fn pointer_unless_none(offset: &mut i64) -> *mut i64 {
    if *offset == -1 {
        ptr::null_mut()
    } else {
        offset
    }
}
