//! Answers that wait for a thread which is elsewhere: inside `block_in_place`, say, or with what came after a `block_on`.
//!
//! The kernel has the thread that submitted an operation post its answer, when that passes through the kernel. Until then
//! the ring says that an enter is wanted, and the owner enters. If the ring says so still, the answer is another thread's to
//! post, and none of the owner's enters brings it. An owner that would take it for news entered again and again, up to
//! the next tick of the scheduler, and might keep the very thread from its processor.
//!
//! So it counts as news no longer. The owner goes on and falls asleep as if there was nothing; before it does, it has that
//! thread interrupted, once, and the answer that is posted then wakes it.
//!
//! What the owner had submitted itself may come meanwhile, and the ring says no more than before. That is found by the
//! enter of the next look, or of the sleep.

/// What of the answers that want an enter is not the owner's. Whoever calls these functions holds the shard's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// Nothing, as far as is known.
    #[default]
    Nothing,
    /// Answers wait for another thread.
    Waits,
    /// As `Waits`, and the thread was interrupted.
    IsCalled,
}

impl Elsewhere {
    /// The owner has entered; whether an enter is wanted still, though there is room for all answers.
    pub(super) fn note_entered(&mut self, is_wanted: bool) {
        match self {
            Self::Nothing if is_wanted => *self = Self::Waits,
            Self::Waits | Self::IsCalled if !is_wanted => *self = Self::Nothing,
            Self::Nothing | Self::Waits | Self::IsCalled => {}
        }
    }

    /// Whether it is known that something waits that an enter by the owner does not bring. `is_wanted`: whether an enter
    /// is wanted still.
    pub(super) fn waits(&mut self, is_wanted: impl FnOnce() -> bool) -> bool {
        if *self != Self::Nothing && !is_wanted() {
            *self = Self::Nothing;
        }
        *self != Self::Nothing
    }

    /// The owner falls asleep. `true`: the thread is to be interrupted first.
    pub(super) fn take_call(&mut self, is_wanted: impl FnOnce() -> bool) -> bool {
        let calls = *self == Self::Waits && self.waits(is_wanted);
        if calls {
            *self = Self::IsCalled;
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: `note_entered` or `waits` forgets nothing; `take_call` calls each time, or never.
    #[test]
    fn who_is_elsewhere_is_called_once_for_what_no_enter_brings() {
        let mut elsewhere = Elsewhere::default();
        for enter_forgets in [true, false] {
            assert!(!elsewhere.waits(|| true), "nobody has entered");
            assert!(!elsewhere.take_call(|| true));
            elsewhere.note_entered(true);
            assert!(elsewhere.waits(|| true));
            assert!(elsewhere.take_call(|| true));
            assert!(!elsewhere.take_call(|| true), "it is called");
            elsewhere.note_entered(true);
            assert!(elsewhere.waits(|| true));
            assert!(!elsewhere.take_call(|| true), "it is called");
            match enter_forgets {
                true => elsewhere.note_entered(false),
                false => assert!(!elsewhere.waits(|| false)),
            }
        }
        elsewhere.note_entered(true);
        assert!(!elsewhere.take_call(|| false), "it has come");
        assert!(!elsewhere.waits(|| true));
    }
}
