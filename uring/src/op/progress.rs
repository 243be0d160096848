//! How far a request has come that moves bytes, in one round or in several.

use std::io;

use super::{Goal, Verdict, cancelled};

/// What the rounds so far have brought, and what the next one is to do.
#[derive(Debug)]
pub(super) struct Progress {
    goal: Goal,
    done: usize,
    /// The next round waits until the descriptor is ready: the kernel would not do so by itself.
    waits: bool,
}

impl Progress {
    pub(super) fn new(goal: Goal) -> Self {
        Self {
            goal,
            done: 0,
            waits: false,
        }
    }

    /// The bytes that have been moved.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// Whether the round is one that waits.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Whether all bytes are wanted, and not just some.
    pub(super) fn wants_all(&self) -> bool {
        self.goal.is_whole()
    }

    /// Has the kernel do all rounds in one, where it can.
    pub(super) fn flags(&self) -> i32 {
        self.goal.flags()
    }

    /// A round has ended; `None` if there has to be another. `moved` is told how many bytes have been moved, and says how
    /// many there are. If the kernel moves none of those that are left, the request fails with `stopped`.
    pub(super) fn note(
        &mut self,
        result: io::Result<u32>,
        moved: impl FnOnce(usize) -> usize,
        stopped: fn() -> io::Error,
    ) -> Option<io::Result<usize>> {
        if std::mem::take(&mut self.waits) {
            return self.follow(Verdict::of_wait(result));
        }
        let count = match result {
            Ok(count) => count as usize,
            Err(error) => {
                let verdict = Verdict::of(error, &mut self.waits);
                return self.follow(verdict);
            }
        };
        self.done += count;
        let is_short = self.done < moved(self.done);
        match self.goal {
            Goal::Whole if is_short && count == 0 => Some(Err(stopped())),
            Goal::Whole if is_short => None,
            Goal::Some | Goal::Whole => Some(Ok(self.done)),
        }
    }

    fn follow(&self, verdict: Verdict) -> Option<io::Result<usize>> {
        match verdict {
            Verdict::Again => None,
            Verdict::Cancelled => Some(self.give_up()),
            Verdict::Failed(error) => Some(Err(error)),
        }
    }

    /// The result of a request that was cancelled.
    pub(super) fn give_up(&self) -> io::Result<usize> {
        cancelled(self.done)
    }
}

/// The end of what was to be read.
pub(super) fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer")
}

/// Nothing of what was to be written is taken any more.
pub(super) fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer")
}
