//! The operation that waits for a descriptor to be readable, and what tokio's face has as an unsafe function.

mod pre_exec;

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Home, Operation, SharedFd, opcode, squeue, types};
use rustix::event::PollFlags;

/// Who is told when a descriptor is readable.
pub(crate) trait Told: Send + 'static {
    type Output: Send;

    /// It is readable; or the wait has failed, as when its runtime has ended. May call the driver.
    fn told(self, result: io::Result<()>) -> Self::Output;
}

/// Waits for a descriptor to be readable, takes nothing from it, and tells `who`.
#[derive(Debug)]
pub(crate) struct Watch<T> {
    fd: SharedFd,
    home: Option<Home>,
    who: T,
}

impl<T: Told> Watch<T> {
    /// `home` is where it belongs if it is submitted outside of runtimes.
    pub(crate) fn new(fd: SharedFd, home: Option<Home>, who: T) -> Self {
        Self { fd, home, who }
    }
}

// SAFETY: the entry points to no memory, and `self` holds the descriptor that it names.
unsafe impl<T: Told> Operation for Watch<T> {
    type Output = T::Output;

    fn home(&self) -> Option<Home> {
        self.home
    }

    fn entry(&mut self) -> squeue::Entry {
        let events = u32::from(PollFlags::IN.bits());
        opcode::PollAdd::new(types::Fd(self.fd.as_raw_fd()), events).build()
    }

    fn complete(self, completion: Completion) -> T::Output {
        self.who.told(completion.result.map(drop))
    }
}

/// The future of who asked for it is told.
#[derive(Debug)]
pub(crate) struct Asker;

impl Told for Asker {
    type Output = io::Result<()>;

    fn told(self, result: io::Result<()>) -> io::Result<()> {
        result
    }
}
