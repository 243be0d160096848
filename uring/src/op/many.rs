//! Several buffers in one request: readv(2), writev(2), and recvmsg(2) and sendmsg(2) of a stream.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBufs, IoBufsMut, Operation, Pieces, SharedFd, opcode, squeue, types,
};

use super::drain::Sink;
use super::fill::Source;
use super::message::Header;
use super::progress::{Progress, ended, refused};
use super::{Goal, nothing, poll, position};
use crate::request::{Round, Rounds};

/// Fills several buffers, the first one first: the request behind [`recv_vectored`](crate::recv_vectored),
/// [`read_vectored_at`](crate::read_vectored_at) and others.
#[derive(Debug)]
pub struct FillMany<V> {
    fd: SharedFd,
    bufs: V,
    source: Source,
    progress: Progress,
    room: usize,
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
            progress: Progress::new(goal),
            room,
            pieces: Pieces::default(),
            header: Header::default(),
        }
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
        if self.progress.waits() {
            return poll(fd, libc::POLLIN);
        }
        self.pieces.to_fill(&mut self.bufs, self.progress.done());
        let (iovecs, count) = self.pieces.as_iovecs();
        if self.progress.wants_all() && count == 0 {
            return nothing();
        }
        match self.source {
            Source::Socket(flags) => {
                let header = self.header.of_pieces(iovecs, count);
                opcode::RecvMsg::new(fd, header)
                    .flags((flags | self.progress.flags()) as u32)
                    .build()
            }
            Source::Stream => opcode::Readv::new(fd, iovecs, count)
                .offset(position())
                .build(),
            Source::File(offset) => opcode::Readv::new(fd, iovecs, count)
                .offset(offset + self.progress.done() as u64)
                .build(),
        }
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let over = self.progress.note(
            completion.result,
            |done| {
                // SAFETY: the kernel wrote what this round brought behind the bytes of earlier rounds, in the order of the
                // buffers.
                unsafe { self.bufs.set_initialized(done) };
                self.room
            },
            ended,
        );
        match over {
            None => Round::Again(self),
            Some(result) => Round::Done((result, self.bufs)),
        }
    }
}

impl<V: IoBufsMut> Rounds for FillMany<V> {
    type Done = (io::Result<usize>, V);

    fn give_up(self) -> Self::Done {
        (self.progress.give_up(), self.bufs)
    }
}

/// Sends or writes several buffers, the first one first: the request behind [`send_vectored`](crate::send_vectored),
/// [`write_vectored_at`](crate::write_vectored_at) and others.
#[derive(Debug)]
pub struct DrainMany<V> {
    fd: SharedFd,
    bufs: V,
    sink: Sink,
    progress: Progress,
    pieces: Pieces,
    header: Header,
}

impl<V: IoBufs> DrainMany<V> {
    pub(crate) fn new(fd: &SharedFd, bufs: V, sink: Sink, goal: Goal) -> Self {
        Self {
            fd: fd.clone(),
            bufs,
            sink,
            progress: Progress::new(goal),
            pieces: Pieces::default(),
            header: Header::default(),
        }
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
        if self.progress.waits() {
            return poll(fd, libc::POLLOUT);
        }
        self.pieces.to_drain(&self.bufs, self.progress.done());
        let (iovecs, count) = self.pieces.as_iovecs();
        if self.progress.wants_all() && count == 0 {
            return nothing();
        }
        match self.sink {
            Sink::Socket(flags) | Sink::SocketWithoutCopy(flags) => {
                let header = self.header.of_pieces(iovecs, count);
                opcode::SendMsg::new(fd, header)
                    .flags((flags | self.progress.flags()) as u32)
                    .build()
            }
            Sink::Stream => opcode::Writev::new(fd, iovecs, count)
                .offset(position())
                .build(),
            Sink::File(offset) => opcode::Writev::new(fd, iovecs, count)
                .offset(offset + self.progress.done() as u64)
                .build(),
        }
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let over = self
            .progress
            .note(completion.result, |_| self.bufs.total(), refused);
        match over {
            None => Round::Again(self),
            Some(result) => Round::Done((result, self.bufs)),
        }
    }
}

impl<V: IoBufs> Rounds for DrainMany<V> {
    type Done = (io::Result<usize>, V);

    fn give_up(self) -> Self::Done {
        (self.progress.give_up(), self.bufs)
    }
}
