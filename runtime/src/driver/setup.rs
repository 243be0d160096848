//! Making a ring, also where memory is short.
//!
//! Ring memory is charged to the locked-memory limit of unprivileged users, and the kernel gives that of a closed ring
//! back some milliseconds later. So a program that builds and drops runtimes in a row is refused rings although it has
//! few. The policy: wait for the memory, half a second in all; then make smaller rings, down to
//! [`SQ_ENTRIES_MIN`]; then fail. Where waiting was in vain, the next rings of the process do not wait.

use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use io_uring::IoUring;

use super::error::SetupError;
use super::features::{Features, ring_builder};
use super::knobs;

/// SQEs of a ring: a full queue is submitted, so the size bounds a batch, not the load.
const SQ_ENTRIES: u32 = 256;
/// CQEs of a ring: a burst of answers this much larger than a batch still finds room without overflow.
const CQ_ENTRIES: u32 = 4 * SQ_ENTRIES;
/// SQEs of the smallest ring: with its CQEs it takes three pages.
const SQ_ENTRIES_MIN: u32 = 32;

/// The first wait for memory; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// So many waits, half a second in all, which is longer than the kernel was ever seen to take.
const PAUSES: u32 = 9;
/// And no longer than this, for on a busy machine pauses are longer than they should be.
const WAIT_MAX: Duration = Duration::from_millis(512);
/// For so long after a wait in vain nobody else waits.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Numbers of SQEs and CQEs.
type Entries = (u32, u32);

/// Makes a ring that every thread may submit to and reap.
pub(super) fn make_ring(features: Features) -> Result<IoUring, SetupError> {
    let entries = knobs::ring_entries()?.unwrap_or((SQ_ENTRIES, CQ_ENTRIES));
    let make = |(sq_entries, cq_entries): Entries| {
        ring_builder(features)
            .setup_cqsize(cq_entries)
            .build(sq_entries)
    };
    with_patience(entries, make).map_err(|source| SetupError::new("create an io_uring", source))
}

/// Calls `make` until it has found memory, by the policy above.
pub(super) fn with_patience<T>(
    entries: Entries,
    make: impl FnMut(Entries) -> io::Result<T>,
) -> io::Result<T> {
    static IN_VAIN: Mutex<Option<Instant>> = Mutex::new(None);
    let since = *IN_VAIN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_patient = since.is_none_or(|since| since.elapsed() > IMPATIENCE);
    let mut waited_in_vain = false;
    let begin = Instant::now();
    let made = persist(entries, make, |nth| {
        let waits = is_patient && nth < PAUSES && begin.elapsed() < WAIT_MAX;
        if waits {
            thread::sleep(FIRST_PAUSE * (1 << nth));
        }
        waited_in_vain = !waits && is_patient;
        waits
    });
    if waited_in_vain {
        *IN_VAIN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
    made
}

/// Calls `make`; when it has no memory, again as often as `wait` has waited, and then with fewer entries.
fn persist<T>(
    mut entries: Entries,
    mut make: impl FnMut(Entries) -> io::Result<T>,
    mut wait: impl FnMut(u32) -> bool,
) -> io::Result<T> {
    let mut waits = 0;
    loop {
        match make(entries) {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                if wait(waits) {
                    waits += 1;
                } else if entries.0 > SQ_ENTRIES_MIN {
                    entries = (entries.0 / 2, entries.1 / 2);
                } else {
                    return Err(error);
                }
            }
            made => return made,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Entries = (SQ_ENTRIES, CQ_ENTRIES);

    fn no_memory<T>() -> io::Result<T> {
        Err(io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// Mutant: `persist` makes the ring smaller before it waits.
    #[test]
    fn memory_that_comes_back_late_is_waited_for() {
        let mut calls = 0;
        let make = |entries| {
            calls += 1;
            if calls > 3 { Ok(entries) } else { no_memory() }
        };
        let made = persist(ALL, make, |nth| nth < PAUSES).expect("the fourth try");
        assert_eq!(made, ALL);
    }

    /// Mutant: `persist` gives up when all waits are over.
    #[test]
    fn rings_become_smaller_when_waiting_does_not_help() {
        let mut waits = 0;
        let make = |(sq, cq)| {
            if sq <= 64 { Ok((sq, cq)) } else { no_memory() }
        };
        let wait = |nth| {
            waits += u32::from(nth < PAUSES);
            nth < PAUSES
        };
        assert_eq!(persist(ALL, make, wait).expect("a smaller one"), (64, 256));
        assert_eq!(waits, PAUSES);
    }

    /// Mutant: `persist` halves for ever.
    #[test]
    fn without_any_memory_the_kernels_error_comes_back() {
        let mut smallest = ALL;
        let make = |entries| {
            smallest = entries;
            no_memory::<()>()
        };
        let error = persist(ALL, make, |_| false).expect_err("no memory");
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
        assert_eq!(smallest.0, SQ_ENTRIES_MIN);
    }

    #[test]
    fn other_errors_are_not_waited_for() {
        let refused = || io::Error::from_raw_os_error(libc::EPERM);
        let error = persist::<()>(ALL, |_| Err(refused()), |_| unreachable!("no wait"));
        assert_eq!(
            error.expect_err("refused").raw_os_error(),
            Some(libc::EPERM)
        );
    }
}
