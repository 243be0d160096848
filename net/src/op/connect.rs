//! Connecting a stream socket.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};
use socket2::SockAddr;

/// Connects the socket to `address`, and ends when the connection stands or has failed.
#[derive(Debug)]
pub(crate) struct Connect {
    fd: SharedFd,
    address: SockAddr,
}

impl Connect {
    pub(crate) fn new(fd: SharedFd, address: SockAddr) -> Connect {
        Connect { fd, address }
    }
}

// SAFETY: the entry points into `self.address`, which lies in `self` and does not move between `entry` and
// `complete`; nothing here changes it. `self` holds the descriptor that the entry names.
unsafe impl Operation for Connect {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        opcode::Connect::new(fd, self.address.as_ptr().cast(), self.address.len()).build()
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.result.map(drop)
    }
}
