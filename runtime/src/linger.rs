//! Whether a thread that has nothing to do looks out for something a little longer before it sleeps.
//!
//! To fall asleep and to be woken costs two threads some 15 to 30 µs of processor time, part of it in the call of who
//! wakes, and what came is begun so much later. So a thread whose last sleep was short lingers for about the time that
//! the sleep would cost, and goes on doing so as long as that pays. Where it does not, because nothing comes so soon, or
//! because the processors are taken, it soon hardly ever lingers: so it spends twice at most of what it would if it knew
//! what comes (Karlin, Li, Manasse and Owicki, "Empirical studies of competitive spinning for a shared-memory
//! multiprocessor", 1991).
//!
//! Workers linger for tasks and for answers of the kernel, threads of the blocking pool for jobs. docs/adr/0043 has the
//! figures.

use std::time::{Duration, Instant};

/// A sleep shorter than this was not worth it: to sleep and to be woken costs a few times less.
const SHORT_SLEEP: Duration = Duration::from_micros(50);
/// How long a thread lingers: as long as the sleep would cost that it may save.
pub(crate) const LINGER: Duration = Duration::from_micros(20);
/// Spins between two looks, some hundred nanoseconds: the lines that are looked at are left to those who write them.
pub(crate) const SPINS: u32 = 32;
/// Of short sleeps, those before which a thread does not linger after it has lingered in vain, at most.
const PAUSE_MAX: u32 = 255;

/// One thread's habit.
#[derive(Debug)]
pub(crate) struct Linger {
    /// The last sleep was short, or something came while the thread lingered.
    pays: bool,
    /// Chances to leave out, and how many to leave out after the next failure: twice as many each time.
    pause: u32,
    next_pause: u32,
    asleep_since: Instant,
}

impl Linger {
    /// The habit of a thread that was just started: where one thing came, more may come.
    pub(crate) fn new() -> Self {
        Self {
            pays: true,
            pause: 0,
            next_pause: 1,
            asleep_since: Instant::now(),
        }
    }

    /// The thread has nothing to do from `now` on. Until when it is to look out before it sleeps, if that has paid lately; it
    /// is in vain unless it is said to have [paid](Self::paid).
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Instant> {
        if !std::mem::take(&mut self.pays) {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        self.pause = self.next_pause;
        self.next_pause = (2 * self.next_pause + 1).min(PAUSE_MAX);
        Some(now + LINGER)
    }

    /// Something came while the thread lingered, or before it could sleep.
    pub(crate) fn paid(&mut self) {
        self.pays = true;
        self.pause = 0;
        self.next_pause = 1;
    }

    /// The thread falls asleep.
    pub(crate) fn fall_asleep(&mut self, now: Instant) {
        self.pays = false;
        self.asleep_since = now;
    }

    /// The thread was woken for something for which it would have lingered.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.pays = now.saturating_duration_since(self.asleep_since) < SHORT_SLEEP;
    }
}

/// Waits awake until something has come, and returns when; at the latest until then.
pub(crate) fn look_out(until: Instant, has_come: impl Fn() -> bool) -> Result<Instant, Instant> {
    loop {
        for _ in 0..SPINS {
            std::hint::spin_loop();
        }
        let now = Instant::now();
        if has_come() {
            return Ok(now);
        }
        if now >= until {
            return Err(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(30);

    /// The chances at which a thread lingers that is woken `slept` after each time that it had nothing to do.
    fn chances_taken(linger: &mut Linger, slept: Duration) -> Vec<usize> {
        let mut now = Instant::now();
        let takes = |_: &usize| {
            let lingers = linger.begin(now).is_some();
            linger.fall_asleep(now);
            now += slept;
            linger.wake(now);
            lingers
        };
        (0..1000).filter(takes).collect()
    }

    /// Mutants: a thread that has lingered in vain lingers before the next sleep; the chances that are left out grow
    /// without limit.
    #[test]
    fn a_thread_that_lingers_in_vain_does_so_ever_more_rarely() {
        let taken = chances_taken(&mut Linger::new(), SHORT);
        let left_out: Vec<_> = taken.windows(2).map(|two| two[1] - two[0] - 1).collect();
        assert_eq!(left_out, [1, 3, 7, 15, 31, 63, 127, 255, 255]);
    }

    /// Mutants: what has paid is forgotten; the pause after it is as long as before.
    #[test]
    fn a_thread_lingers_as_long_as_that_pays() {
        let mut linger = Linger::new();
        chances_taken(&mut linger, SHORT);
        linger.paid();
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(linger.begin(now), Some(now + LINGER));
            linger.paid();
        }
        assert!(linger.begin(now).is_some());
        linger.fall_asleep(now);
        linger.wake(now + SHORT);
        assert!(linger.begin(now).is_none(), "one chance is left out");
        linger.fall_asleep(now);
        linger.wake(now + SHORT);
        assert!(linger.begin(now).is_some(), "and no more");
    }

    /// Mutant: sleeps of any length count as short.
    #[test]
    fn a_thread_that_has_slept_for_long_does_not_linger() {
        let mut linger = Linger::new();
        assert_eq!(chances_taken(&mut linger, 2 * SHORT_SLEEP), [0]);
    }
}
