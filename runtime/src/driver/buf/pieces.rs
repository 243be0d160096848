//! Where the bytes of several buffers are, as the kernel wants to be told.

use super::{IoBufs, IoBufsMut};

/// The most pieces that one call takes (`UIO_MAXIOV` of the kernel).
const PIECES_MAX: usize = 1024;

/// The most bytes that one call moves (`MAX_RW_COUNT` of the kernel): 2 GiB less a page.
pub const CALL_BYTES_MAX: usize = 0x7fff_f000;

/// An `iovec` that may be sent to other threads: a number until the kernel reads it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Piece {
    address: usize,
    len: usize,
}

const _: () = assert!(size_of::<Piece>() == size_of::<libc::iovec>());

impl Piece {
    /// So many bytes from `address` on.
    pub fn new(address: *const u8, len: usize) -> Self {
        Self {
            address: address.expose_provenance(),
            len,
        }
    }
}

/// What is left of several buffers behind their first bytes, as much as one call takes. Good for as long as the buffers
/// stay as they are.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Vec<Piece>,
    skip: usize,
    room: usize,
}

impl Pieces {
    /// The initialised bytes of `bufs` behind the first `done`.
    pub fn to_drain(&mut self, bufs: &impl IoBufs, done: usize) {
        self.begin(done);
        bufs.for_each(&mut |address, len| self.add(address, len));
    }

    /// The room of `bufs` behind the first `done` bytes.
    pub fn to_fill(&mut self, bufs: &mut impl IoBufsMut, done: usize) {
        self.begin(done);
        bufs.for_each_mut(&mut |address, len| self.add(address, len));
    }

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

    /// How many bytes they are together.
    pub fn total(&self) -> usize {
        CALL_BYTES_MAX - self.room
    }

    /// The list, on the heap, and how many there are.
    pub fn as_iovecs(&self) -> (*const libc::iovec, u32) {
        (self.pieces.as_ptr().cast(), self.pieces.len() as u32)
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
        pieces.to_drain(bufs, done);
        assert_eq!(pieces.total(), lens(&pieces).iter().sum::<usize>());
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
