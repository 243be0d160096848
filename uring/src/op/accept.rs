//! Accepting one connection.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use ringway_net::seam::{ACCEPT_FLAGS, Listening, Parcel, Stash};
use ringway_runtime::driver::{Completion, Home, Operation, SharedFd, opcode, squeue, types};

use super::{Verdict, ecanceled, poll};
use crate::request::{Round, Rounds};

/// Accepts one connection: the request behind [`accept`](crate::accept()).
pub struct Accept<L> {
    fd: SharedFd,
    parcel: Parcel,
    waits: bool,
    listener: std::marker::PhantomData<fn(L)>,
}

impl<L: Listening> Accept<L> {
    pub(crate) fn new(fd: &SharedFd, stash: Stash) -> Self {
        Self {
            fd: fd.clone(),
            parcel: Parcel::empty(stash),
            waits: false,
            listener: std::marker::PhantomData,
        }
    }
}

impl<L> fmt::Debug for Accept<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}

// SAFETY: the SQE has no pointer, for nobody wants the address, and the descriptor is held by self.
unsafe impl<L: Listening + 'static> Operation for Accept<L> {
    type Output = Round<Self, io::Result<L::Stream>>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.waits {
            return poll(fd, libc::POLLIN);
        }
        opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut())
            .flags(ACCEPT_FLAGS)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let waited = std::mem::take(&mut self.waits);
        let verdict = match completion.result {
            Ok(_) if waited => Verdict::Again,
            Ok(connection) => {
                // SAFETY: an accept's answer is the descriptor of the new connection, which nobody else has seen.
                unsafe { self.parcel.fill(connection as RawFd) };
                return Round::Parcel(self);
            }
            Err(error) if waited => Verdict::of_wait(Err(error)),
            Err(error) => Verdict::of(error, &mut self.waits),
        };
        match verdict {
            Verdict::Again => Round::Again(self),
            Verdict::Cancelled => Round::Done(Err(ecanceled())),
            Verdict::Failed(error) => Round::Done(Err(error)),
        }
    }
}

impl<L: Listening + 'static> Rounds for Accept<L> {
    type Done = io::Result<L::Stream>;

    fn give_up(self) -> Self::Done {
        Err(ecanceled())
    }

    fn unpack(mut self) -> Self::Done {
        match self.parcel.take() {
            Some(connection) => Ok(L::stream(connection, self.fd.home())),
            None => self.give_up(),
        }
    }
}
