//! A kernel that refuses to be entered: for want of memory, or because of a seccomp filter that was installed in mid-life.
//!
//! Entering a ring fails now and then for reasons that pass: no memory, answers that must be reaped first. It is tried
//! again, with pauses. What fails again and again for long enough *closes* the ring. What the kernel had not taken is then
//! taken back, and ends, as all that follows, with an error that says why, so that nobody waits for ever. What the kernel
//! had taken ends as it would have, unless more answers come at a time than the completion queue has room for: then only an
//! enter brings them, and all that follow. If there is never to be one, what waits for events ends like what was not taken;
//! of what has lent its memory to the kernel nothing is heard again, and it is given up with the runtime. The worker sleeps by poll(2) on the ring's descriptor from then on, so that tasks,
//! timers and the answers that still come go on.
//!
//! A ring that was closed for a reason that may pass is probed every now and then, and opened when the kernel lets it be
//! entered again. One that was closed for a reason that lasts, such as a filter, is never entered again.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::loom::IS_MODEL;
use crate::loom::atomic::AtomicI32;

/// Failures in a row, of a kind that does not pass, after which the ring is closed.
const REFUSALS_MAX: u32 = if IS_MODEL { 1 } else { 16 };
/// The same for failures that may pass, as a lack of memory does, if they last for this time too.
const FAILURES_MAX: u32 = if IS_MODEL { 1 } else { 64 };
const PATIENCE: Duration = Duration::from_millis(if IS_MODEL { 0 } else { 1000 });
/// Between two looks whether the kernel has memory again.
pub(super) const PROBE_PAUSE: Duration = Duration::from_millis(if IS_MODEL { 0 } else { 10 });

/// How entering goes.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// Failures since it went well.
    failures: AtomicU32,
    /// The errno by which the ring was closed, negative if that lasts; 0 while it is open.
    closed: AtomicI32,
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    /// When it first failed, since it went well.
    since: Option<Instant>,
    /// When the closed ring was last probed.
    probed: Option<Instant>,
}

