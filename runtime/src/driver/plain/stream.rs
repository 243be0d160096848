//! Reads and writes of whatever has bytes.
//!
//! They are tried where the request begins, with RWF_NOWAIT. What that says shows what kind of file it is: done; or it
//! would wait, and then whether the descriptor can be waited for tells a stream from a file; or this kind of file does
//! not know the flag, and then it is waited for, if it can be, and the call made where it may wait all the same.
//!
//! A pipe that nobody reads is an error and no SIGPIPE, as it is for files of the other driver.

use std::os::fd::RawFd;

use super::sys::{answer, is_stream, uninterrupted};
use super::{Place, Request, Step};
use crate::driver::without_sigpipe;

/// preadv2(2) or pwritev2(2).
type Call = unsafe extern "C" fn(
    libc::c_int,
    *const libc::iovec,
    libc::c_int,
    libc::off_t,
    libc::c_int,
) -> libc::ssize_t;

impl Request {
    pub(super) fn read(&mut self, place: Place) -> Step {
        self.transfer(libc::preadv2, libc::POLLIN, place)
    }

    pub(super) fn write(&mut self, place: Place) -> Step {
        without_sigpipe(|| self.transfer(libc::pwritev2, libc::POLLOUT, place))
    }

    fn transfer(&mut self, call: Call, event: libc::c_short, place: Place) -> Step {
        let moved = self.moved as usize;
        let entry = libc::iovec {
            iov_base: self.sqe.target::<u8>().wrapping_add(moved).cast(),
            iov_len: self.sqe.len as usize - moved,
        };
        let offset = match self.sqe.offset() {
            -1 => -1,
            offset => offset.wrapping_add(moved as i64),
        };
        let iovecs = Iovecs {
            first: &raw const entry,
            count: 1,
            offset,
        };
        let count = self.call(call, &iovecs, place);
        let Ok(count) = u32::try_from(count) else {
            return self.after_refusal(count, event, place);
        };
        self.moved += count;
        // Files are read and written to the end, or to the last byte asked for: what lay in memory was only the
        // beginning.
        let is_short = count > 0 && self.moved < self.sqe.len;
        if is_short && place == Place::Worker && is_stream(self.sqe.fd) == Ok(false) {
            return Step::Elsewhere;
        }
        Step::Done(self.moved as i32)
    }

    pub(super) fn read_vectored(&mut self, place: Place) -> Step {
        self.transfer_vectored(libc::preadv2, libc::POLLIN, place)
    }

    pub(super) fn write_vectored(&mut self, place: Place) -> Step {
        without_sigpipe(|| self.transfer_vectored(libc::pwritev2, libc::POLLOUT, place))
    }

    fn transfer_vectored(&mut self, call: Call, event: libc::c_short, place: Place) -> Step {
        // Half of a list cannot be done here and the rest elsewhere without changing the list.
        if place == Place::Worker && !self.begun {
            match is_stream(self.sqe.fd) {
                Ok(true) => {}
                Ok(false) => return Step::Elsewhere,
                Err(error) => return Step::Done(error),
            }
        }
        let iovecs = Iovecs {
            first: self.sqe.source(),
            count: self.sqe.len as i32,
            offset: self.sqe.offset(),
        };
        match self.call(call, &iovecs, place) {
            count if count >= 0 => Step::Done(count),
            error => self.after_refusal(error, event, place),
        }
    }

    fn call(&self, call: Call, iovecs: &Iovecs, place: Place) -> i32 {
        let (fd, mut flags) = (self.sqe.fd, self.sqe.call_flags());
        if place == Place::Worker {
            flags |= libc::RWF_NOWAIT;
        }
        match iovecs.pass_to(call, fd, flags) {
            // The ring does not mind an offset into what has none.
            error if error == -libc::ESPIPE => iovecs.at_position().pass_to(call, fd, flags),
            answer => answer,
        }
    }

    /// The call has failed: for good, or because it would have to wait.
    fn after_refusal(&mut self, error: i32, event: libc::c_short, place: Place) -> Step {
        let fd = self.sqe.fd;
        if place == Place::Pool || self.sqe.call_flags() & libc::RWF_NOWAIT != 0 {
            return self.unless_moved(error);
        }
        match -error {
            libc::EAGAIN => Step::Wait(fd, event as u32),
            // This kind of file does not know RWF_NOWAIT, or the kernel does not.
            libc::EOPNOTSUPP | libc::ENOSYS if self.begun => Step::Elsewhere,
            libc::EOPNOTSUPP | libc::ENOSYS => {
                self.begun = true;
                Step::Wait(fd, event as u32)
            }
            _ => self.unless_moved(error),
        }
    }

    fn unless_moved(&self, error: i32) -> Step {
        Step::Done(match self.moved {
            0 => error,
            moved => moved as i32,
        })
    }
}

/// Where bytes lie, and the offset in the file; -1 for its position.
#[derive(Clone, Copy)]
struct Iovecs {
    first: *const libc::iovec,
    count: i32,
    offset: i64,
}

impl Iovecs {
    fn at_position(self) -> Self {
        Self { offset: -1, ..self }
    }

    fn pass_to(&self, call: Call, fd: RawFd, flags: i32) -> i32 {
        uninterrupted(|| {
            // SAFETY: the operation's contract: the list and the bytes that it names are good, for writes or reads as
            // the opcode has it, until the answer.
            answer(unsafe { call(fd, self.first, self.count, self.offset, flags) })
        })
    }
}
