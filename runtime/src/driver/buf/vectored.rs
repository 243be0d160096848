//! Several buffers in one operation: scatter and gather.

use super::{IoBuf, IoBufMut};

/// Buffers that are written in one operation, the first one first.
///
/// A `Vec` of buffers, an array, or a pair of two different types (a head and a body).
///
/// # Safety
///
/// `for_each` calls its argument with [`stable_ptr`](IoBuf::stable_ptr) and [`initialized`](IoBuf::initialized) of
/// each buffer, in their order, and the same ones each time as long as nobody borrows the value mutably, also when it
/// was moved in between.
pub unsafe trait IoBufs: Send + 'static {
    /// Address and length, in bytes, of each buffer.
    fn for_each(&self, visit: &mut dyn FnMut(*const u8, usize));

    /// How many buffers there are.
    fn count(&self) -> usize {
        let mut count = 0;
        self.for_each(&mut |_, _| count += 1);
        count
    }

    /// How many bytes they have together.
    fn total(&self) -> usize {
        let mut total = 0;
        self.for_each(&mut |_, len| total += len);
        total
    }
}

/// Buffers that are filled by one operation, the first one first.
///
/// # Safety
///
/// As [`IoBufs`], for [`stable_mut_ptr`](IoBufMut::stable_mut_ptr) and [`room`](IoBufMut::room); and
/// `set_initialized` hands each buffer, in the order of `for_each_mut`, as much of the count as it has room for, and
/// leaves those alone for which nothing is left.
pub unsafe trait IoBufsMut: IoBufs {
    /// Address and room, in bytes, of each buffer.
    fn for_each_mut(&mut self, visit: &mut dyn FnMut(*mut u8, usize));

    /// Tells the buffers that the first `count` bytes of their room, taken together, are the ones read.
    ///
    /// # Safety
    ///
    /// So many are there, and initialised.
    unsafe fn set_initialized(&mut self, count: usize);
}

/// Tells one buffer of several; the count that is left for the others.
///
/// # Safety
///
/// The first `count` bytes of the room, as far as there is room, are initialised.
unsafe fn give<B: IoBufMut>(buf: &mut B, count: usize) -> usize {
    let own = count.min(buf.room());
    if own > 0 {
        // SAFETY: `own` is within the room, and initialised as the caller says.
        unsafe { buf.set_initialized(own) };
    }
    count - own
}

macro_rules! io_bufs {
    ($(impl[$($generics:tt)*] $type:ty;)+) => {$(
        // SAFETY: each buffer's bytes are where the buffer says, wherever the buffer itself is.
        unsafe impl<B: IoBuf, $($generics)*> IoBufs for $type {
            fn for_each(&self, visit: &mut dyn FnMut(*const u8, usize)) {
                for buf in self {
                    visit(buf.stable_ptr(), buf.initialized());
                }
            }
        }

        // SAFETY: as above, and the count is dealt out in the same order.
        unsafe impl<B: IoBufMut, $($generics)*> IoBufsMut for $type {
            fn for_each_mut(&mut self, visit: &mut dyn FnMut(*mut u8, usize)) {
                for buf in self {
                    visit(buf.stable_mut_ptr(), buf.room());
                }
            }

            unsafe fn set_initialized(&mut self, mut count: usize) {
                for buf in self {
                    // SAFETY: the caller says that so many bytes from here on are initialised.
                    count = unsafe { give(buf, count) };
                }
            }
        }
    )+};
}

io_bufs! {
    impl[] Vec<B>;
    impl[const N: usize] [B; N];
}

// SAFETY: as for arrays.
unsafe impl<A: IoBuf, B: IoBuf> IoBufs for (A, B) {
    fn for_each(&self, visit: &mut dyn FnMut(*const u8, usize)) {
        visit(self.0.stable_ptr(), self.0.initialized());
        visit(self.1.stable_ptr(), self.1.initialized());
    }
}

// SAFETY: as for arrays.
unsafe impl<A: IoBufMut, B: IoBufMut> IoBufsMut for (A, B) {
    fn for_each_mut(&mut self, visit: &mut dyn FnMut(*mut u8, usize)) {
        visit(self.0.stable_mut_ptr(), self.0.room());
        visit(self.1.stable_mut_ptr(), self.1.room());
    }

    unsafe fn set_initialized(&mut self, count: usize) {
        // SAFETY: the caller says that so many bytes from here on are initialised.
        let count = unsafe { give(&mut self.0, count) };
        // SAFETY: as above.
        unsafe { give(&mut self.1, count) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: give every buffer the whole count.
    #[test]
    fn a_count_is_dealt_out_in_order() {
        let mut bufs = vec![vec![0; 3], vec![0; 3], b"kept".to_vec()];
        assert_eq!((bufs.count(), bufs.total()), (3, 10));
        // SAFETY: all bytes are initialised.
        unsafe { bufs.set_initialized(5) };
        assert_eq!(bufs, [vec![0; 3], vec![0; 2], b"kept".to_vec()]);
    }

    #[test]
    fn a_pair_may_have_two_types() {
        let pair = (b"head".to_vec(), Box::<[u8]>::from(*b"body!"));
        let mut lens = Vec::new();
        pair.for_each(&mut |_, len| lens.push(len));
        assert_eq!(lens, [4, 5]);
    }
}
