//! What this crate asks of the kernel, and its only home of unsafe code but for the users' own operations.
//!
//! A request owns what its SQE points to: buffers, which keep their bytes in place by the contract of
//! [`IoBuf`](ringway_runtime::driver::IoBuf), and headers and addresses in itself, for it does not move while the
//! kernel has it. It holds its descriptor by a [`SharedFd`](ringway_runtime::driver::SharedFd).
//!
//! A request may take several *rounds*: an SQE each, one after the other. So a short send goes on, what a signal
//! interrupted is tried again, and where the kernel answers EAGAIN instead of waiting (files that are O_NONBLOCK and
//! cannot be read asynchronously, such as pipes before Linux 6.4) a poll waits and the next round tries again.

pub(crate) mod accept;
pub(crate) mod connect;
pub(crate) mod drain;
pub(crate) mod fill;
pub(crate) mod many;
pub(crate) mod message;
pub(crate) mod number;
mod progress;
pub(crate) mod receive;
pub(crate) mod splice;

use std::io;

use ringway_runtime::driver::{CALL_BYTES_MAX, opcode, squeue, types};

/// Whether a request ends with the first bytes or with the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// As many bytes as there are, or as there is room for, now.
    Some,
    /// All.
    Whole,
}

impl Goal {
    fn is_whole(self) -> bool {
        self == Self::Whole
    }

    /// Has the kernel do all rounds in one, where it can.
    fn flags(self) -> i32 {
        match self {
            Self::Some => 0,
            Self::Whole => libc::MSG_WAITALL,
        }
    }
}

/// What a failed round means for the request.
#[derive(Debug)]
enum Verdict {
    Again,
    Cancelled,
    Failed(io::Error),
}

impl Verdict {
    /// `waits` is set if the next round has to wait.
    fn of(error: io::Error, waits: &mut bool) -> Self {
        match error.raw_os_error() {
            Some(libc::EINTR) => Self::Again,
            Some(libc::EAGAIN) => {
                *waits = true;
                Self::Again
            }
            Some(libc::ECANCELED) => Self::Cancelled,
            _ => Self::Failed(error),
        }
    }

    /// Of a round that waited. Whatever the poll saw, errors included, the next round gets to know.
    fn of_wait(result: io::Result<u32>) -> Self {
        match result {
            Ok(_) => Self::Again,
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => Self::Again,
                Some(libc::ECANCELED) => Self::Cancelled,
                _ => Self::Failed(error),
            },
        }
    }
}

/// The result of a request that was cancelled when it had moved `done` bytes: these are a success.
fn cancelled(done: usize) -> io::Result<usize> {
    match done {
        0 => Err(ecanceled()),
        done => Ok(done),
    }
}

fn ecanceled() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}

/// A round that waits for `events`.
fn poll(fd: types::Fd, events: libc::c_short) -> squeue::Entry {
    opcode::PollAdd::new(fd, events as u32).build()
}

/// A round of a request for which nothing is left to do.
fn nothing() -> squeue::Entry {
    opcode::Nop::new().build()
}

/// The offset that means "the position of the open file description, and move it".
fn position() -> u64 {
    u64::MAX
}

/// `len`, cut to what one call may move.
fn call_len(len: usize) -> u32 {
    len.min(CALL_BYTES_MAX) as u32
}
