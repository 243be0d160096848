//! What a clock that stands has to know of a shard: whether an answer is on its way.

use super::Shard;

impl Shard {
    /// Whether an answer is there that nobody has taken, or one comes whatever others do, or something was not submitted.
    pub(crate) fn is_about_to_answer(&self) -> bool {
        self.awaits_end() || self.operations.unsubmitted() > 0 || self.has_answers()
    }

    /// Whether an answer is there that nobody has taken, or waits for whichever thread to enter the kernel.
    pub(crate) fn has_answers(&self) -> bool {
        self.operations.has_answers()
    }

    /// Whether somebody waits for an operation that ends by itself.
    pub(crate) fn awaits_end(&self) -> bool {
        self.operations.awaited() > 0
    }

    /// Somebody waits for an operation that ends by itself, until [`Self::end_wait`].
    pub(in crate::driver) fn begin_wait(&self) {
        self.operations.begin_wait();
    }

    /// Ends what [`Self::begin_wait`] began.
    pub(in crate::driver) fn end_wait(&self) {
        self.operations.end_wait();
    }
}
