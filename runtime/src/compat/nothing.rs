//! No runtime of tokio's.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::scheduler::Shared;

/// What a runtime has of tokio's: nothing.
#[derive(Debug)]
pub(crate) struct TokioSide;

/// What a thread has entered of tokio's: nothing.
#[derive(Debug)]
pub(crate) struct Entered;

impl TokioSide {
    pub(crate) fn new() -> Self {
        Self
    }

    #[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
    pub(crate) fn start(&self, _: &Arc<Shared>) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    #[inline(always)]
    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    #[inline(always)]
    pub(crate) fn run<R>(&self, polls: impl FnOnce() -> R) -> R {
        polls()
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) fn shut_down(&self, _: Option<Instant>) {}
}

#[inline(always)]
pub(crate) fn leave<R>(blocks: impl FnOnce() -> R) -> R {
    blocks()
}
