//! A kernel that will not be entered any more: a seccomp filter that was installed in mid-life, a security module.
//!
//! Entering a ring fails now and then for reasons that pass: no memory, answers that must be reaped first. What fails again
//! and again for long enough is taken for final, and for good: the ring is never entered again, so that the memory of what
//! it had not taken is the operations' own. Those operations, and all that follow, end with an error that says
//! why. What the kernel had taken ends as it would have. The worker sleeps by poll(2) on the ring's descriptor from then
//! on, so that tasks, timers and the answers that still come go on.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU32};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row, of a kind that does not pass, after which it is final.
const REFUSALS_MAX: u32 = 16;
/// The same for failures that may pass, as a lack of memory does, if they last for this time too.
const FAILURES_MAX: u32 = 64;
const PATIENCE: Duration = Duration::from_millis(500);

/// How entering goes.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// Failures since it went well.
    failures: AtomicU32,
    since: Mutex<Option<Instant>>,
    /// The errno, if it is final.
    errno: AtomicI32,
}

/// What became of an attempt, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Went,
    /// A wait was interrupted by a signal, which says nothing.
    Interrupted,
    /// It may go well if it is tried again.
    Passing(i32),
    Lasting(i32),
}

impl Refusal {
    /// Notes an attempt, which waited or not. Returns whether it has just become final.
    #[inline]
    pub(super) fn note(&self, outcome: &io::Result<usize>, waited: bool) -> bool {
        match outcome {
            // Relaxed, here and below: a count of what happens anyway; the errno needs nothing else to be seen.
            Ok(_) if self.failures.load(Relaxed) == 0 => false,
            Ok(_) => self.forget(),
            Err(error) => self.note_error(error, waited),
        }
    }

    /// The errno with which the kernel refuses for good.
    #[inline]
    pub(super) fn errno(&self) -> Option<i32> {
        let errno = self.errno.load(Relaxed);
        (errno != 0).then_some(errno)
    }

    /// Whether entering has failed so often in a row that it is no matter of a moment.
    #[cold]
    pub(super) fn has_failed_often(&self) -> bool {
        self.failures.load(Relaxed) >= REFUSALS_MAX
    }

    #[cold]
    fn forget(&self) -> bool {
        self.failures.store(0, Relaxed);
        *self.since.lock() = None;
        false
    }

    #[cold]
    fn note_error(&self, error: &io::Error, waited: bool) -> bool {
        let (errno, failures_max, patience) = match classify(error, waited) {
            Outcome::Went => return self.forget(),
            Outcome::Interrupted => return false,
            Outcome::Lasting(errno) => (errno, REFUSALS_MAX, Duration::ZERO),
            Outcome::Passing(errno) => (errno, FAILURES_MAX, PATIENCE),
        };
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let since = *self.since.lock().get_or_insert_with(Instant::now);
        if failures < failures_max || since.elapsed() < patience {
            return false;
        }
        self.errno.swap(errno, Relaxed) == 0
    }
}

fn classify(error: &io::Error, waited: bool) -> Outcome {
    match error.raw_os_error() {
        Some(libc::ETIME) => Outcome::Went,
        Some(libc::EINTR) if waited => Outcome::Interrupted,
        Some(
            errno @ (libc::EINTR
            | libc::EAGAIN
            | libc::EBUSY
            | libc::EBADR
            | libc::ENOMEM
            | libc::ENOBUFS
            | libc::EMFILE
            | libc::ENFILE),
        ) => Outcome::Passing(errno),
        Some(errno) => Outcome::Lasting(errno),
        None => Outcome::Lasting(libc::EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(errno: i32) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(errno))
    }

    /// Mutant: one refusal is final.
    #[test]
    fn what_lasts_is_final_and_what_goes_well_in_between_is_not() {
        let refusal = Refusal::default();
        for round in 0..3 {
            for _ in 1..REFUSALS_MAX {
                assert!(!refusal.note(&failed(libc::EPERM), false));
            }
            assert_eq!(refusal.errno(), None, "round {round}");
            assert!(!refusal.note(&Ok(0), false));
        }
        let finals = (0..2 * REFUSALS_MAX).filter(|_| refusal.note(&failed(libc::EPERM), false));
        assert_eq!(finals.count(), 1, "it becomes final once");
        assert_eq!(refusal.errno(), Some(libc::EPERM));
    }

    /// Mutants: EINTR of a wait counts; a lack of memory is final without patience.
    #[test]
    fn signals_and_short_failures_are_not_final() {
        let refusal = Refusal::default();
        for _ in 0..10 * FAILURES_MAX {
            assert!(!refusal.note(&failed(libc::EINTR), true));
            assert!(!refusal.note(&failed(libc::ETIME), true));
        }
        for _ in 0..10 * FAILURES_MAX {
            assert!(!refusal.note(&failed(libc::EAGAIN), false));
        }
        std::thread::sleep(PATIENCE);
        assert!(refusal.note(&failed(libc::EAGAIN), false));
    }
}
