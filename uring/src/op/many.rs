//! Several buffers in one request: readv(2), writev(2), and recvmsg(2) and sendmsg(2) of a stream.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBufs, IoBufsMut, Operation, Pieces, SharedFd, opcode, squeue, types,
};

use super::drain::{Sink, refused};
use super::fill::{Source, ended};
use super::message::Header;
use super::{Goal, Verdict, cancelled, nothing, poll, position};
use crate::request::{Round, Rounds};

/// Fills several buffers, the first one first: the request behind [`recv_vectored`](crate::recv_vectored),
/// [`read_vectored_at`](crate::read_vectored_at) and others.
#[derive(Debug)]
pub struct FillMany<V> {
    fd: SharedFd,
    bufs: V,
    source: Source,
    goal: Goal,
    room: usize,
    done: usize,
    waits: bool,
    pieces: Pieces,
    header: Header,
}

impl<V: IoBufsMut> FillMany<V> {
    pub(crate) fn new(fd: &SharedFd, mut bufs: V, source: Source, goal: Goal) -> Self {
        let mut room = 0;
        bufs.for_each_mut(&mut |_, len| room += len);
        Self {
            fd: fd.clone(),
            bufs,
            source,
            goal,
            room,
            done: 0,
            waits: false,
            pieces: Pieces::default(),
            header: Header::default(),
        }
    }

    fn end(self, result: io::Result<usize>) -> Round<Self, (io::Result<usize>, V)> {
        Round::Done((result, self.bufs))
    }
}

// SAFETY: the buffers are owned by self, and their bytes do not move with it (IoBufsMut); each piece lies within the
// room of one, behind the `done` bytes. Pieces are on the heap, the header is in self. The descriptor is held by self.
unsafe impl<V: IoBufsMut> Operation for FillMany<V> {
    type Output = Round<Self, (io::Result<usize>, V)>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.waits {
            return poll(fd, libc::POLLIN);
        }
        self.pieces.to_fill(&mut self.bufs, self.done);
        let (iovecs, count) = self.pieces.as_iovecs();
        if self.goal.is_whole() && count == 0 {
            return nothing();
        }
        match self.source {
            Source::Socket(flags) => {
                let header = self.header.of_pieces(iovecs, count);
                opcode::RecvMsg::new(fd, header)
                    .flags((flags | self.goal.flags()) as u32)
                    .build()
            }
            Source::Stream => opcode::Readv::new(fd, iovecs, count)
                .offset(position())
                .build(),
            Source::File(offset) => opcode::Readv::new(fd, iovecs, count)
                .offset(offset + self.done as u64)
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
        self.done += count;
        let done = self.done;
        // SAFETY: the kernel wrote `count` bytes behind those that earlier rounds wrote, in the order of the buffers.
        unsafe { self.bufs.set_initialized(done) };
        match (self.goal, done < self.room) {
            (Goal::Whole, true) if count == 0 => self.end(Err(ended())),
            (Goal::Whole, true) => Round::Again(self),
            (Goal::Some, _) | (Goal::Whole, false) => self.end(Ok(done)),
        }
    }
}

impl<V: IoBufsMut> Rounds for FillMany<V> {
    type Done = (io::Result<usize>, V);

    fn give_up(self) -> Self::Done {
        (cancelled(self.done), self.bufs)
    }
}

/// Sends or writes several buffers, the first one first: the request behind [`send_vectored`](crate::send_vectored),
/// [`write_vectored_at`](crate::write_vectored_at) and others.
#[derive(Debug)]
pub struct DrainMany<V> {
    fd: SharedFd,
    bufs: V,
    sink: Sink,
    goal: Goal,
    done: usize,
    waits: bool,
    pieces: Pieces,
    header: Header,
}

impl<V: IoBufs> DrainMany<V> {
    pub(crate) fn new(fd: &SharedFd, bufs: V, sink: Sink, goal: Goal) -> Self {
        Self {
            fd: fd.clone(),
            bufs,
            sink,
            goal,
            done: 0,
            waits: false,
            pieces: Pieces::default(),
            header: Header::default(),
        }
    }

    fn end(self, result: io::Result<usize>) -> Round<Self, (io::Result<usize>, V)> {
        Round::Done((result, self.bufs))
    }
}

// SAFETY: the buffers are owned by self, their bytes do not move with it (IoBufs) and nobody writes them; each piece
// lies within one. Pieces are on the heap, the header is in self. The descriptor is held by self.
unsafe impl<V: IoBufs> Operation for DrainMany<V> {
    type Output = Round<Self, (io::Result<usize>, V)>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        if self.waits {
            return poll(fd, libc::POLLOUT);
        }
        self.pieces.to_drain(&self.bufs, self.done);
        let (iovecs, count) = self.pieces.as_iovecs();
        if self.goal.is_whole() && count == 0 {
            return nothing();
        }
        match self.sink {
            Sink::Socket(flags) | Sink::SocketWithoutCopy(flags) => {
                let header = self.header.of_pieces(iovecs, count);
                opcode::SendMsg::new(fd, header)
                    .flags((flags | self.goal.flags()) as u32)
                    .build()
            }
            Sink::Stream => opcode::Writev::new(fd, iovecs, count)
                .offset(position())
                .build(),
            Sink::File(offset) => opcode::Writev::new(fd, iovecs, count)
                .offset(offset + self.done as u64)
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
        self.done += count;
        let done = self.done;
        match (self.goal, done < self.bufs.total()) {
            (Goal::Whole, true) if count == 0 => self.end(Err(refused())),
            (Goal::Whole, true) => Round::Again(self),
            (Goal::Some, _) | (Goal::Whole, false) => self.end(Ok(done)),
        }
    }
}

impl<V: IoBufs> Rounds for DrainMany<V> {
    type Done = (io::Result<usize>, V);

    fn give_up(self) -> Self::Done {
        (cancelled(self.done), self.bufs)
    }
}
