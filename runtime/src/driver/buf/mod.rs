//! Buffers that the kernel may work with while nobody else does.
//!
//! An operation by completion owns its buffer until the kernel has answered, so a buffer is handed over and
//! comes back with the result. These traits say what a type must promise for that. Nothing here knows a ring.

mod pieces;
mod slice;
mod vectored;

use std::ops::RangeBounds;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub use pieces::{CALL_BYTES_MAX, Piece, Pieces};
pub use slice::Slice;
pub use vectored::{IoBufs, IoBufsMut};

/// A buffer whose bytes the kernel may read: what an operation that writes or sends takes.
///
/// # Safety
///
/// - `stable_ptr` points to `initialized` readable, initialised bytes;
/// - the bytes stay where they are, and what they are, when the buffer is **moved**: they lie on the heap or
///   in a static, never in the value itself (an array does not qualify);
/// - neither function changes anything, and both give the same answer until the buffer is next borrowed mutably.
pub unsafe trait IoBuf: Send + 'static {
    /// The address of the first byte.
    fn stable_ptr(&self) -> *const u8;

    /// How many bytes, from the first on, are initialised: as many as a write takes.
    fn initialized(&self) -> usize;

    /// A part of the initialised bytes as a buffer of its own, which owns the whole.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the initialised bytes.
    #[track_caller]
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        let end = self.initialized();
        Slice::new(self, range, end)
    }
}

/// A buffer that the kernel may fill: what an operation that reads or receives takes.
///
/// # Safety
///
/// As for [`IoBuf`], and:
///
/// - `stable_mut_ptr` points to `room` writable bytes, of which the first `initialized` are initialised;
/// - nobody else can reach these bytes as long as the buffer is owned.
pub unsafe trait IoBufMut: IoBuf {
    /// The address of the first byte, for writing.
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// How many bytes can be written from the first on: the *capacity*, not the length, of a `Vec<u8>`.
    fn room(&self) -> usize;

    /// Tells the buffer that its first `count` bytes are the ones read: a `Vec<u8>` sets its length.
    ///
    /// # Safety
    ///
    /// - `count` is at most `room`;
    /// - the first `count` bytes are initialised.
    unsafe fn set_initialized(&mut self, count: usize);

    /// A part of the room as a buffer of its own, which owns the whole: of a `Vec<u8>`, `slice_mut(vec.len()..)`
    /// is what can be filled behind its present bytes.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the room, or begins behind the last initialised byte.
    #[track_caller]
    fn slice_mut(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        let end = self.room();
        Slice::new(self, range, end)
    }
}

macro_rules! io_buf {
    ($($type:ty => $why:literal),+ $(,)?) => {$(
        #[doc = concat!("The bytes are ", $why, ".")]
        // SAFETY: the bytes are where the documentation line says, so moving the value does not move them,
        // and as_ptr and len describe exactly them.
        unsafe impl IoBuf for $type {
            fn stable_ptr(&self) -> *const u8 {
                self.as_ptr()
            }

            fn initialized(&self) -> usize {
                self.len()
            }
        }
    )+};
}

io_buf! {
    Vec<u8> => "on the heap",
    Box<[u8]> => "on the heap",
    String => "on the heap",
    Arc<[u8]> => "on the heap, shared and therefore never written",
    Bytes => "on the heap or static, shared and therefore never written",
    BytesMut => "on the heap",
    &'static [u8] => "static",
    &'static str => "static",
}

macro_rules! io_buf_mut_growing {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: the capacity lies on the heap, belongs to this value alone, and starts with the
        // initialised bytes.
        unsafe impl IoBufMut for $type {
            fn stable_mut_ptr(&mut self) -> *mut u8 {
                self.as_mut_ptr()
            }

            fn room(&self) -> usize {
                self.capacity()
            }

            unsafe fn set_initialized(&mut self, count: usize) {
                debug_assert!(count <= self.capacity());
                // SAFETY: the caller says that `count` bytes fit and are initialised.
                unsafe { self.set_len(count) }
            }
        }
    )+};
}

io_buf_mut_growing!(Vec<u8>, BytesMut);

// SAFETY: the bytes of a boxed slice lie on the heap, belong to it alone, and are all initialised.
unsafe impl IoBufMut for Box<[u8]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn room(&self) -> usize {
        self.len()
    }

    unsafe fn set_initialized(&mut self, count: usize) {
        debug_assert!(count <= self.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vec_offers_its_capacity_and_takes_a_length() {
        let mut vec = Vec::with_capacity(8);
        vec.extend_from_slice(b"abc");
        assert_eq!((vec.initialized(), vec.room()), (3, 8));
        // SAFETY: two of three initialised bytes.
        unsafe { vec.set_initialized(2) };
        assert_eq!(vec, b"ab");
    }

    #[test]
    fn bytes_offer_their_capacity_and_take_a_length() {
        let mut bytes = BytesMut::with_capacity(64);
        bytes.extend_from_slice(b"abc");
        assert_eq!(bytes.initialized(), 3);
        assert!(bytes.room() >= 64);
        assert_eq!(bytes.stable_mut_ptr().cast_const(), bytes.stable_ptr());
        // SAFETY: two of three initialised bytes.
        unsafe { bytes.set_initialized(2) };
        assert_eq!(&bytes[..], b"ab");
    }

    #[test]
    fn a_boxed_slice_offers_its_length_and_keeps_it() {
        let mut slice: Box<[u8]> = Box::from(*b"abc");
        assert_eq!((slice.initialized(), slice.room()), (3, 3));
        // SAFETY: all bytes of a boxed slice are initialised.
        unsafe { slice.set_initialized(1) };
        assert_eq!(&*slice, b"abc");
    }

    #[test]
    fn a_moved_buffer_keeps_its_address() {
        fn moved<B: IoBuf>(buf: B) {
            let before = buf.stable_ptr();
            let buf = Box::new(buf);
            assert_eq!(before, buf.stable_ptr());
        }
        moved(b"abc".to_vec());
        moved(Box::<[u8]>::from(*b"abc"));
        moved(Bytes::from_static(b"abc"));
        moved(Bytes::from(b"abc".to_vec()));
        moved(BytesMut::from(&b"abc"[..]));
        moved(String::from("abc"));
        moved(Arc::<[u8]>::from(*b"abc"));
        moved("abc");
    }
}
