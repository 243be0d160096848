//! Taking bytes out of one buffer: send(2), write(2), pwrite(2), and sends without a copy.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBuf, Operation, SharedFd, opcode, squeue, types,
};

use super::{Goal, Verdict, call_len, cancelled, nothing, poll, position};
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
    goal: Goal,
    done: usize,
    /// The next round waits until the descriptor is writable: the kernel would not do so by itself.
    waits: bool,
}

impl<B: IoBuf> Drain<B> {
    pub(crate) fn new(fd: &SharedFd, buf: B, sink: Sink, goal: Goal) -> Self {
        Self {
            fd: fd.clone(),
            buf,
            sink,
            goal,
            done: 0,
            waits: false,
        }
    }

    fn end(self, result: io::Result<usize>) -> Round<Self, (io::Result<usize>, B)> {
        Round::Done((result, self.buf))
    }

    /// What an error means here: one that says that this socket, or this kernel, cannot send without a copy, has it
    /// sent with one.
    fn judge(&mut self, error: io::Error) -> Verdict {
        if let (Sink::SocketWithoutCopy(flags), Some(libc::EINVAL | libc::EOPNOTSUPP)) =
            (self.sink, error.raw_os_error())
        {
            self.sink = Sink::Socket(flags);
            return Verdict::Again;
        }
        Verdict::of(error, &mut self.waits)
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
        if self.waits {
            return poll(fd, libc::POLLOUT);
        }
        let (total, done) = (self.buf.initialized(), self.done);
        if self.goal.is_whole() && total == done {
            return nothing();
        }
        let source = self.buf.stable_ptr().wrapping_add(done);
        let len = call_len(total - done);
        match self.sink {
            Sink::Socket(flags) => opcode::Send::new(fd, source, len)
                .flags(flags | self.goal.flags())
                .build(),
            Sink::SocketWithoutCopy(flags) => opcode::SendZc::new(fd, source, len)
                .flags(flags | self.goal.flags())
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
        if std::mem::take(&mut self.waits) {
            return match Verdict::of_wait(completion.result) {
                Verdict::Again => Round::Again(self),
                Verdict::Cancelled => Round::Done(self.give_up()),
                Verdict::Failed(error) => self.end(Err(error)),
            };
        }
        let count = match completion.result {
            Ok(count) => count as usize,
            Err(error) => match self.judge(error) {
                Verdict::Again => return Round::Again(self),
                Verdict::Cancelled => return Round::Done(self.give_up()),
                Verdict::Failed(error) => return self.end(Err(error)),
            },
        };
        self.done += count;
        match (self.goal, self.done < self.buf.initialized()) {
            (Goal::Whole, true) if count == 0 => self.end(Err(refused())),
            (Goal::Whole, true) => Round::Again(self),
            (Goal::Some, _) | (Goal::Whole, false) => {
                let done = self.done;
                self.end(Ok(done))
            }
        }
    }
}

impl<B: IoBuf> Rounds for Drain<B> {
    type Done = (io::Result<usize>, B);

    fn give_up(self) -> Self::Done {
        (cancelled(self.done), self.buf)
    }
}

pub(super) fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer")
}
