//! Bytes from one descriptor to another, never passing through the process: splice(2), tee(2).

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Home, Operation, SharedFd, opcode, squeue, types};

use super::{Verdict, call_len, ecanceled, poll};
use crate::request::{Round, Rounds};

/// One end of a splice.
#[derive(Clone, Debug)]
pub(crate) struct End {
    fd: SharedFd,
    /// Of a file; -1 for a stream, or for a file at its own position.
    offset: i64,
}

impl End {
    pub(crate) fn new(fd: &SharedFd, offset: Option<u64>) -> Self {
        Self {
            fd: fd.clone(),
            // An offset that does not fit is negative, which the kernel refuses, unless it is the one that means none.
            offset: offset.map_or(-1, |offset| i64::try_from(offset).unwrap_or(i64::MIN)),
        }
    }

    fn parts(&self) -> (types::Fd, i64) {
        (types::Fd(self.fd.as_raw_fd()), self.offset)
    }
}

/// Moves bytes: the request behind [`splice`](crate::splice) and [`tee`](crate::tee).
#[derive(Debug)]
pub struct Splice {
    from: End,
    to: End,
    len: u32,
    copies: bool,
    step: Step,
}

/// The kernel's own threads move the bytes, and they wait for an end only if that is not O_NONBLOCK. EAGAIN does not say
/// which end it was, so the next rounds wait for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Move,
    WaitForSource,
    WaitForSink,
}

impl Splice {
    pub(crate) fn new(from: End, to: End, len: usize) -> Self {
        Self {
            from,
            to,
            len: call_len(len),
            copies: false,
            step: Step::Move,
        }
    }

    /// Leaves the bytes in the pipe where they come from.
    pub(crate) fn copying(self) -> Self {
        Self {
            copies: true,
            ..self
        }
    }
}

// SAFETY: the SQE has no pointer (offsets are passed by value), and both descriptors are held by self.
unsafe impl Operation for Splice {
    type Output = Round<Self, io::Result<usize>>;

    fn home(&self) -> Option<Home> {
        self.from.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let (from, from_offset) = self.from.parts();
        let (to, to_offset) = self.to.parts();
        match self.step {
            Step::Move => {}
            Step::WaitForSource => return poll(from, libc::POLLIN),
            Step::WaitForSink => return poll(to, libc::POLLOUT),
        }
        if self.copies {
            opcode::Tee::new(from, to, self.len).build()
        } else {
            opcode::Splice::new(from, from_offset, to, to_offset, self.len).build()
        }
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let mut waits = false;
        let verdict = match (completion.result, self.step) {
            (Ok(count), Step::Move) => return Round::Done(Ok(count as usize)),
            (Err(error), Step::Move) => Verdict::of(error, &mut waits),
            (result, _) => Verdict::of_wait(result),
        };
        self.step = match self.step {
            Step::Move if waits => Step::WaitForSource,
            Step::WaitForSource => Step::WaitForSink,
            Step::Move | Step::WaitForSink => Step::Move,
        };
        match verdict {
            Verdict::Again => Round::Again(self),
            Verdict::Cancelled => Round::Done(self.give_up()),
            Verdict::Failed(error) => Round::Done(Err(error)),
        }
    }
}

impl Rounds for Splice {
    type Done = io::Result<usize>;

    fn give_up(self) -> Self::Done {
        Err(ecanceled())
    }
}
