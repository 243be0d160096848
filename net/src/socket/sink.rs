//! Where received bytes go: the same few steps for every shape of buffer.

use std::io::{self, IoSliceMut};

use bytes::BufMut;
use ringway_runtime::driver::SharedFd;
use tokio::io::ReadBuf;

use crate::op::{self, Take};

/// A caller's buffer, to be filled from bytes at hand or from the kernel.
pub(crate) trait Sink {
    /// Whether filling it takes the bytes out of the stream.
    fn take(&self) -> Take {
        Take::Bytes
    }

    /// How many bytes the next [`store`](Sink::store) or [`receive`](Sink::receive) can store.
    fn room(&mut self) -> usize;

    /// Stores as many of `bytes` as there is room for, and says how many that were.
    fn store(&mut self, bytes: &[u8]) -> usize;

    /// Receives from the kernel what there is, without waiting.
    fn receive(&mut self, fd: &SharedFd) -> io::Result<usize>;
}

impl Sink for ReadBuf<'_> {
    fn room(&mut self) -> usize {
        self.remaining()
    }

    fn store(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.remaining());
        self.put_slice(&bytes[..count]);
        count
    }

    fn receive(&mut self, fd: &SharedFd) -> io::Result<usize> {
        op::recv_into(fd, self, Take::Bytes)
    }
}

/// A buffer for a look at bytes that stay in the stream.
#[derive(Debug)]
pub(crate) struct Peek<'a, 'b>(pub(crate) &'a mut ReadBuf<'b>);

impl Sink for Peek<'_, '_> {
    fn take(&self) -> Take {
        Take::Nothing
    }

    fn room(&mut self) -> usize {
        self.0.remaining()
    }

    fn store(&mut self, bytes: &[u8]) -> usize {
        self.0.store(bytes)
    }

    fn receive(&mut self, fd: &SharedFd) -> io::Result<usize> {
        op::recv_into(fd, self.0, Take::Nothing)
    }
}

/// Several slices, the first one first.
#[derive(Debug)]
pub(crate) struct Slices<'a, 'b>(pub(crate) &'a mut [IoSliceMut<'b>]);

impl Sink for Slices<'_, '_> {
    fn room(&mut self) -> usize {
        self.0.iter().map(|slice| slice.len()).sum()
    }

    fn store(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        for slice in self.0.iter_mut() {
            let (now, later) = rest.split_at(rest.len().min(slice.len()));
            slice[..now.len()].copy_from_slice(now);
            rest = later;
        }
        bytes.len() - rest.len()
    }

    fn receive(&mut self, fd: &SharedFd) -> io::Result<usize> {
        op::recv_vectored(fd, self.0)
    }
}

/// A growing buffer.
#[derive(Debug)]
pub(crate) struct Growing<'a, B>(pub(crate) &'a mut B);

impl<B: BufMut> Sink for Growing<'_, B> {
    fn room(&mut self) -> usize {
        self.0.chunk_mut().len()
    }

    fn store(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        self.0.put_slice(&bytes[..count]);
        count
    }

    fn receive(&mut self, fd: &SharedFd) -> io::Result<usize> {
        op::recv_buf_mut(fd, self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;

    use tokio::io::ReadBuf;

    use super::{Growing, Peek, Sink, Slices};

    #[test]
    fn slices_are_filled_one_after_the_other() {
        let (mut one, mut two, mut three) = ([0; 2], [0; 0], [0; 3]);
        let mut slices = [
            IoSliceMut::new(&mut one),
            IoSliceMut::new(&mut two),
            IoSliceMut::new(&mut three),
        ];
        let mut sink = Slices(&mut slices);
        assert_eq!(sink.room(), 5);
        assert_eq!(sink.store(b"abcd"), 4);
        assert_eq!((one, three), (*b"ab", *b"cd\0"));
    }

    #[test]
    fn a_full_buffer_takes_what_fits() {
        let mut memory = [0; 3];
        let mut buffer = ReadBuf::new(&mut memory);
        assert_eq!(Sink::store(&mut buffer, b"ab"), 2);
        assert_eq!(Peek(&mut buffer).store(b"cde"), 1);
        assert_eq!(buffer.filled(), b"abc");
        assert_eq!(buffer.room(), 0);
    }

    #[test]
    fn a_vector_takes_as_much_as_its_next_chunk() {
        let mut vector: Vec<u8> = Vec::with_capacity(4);
        let room = Growing(&mut vector).room();
        assert!(room >= 4);
        assert_eq!(Growing(&mut vector).store(b"abc"), 3);
        assert_eq!(vector, b"abc");
    }
}
