//! Calling user code whose panic is nobody's business: a waker, a drop.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `user_code`, and keeps its panic from whoever calls: a worker goes on with the next task.
///
/// The payload of the panic is the user's too, and its drop may panic with another one, and so on.
pub(crate) fn contain(user_code: impl FnOnce()) {
    let mut caught = catch_unwind(AssertUnwindSafe(user_code));
    for _ in 0..PAYLOADS_MAX {
        let Err(payload) = caught else { return };
        caught = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    }
    std::mem::forget(caught);
}

/// Payloads whose drop panics with another payload are dropped as far as this; what comes then is leaked, for it may
/// never end.
const PAYLOADS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::contain;

    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Bomb(self.0 - 1));
            }
        }
    }

    /// Mutant: the payload is dropped outside of `catch_unwind`.
    #[test]
    fn neither_a_panic_nor_the_drop_of_its_payload_gets_out() {
        contain(|| drop(Bomb(3)));
        contain(|| drop(Bomb(u32::MAX)));
    }
}
