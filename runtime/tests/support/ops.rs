//! Operations for the driver, each with all the memory that it names.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use ringway_runtime::driver::{
    Answers, Completion, Many, Operation, SharedFd, Tell, opcode, squeue, types,
};

/// Does nothing, and is done as soon as it is submitted.
#[derive(Debug)]
pub(crate) struct Nop;

// SAFETY: the request names no memory and no descriptor.
unsafe impl Operation for Nop {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Nop::new().build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

/// Waits until there is something to read.
#[derive(Debug)]
pub(crate) struct PollIn(pub(crate) SharedFd);

// SAFETY: the request names no memory, and holds its descriptor.
unsafe impl Operation for PollIn {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(types::Fd(self.0.as_raw_fd()), libc::POLLIN as u32).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

/// Reads into memory of its own.
#[derive(Debug)]
pub(crate) struct Read {
    fd: SharedFd,
    buffer: Vec<u8>,
}

impl Read {
    pub(crate) fn new(fd: SharedFd, bytes: usize) -> Self {
        Self {
            fd,
            buffer: vec![0; bytes],
        }
    }
}

// SAFETY: the buffer lies on the heap and is not touched before `complete`; the descriptor is held.
unsafe impl Operation for Read {
    type Output = io::Result<Vec<u8>>;

    fn entry(&mut self) -> squeue::Entry {
        let len = self.buffer.len() as u32;
        opcode::Read::new(
            types::Fd(self.fd.as_raw_fd()),
            self.buffer.as_mut_ptr(),
            len,
        )
        .build()
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        self.buffer.truncate(completion.result? as usize);
        Ok(self.buffer)
    }
}

/// A pipe: the end to read from and the end to write to.
pub(crate) fn pipe() -> (SharedFd, std::fs::File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just made and nobody else has it.
    let read = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let write = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    (SharedFd::from(read), std::fs::File::from(write))
}

/// Tells what it may read for, again and again.
struct PollManyIn {
    fd: SharedFd,
    teller: Arc<dyn Tell>,
}

/// What was told and not taken, and who waits for more.
#[derive(Default)]
struct Heard(Mutex<(u32, Option<Waker>)>);

impl Tell for Heard {
    fn tell(self: Arc<Self>, mask: u32) {
        let mut heard = self.0.lock().expect("no panic");
        heard.0 |= mask;
        let waker = heard.1.take();
        drop(heard);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A poll that stays in the ring, and what it has told.
pub(crate) struct Readiness {
    poll: Many<PollManyIn>,
    heard: Arc<Heard>,
}

impl Readiness {
    pub(crate) fn of(fd: SharedFd) -> Self {
        let heard = Arc::<Heard>::default();
        let teller = heard.clone();
        let poll = Many::new(PollManyIn { fd, teller });
        Self { poll, heard }
    }

    /// What it has told since, or its end; `None` after that.
    pub(crate) async fn next(&mut self) -> Option<io::Result<u32>> {
        poll_fn(|cx| {
            let mut heard = self.heard.0.lock().expect("no panic");
            if heard.0 != 0 {
                return Poll::Ready(Some(Ok(std::mem::take(&mut heard.0))));
            }
            heard.1 = Some(cx.waker().clone());
            drop(heard);
            self.poll.poll_next(cx)
        })
        .await
    }
}

// SAFETY: the request names no memory, and holds its descriptor.
unsafe impl Operation for PollManyIn {
    type Output = io::Result<u32>;

    const ANSWERS: Answers<Self> = Answers::Told(|poll| &poll.teller);

    fn entry(&mut self) -> squeue::Entry {
        opcode::PollAdd::new(types::Fd(self.fd.as_raw_fd()), libc::POLLIN as u32)
            .multi(true)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result
    }
}

/// Accepts connections, again and again.
#[derive(Debug)]
pub(crate) struct AcceptMany(pub(crate) SharedFd);

/// Connections that wait in an [`AcceptMany`].
pub(crate) const ACCEPTED_MAX: u32 = 8;

// SAFETY: the request names no memory, and holds its descriptor.
unsafe impl Operation for AcceptMany {
    type Output = io::Result<OwnedFd>;

    const ANSWERS: Answers<Self> = Answers::Queue {
        item: |_, completion| adopt(completion),
        limit: ACCEPTED_MAX,
    };

    fn entry(&mut self) -> squeue::Entry {
        opcode::AcceptMulti::new(types::Fd(self.0.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        adopt(completion)
    }
}

fn adopt(completion: Completion) -> io::Result<OwnedFd> {
    let fd = completion.result? as i32;
    // SAFETY: the kernel has just made the descriptor for this answer, and an answer is taken once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
