//! A worker's pace: how long its polls take, and what follows from it.
//!
//! Two decisions hang on it. How many turns pass between two looks at the shard: as many as take some 200 µs.
//! And when a worker with a backlog wakes another: waking costs the two some 30 µs of processor time, so a backlog
//! that is done in less is better kept, its data is warm here. A worker that misjudges a backlog, because a poll
//! takes longer than its polls did so far, has the monitor behind it, which finds the tasks after a millisecond
//! or two; and now and then a worker calls for help however short its polls are, so that a burst after a calm is
//! shared at once.
//!
//! Whether help pays, and whether others do well to take tasks from here, hangs on how long a turn takes *where it is*. A
//! turn takes longer while tasks move between workers: a worker that took that for the length of its tasks would have
//! moved them on for ever. So only *undisturbed* looks count, between which no task was taken from here or brought
//! here, and now and then tasks are withheld for two looks to have some. Of the last two the shorter counts, for one may
//! have a long poll in it that says nothing of the tasks that wait, say that of the one which spawned them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::queue::QUEUE_ROOM;

/// The pace of one worker.
#[derive(Debug)]
pub(super) struct Pace {
    /// Turns between two looks.
    polls: u32,
    fixed: bool,
    /// The last look, unless the worker has slept since.
    last: Option<(Instant, u32)>,
    /// The mean time of a turn, in nanoseconds.
    mean_ns: u64,
    /// The mean times between the last two undisturbed looks.
    undisturbed_ns: [u64; 2],
    /// As many tasks that wait are a reason to wake another worker.
    help_at: usize,
    /// Counts looks, to withhold tasks now and then.
    looks: u32,
    /// Help has not been called for lately.
    may_call: Cell<bool>,
    /// The look after which help was last called for.
    called: Option<Instant>,
    /// How long it is not called for after that.
    call_pause: Duration,
    /// Help was called for since the last look, though tasks are short.
    calls: Cell<bool>,
    /// Until when tasks are offered to whoever was called.
    offered_until: Option<Instant>,
    offers: bool,
}

/// The shard is looked at about this often while tasks run.
const LOOK_TARGET: Duration = Duration::from_micros(200);
/// A look costs some 50 ns: it is not worth while after fewer turns than this, however short they are.
const LOOK_POLLS_MAX: u32 = 127;
/// A backlog that takes less is not worth the waking of another worker.
const BACKLOG_NS: u64 = 30_000;
/// A turn that takes less is not worth taking elsewhere: for a task that is spawned here and runs there, memory and
/// queues move between processors, which costs the two workers this much together.
const MOVE_NS: u64 = 200;
/// Of this many looks, two are without disturbance. Others have nothing to take meanwhile, and may have to be woken after:
/// some 30 µs in the time of as many looks, each of up to 200 µs.
const PROBE_LOOKS: u32 = 64;
/// Help is called for this often though the backlog be small: at 30 µs a time that is 3 % of a processor.
const CALL_PAUSE: Duration = Duration::from_millis(1);
/// As often as such calls turn out to be in vain, since tasks remain short, the pause is twice as long: up to this, at
/// which they cost nothing that could be measured.
const CALL_PAUSE_MAX: Duration = Duration::from_millis(16);
/// How long tasks are offered after a call that their length alone would not justify: a sleeper comes within some 5 to
/// 50 µs. Tasks that are woken again and again stay with who came, so that a worker is relieved of half of them by and by.
const OFFER: Duration = Duration::from_micros(50);
/// Timers that fire at once though polls be long: others may take the tasks that they wake.
const TIMERS_MIN: usize = 16;
/// Timers that fire at once at most: half of what a queue holds before it grows. To grow it allocates, and so it does to shrink
/// again; where millions of tasks have just ended, the allocator then looks through their memory for milliseconds, more timers come
/// due meanwhile, and it grows again.
const TIMERS_MAX: usize = QUEUE_ROOM / 2;
/// The mean before anything is known.
const MEAN_NS: u64 = 1_000;

impl Pace {
    /// A pace that adapts, beginning with `polls` turns between looks.
    pub(super) fn tuned(polls: u32) -> Self {
        Self {
            polls,
            fixed: false,
            last: None,
            mean_ns: MEAN_NS,
            undisturbed_ns: [MEAN_NS; 2],
            help_at: help_at(MEAN_NS),
            looks: 0,
            may_call: Cell::new(true),
            called: None,
            call_pause: CALL_PAUSE,
            calls: Cell::new(false),
            offered_until: None,
            offers: false,
        }
    }

    /// A pace of always `polls` turns.
    pub(super) fn fixed(polls: u32) -> Self {
        Self {
            fixed: true,
            ..Self::tuned(polls)
        }
    }

