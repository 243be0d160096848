//! Accepting one connection, and one after the other by one request.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use ringway_net::seam::{Listening, Stash};
use ringway_runtime::driver::{
    Answers, Completion, Home, Operation, QUEUED_ANSWERS_MAX, SharedFd, opcode, squeue, types,
};

use super::{Verdict, ecanceled, poll};
use crate::request::{Round, Rounds};

/// Every connection is close-on-exec, and non-blocking as the runtime's sockets are.
pub(super) const FLAGS: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

/// A connection that goes to its listener's stash if nobody takes it.
pub(crate) struct Parcel {
    connection: Option<OwnedFd>,
    stash: Stash,
}

impl Parcel {
    pub(crate) fn empty(stash: Stash) -> Self {
        Self {
            connection: None,
            stash,
        }
    }

    /// Takes over the connection that an accept has answered with.
    pub(crate) fn fill(&mut self, connection: RawFd) {
        // SAFETY: the kernel has just made this descriptor for the operation that answers, and nobody else knows its
        // number; the answer is looked at once.
        self.connection = Some(unsafe { OwnedFd::from_raw_fd(connection) });
    }

    pub(crate) fn take(&mut self) -> Option<OwnedFd> {
        self.connection.take()
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.stash.put(connection);
        }
    }
}

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
            .flags(FLAGS)
            .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let waited = std::mem::take(&mut self.waits);
        let verdict = match completion.result {
            Ok(_) if waited => Verdict::Again,
            Ok(connection) => {
                self.parcel.fill(connection as RawFd);
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

/// Accepts connections until the kernel ends it. Its outputs are parcels, which see to connections that nobody takes.
pub(crate) struct AcceptMany {
    fd: SharedFd,
    stash: Stash,
}

impl AcceptMany {
    pub(crate) fn new(fd: &SharedFd, stash: Stash) -> Self {
        Self {
            fd: fd.clone(),
            stash,
        }
    }

    fn parcel(&self, completion: Completion) -> io::Result<Parcel> {
        let connection = completion.result?;
        let mut parcel = Parcel::empty(self.stash.clone());
        parcel.fill(connection as RawFd);
        Ok(parcel)
    }
}

// SAFETY: the SQE has no pointer, and the descriptor is held by self.
unsafe impl Operation for AcceptMany {
    type Output = io::Result<Parcel>;

    const ANSWERS: Answers<Self> = Answers::Queue {
        item: Self::parcel,
        limit: QUEUED_ANSWERS_MAX,
    };

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        opcode::AcceptMulti::new(types::Fd(self.fd.as_raw_fd()))
            .flags(FLAGS)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        self.parcel(completion)
    }
}
