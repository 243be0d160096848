//! Connecting a socket.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Home, Operation, SharedFd, opcode, squeue, types};

use super::ecanceled;
use crate::Address;
use crate::request::{Round, Rounds};

/// Connects a socket: the request behind [`connect`](crate::connect).
#[derive(Debug)]
pub struct Connect {
    fd: SharedFd,
    address: Address,
}

impl Connect {
    pub(crate) fn new(fd: &SharedFd, address: Address) -> Self {
        Self {
            fd: fd.clone(),
            address,
        }
    }
}

// SAFETY: the SQE points into `self.address`, which lies in self and which nothing changes. The descriptor is held by
// self.
unsafe impl Operation for Connect {
    type Output = Round<Self, io::Result<()>>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let address = self.address.as_kernel();
        let fd = types::Fd(self.fd.as_raw_fd());
        opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        // Not tried again after a signal: the attempt goes on in the kernel, and a second one is refused.
        Round::Done(completion.result.map(drop))
    }
}

impl Rounds for Connect {
    type Done = io::Result<()>;

    fn give_up(self) -> Self::Done {
        Err(ecanceled())
    }
}