    /// A look is being taken; returns the number of turns to the next. `disturbed`: since the last, tasks were taken from
    /// here or brought here.
    pub(super) fn look(&mut self, now: Instant, tick: u32, disturbed: bool) -> u32 {
        self.looks = self.looks.wrapping_add(1);
        if let Some((last, last_tick)) = self.last {
            let took = now.saturating_duration_since(last);
            self.learn(took, tick.wrapping_sub(last_tick), disturbed);
        }
        self.last = Some((now, tick));
        self.allow_call(now);
        if self.calls.take() {
            self.offered_until = Some(now + OFFER);
        }
        self.offers = self.offered_until.is_some_and(|until| now < until);
        self.polls
    }

    fn learn(&mut self, took: Duration, turns: u32, disturbed: bool) {
        if turns == 0 {
            return;
        }
        let mean_ns = took.as_nanos() as u64 / u64::from(turns);
        // An eighth of the news, as is usual for round-trip times (RFC 6298).
        self.mean_ns = (7 * self.mean_ns + mean_ns) / 8;
        if !disturbed {
            self.undisturbed_ns = [self.undisturbed_ns[1], mean_ns];
            self.help_at = help_at(self.turn_ns());
            if self.help_at != usize::MAX {
                self.call_pause = CALL_PAUSE;
            }
        }
        if !self.fixed {
            let polls = LOOK_TARGET.as_nanos() as u64 / self.mean_ns.max(1);
            self.polls = polls.clamp(1, u64::from(LOOK_POLLS_MAX)) as u32;
        }
    }

    /// How many timers may fire at once: as many tasks as run in the time of two looks, so that who comes after them waits
    /// for no longer, and no more than the queue has room for.
    pub(super) fn timers_at_once(&self) -> usize {
        (2 * self.polls as usize).clamp(TIMERS_MIN, TIMERS_MAX)
    }

    /// The worker falls asleep: time passes that says nothing of how long polls take.
    pub(super) fn fall_asleep(&mut self) {
        self.last = None;
    }

    /// Whether any number of waiting tasks is a reason to wake another worker.
    #[inline]
    pub(super) fn may_want_help(&self) -> bool {
        (self.help_at != usize::MAX || self.may_call.get()) && !self.withholds()
    }

    /// Whether `waiting` tasks are a reason to wake another worker.
    pub(super) fn wants_help(&self, waiting: usize) -> bool {
        if self.withholds() {
            return false;
        }
        let calls = waiting < self.help_at && self.may_call.replace(false);
        if calls {
            self.calls.set(true);
        }
        calls || waiting >= self.help_at
    }

    /// Whether turns take so long that others do well to take tasks from here.
    pub(super) fn is_worth_moving(&self) -> bool {
        (self.turn_ns() >= MOVE_NS || self.offers) && !self.withholds()
    }

    /// Whether nobody is to take tasks until the next look, so that it is undisturbed.
    fn withholds(&self) -> bool {
        self.looks % PROBE_LOOKS >= PROBE_LOOKS - 2
    }

    /// How long a turn takes where it is.
    fn turn_ns(&self) -> u64 {
        self.undisturbed_ns[0].min(self.undisturbed_ns[1])
    }

    fn allow_call(&mut self, now: Instant) {
        if self.may_call.get() {
            return;
        }
        let called = *self.called.get_or_insert(now);
        if now.saturating_duration_since(called) >= self.call_pause {
            self.called = None;
            self.call_pause = (2 * self.call_pause).min(CALL_PAUSE_MAX);
            self.may_call.set(true);
        }
    }
}

