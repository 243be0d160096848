//! [`AlignedBuf`]: memory for reads and writes past the cache.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use super::{IoBuf, IoBufMut};

/// A buffer of fixed capacity whose first byte lies at a multiple of some power of two, as O_DIRECT wants it.
///
/// It has a length, as a `Vec<u8>` has: what was read, or is to be written. All of its memory is zeroed when it is
/// made, so the length can be set to anything up to the capacity.
///
/// ```
/// use ringway_fs::AlignedBuf;
///
/// let mut buf = AlignedBuf::new(8192, 4096);
/// buf.extend_from_slice(b"head");
/// buf.set_len(4096);
/// assert_eq!((&buf[..4], &buf[4..6]), (&b"head"[..], &[0, 0][..]));
/// assert_eq!(buf.as_ptr().addr() % 4096, 0);
/// ```
pub struct AlignedBuf {
    bytes: NonNull<u8>,
    layout: Layout,
    len: usize,
}

// SAFETY: the bytes belong to this value alone.
unsafe impl Send for AlignedBuf {}
// SAFETY: a shared reference gives no more than shared bytes.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// Room for `capacity` bytes at a multiple of `alignment`. It is empty.
    ///
    /// # Panics
    ///
    /// If `alignment` is not a power of two, or the capacity, rounded up to it, is more than `isize::MAX`.
    #[track_caller]
    pub fn new(capacity: usize, alignment: usize) -> Self {
        // No memory at all would have no address.
        let layout = Layout::from_size_align(capacity.max(1), alignment)
            .expect("the alignment is a power of two, and the capacity at most `isize::MAX`");
        // SAFETY: the layout has at least one byte.
        let bytes = unsafe { alloc_zeroed(layout) };
        let Some(bytes) = NonNull::new(bytes) else {
            handle_alloc_error(layout);
        };
        Self {
            bytes,
            layout,
            len: 0,
        }
    }

    /// How many bytes there is room for.
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// What the address is a multiple of.
    pub fn alignment(&self) -> usize {
        self.layout.align()
    }

    /// Makes it longer or shorter. What lay behind its end is what was there before, or zeros.
    ///
    /// # Panics
    ///
    /// If there is no room for so many bytes.
    #[track_caller]
    pub fn set_len(&mut self, len: usize) {
        assert!(
            len <= self.capacity(),
            "a length of {len} bytes in a buffer of {}",
            self.capacity()
        );
        self.len = len;
    }

    /// Makes it empty.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::create(&path).await?;
    /// let mut block = file.aligned_buf(4096);
    /// assert!(block.capacity() >= 4096);
    /// block.extend_from_slice(b"one use");
    /// block.clear();
    /// block.extend_from_slice(b"and another");
    /// assert_eq!(&block[..], b"and another");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Copies `bytes` behind its end.
    ///
    /// # Panics
    ///
    /// If there is no room for so many bytes.
    #[track_caller]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.set_len(start.saturating_add(bytes.len()));
        self[start..].copy_from_slice(bytes);
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` is at most the capacity, and all of it was zeroed when it was made.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the value is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}

// SAFETY: the bytes are on the heap, so they do not move with the value; all are initialised.
unsafe impl IoBuf for AlignedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn initialized(&self) -> usize {
        self.len
    }
}

// SAFETY: the same bytes, up to the capacity, which belong to this value alone.
unsafe impl IoBufMut for AlignedBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_ptr()
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    unsafe fn set_initialized(&mut self, count: usize) {
        self.set_len(count);
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and given back once.
        unsafe { dealloc(self.bytes.as_ptr(), self.layout) }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("alignment", &self.alignment())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: the layout's alignment is 1.
    #[test]
    fn memory_lies_where_it_was_asked_to() {
        for alignment in [1, 512, 4096, 1 << 16] {
            let buf = AlignedBuf::new(3, alignment);
            assert_eq!(buf.as_ptr().addr() % alignment, 0);
            assert_eq!(
                (buf.len(), buf.capacity(), buf.alignment()),
                (0, 3, alignment)
            );
        }
    }

    #[test]
    fn an_empty_capacity_is_allowed() {
        assert!(AlignedBuf::new(0, 4096).is_empty());
    }

    #[test]
    #[should_panic(expected = "a length of 5 bytes in a buffer of 4")]
    fn what_does_not_fit_is_refused() {
        AlignedBuf::new(4, 4096).extend_from_slice(b"12345");
    }
}
