//! How exactly a worker wakes for its timers, by what that costs.
//!
//! A wake-up of a thread costs some 25 µs of processor time, and a tick of the wheel is 16. So a worker whose timers are
//! due at every tick would do little else than fall asleep and wake.
//!
//! 1. Wake-ups for timers are *paid for* by time that passes. One that fires [`GOOD_COMPANY`] timers or more costs
//!    [`PAUSE`], one that fires fewer a part of that; and time that was not used is kept, up to [`CREDIT`]. A worker that
//!    cannot pay sleeps until it can. So few timers, or many for a moment, are exact, and of very many none is later than
//!    half a millisecond for that.
//! 2. Where that much is to be done that processors are busy all the same, nothing is saved by sleeping between two ticks.
//!    If the workers of a runtime are at work for [`BUSY_PERCENT`] of their time on average, one that has nothing to do and
//!    a timer that is due within [`NEAR`] *spins* until then, and is exact. What it spends so does not count as work.
//! 3. Who wakes late, or comes late out of a spin, shares its processor with others, and does not count as busy.
//!
//! docs/adr/0026 has the figures.

use std::time::{Duration, Instant};

/// What one worker remembers of its sleeps.
#[derive(Debug)]
pub(super) struct Doze {
    /// When the next wake-up for timers is paid for.
    affordable_at: Instant,
    /// The worker sleeps until then, for timers.
    until: Option<Instant>,
    /// When work or rest last began.
    since: Instant,
    worked: Duration,
    rested: Duration,
    work_percent: u32,
}

/// The price of a wake-up: one in half a millisecond takes 5 % of a processor, and adds a quarter of a millisecond to a
/// timer's lateness on average.
const PAUSE: Duration = Duration::from_micros(500);
/// Timers that make a wake-up cost all of it. One alone is a quarter, so that some 8,000 in a second are exact, at what
/// tokio's processor time is for its tick of a millisecond three times over.
const GOOD_COMPANY: u32 = 4;
/// Time that is kept: enough for 64 timers, each on its own, in short succession.
const CREDIT: Duration = Duration::from_millis(8);
/// A spin of so long takes less than to fall asleep and wake.
pub(super) const NEAR: Duration = Duration::from_micros(20);
/// From here on a runtime is busy. To sleep between two ticks would take 60 % of each processor.
pub(super) const BUSY_PERCENT: u32 = 30;
/// Who wakes so much later than it meant to had to wait for a processor.
const LATE: Duration = Duration::from_micros(200);
/// Over how long work and rest are compared, at least.
pub(super) const WINDOW: Duration = Duration::from_millis(10);

