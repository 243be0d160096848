//! Sockets: by readiness, and what never waits.

use std::os::fd::RawFd;

use super::sqe::Sqe;
use super::sys::{answer, uninterrupted, without_waiting};
use super::{Request, Step, poll_now};

const ACCEPT_MULTISHOT: u16 = 1;
const ACCEPT_DONTWAIT: u16 = 1 << 1;
/// The entry says that nothing is worth trying before the descriptor is ready: true or not, trying does no harm.
const POLL_FIRST: u16 = 1;
/// Buffers that were registered: their addresses are plain ones.
const FIXED_BUF: u16 = 1 << 2;

impl Request {
    pub(super) fn receive(&mut self) -> Step {
        // Many receives into buffers that the kernel picks need a ring that has some.
        if self.sqe.ioprio & !POLL_FIRST != 0 {
            return Step::Done(-libc::EINVAL);
        }
        let fd = self.sqe.fd;
        let flags = self.sqe.call_flags();
        loop {
            let (start, left) = self.rest::<u8>();
            let received = uninterrupted(|| {
                // SAFETY: the operation's contract: the rest of its buffer is good for writes until the answer.
                answer(unsafe { libc::recv(fd, start.cast(), left, flags | libc::MSG_DONTWAIT) })
            });
            if let Some(step) = self.after_transfer(received, events_to_receive(flags)) {
                return step;
            }
        }
    }

    pub(super) fn send(&mut self) -> Step {
        if self.sqe.ioprio & !(POLL_FIRST | FIXED_BUF) != 0 {
            return Step::Done(-libc::EINVAL);
        }
        let sqe = &self.sqe;
        let (fd, to) = (sqe.fd, sqe.second::<libc::sockaddr>());
        let to_len = if to.is_null() {
            0
        } else {
            sqe.splice_fd_in as u16
        };
        let flags = sqe.call_flags() | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        loop {
            let (start, left) = self.rest::<u8>();
            let sent = uninterrupted(|| {
                // SAFETY: the operation's contract: the rest of its buffer, and the address if there is one, are good for
                // reads until the answer.
                answer(unsafe { libc::sendto(fd, start.cast(), left, flags, to, to_len.into()) })
            });
            if let Some(step) = self.after_transfer(sent, libc::POLLOUT as u32) {
                return step;
            }
        }
    }

    /// The part of the buffer that earlier steps have not come to.
    fn rest<T>(&self) -> (*mut T, usize) {
        let moved = self.moved as usize;
        let start = self.sqe.target::<u8>().wrapping_add(moved);
        (start.cast(), self.sqe.len as usize - moved)
    }

    /// A receive or send has moved `count` bytes, or failed. None: there is more to do, and a call to be made for it now.
    /// Only one that would have to wait may: what has come behind a short one, its end for example, is told to nobody again.
    fn after_transfer(&mut self, count: i32, events: u32) -> Option<Step> {
        let fd = self.sqe.fd;
        let asks_for_all = self.sqe.call_flags() & libc::MSG_WAITALL != 0;
        let waits = self.sqe.call_flags() & libc::MSG_DONTWAIT == 0;
        match u32::try_from(count) {
            Ok(count) => {
                self.moved += count;
                let is_short = count > 0 && self.moved < self.sqe.len;
                if is_short && asks_for_all && waits && is_byte_stream(fd) {
                    return None;
                }
                Some(Step::Done(self.moved as i32))
            }
            Err(_) if count == -libc::EAGAIN && waits => Some(Step::Wait(fd, events)),
            // What has been moved is told first, as by the ring.
            Err(_) if self.moved > 0 => Some(Step::Done(self.moved as i32)),
            Err(_) => Some(Step::Done(count)),
        }
    }

    pub(super) fn receive_message(&mut self) -> Step {
        if self.sqe.ioprio & !POLL_FIRST != 0 {
            return Step::Done(-libc::EINVAL);
        }
        let (fd, message) = (self.sqe.fd, self.sqe.target());
        let flags = self.sqe.call_flags();
        let received = uninterrupted(|| {
            // SAFETY: the operation's contract: the message and all that it points to are good until the answer.
            answer(unsafe { libc::recvmsg(fd, message, flags | libc::MSG_DONTWAIT) })
        });
        self.unless_it_waits(received, events_to_receive(flags))
    }