/// Why a ring is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) errno: i32,
    /// It will not be opened again.
    pub(super) lasts: bool,
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
    /// Notes an attempt, which waited or not. Returns whether it has just closed the ring.
    #[inline]
    pub(super) fn note(&self, outcome: &io::Result<usize>, waited: bool) -> bool {
        match outcome {
            // Relaxed, here and below: a count of what happens anyway; the errno needs nothing else to be seen.
            Ok(_) if self.failures.load(Relaxed) == 0 => false,
            Ok(_) => self.forget(),
            Err(error) => self.note_error(error, waited),
        }
    }

    /// Whether the ring is closed, and why.
    #[inline]
    pub(super) fn closed(&self) -> Option<Closed> {
        let closed = self.closed.load(Relaxed);
        (closed != 0).then_some(Closed {
            errno: closed.abs(),
            lasts: closed < 0,
        })
    }

    /// Whether entering has failed so often in a row that it is no matter of a moment.
    #[cold]
    pub(super) fn has_failed_often(&self) -> bool {
        self.failures.load(Relaxed) >= REFUSALS_MAX
    }

    /// Whether the closed ring is to be probed now; the caller does so.
    #[cold]
    pub(super) fn take_probe(&self, now: Instant) -> bool {
        let mut times = self.times.lock();
        let is_due = times
            .probed
            .is_none_or(|probed| now.saturating_duration_since(probed) >= PROBE_PAUSE);
        if is_due {
            times.probed = Some(now);
        }
        is_due
    }

    /// The kernel lets the ring be entered again.
    #[cold]
    pub(super) fn open(&self) {
        self.forget();
        self.closed.store(0, Relaxed);
    }

    #[cold]
    fn forget(&self) -> bool {
        self.failures.store(0, Relaxed);
        self.times.lock().since = None;
        false
    }

    #[cold]
    fn note_error(&self, error: &io::Error, waited: bool) -> bool {
        let (closed, failures_max, patience) = match classify(error, waited) {
            Outcome::Went => return self.forget(),
            Outcome::Interrupted => return false,
            Outcome::Lasting(errno) => (-errno, REFUSALS_MAX, Duration::ZERO),
            Outcome::Passing(errno) => (errno, FAILURES_MAX, PATIENCE),
        };
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let since = *self.times.lock().since.get_or_insert_with(Instant::now);
        if failures < failures_max || since.elapsed() < patience {
            return false;
        }
        // What lasts stays: a failure that may pass says no more than that.
        let close = |before: i32| (before >= 0).then_some(closed);
        let before = self.closed.fetch_update(Relaxed, Relaxed, close);
        before.is_ok_and(|before| before == 0 || closed < 0)
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

    /// Closes it for a reason that may pass.
    fn close(refusal: &Refusal) {
        for _ in 0..FAILURES_MAX {
            assert!(!refusal.note(&failed(libc::ENOMEM), false));
        }
        std::thread::sleep(PATIENCE);
        assert!(refusal.note(&failed(libc::ENOMEM), false));
    }

    /// Mutant: one refusal closes.
    #[test]
    fn what_lasts_closes_and_what_goes_well_in_between_does_not() {
        let refusal = Refusal::default();
        for round in 0..3 {
            for _ in 1..REFUSALS_MAX {
                assert!(!refusal.note(&failed(libc::EPERM), false));
            }
            assert_eq!(refusal.closed(), None, "round {round}");
            assert!(!refusal.note(&Ok(0), false));
        }
        for _ in 1..REFUSALS_MAX {
            assert!(!refusal.note(&failed(libc::EPERM), false));
        }
        assert!(refusal.note(&failed(libc::EPERM), false), "it is told");
        let errno = libc::EPERM;
        let lasts = true;
        assert_eq!(refusal.closed(), Some(Closed { errno, lasts }));
    }

    /// Mutants: EINTR of a wait counts; a lack of memory closes without patience.
    #[test]
    fn signals_and_short_failures_do_not_close() {
        let refusal = Refusal::default();
        for _ in 0..10 * FAILURES_MAX {
            assert!(!refusal.note(&failed(libc::EINTR), true));
            assert!(!refusal.note(&failed(libc::ETIME), true));
        }
        for _ in 0..10 * FAILURES_MAX {
            assert!(!refusal.note(&failed(libc::EAGAIN), false));
        }
        assert_eq!(refusal.closed(), None);
    }

    /// Mutants: what may pass lasts; `open` leaves it closed, or remembers the failures.
    #[test]
    fn what_may_pass_closes_until_it_has_passed() {
        let refusal = Refusal::default();
        close(&refusal);
        let errno = libc::ENOMEM;
        let lasts = false;
        assert_eq!(refusal.closed(), Some(Closed { errno, lasts }));
        let now = Instant::now();
        assert!(refusal.take_probe(now));
        assert!(!refusal.take_probe(now), "one probes");
        assert!(refusal.take_probe(now + PROBE_PAUSE));
        refusal.open();
        assert_eq!(refusal.closed(), None);
        assert!(!refusal.note(&failed(libc::ENOMEM), false));
        assert_eq!(refusal.closed(), None);
    }

    /// Mutant: a ring that is closed stays so for the first reason.
    #[test]
    fn a_ring_that_may_open_again_is_closed_for_good_by_what_lasts() {
        let refusal = Refusal::default();
        close(&refusal);
        let told: Vec<_> = (0..REFUSALS_MAX)
            .filter(|_| refusal.note(&failed(libc::EPERM), false))
            .collect();
        assert!(!told.is_empty());
        assert!(refusal.closed().is_some_and(|closed| closed.lasts));
        assert!(!refusal.note(&failed(libc::ENOMEM), false));
        assert!(refusal.closed().is_some_and(|closed| closed.lasts));
    }
}
