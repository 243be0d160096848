//! Filling one buffer: recv(2), read(2), pread(2).

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBufMut, Operation, SharedFd, opcode, squeue, types,
};

use super::progress::{Progress, ended};
use super::{Goal, call_len, nothing, poll, position};
use crate::request::{Round, Rounds};

/// Where the bytes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// A socket, with `MSG_*` flags.
    Socket(i32),
    /// A stream, or a file at its own position.
    Stream,
    /// A file at this offset.
    File(u64),
}

/// Fills a buffer from its first byte on: the request behind [`recv`](crate::recv), [`read`](crate::read) and others.
#[derive(Debug)]
pub struct Fill<B> {
    fd: SharedFd,
    buf: B,
    source: Source,
    progress: Progress,
}

impl<B: IoBufMut> Fill<B> {
    pub(crate) fn new(fd: &SharedFd, buf: B, source: Source, goal: Goal) -> Self {
        Self {
            fd: fd.clone(),
            buf,
            source,
            progress: Progress::new(goal),
        }
    }
}

// SAFETY: the buffer is owned by self, and its bytes do not move with it (IoBufMut); what `entry` names lies within its
// room, of which `done` bytes are in use. The descriptor is held by self.
unsafe impl<B: IoBufMut> Operation for Fill<B> {
    type Output = Round<Self, (io::Result<usize>, B)>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.progress.waits() {
            return poll(fd, libc::POLLIN);
        }
        let (room, done) = (self.buf.room(), self.progress.done());
        if self.progress.wants_all() && room == done {
            return nothing();
        }
        let target = self.buf.stable_mut_ptr().wrapping_add(done);
        let len = call_len(room - done);
        match self.source {
            Source::Socket(flags) => opcode::Recv::new(fd, target, len)
                .flags(flags | self.progress.flags())
                .build(),
            Source::Stream => opcode::Read::new(fd, target, len)
                .offset(position())
                .build(),
            Source::File(offset) => opcode::Read::new(fd, target, len)
                .offset(offset + done as u64)
                .build(),
        }
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let over = self.progress.note(
            completion.result,
            |done| {
                // SAFETY: the kernel wrote what this round brought behind the bytes of earlier rounds, within the room that
                // `entry` gave it.
                unsafe { self.buf.set_initialized(done) };
                self.buf.room()
            },
            ended,
        );
        match over {
            None => Round::Again(self),
            Some(result) => Round::Done((result, self.buf)),
        }
    }
}

impl<B: IoBufMut> Rounds for Fill<B> {
    type Done = (io::Result<usize>, B);

    fn give_up(self) -> Self::Done {
        (self.progress.give_up(), self.buf)
    }
}
