//! Waiting for events: poll operations, and epoll_ctl(2).

use std::os::fd::RawFd;

use io_uring::{opcode, squeue};

use super::sqe::Sqe;
use super::sys::{answer, uninterrupted};
use super::{Kind, Request, Step};

const POLL_ADD_MULTI: u32 = 1;
/// Reported as long as it is the case, and not when it begins; a question of how it is waited for.
const POLL_ADD_LEVEL: u32 = 1 << 3;
/// Flags of epoll_ctl(2) that say how to wait, and the events that are always reported.
const EVENTS_MASK: u32 = 0xffff;

/// Whether an entry waits for events only, and names no memory.
pub(crate) fn is_poll(entry: &squeue::Entry) -> bool {
    Sqe::of(entry).opcode == opcode::PollAdd::CODE
}

impl Request {
    /// The `POLL…` events that a poll operation waits for.
    pub(crate) fn poll_events(&self) -> u32 {
        let events = self.sqe.op_flags;
        // The kernel reads the two halves in the order of a little-endian machine.
        let events = if cfg!(target_endian = "big") {
            events.rotate_left(16)
        } else {
            events
        };
        events & EVENTS_MASK
    }

    pub(super) fn poll_kind(&self) -> Result<Kind, i32> {
        if self.sqe.len & !(POLL_ADD_MULTI | POLL_ADD_LEVEL) != 0 {
            return Err(-libc::EINVAL);
        }
        Ok(Kind::Poll {
            multishot: self.sqe.len & POLL_ADD_MULTI != 0,
        })
    }

    /// The answer of a poll operation, if there is one by now.
    pub(super) fn poll_step(&self) -> Step {
        match poll_now(self.fd(), self.poll_events()) {
            0 => Step::Wait(self.fd(), self.poll_events()),
            answer => Step::Done(answer),
        }
    }
}

/// Which of `events` there are, and whether there is an error or a hang-up; or the negative errno.
pub(crate) fn poll_now(fd: RawFd, events: u32) -> i32 {
    if fd < 0 {
        return -libc::EBADF;
    }
    let mut entry = libc::pollfd {
        fd,
        events: events as i16,
        revents: 0,
    };
    // SAFETY: one entry is passed, and lives for the call, which does not wait.
    let found = uninterrupted(|| answer(unsafe { libc::poll(&mut entry, 1, 0) } as isize));
    if found < 0 {
        return found;
    }
    if entry.revents & libc::POLLNVAL != 0 {
        return -libc::EBADF;
    }
    i32::from(entry.revents as u16)
}

/// As [`poll_now`], of many at once; `false` if that cannot be said.
pub(crate) fn poll_all(entries: &mut [libc::pollfd]) -> bool {
    let count = entries.len() as libc::nfds_t;
    // SAFETY: so many entries are passed, and live for the call, which does not wait.
    let found =
        uninterrupted(|| answer(unsafe { libc::poll(entries.as_mut_ptr(), count, 0) } as isize));
    found >= 0
}

pub(super) fn control(sqe: &Sqe) -> i32 {
    let (member, operation) = (sqe.off as i32, sqe.len as i32);
    // SAFETY: the operation's contract: the event, if the operation has one, is good until the answer.
    let done = unsafe { libc::epoll_ctl(sqe.fd, operation, member, sqe.target()) };
    answer(done as isize)
}
