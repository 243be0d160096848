//! Calling user code whose panic is nobody's business: a waker, a drop.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `user_code`, and keeps its panic from whoever calls: a worker goes on with the next task.
///
/// The payload of the panic is the user's too, and its drop may panic; what that one leaves behind is leaked.
pub(crate) fn contain(user_code: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) else {
        return;
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

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
    }
}