/// How many tasks that wait are a reason to wake another worker, if a turn takes `mean_ns`.
fn help_at(mean_ns: u64) -> usize {
    match mean_ns.saturating_sub(MOVE_NS) {
        0 => usize::MAX,
        gain_ns => BACKLOG_NS.div_ceil(gain_ns) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace_of(turn_ns: u64) -> (Pace, Instant) {
        let mut pace = Pace::tuned(61);
        let mut now = Instant::now();
        for look in 0..100 {
            pace.look(now, look * 100, false);
            now += Duration::from_nanos(100 * turn_ns);
        }
        pace.wants_help(1);
        (pace, now)
    }

    #[test]
    fn long_polls_are_interrupted_by_looks_more_often() {
        assert_eq!(pace_of(100).0.polls, LOOK_POLLS_MAX);
        assert_eq!(pace_of(20_000).0.polls, 10);
        assert_eq!(pace_of(10_000_000).0.polls, 1);
    }

    #[test]
    fn as_many_timers_fire_at_once_as_tasks_run_between_two_looks() {
        assert_eq!(pace_of(100).0.timers_at_once(), TIMERS_MAX);
        assert_eq!(pace_of(20_000).0.timers_at_once(), 20);
        assert_eq!(pace_of(10_000_000).0.timers_at_once(), TIMERS_MIN);
    }

    #[test]
    fn a_backlog_is_kept_if_it_is_done_sooner_than_another_worker_is_awake() {
        assert!(!pace_of(1_000).0.wants_help(30));
        assert!(pace_of(1_000).0.wants_help(40));
        assert!(pace_of(20_000).0.wants_help(2));
    }

    #[test]
    fn tasks_that_are_done_sooner_than_moved_are_kept_however_many_they_are() {
        let (pace, _) = pace_of(100);
        assert!(!pace.wants_help(1_000_000));
        assert!(!pace.is_worth_moving());
        assert!(pace_of(1_000).0.is_worth_moving());
    }

    #[test]
    fn a_small_backlog_after_a_calm_is_shared() {
        let (mut pace, now) = pace_of(100);
        assert!(!pace.wants_help(1));
        pace.look(now, 0, false);
        pace.look(now + CALL_PAUSE, 0, false);
        assert!(pace.wants_help(1));
        assert!(!pace.wants_help(1));
    }

    /// Mutants: the pause does not grow; it grows without limit; long turns do not end it.
    #[test]
    fn calls_that_were_in_vain_become_rarer() {
        let (mut pace, mut now) = pace_of(100);
        let step = Duration::from_micros(10);
        let mut next_call = |pace: &mut Pace, turn_ns| {
            let begin = now;
            while !pace.wants_help(1) {
                now += step;
                let turns = (step.as_nanos() as u64 / turn_ns) as u32;
                let last = pace.last.map_or(0, |(_, tick)| tick);
                pace.look(now, last.wrapping_add(turns), false);
            }
            now - begin
        };
        next_call(&mut pace, 100);
        let pauses: Vec<_> = (0..8).map(|_| next_call(&mut pace, 100)).collect();
        assert!(pauses[0] < 3 * CALL_PAUSE, "{pauses:?}");
        assert!(pauses[7] >= CALL_PAUSE_MAX, "{pauses:?}");
        assert!(pauses[7] <= 2 * CALL_PAUSE_MAX, "{pauses:?}");
        // Turns of 250 ns: a backlog of one is not enough, so that it is a call for its rarity.
        next_call(&mut pace, 250);
        assert!(next_call(&mut pace, 250) < 3 * CALL_PAUSE);
    }

    /// Mutant: disturbed looks count.
    #[test]
    fn turns_that_are_long_because_tasks_move_do_not_make_tasks_move() {
        let (mut pace, mut now) = pace_of(100);
        for look in 0..10 * PROBE_LOOKS {
            // As long as nobody disturbs, a turn takes 100 ns; with tasks on the move, as after a call, it takes 1 µs.
            let disturbed = look % 8 < 4 || pace.is_worth_moving();
            now += Duration::from_nanos(if disturbed { 100_000 } else { 10_000 });
            pace.look(now, look * 100, disturbed);
            assert!(pace.turn_ns() < MOVE_NS, "{look}");
        }
    }

    /// Mutant: tasks are never withheld.
    #[test]
    fn a_worker_that_is_always_disturbed_finds_out_how_short_its_tasks_are() {
        let (mut pace, mut now) = pace_of(20_000);
        let mut offered = 0;
        for look in 0..10 * PROBE_LOOKS {
            let disturbed = pace.is_worth_moving();
            offered += u32::from(disturbed);
            now += Duration::from_nanos(if disturbed { 100_000 } else { 10_000 });
            pace.look(now, look * 100, disturbed);
        }
        assert!(offered <= 2 * PROBE_LOOKS, "{offered}");
    }

    /// Mutant: the last undisturbed look alone counts.
    #[test]
    fn the_long_poll_of_who_spawns_says_nothing_of_what_it_spawned() {
        let (mut pace, now) = pace_of(100);
        pace.look(now, 0, false);
        pace.look(now + Duration::from_millis(1), 100, false);
        assert!(!pace.is_worth_moving());
        pace.look(now + Duration::from_millis(2), 200, false);
        assert!(pace.is_worth_moving());
    }

    /// Mutant: tasks are offered until the next look only.
    #[test]
    fn who_is_called_finds_tasks_on_offer_when_it_is_awake() {
        let (mut pace, now) = pace_of(100);
        pace.look(now, 0, false);
        pace.look(now + CALL_PAUSE, 0, false);
        assert!(pace.wants_help(1));
        let called = now + CALL_PAUSE + Duration::from_micros(10);
        pace.look(called, 100, false);
        assert!(pace.is_worth_moving());
        pace.look(called + OFFER / 2, 200, true);
        assert!(pace.is_worth_moving());
        pace.look(called + OFFER, 300, true);
        assert!(!pace.is_worth_moving());
    }
}
