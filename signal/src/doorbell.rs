//! The eventfd that a signal handler writes to, and the operation that waits for it.
//!
//! It says only that something happened, never what: whoever finds it rung looks at the counts. All
//! listeners of a kind share it, in whichever runtime they are.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

/// What a handler rings: a [`Doorbell`], or a model's.
pub(crate) trait Ring {
    /// Rings. Async-signal-safe.
    fn ring(&self);

    /// Makes it silent again, and says whether it had been rung.
    fn drain(&self) -> bool;
}

/// An eventfd, non-blocking and closed on exec.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// For the operations: each of them keeps the descriptor open.
    watched: SharedFd,
    /// The same eventfd under a descriptor of its own, for write(2) and read(2).
    file: File,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd(2) takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just returned this descriptor, so it is open and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            file: File::from(fd.try_clone()?),
            watched: SharedFd::from(fd),
        })
    }

    /// What operations watch.
    pub(crate) fn fd(&self) -> &SharedFd {
        &self.watched
    }

    /// An operation that completes when the bell is rung, or at once if it has been.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.watched.clone())
    }
}

impl Ring for Doorbell {
    /// One write(2), and an error of it is neither allocated nor shown. The only one that can occur, EAGAIN, says
    /// that the bell has been rung 2^64 - 2 times already.
    fn ring(&self) {
        let _ = (&self.file).write(&1_u64.to_ne_bytes());
    }

    fn drain(&self) -> bool {
        (&self.file).read(&mut [0; 8]).is_ok()
    }
}

/// A poll operation on the eventfd. It is level-triggered: what was rung before it is not missed.
#[derive(Debug)]
pub(crate) struct Watch(SharedFd);

// SAFETY: the SQE names no memory, and the descriptor in it stays open because `self` holds it.
unsafe impl Operation for Watch {
    type Output = io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(types::Fd(self.0.as_raw_fd()), libc::POLLIN as u32).build()
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.result.map(drop)
    }
}
