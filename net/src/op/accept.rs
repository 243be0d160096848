//! Accepting one connection after the other by one request.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use ringway_runtime::driver::{
    Answers, Completion, Home, Operation, QUEUED_ANSWERS_MAX, SharedFd, opcode, squeue, types,
};

use crate::socket::Stash;

/// Every connection is close-on-exec, and non-blocking as the runtime's sockets are.
pub const ACCEPT_FLAGS: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

/// A connection that goes to its listener's stash if nobody takes it.
#[derive(Debug)]
pub struct Parcel {
    connection: Option<OwnedFd>,
    stash: Stash,
}

impl Parcel {
    /// None yet.
    pub fn empty(stash: Stash) -> Parcel {
        Parcel {
            connection: None,
            stash,
        }
    }

    /// Takes over the connection that an accept has answered with.
    ///
    /// # Safety
    ///
    /// `connection` is the descriptor that the kernel has made for the operation that calls this, with its answer, and
    /// nobody else has been told of it.
    pub unsafe fn fill(&mut self, connection: RawFd) {
        // SAFETY: the caller says that the descriptor is open, and that nobody else knows its number.
        self.connection = Some(unsafe { OwnedFd::from_raw_fd(connection) });
    }

    /// The connection, once.
    pub fn take(&mut self) -> Option<OwnedFd> {
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

/// Accepts connections until the kernel ends it. Its outputs are parcels, which see to connections that nobody takes.
#[derive(Debug)]
pub(crate) struct AcceptMany {
    fd: SharedFd,
    stash: Stash,
}

impl AcceptMany {
    pub(crate) fn new(fd: &SharedFd, stash: Stash) -> AcceptMany {
        AcceptMany {
            fd: fd.clone(),
            stash,
        }
    }

    fn parcel(&self, completion: Completion) -> io::Result<Parcel> {
        let connection = completion.result?;
        let mut parcel = Parcel::empty(self.stash.clone());
        // SAFETY: an accept's answer is the descriptor of the new connection, which each answer has its own of.
        unsafe { parcel.fill(connection as RawFd) };
        Ok(parcel)
    }
}

// SAFETY: the SQE has no pointer, for nobody wants the address, and the descriptor is held by self.
unsafe impl Operation for AcceptMany {
    type Output = io::Result<Parcel>;

    const ANSWERS: Answers<AcceptMany> = Answers::Queue {
        item: AcceptMany::parcel,
        limit: QUEUED_ANSWERS_MAX,
    };

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        opcode::AcceptMulti::new(types::Fd(self.fd.as_raw_fd()))
            .flags(ACCEPT_FLAGS)
            .build()
    }

    fn complete(self, completion: Completion) -> io::Result<Parcel> {
        self.parcel(completion)
    }
}
