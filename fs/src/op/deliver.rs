//! Writing bytes that were already reported as written.
//!
//! They must arrive, whether or not their file is still there to look after them:
//!
//! - if the file was dropped, the kernel may still answer with a short count, as it does for pipes; then the
//!   output, which nobody takes, submits the rest;
//! - if the runtime shuts down, the ring gives up what has not begun; then it is written on the spot. This
//!   may wait for a disk, but not for the reader of a pipe, who may never come.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use ringway_runtime::driver::{
    Completion, Op, Operation, SharedFd, is_shutdown, opcode, squeue, types,
};

use super::now::{self, Now, Prompt};
use super::{AT_POSITION, call_len};

/// Writes all bytes of a buffer, from `done` on.
#[derive(Debug)]
pub(crate) struct Deliver {
    fd: SharedFd,
    buf: Vec<u8>,
    done: usize,
    offset: u64,
}

impl Deliver {
    /// Writes `buf` at `offset`, or at the position with [`AT_POSITION`].
    pub(crate) fn new(fd: SharedFd, buf: Vec<u8>, offset: u64) -> Self {
        Self {
            fd,
            buf,
            done: 0,
            offset,
        }
    }

    /// Where the next byte goes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is to be done after the kernel has written `result`.
    fn after(mut self, result: io::Result<usize>) -> Delivery {
        match result {
            Ok(0) => Delivery::Failed(io::ErrorKind::WriteZero.into(), self.offset),
            Ok(count) => {
                self.done += count;
                if self.offset != AT_POSITION {
                    self.offset += count as u64;
                }
                if self.done < self.buf.len() {
                    Delivery::Rest(self)
                } else {
                    Delivery::Done(self.buf)
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Delivery::Rest(self),
            Err(error) => Delivery::Failed(error, self.offset),
        }
    }

    /// Writes everything on this thread, a thread of the blocking pool.
    pub(crate) fn run(self) -> Delivery {
        let mut next = self;
        loop {
            let result = match now::write_from(
                Prompt::plain(next.fd.as_fd()),
                &next.buf,
                next.done,
                next.offset,
            ) {
                Now::Done(result) => result,
                Now::Later => Err(io::ErrorKind::Interrupted.into()),
                Now::Never => Err(io::ErrorKind::Unsupported.into()),
            };
            match next.after(result) {
                Delivery::Rest(rest) => next = rest,
                end => return end,
            }
        }
    }

    /// Does without the ring.
    fn on_the_spot(&self) -> io::Result<usize> {
        let fd = self.fd.as_fd();
        if super::descriptor::is_seekable(fd) {
            return now::write_waiting(fd, &self.buf, self.done, self.offset);
        }
        match now::write_from(Prompt::asking(fd), &self.buf, self.done, self.offset) {
            Now::Done(result) => result,
            Now::Later | Now::Never => Err(ringway_runtime::driver::shutdown_error()),
        }
    }
}

// SAFETY: the buffer is on the heap, owned by self and not written by anybody; `done` is at most its length.
// The descriptor is held by self.
unsafe impl Operation for Deliver {
    type Output = Delivered;

    const ENDS_BY_ITSELF: bool = true;

    fn entry(&mut self) -> squeue::Entry {
        let bytes = &self.buf[self.done..];
        opcode::Write::new(
            types::Fd(self.fd.as_raw_fd()),
            bytes.as_ptr(),
            call_len(bytes.len()),
        )
        .offset(self.offset)
        .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        let result = match completion.result {
            Err(error) if was_given_up(&error) => self.on_the_spot(),
            result => result.map(|count| count as usize),
        };
        Delivered(self.after(result))
    }
}

/// Whether the kernel never began: a write that had begun answers with a count or with EINTR.
pub(super) fn was_given_up(error: &io::Error) -> bool {
    is_shutdown(error) || error.raw_os_error() == Some(libc::ECANCELED)
}

/// How far a delivery has come. The rest is submitted if nobody [takes](Self::take) it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Delivered(Delivery);

#[derive(Debug)]
pub(crate) enum Delivery {
    /// Everything is written; the buffer is free.
    Done(Vec<u8>),
    /// This is left to do.
    Rest(Deliver),
    /// What lies from this offset on (or [`AT_POSITION`]) is not written.
    Failed(io::Error, u64),
}

impl Delivered {
    pub(crate) fn take(mut self) -> Delivery {
        mem::replace(&mut self.0, Delivery::Done(Vec::new()))
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        if let Delivery::Rest(rest) = mem::replace(&mut self.0, Delivery::Done(Vec::new())) {
            Op::new(rest).detach();
        }
    }
}
