//! What a connection has received and not yet used.

use std::ops::Range;

use crate::limits::INPUT_BYTES_INITIAL;

/// A buffer that is read from the front and filled at the back. It grows when a head
/// does not fit, up to its bound.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// The part of `bytes` that was received and not yet consumed.
    filled: Range<usize>,
    /// What `bytes` may grow to.
    bytes_max: usize,
}

impl Input {
    pub(crate) fn new(bytes_max: usize) -> Input {
        Input {
            bytes: vec![0; INPUT_BYTES_INITIAL.min(bytes_max)],
            filled: 0..0,
            bytes_max,
        }
    }

    pub(crate) fn received(&self) -> &[u8] {
        &self.bytes[self.filled.clone()]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        assert!(
            count <= self.filled.len(),
            "consumes no more than was received"
        );
        self.filled.start += count;
        if self.filled.is_empty() {
            self.filled = 0..0;
        }
    }

    /// Room to receive into. It is empty only when as many bytes wait as may.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.filled.end == self.bytes.len() {
            self.make_room();
        }
        &mut self.bytes[self.filled.end..]
    }

    /// Takes note that `count` bytes were put into [`room`](Self::room).
    pub(crate) fn add(&mut self, count: usize) {
        self.filled.end += count;
        assert!(
            self.filled.end <= self.bytes.len(),
            "adds no more than there was room for"
        );
    }

    fn make_room(&mut self) {
        if self.filled.start > 0 {
            self.bytes.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        } else if self.bytes.len() < self.bytes_max {
            let doubled = (self.bytes.len() * 2).min(self.bytes_max);
            self.bytes.resize(doubled, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(input: &mut Input, bytes: &[u8]) -> usize {
        let room = input.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        input.add(count);
        count
    }

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_the_pieces() {
        let stream: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        for piece in [1, 7, 1_000, 5_000] {
            let (mut input, mut sent, mut taken) = (Input::new(16 * 1024), 0, 0);
            while taken < stream.len() {
                sent += receive(&mut input, &stream[sent..(sent + piece).min(stream.len())]);
                let count = input.received().len().min(piece / 2 + 1);
                assert_eq!(input.received()[..count], stream[taken..taken + count]);
                input.consume(count);
                taken += count;
            }
            assert!(input.is_empty());
        }
    }

    #[test]
    fn it_grows_to_its_bound_and_no_further() {
        for bytes_max in [100, INPUT_BYTES_INITIAL, 5_000, 16 * 1024] {
            grows_to(bytes_max);
        }
    }

    fn grows_to(bytes_max: usize) {
        let mut input = Input::new(bytes_max);
        let mut total = 0;
        loop {
            let count = receive(&mut input, &[b'a'; 100_000]);
            if count == 0 {
                break;
            }
            total += count;
        }
        assert_eq!(total, bytes_max);
        input.consume(1);
        assert_eq!(receive(&mut input, b"bc"), 1);
        assert_eq!(input.received().len(), bytes_max);
    }
}