    pub(super) fn send_message(&mut self) -> Step {
        let (fd, message) = (self.sqe.fd, self.sqe.source());
        let flags = self.sqe.call_flags() | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let sent = uninterrupted(|| {
            // SAFETY: as in `receive_message`.
            answer(unsafe { libc::sendmsg(fd, message, flags) })
        });
        self.unless_it_waits(sent, libc::POLLOUT as u32)
    }

    fn unless_it_waits(&self, count: i32, events: u32) -> Step {
        let waits = self.sqe.call_flags() & libc::MSG_DONTWAIT == 0;
        if count == -libc::EAGAIN && waits {
            Step::Wait(self.sqe.fd, events)
        } else {
            Step::Done(count)
        }
    }

    /// One connection; with the flag for it as many as come, an answer each.
    pub(super) fn accept(&mut self) -> Step {
        let sqe = &self.sqe;
        let known = ACCEPT_MULTISHOT | ACCEPT_DONTWAIT | 1 << 2;
        if sqe.ioprio & !known != 0 || sqe.splice_fd_in != 0 {
            return Step::Done(-libc::EINVAL);
        }
        let fd = sqe.fd;
        let accepted = uninterrupted(|| {
            without_waiting(fd, || {
                // SAFETY: the operation's contract: the address and its length, if given, are good for writes until
                // the answer.
                answer(
                    unsafe { libc::accept4(fd, sqe.target(), sqe.second(), sqe.call_flags()) }
                        as isize,
                )
            })
        });
        match accepted {
            error if error == -libc::EAGAIN && sqe.ioprio & ACCEPT_DONTWAIT == 0 => {
                Step::Wait(fd, libc::POLLIN as u32)
            }
            accepted if accepted >= 0 && sqe.ioprio & ACCEPT_MULTISHOT != 0 => Step::More(accepted),
            accepted => Step::Done(accepted),
        }
    }

    pub(super) fn connect(&mut self) -> Step {
        let fd = self.sqe.fd;
        if self.begun {
            return outcome_of_connect(fd);
        }
        let len = self.sqe.off as libc::socklen_t;
        let begun = without_waiting(fd, || {
            // SAFETY: the operation's contract: the address is good for reads until the answer.
            answer(unsafe { libc::connect(fd, self.sqe.source(), len) } as isize)
        });
        match -begun {
            // A connect that was interrupted goes on.
            libc::EINPROGRESS | libc::EINTR => {
                self.begun = true;
                Step::Wait(fd, libc::POLLOUT as u32)
            }
            _ => Step::Done(begun),
        }
    }
}

fn events_to_receive(flags: i32) -> u32 {
    if flags & libc::MSG_ERRQUEUE != 0 {
        libc::POLLERR as u32
    } else {
        libc::POLLIN as u32
    }
}

/// Whether a call for all bytes may go on after some.
fn is_byte_stream(fd: RawFd) -> bool {
    matches!(
        option(fd, libc::SO_TYPE),
        Ok(libc::SOCK_STREAM | libc::SOCK_SEQPACKET)
    )
}

fn outcome_of_connect(fd: RawFd) -> Step {
    let events = libc::POLLOUT as u32;
    match poll_now(fd, events) {
        0 => Step::Wait(fd, events),
        error if error < 0 => Step::Done(error),
        _ => Step::Done(match option(fd, libc::SO_ERROR) {
            Ok(error) => -error,
            Err(error) => error,
        }),
    }
}

/// A socket's option, or the negative errno.
fn option(fd: RawFd, name: libc::c_int) -> Result<libc::c_int, i32> {
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: there is room for an int, whose size is passed.
    let got = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &mut len,
        )
    };
    match answer(got as isize) {
        0 => Ok(value),
        error => Err(error),
    }
}

pub(super) fn shut_down(sqe: &Sqe) -> i32 {
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::shutdown(sqe.fd, sqe.len as i32) } as isize)
}

pub(super) fn make(sqe: &Sqe) -> i32 {
    if sqe.splice_fd_in != 0 || sqe.op_flags != 0 {
        return -libc::EINVAL;
    }
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::socket(sqe.fd, sqe.off as i32, sqe.len as i32) } as isize)
}

pub(super) fn bind(sqe: &Sqe) -> i32 {
    let len = sqe.off as libc::socklen_t;
    // SAFETY: the operation's contract: the address is good for reads until the answer.
    answer(unsafe { libc::bind(sqe.fd, sqe.source(), len) } as isize)
}

pub(super) fn listen(sqe: &Sqe) -> i32 {
    // SAFETY: no pointer is passed.
    answer(unsafe { libc::listen(sqe.fd, sqe.len as i32) } as isize)
}