impl Doze {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            affordable_at: now,
            until: None,
            since: now,
            worked: Duration::ZERO,
            rested: Duration::ZERO,
            work_percent: 0,
        }
    }

    /// The worker has nothing more to do.
    pub(super) fn fall_asleep(&mut self, now: Instant) {
        self.worked += now.saturating_duration_since(self.since);
        self.since = now;
        self.until = None;
    }

    /// How long to sleep for a timer that is due after `left`.
    pub(super) fn sleep_for(&mut self, left: Duration, now: Instant) -> Duration {
        // No more than a pause, for the last wake-up had been paid for when it came.
        let owed = self.affordable_at.saturating_duration_since(now);
        let sleep = left.max(owed);
        self.until = now.checked_add(sleep);
        sleep
    }

    /// The worker has woken, for whatever reason.
    pub(super) fn rise(&mut self, now: Instant) {
        self.rest(now);
    }

    /// The worker has spun since `begin` instead of sleeping until `until`.
    pub(super) fn spun(&mut self, begin: Instant, until: Instant, now: Instant) {
        self.worked += begin.saturating_duration_since(self.since);
        self.since = begin;
        self.rest(now);
        self.mind_others(until, now);
    }

    /// The worker has woken at `now` and fired `timers`: pays, if it was for them.
    pub(super) fn pay(&mut self, now: Instant, timers: usize) {
        let Some(until) = self.until.take().filter(|&until| now >= until) else {
            return;
        };
        self.mind_others(until, now);
        let parts = (timers as u32).clamp(1, GOOD_COMPANY);
        let kept = now.checked_sub(CREDIT).unwrap_or(now);
        self.affordable_at = self.affordable_at.max(kept) + PAUSE / GOOD_COMPANY * parts;
    }

    /// The part of its time for which the worker was at work lately.
    pub(super) fn work_percent(&self) -> u32 {
        self.work_percent
    }

    /// Who comes so late shares its processor with others: the time that those have taken was no work, and who spins
    /// takes it from them.
    fn mind_others(&mut self, until: Instant, now: Instant) {
        if now.saturating_duration_since(until) > LATE {
            (self.worked, self.rested) = (Duration::ZERO, Duration::ZERO);
            self.work_percent = 0;
        }
    }

    fn rest(&mut self, now: Instant) {
        self.rested += now.saturating_duration_since(self.since);
        self.since = now;
        let total = self.worked + self.rested;
        if total >= WINDOW {
            self.work_percent = (self.worked.as_nanos() * 100 / total.as_nanos()) as u32;
            (self.worked, self.rested) = (Duration::ZERO, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that sleeps for timers, each `every` after the one before, and fires `timers` at each wake-up; by how much
    /// it wakes late after a while.
    fn lateness(every: Duration, timers: usize) -> Duration {
        let mut doze = Doze::new();
        let mut now = Instant::now();
        let mut late = Duration::ZERO;
        for _ in 0..1_000 {
            doze.fall_asleep(now);
            let sleep = doze.sleep_for(every, now);
            late = sleep - every;
            now += sleep;
            doze.rise(now);
            doze.pay(now, timers);
        }
        late
    }

    /// Mutants: a wake-up costs the same however few it fires; who cannot pay sleeps no longer.
    #[test]
    fn few_timers_are_exact_and_many_are_late_by_half_a_millisecond_at_most() {
        let micros = Duration::from_micros;
        assert_eq!(lateness(micros(500), 1_000), Duration::ZERO);
        assert_eq!(lateness(micros(125), 1), Duration::ZERO);
        assert_eq!(lateness(micros(25), 1), micros(100));
        assert_eq!(lateness(micros(100), 100), micros(400));
        assert!(lateness(micros(1), 100) <= PAUSE);
    }

    /// Mutants: time that was not used is not kept; or all of it is.
    #[test]
    fn a_flurry_after_a_calm_is_exact() {
        let mut doze = Doze::new();
        let mut now = Instant::now() + 10 * CREDIT;
        let near = Duration::from_micros(16);
        let exact = (0..200).take_while(|_| {
            doze.fall_asleep(now);
            let sleep = doze.sleep_for(near, now);
            now += sleep;
            doze.rise(now);
            doze.pay(now, 1);
            sleep == near
        });
        let exact = exact.count();
        assert!((64..80).contains(&exact), "{exact}");
    }

    /// Mutant: each wake-up is paid for.
    #[test]
    fn who_is_woken_for_something_else_pays_nothing() {
        let mut doze = Doze::new();
        let mut now = Instant::now();
        let second = Duration::from_secs(1);
        for _ in 0..1_000 {
            doze.fall_asleep(now);
            assert_eq!(doze.sleep_for(second, now), second);
            now += Duration::from_micros(10);
            doze.rise(now);
            doze.pay(now, 1);
        }
        doze.fall_asleep(now);
        assert_eq!(doze.sleep_for(NEAR, now), NEAR);
    }

    /// Mutants: a spin counts as work; the time before it does not; nor does that before a sleep.
    #[test]
    fn time_that_is_spun_or_slept_away_is_no_work() {
        let mut doze = Doze::new();
        let mut now = doze.since;
        for round in 0..10_000 {
            let begin = now + Duration::from_micros(4);
            now = begin + Duration::from_micros(12);
            if round % 2 == 0 {
                doze.spun(begin, now, now);
            } else {
                doze.fall_asleep(begin);
                doze.rise(now);
            }
        }
        assert_eq!(doze.work_percent(), 25);
        doze.fall_asleep(now);
        doze.rise(now + WINDOW * 100);
        assert_eq!(doze.work_percent(), 0);
    }

    /// Mutant: who comes late is busy.
    #[test]
    fn who_has_to_wait_for_a_processor_is_not_busy() {
        let mut doze = Doze::new();
        let mut now = doze.since;
        for round in 0..10_000 {
            let begin = now + Duration::from_micros(10);
            let until = begin + Duration::from_micros(6);
            let is_late = round % 100 == 99;
            now = until + if is_late { 2 * LATE } else { Duration::ZERO };
            doze.spun(begin, until, now);
            assert!(doze.work_percent() < BUSY_PERCENT, "{round}");
        }
    }
}
