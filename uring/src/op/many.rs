//! Several buffers in one request: readv(2), writev(2), and recvmsg(2) and sendmsg(2) of a stream.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Completion, Home, IoBufs, IoBufsMut, Operation, SharedFd, opcode, squeue, types,
};

use super::drain::{Sink, refused};
use super::fill::{Source, ended};
use super::message::Header;
use super::{CALL_BYTES_MAX, Goal, Verdict, cancelled, nothing, poll, position};
use crate::request::{Round, Rounds};

/// The most pieces that one call takes (`UIO_MAXIOV` of the kernel).
const PIECES_MAX: usize = 1024;

/// An `iovec` that may be sent to other threads: a number until the kernel reads it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Piece {
    address: usize,
    len: usize,
}

const _: () = assert!(size_of::<Piece>() == size_of::<libc::iovec>());

impl Piece {
    pub(super) fn new(address: *const u8, len: usize) -> Self {
        Self {
            address: address.expose_provenance(),
            len,
        }
    }
}

/// The pieces of one round: what lies behind the first `done` bytes, as much as one call takes.
#[derive(Debug, Default)]
struct Pieces {
    pieces: Vec<Piece>,
    skip: usize,
    room: usize,
}

impl Pieces {
    fn begin(&mut self, done: usize) {
        self.pieces.clear();
        (self.skip, self.room) = (done, CALL_BYTES_MAX);
    }

    fn add(&mut self, address: *const u8, len: usize) {
        let skipped = self.skip.min(len);
        self.skip -= skipped;
        let len = (len - skipped).min(self.room);
        if len > 0 && self.pieces.len() < PIECES_MAX {
            self.room -= len;
            self.pieces
                .push(Piece::new(address.wrapping_add(skipped), len));
        }
    }

    fn as_iovecs(&mut self) -> (*const libc::iovec, u32) {
        (self.pieces.as_ptr().cast(), self.pieces.len() as u32)
    }
}

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
        self.pieces.begin(self.done);
        let pieces = &mut self.pieces;
        self.bufs
            .for_each_mut(&mut |address, len| pieces.add(address, len));
        let (iovecs, count) = pieces.as_iovecs();
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
        self.pieces.begin(self.done);
        let pieces = &mut self.pieces;
        self.bufs
            .for_each(&mut |address, len| pieces.add(address, len));
        let (iovecs, count) = pieces.as_iovecs();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lens(pieces: &Pieces) -> Vec<usize> {
        pieces.pieces.iter().map(|piece| piece.len).collect()
    }

    fn pieces_of(bufs: &impl IoBufs, done: usize) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.begin(done);
        bufs.for_each(&mut |address, len| pieces.add(address, len));
        pieces
    }

    #[test]
    fn a_round_goes_on_behind_what_is_done() {
        let bufs = vec![vec![0_u8; 3], vec![], vec![0; 4], vec![0; 5]];
        assert_eq!(lens(&pieces_of(&bufs, 0)), [3, 4, 5]);
        assert_eq!(lens(&pieces_of(&bufs, 3)), [4, 5]);
        let pieces = pieces_of(&bufs, 5);
        assert_eq!(lens(&pieces), [2, 5]);
        assert_eq!(
            pieces.pieces[0].address,
            bufs[2].as_ptr().wrapping_add(2).addr()
        );
        assert!(lens(&pieces_of(&bufs, 12)).is_empty());
    }

    /// Mutant: push every piece; sendmsg(2) then refuses the call with EMSGSIZE.
    #[test]
    fn a_round_takes_no_more_pieces_than_the_kernel() {
        let bufs = vec![vec![0_u8; 2]; PIECES_MAX + 10];
        assert_eq!(pieces_of(&bufs, 0).pieces.len(), PIECES_MAX);
        assert_eq!(pieces_of(&bufs, 2 * PIECES_MAX).pieces.len(), 10);
    }
}
