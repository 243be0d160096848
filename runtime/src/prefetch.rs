//! Memory that is going to be used, told to the processor in time.

/// What comes after the first line of a task: its future, or the beginning of it.
const LINE: usize = 64;

/// Has the processor fetch two lines at `place`, unless it has them, and waits for nothing. `place` may be any address.
#[inline(always)]
pub(crate) fn prefetch(place: *const ()) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in [0, LINE] {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = place.wrapping_byte_add(line);
        // SAFETY: a prefetch faults at no address, and changes nothing that a program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (place, LINE);
}
