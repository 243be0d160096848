//! Whether a thread without a job looks out for one a little longer before it sleeps.
//!
//! To fall asleep and to be called costs the two threads some 10 µs of processor time, most of it the caller's system call,
//! which an async worker has better use for; and while somebody looks out, nobody has to be called. So a
//! thread whose last sleep was short lingers for about the time that the sleep would cost, and goes on doing so
//! as long as that pays. Where it does not, because the processors are taken, say, it soon hardly ever lingers.

use std::time::{Duration, Instant};

use super::queue::Queue;

/// A sleep shorter than this was not worth it.
const SHORT_SLEEP: Duration = Duration::from_micros(50);
/// How long a thread lingers: as long as the sleep would cost that it may save.
const LINGER: Duration = Duration::from_micros(10);
/// Spins between two looks at the queue, some hundred nanoseconds: its lines are left to those who push.
const SPINS: u32 = 32;

/// Of short sleeps, those before which a thread does not linger after it has lingered in vain, at most.
const PAUSE_MAX: u32 = 63;

/// One thread's habit.
#[derive(Debug)]
pub(super) struct Linger {
    /// The last sleep was short, or a job came while the thread lingered.
    pays: bool,
    /// Chances to leave out, and how many to leave out after the next failure: twice as many each time.
    pause: u32,
    next_pause: u32,
    idle_since: Instant,
}

impl Linger {
    /// The habit of a thread that was just started: where one job came, more may come.
    pub(super) fn new() -> Self {
        Self {
            pays: true,
            pause: 0,
            next_pause: 1,
            idle_since: Instant::now(),
        }
    }

    /// Looks out for a job, if that has paid lately; `false` if none has come.
    pub(super) fn finds<T>(&mut self, queue: &Queue<T>) -> bool {
        self.idle_since = Instant::now();
        if !std::mem::take(&mut self.pays) {
            return false;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        let found = look_out(queue, self.idle_since + LINGER);
        if found {
            self.pays = true;
            self.next_pause = 1;
        } else {
            self.pause = self.next_pause;
            self.next_pause = (2 * self.next_pause + 1).min(PAUSE_MAX);
        }
        found
    }

    /// The thread was called.
    pub(super) fn wake(&mut self) {
        self.pays = self.idle_since.elapsed() < SHORT_SLEEP;
    }
}

fn look_out<T>(queue: &Queue<T>, until: Instant) -> bool {
    while Instant::now() < until {
        for _ in 0..SPINS {
            std::hint::spin_loop();
        }
        if !queue.is_empty() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: a thread that has lingered in vain lingers before the next sleep.
    #[test]
    fn a_thread_that_lingers_in_vain_does_so_ever_more_rarely() {
        let queue: Queue<u32> = Queue::new(1);
        let mut linger = Linger::new();
        let lingered = (0..1000).filter(|_| {
            // Each sleep is short.
            linger.pays = true;
            let paused = linger.pause > 0;
            assert!(!linger.finds(&queue));
            !paused
        });
        assert!(lingered.count() < 30);
    }

    #[test]
    fn a_thread_lingers_as_long_as_that_pays_and_not_after_a_long_sleep() {
        let queue: Queue<u32> = Queue::new(1);
        let mut linger = Linger::new();
        queue.push(0, 1);
        for _ in 0..10 {
            assert!(linger.finds(&queue));
        }
        assert_eq!(queue.take(0), Some(1));
        assert!(!linger.finds(&queue));
        linger.idle_since = Instant::now() - 2 * SHORT_SLEEP;
        linger.wake();
        assert!(!linger.pays);
    }
}
