//! Taking bytes out of one buffer: send(2), write(2), pwrite(2), and sends without a copy.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBuf, Operation, SharedFd, opcode, squeue, types,
};

use super::progress::{Progress, refused};
use super::{Goal, call_len, nothing, poll, position};
use crate::request::{Round, Rounds};

/// Where the bytes go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sink {
    /// A socket, with `MSG_*` flags.
    Socket(i32),
    /// A socket that sends from the buffer's own pages, with `MSG_*` flags.
    SocketWithoutCopy(i32),
    /// A stream, or a file at its own position.
    Stream,
    /// A file at this offset.
    File(u64),
}

/// Sends or writes the initialised bytes of a buffer: the request behind [`send`](crate::send),
/// [`write()`](crate::write()) and others.
#[derive(Debug)]
pub struct Drain<B> {
    fd: SharedFd,
    buf: B,
    sink: Sink,
    progress: Progress,
}

impl<B: IoBuf> Drain<B> {
    pub(crate) fn new(fd: &SharedFd, buf: B, sink: Sink, goal: Goal) -> Self {
        Self {
            fd: fd.clone(),
            buf,
            sink,
            progress: Progress::new(goal),
        }
    }

    /// Whether this socket, or this kernel, has said that it cannot send without a copy. Then the next round sends with one.
    fn is_without_copy_refused(&mut self, completion: &Completion) -> bool {
        let (Sink::SocketWithoutCopy(flags), Err(error), false) =
            (self.sink, &completion.result, self.progress.waits())
        else {
            return false;
        };
        let is_refused = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP));
        if is_refused {
            self.sink = Sink::Socket(flags);
        }
        is_refused
    }
}

// SAFETY: the buffer is owned by self, its bytes do not move with it (IoBuf) and nobody writes them; what `entry` names
// lies behind the `done` ones and within those that are initialised. The descriptor is held by self. A send without a
// copy has two answers, of which the driver hands out the first when the second has come.
unsafe impl<B: IoBuf> Operation for Drain<B> {
    type Output = Round<Self, (io::Result<usize>, B)>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.progress.waits() {
            return poll(fd, libc::POLLOUT);
        }
        let (total, done) = (self.buf.initialized(), self.progress.done());
        if self.progress.wants_all() && total == done {
            return nothing();
        }
        let source = self.buf.stable_ptr().wrapping_add(done);
        let len = call_len(total - done);
        match self.sink {
            Sink::Socket(flags) => opcode::Send::new(fd, source, len)
                .flags(flags | self.progress.flags())
                .build(),
            Sink::SocketWithoutCopy(flags) => opcode::SendZc::new(fd, source, len)
                .flags(flags | self.progress.flags())
                .build(),
            Sink::Stream => opcode::Write::new(fd, source, len)
                .offset(position())
                .build(),
            Sink::File(offset) => opcode::Write::new(fd, source, len)
                .offset(offset + done as u64)
                .build(),
        }
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        if self.is_without_copy_refused(&completion) {
            return Round::Again(self);
        }
        let over = self
            .progress
            .note(completion.result, |_| self.buf.initialized(), refused);
        match over {
            None => Round::Again(self),
            Some(result) => Round::Done((result, self.buf)),
        }
    }
}

impl<B: IoBuf> Rounds for Drain<B> {
    type Done = (io::Result<usize>, B);

    fn give_up(self) -> Self::Done {
        (self.progress.give_up(), self.buf)
    }
}
