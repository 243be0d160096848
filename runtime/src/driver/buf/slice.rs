//! A part of a buffer.

use std::ops::{Bound, Deref, DerefMut, RangeBounds};

use super::{IoBuf, IoBufMut};

/// A part of an owned buffer, which is a buffer itself: [`IoBuf::slice`], [`IoBufMut::slice_mut`].
///
/// It lends its initialised bytes as a `[u8]`. What is read into it lands in the part and nowhere else; the bytes
/// beyond the part stay what they were, and the whole grows if the part reached behind its end.
///
/// ```
/// use ringway_runtime::driver::{IoBuf, IoBufMut};
///
/// let part = b"hello world".to_vec().slice(6..);
/// assert_eq!(&part[..], b"world");
/// assert_eq!(part.into_inner(), b"hello world");
///
/// // Room behind the present bytes.
/// let mut vec = Vec::with_capacity(16);
/// vec.extend_from_slice(b"head");
/// let part = vec.slice_mut(4..16);
/// assert_eq!((part.initialized(), part.room()), (0, 12));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<B> {
    whole: B,
    start: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    /// `limit` is where the part ends if `range` does not say so, and at the latest.
    #[track_caller]
    pub(super) fn new(whole: B, range: impl RangeBounds<usize>, limit: usize) -> Self {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => limit,
        };
        let initialized = whole.initialized();
        assert!(
            start <= end && end <= limit,
            "range {start}..{end} out of range for a buffer of {limit} bytes"
        );
        assert!(
            start <= initialized,
            "a part that begins at {start} leaves a gap behind {initialized} initialised bytes"
        );
        Self { whole, start, end }
    }

    /// Where the part begins in the whole.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where the part ends in the whole: behind its last byte of room.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The whole buffer.
    pub fn get_ref(&self) -> &B {
        &self.whole
    }

    /// The whole buffer back.
    pub fn into_inner(self) -> B {
        self.whole
    }
}

// SAFETY: the bytes are a part of the whole's, which stay where they are; `start` is at most `initialized` of the
// whole, checked in `new`, and the whole cannot be made shorter while it lies in here: only `set_initialized`
// changes it, which never takes bytes away.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn stable_ptr(&self) -> *const u8 {
        self.whole.stable_ptr().wrapping_add(self.start)
    }

    fn initialized(&self) -> usize {
        self.whole.initialized().min(self.end) - self.start
    }
}

// SAFETY: as above; `end` is at most the whole's room, for the same reason.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.whole.stable_mut_ptr().wrapping_add(self.start)
    }

    fn room(&self) -> usize {
        self.whole.room().min(self.end) - self.start
    }

    unsafe fn set_initialized(&mut self, count: usize) {
        let total = self.whole.initialized().max(self.start + count);
        // SAFETY: the bytes up to `start` were initialised, and the caller says that `count` behind them are.
        unsafe { self.whole.set_initialized(total) }
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: IoBuf promises that so many bytes are readable, initialised, and unchanged while borrowed.
        unsafe { std::slice::from_raw_parts(self.stable_ptr(), self.initialized()) }
    }
}

impl<B: IoBufMut> DerefMut for Slice<B> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.initialized();
        // SAFETY: as above, and IoBufMut promises that nobody else can reach them.
        unsafe { std::slice::from_raw_parts_mut(self.stable_mut_ptr(), len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_covers_its_range_and_nothing_else() {
        let part = b"0123456789".to_vec().slice(2..=5);
        assert_eq!((&part[..], part.start(), part.end()), (&b"2345"[..], 2, 6));
        let inner = part.slice(1..3);
        assert_eq!(&inner[..], b"34");
        assert_eq!(inner.into_inner().into_inner(), b"0123456789");
    }

    /// Mutant: hand `count` on to the whole as it is; a `Vec` then loses what lies behind the part.
    #[test]
    fn bytes_behind_the_part_stay() {
        let mut part = b"0123456789".to_vec().slice_mut(2..4);
        assert_eq!((part.initialized(), part.room()), (2, 2));
        // SAFETY: both bytes are initialised.
        unsafe { part.set_initialized(1) };
        assert_eq!(part.into_inner(), b"0123456789");
    }

    #[test]
    fn the_whole_grows_with_what_is_read_behind_its_end() {
        let mut whole = Vec::with_capacity(8);
        whole.extend_from_slice(b"ab");
        let mut part = whole.slice_mut(2..6);
        assert_eq!((part.initialized(), part.room()), (0, 4));
        // SAFETY: the byte lies within the part's room.
        unsafe { part.stable_mut_ptr().write(b'c') };
        // SAFETY: it was just written.
        unsafe { part.set_initialized(1) };
        assert_eq!(&part[..], b"c");
        assert_eq!(part.into_inner(), b"abc");
    }

    #[test]
    #[should_panic(expected = "leaves a gap")]
    fn a_part_that_leaves_a_gap_is_refused() {
        drop(Vec::<u8>::with_capacity(8).slice_mut(1..));
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_part_beyond_the_initialised_bytes_is_refused() {
        drop(b"abc".to_vec().slice(..4));
    }
}
