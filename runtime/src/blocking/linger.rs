//! Whether a thread without a job looks out for one a little longer before it sleeps.
//!
//! To fall asleep and to be called costs the two threads some 10 µs of processor time, most of it the caller's system call,
//! which an async worker has better use for; and while somebody looks out, nobody has to be called. So a
//! thread whose last sleep was short lingers for about the time that the sleep would cost, and goes on doing so
//! as long as that pays.

use std::time::{Duration, Instant};

use super::queue::Queue;

/// A sleep shorter than this was not worth it.
const SHORT_SLEEP: Duration = Duration::from_micros(50);
/// How long a thread lingers: as long as the sleep would cost that it may save.
const LINGER: Duration = Duration::from_micros(10);
/// Spins between two looks at the queue, some hundred nanoseconds: its lines are left to those who push.
const SPINS: u32 = 32;

/// One thread's habit.
#[derive(Debug)]
pub(super) struct Linger {
    pays: bool,
    asleep_since: Instant,
}

impl Linger {
    /// The habit of a thread that was just started: where one job came, more may come.
    pub(super) fn new() -> Self {
        Self {
            pays: true,
            asleep_since: Instant::now(),
        }
    }

    /// Looks out for a job, if that has paid lately; `false` if none has come.
    pub(super) fn finds<T>(&mut self, queue: &Queue<T>) -> bool {
        self.asleep_since = Instant::now();
        if !std::mem::take(&mut self.pays) {
            return false;
        }
        let until = self.asleep_since + LINGER;
        while self.asleep_since < until {
            for _ in 0..SPINS {
                std::hint::spin_loop();
            }
            if !queue.is_empty() {
                self.pays = true;
                return true;
            }
            self.asleep_since = Instant::now();
        }
        false
    }

    /// The thread was called.
    pub(super) fn wake(&mut self) {
        self.pays = self.asleep_since.elapsed() < SHORT_SLEEP;
    }
}
