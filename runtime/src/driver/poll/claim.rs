//! Who has a job of the blocking pool: the thread that begins it, or who cancels it before.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::loom::atomic::AtomicU32;

const QUEUED: u32 = 0;
const BEGUN: u32 = 1;
const CANCELLED: u32 = 2;

/// The claim to one job. Of all calls of [`Self::begin`] and [`Self::cancel`] one is granted.
#[derive(Debug)]
pub struct Claim(AtomicU32);

impl Claim {
    /// A job that is queued.
    pub fn new() -> Self {
        Self(AtomicU32::new(QUEUED))
    }

    /// The caller runs the job, and answers when it is done; `false` if it was cancelled.
    #[must_use]
    pub fn begin(&self) -> bool {
        self.take(BEGUN)
    }

    /// The job will not run, and the caller answers for it; `false` if it has begun, or was cancelled before.
    #[must_use]
    pub fn cancel(&self) -> bool {
        self.take(CANCELLED)
    }

    fn take(&self, to: u32) -> bool {
        // AcqRel: whoever is refused sees what the other did before; pairs with itself.
        self.0.compare_exchange(QUEUED, to, AcqRel, Acquire).is_ok()
    }
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}
