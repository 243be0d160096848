//! Filling one buffer: recv(2), read(2), pread(2).

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBufMut, Operation, SharedFd, opcode, squeue, types,
};

use super::{Goal, Verdict, call_len, cancelled, nothing, poll, position};
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
    goal: Goal,
    done: usize,
    /// The next round waits until the descriptor is readable: the kernel would not do so by itself.
    waits: bool,
}

impl<B: IoBufMut> Fill<B> {
    pub(crate) fn new(fd: &SharedFd, buf: B, source: Source, goal: Goal) -> Self {
        Self {
            fd: fd.clone(),
            buf,
            source,
            goal,
            done: 0,
            waits: false,
        }
    }

    fn end(self, result: io::Result<usize>) -> Round<Self, (io::Result<usize>, B)> {
        Round::Done((result, self.buf))
    }

    fn note(&mut self, count: usize) {
        self.done += count;
        // SAFETY: the kernel wrote `count` bytes behind the `done` ones that earlier rounds wrote, within the room
        // that `entry` gave it.
        unsafe { self.buf.set_initialized(self.done) };
    }

    fn has_room(&self) -> bool {
        self.done < self.buf.room()
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
        if self.waits {
            return poll(fd, libc::POLLIN);
        }
        let (room, done) = (self.buf.room(), self.done);
        if self.goal.is_whole() && room == done {
            return nothing();
        }
        let target = self.buf.stable_mut_ptr().wrapping_add(done);
        let len = call_len(room - done);
        match self.source {
            Source::Socket(flags) => opcode::Recv::new(fd, target, len)
                .flags(flags | self.goal.flags())
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
        if std::mem::take(&mut self.waits) {
            return match Verdict::of_wait(completion.result) {
                Verdict::Again => Round::Again(self),
                Verdict::Cancelled => Round::Done(self.give_up()),
                Verdict::Failed(error) => self.end(Err(error)),
            };
        }
        let count = match completion.result {
            Ok(count) => count as usize,
            Err(error) => match Verdict::of(error, &mut self.waits) {
                Verdict::Again => return Round::Again(self),
                Verdict::Cancelled => return Round::Done(self.give_up()),
                Verdict::Failed(error) => return self.end(Err(error)),
            },
        };
        self.note(count);
        match (self.goal, self.has_room()) {
            (Goal::Whole, true) if count == 0 => self.end(Err(ended())),
            (Goal::Whole, true) => Round::Again(self),
            (Goal::Some, _) | (Goal::Whole, false) => {
                let done = self.done;
                self.end(Ok(done))
            }
        }
    }
}

impl<B: IoBufMut> Rounds for Fill<B> {
    type Done = (io::Result<usize>, B);

    fn give_up(self) -> Self::Done {
        (cancelled(self.done), self.buf)
    }
}

pub(super) fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer")
}
