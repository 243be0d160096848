//! A buffer for output that the connections of a worker lend each other.
//!
//! A connection needs one from the first byte of an answer until the last was written, which is nearly always before its task waits
//! again. So one for each thread does for all that never wait, and stays in the processor's cache; who waits keeps the
//! buffer meanwhile, and the next connection makes another.

use std::cell::Cell;

use crate::limits::SPARE_BYTES_MAX;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer: this thread's, if nobody has it.
pub(crate) fn take() -> Vec<u8> {
    SPARE.take()
}

/// Leaves a buffer, with nothing of what is in it, to whoever needs one next on this thread.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
        buffer.clear();
        SPARE.set(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: leave what is in a buffer there; keep none.
    #[test]
    fn a_buffer_is_lent_empty_and_to_one_at_a_time() {
        give_back(b"the answer to another".to_vec());
        let lent = take();
        assert!(lent.is_empty() && lent.capacity() > 0);
        assert_eq!(take().capacity(), 0, "somebody has it");
        give_back(lent);
        assert!(take().capacity() > 0);
    }

    /// Mutants: let a buffer without room take the place of one that has some; keep whatever there is.
    #[test]
    fn what_is_kept_has_room_and_not_too_much() {
        give_back(Vec::with_capacity(SPARE_BYTES_MAX));
        give_back(Vec::new());
        give_back(Vec::with_capacity(SPARE_BYTES_MAX + 1));
        assert_eq!(take().capacity(), SPARE_BYTES_MAX);
    }
}
