//! Requests that carry nothing but numbers: fsync, fallocate, fadvise, shutdown.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Home, Operation, SharedFd, opcode, squeue, types};

use super::{Verdict, ecanceled};
use crate::request::{Round, Rounds};

/// A request without memory: the one behind [`sync_all`](crate::sync_all), [`allocate`](crate::allocate) and others.
#[derive(Debug)]
pub struct Order {
    fd: SharedFd,
    what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    SyncAll,
    SyncData,
    Allocate { mode: i32, offset: u64, len: u64 },
    Advise { offset: u64, len: u32, advice: i32 },
    Shutdown(i32),
}

impl Order {
    pub(crate) fn new(fd: &SharedFd, what: What) -> Self {
        Self {
            fd: fd.clone(),
            what,
        }
    }
}

// SAFETY: the SQE has no pointer, and the descriptor is held by self.
unsafe impl Operation for Order {
    type Output = Round<Self, io::Result<()>>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        match self.what {
            What::SyncAll => opcode::Fsync::new(fd).build(),
            What::SyncData => opcode::Fsync::new(fd)
                .flags(types::FsyncFlags::DATASYNC)
                .build(),
            What::Allocate { mode, offset, len } => opcode::Fallocate::new(fd, len)
                .offset(offset)
                .mode(mode)
                .build(),
            What::Advise {
                offset,
                len,
                advice,
            } => opcode::Fadvise::new(fd, len.into(), advice)
                .offset(offset)
                .build(),
            What::Shutdown(how) => opcode::Shutdown::new(fd, how).build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        let verdict = match completion.result {
            Ok(_) => return Round::Done(Ok(())),
            Err(error) => Verdict::of_wait(Err(error)),
        };
        match verdict {
            Verdict::Again => Round::Again(self),
            Verdict::Cancelled => Round::Done(self.give_up()),
            Verdict::Failed(error) => Round::Done(Err(error)),
        }
    }
}

impl Rounds for Order {
    type Done = io::Result<()>;

    fn give_up(self) -> Self::Done {
        Err(ecanceled())
    }
}
