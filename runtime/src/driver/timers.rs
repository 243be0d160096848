//! The timers of a shard: its wheel behind a lock, and what a sleeping worker was told about it.
//!
//! A timer lives in the wheel of the worker that polled it last. The *owner* is the thread that runs this worker's core.
//!
//! 1. What the owner does (make, drop, move, fire) takes the lock, which is free: one read-modify-write.
//! 2. Other workers do not take it while the owner is awake. They leave a mark ([`super::marks`]) that the owner works
//!    off at its next look, before it fires or sleeps.
//! 3. While the owner sleeps, who would leave a mark tries the lock instead. Whoever finds it taken leaves a mark after
//!    all, and whoever gives it back looks for marks afterwards: so none stays behind, and neither does the memory of a
//!    timer that was dropped. The owner itself, once it has said that it sleeps, takes the lock no more.
//! 4. A helper, which serves a worker that is stuck, and threads from outside the runtime take the lock.
//! 5. Who inserts or moves a timer so that it is due before the deadline with which the worker went to sleep must wake
//!    it: deadline and wheel change under the same lock, so one of the two sees the other.
//! 6. No waker is cloned, woken or dropped with the lock held.
//! 7. Of a large wheel, whose memory is in no cache, the owner does not take out each timer that it drops: it notes some
//!    and takes them out together, when there are [`NOTED_MAX`], and at the next look, before it fires or sleeps, at the
//!    latest. Another worker does the same while the owner sleeps, and [owes](super::debts) it to come back for what it has
//!    noted. So what is noted lies with the wheel, and whoever fires takes it out before.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::Waker;

use ringway_timer::wheel::{self, Key, Limits, Progress, Wheel};

use super::marks::{Mark, Marks};
use crate::contain::contain;
use crate::loom::atomic::{AtomicBool, AtomicU64, fence};
use crate::loom::{IS_MODEL, TryLock};

/// The timers of one shard. Times are nanoseconds since the runtime's epoch.
#[derive(Debug)]
pub struct Timers {
    inner: TryLock<Inner>,
    /// A copy of the wheel's next deadline, so that whoever has nothing due takes no lock.
    next_ns: AtomicU64,
    /// The owner sleeps, or is about to, and works off no mark. Set with the lock held.
    asleep: AtomicBool,
    marks: Marks,
    /// Timers are noted that were dropped. Written with the lock held.
    notes: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    wheel: Wheel,
    asleep_until_ns: u64,
    closed: bool,
    /// Room for marks that are being worked off.
    taken: Vec<Mark>,
    /// Timers that were dropped and not taken out.
    noted: Vec<Key>,
    /// The one that the owner has made last, whose memory is near.
    newest: Option<Key>,
    /// Room for the wakers of those that are taken out together.
    room: Vec<Waker>,
}

/// A reading of the runtime's clock.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Nanoseconds since the runtime's epoch.
    pub ns: u64,
    /// The clock is moved by hand, so that no tick is to be seen.
    pub exact: bool,
}

/// What a worker that falls asleep is told of its next timer. Nanoseconds since the runtime's epoch.
#[derive(Clone, Copy, Debug)]
pub struct NextTimer {
    /// When it is due, or an earlier time.
    pub deadline_ns: u64,
    /// Until when the worker does well to sleep, if that is still to come.
    pub sleep_until_ns: u64,
}

/// What became of what another thread than the owner did.
#[must_use = "the owner may have to be woken"]
#[derive(Clone, Copy, Debug)]
pub struct FromAfar<T> {
    /// What there is to say of it.
    pub outcome: T,
    /// The worker may be sleeping past a deadline: wake it.
    pub before_sleeper: bool,
}

/// Wakers of timers that were taken out, to be dropped where no lock is held.
#[must_use = "they are to be dropped where no lock is held"]
#[derive(Debug)]
pub enum Removed {
    /// The timer has fired, or was noted.
    None,
    /// The waker of this timer.
    One(Waker),
    /// Those of this timer and of some that were dropped before; what holds them is to be [given
    /// back](Timers::keep_room).
    Several(Vec<Waker>),
}

/// No deadline.
const NEVER_NS: u64 = u64::MAX;
/// How often [`Timers::fire`] takes the lock, at most, for
/// [`BATCH_ENTRIES`](ringway_timer::wheel::BATCH_ENTRIES) each. Entries that are far from due are only moved closer, some
/// thousand in the tenth of a millisecond that a look may take.
const BATCHES_AT_ONCE: usize = 4;
/// Timers of each level that are moved closer by a look, which takes a microsecond or two. In a flow that a worker can stand
/// they are more than fire in a tick.
const PREPARED_AT_ONCE: usize = 16;
/// Timers of each level that are moved closer for each that fires, by a look at which more do: one would be enough to keep
/// step.
const PREPARED_FOR_EACH: usize = 2;
/// Marks that are worked off with the lock held once.
const MARKS_AT_ONCE: usize = 256;
/// A wheel with memory for more timers than this, 160 KiB, is large.
const LARGE: usize = if IS_MODEL { 0 } else { 4096 };
/// Timers that are taken out together, at most: twice as many as are fetched at a time. They take some microseconds, for
/// which the lock is held.
const NOTED_MAX: usize = if IS_MODEL { 2 } else { 32 };

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// No timers, of a worker that sleeps for ever.
    pub fn new() -> Self {
        let inner = Inner {
            wheel: Wheel::new(),
            // Nobody looks at the wheel before the worker is woken.
            asleep_until_ns: NEVER_NS,
            closed: false,
            taken: Vec::new(),
            noted: Vec::new(),
            newest: None,
            room: Vec::new(),
        };
        Self {
            inner: TryLock::new(inner),
            next_ns: AtomicU64::new(NEVER_NS),
            asleep: AtomicBool::new(true),
            marks: Marks::new(),
            notes: AtomicBool::new(false),
        }
    }

    /// Inserts a timer; `None` after the shard was closed. The owner's.
    #[inline]
    pub fn insert(&self, deadline_ns: u64, waker: Waker) -> Option<Key> {
        let key = self.inner.with(|inner| {
            let key = inner.insert(deadline_ns, waker, &self.next_ns)?;
            inner.newest = Some(key);
            Ok::<_, Waker>(key)
        });
        key.ok()
    }

    /// As [`Self::insert`], for any thread.
    pub fn insert_from_afar(&self, deadline_ns: u64, waker: Waker) -> FromAfar<Option<Key>> {
        let (key, before_sleeper) = self.inner.with(|inner| {
            let key = inner.insert(deadline_ns, waker, &self.next_ns);
            (key, deadline_ns < inner.asleep_until_ns)
        });
        self.answer_from_afar(key.ok(), before_sleeper)
    }

    /// Has a timer wake `waker`; `false` if it has fired. The owner's.
    pub fn update(&self, key: Key, waker: &Waker) -> bool {
        match self.inner.with(|inner| inner.wheel.will_wake(key, waker)) {
            Some(false) => {
                let clone = waker.clone();
                let former = self.inner.with(|inner| inner.wheel.replace(key, clone));
                former.is_ok()
            }
            present => present.is_some(),
        }
    }

    /// As [`Self::update`], for any thread.
    pub fn update_from_afar(&self, key: Key, waker: &Waker) -> FromAfar<bool> {
        let outcome = self.update(key, waker);
        self.answer_from_afar(outcome, false)
    }

    /// Moves a timer; `false` if it has fired. The owner's.
    pub fn reset(&self, key: Key, deadline_ns: u64) -> bool {
        if self.marks.is_waiting() {
            // Not before what another worker has said of the same timer.
            self.marks.push(Mark::Reset(key, deadline_ns));
            return true;
        }
        self.inner.with(|inner| {
            let moved = inner.wheel.reset(key, deadline_ns);
            if moved {
                inner.publish_earlier(deadline_ns, &self.next_ns);
            }
            moved
        })
    }

    /// As [`Self::reset`], for another worker, which may say of a timer that has just fired that it was moved: then its
    /// waker is on the way.
    pub fn reset_from_afar(&self, key: Key, deadline_ns: u64) -> FromAfar<bool> {
        if self.is_asleep() && !self.marks.is_waiting() {
            let reset = self.inner.try_with(|inner| {
                let moved = inner.wheel.reset(key, deadline_ns);
                self.publish(inner);
                (moved, moved && deadline_ns < inner.asleep_until_ns)
            });
            if let Some((moved, before_sleeper)) = reset {
                return self.answer_from_afar(moved, before_sleeper);
            }
        }
        self.marks.push(Mark::Reset(key, deadline_ns));
        self.answer_from_afar(true, false)
    }

    /// Removes a timer, soon: its waker is to be dropped, or will be by the next look. The owner's.
    #[inline]
    pub fn remove(&self, key: Key) -> Removed {
        self.inner.with(|inner| {
            if inner.newest == Some(key) {
                return inner.remove(key);
            }
            self.remove_or_note(inner, key)
        })
    }

    /// Of a large wheel, takes out only what is noted already, when that is enough for it to be worthwhile.
    fn remove_or_note(&self, inner: &mut Inner, key: Key) -> Removed {
        if inner.wheel.capacity() <= LARGE {
            return inner.remove(key);
        }
        inner.noted.push(key);
        // Relaxed: who has to see it has the lock after us, or is us.
        self.notes.store(true, Relaxed);
        if inner.noted.len() < NOTED_MAX {
            return Removed::None;
        }
        let mut wakers = std::mem::take(&mut inner.room);
        self.take_noted(inner, &mut wakers);
        Removed::Several(wakers)
    }

    /// Takes back the memory of [`Removed::Several`], when it is empty.
    pub fn keep_room(&self, room: Vec<Waker>) {
        debug_assert!(room.is_empty(), "its wakers were to be dropped");
        // What is replaced holds no waker, so no user code runs.
        self.inner.with(|inner| inner.room = room);
    }

    /// Takes out what was noted, and publishes nothing: an earlier next deadline is found out when the time has come.
    fn take_noted(&self, inner: &mut Inner, removed: &mut Vec<Waker>) {
        let Inner { wheel, noted, .. } = inner;
        wheel.remove_all(noted, |waker| removed.push(waker));
        noted.clear();
        self.notes.store(false, Relaxed);
    }

    /// As [`Self::remove`], for a thread that does not come back. The waker is dropped here, or soon by the owner.
    pub fn remove_from_afar(&self, key: Key) -> FromAfar<()> {
        if self.is_asleep()
            && let Some(waker) = self.inner.try_with(|inner| inner.wheel.remove(key))
        {
            // Contained: what comes after is owed to others.
            contain(|| drop(waker));
        } else {
            self.marks.push(Mark::Remove(key));
        }
        self.answer_from_afar((), false)
    }

    /// As [`Self::remove`], for another worker. `true`: it may have noted the timer here, and is to come back to
    /// [settle](Self::settle) that, at its next look and before it sleeps.
    pub fn remove_from_worker(&self, key: Key) -> FromAfar<bool> {
        let removed = self
            .is_asleep()
            .then(|| self.inner.try_with(|inner| self.remove_or_note(inner, key)));
        match removed.flatten() {
            Some(Removed::None) => {}
            // Contained: what comes after is owed to others.
            Some(Removed::One(waker)) => contain(|| drop(waker)),
            Some(Removed::Several(wakers)) => contain(|| drop(wakers)),
            None => self.marks.push(Mark::Remove(key)),
        }
        self.answer_from_afar(self.notes.load(Relaxed), false)
    }

    /// Takes out what another worker has noted here, unless the owner has woken since: it does so at its next look, and before
    /// it sleeps again.
    pub fn settle(&self) -> FromAfar<()> {
        // Relaxed: who has noted something sees that, and that the owner slept, or what has changed since. Between a sleep
        // that is over and the next one, `begin_sleep` looks at the notes.
        if self.notes.load(Relaxed) && self.is_asleep() {
            let mut removed = Vec::new();
            self.inner
                .with(|inner| self.take_noted(inner, &mut removed));
            contain(|| drop(removed));
        }
        self.answer_from_afar((), false)
    }

    /// Moves to `due` the wakers of timers that are due, `wakers_max` at most, and of a bounded number of entries.
    /// With [`Progress::More`] there is more to do: so says the copy of the next deadline, too. Wakers of timers that were
    /// dropped come to `removed`. The owner's.
    pub fn fire(
        &self,
        now: Now,
        wakers_max: usize,
        due: &mut Vec<Waker>,
        removed: &mut Vec<Waker>,
    ) -> Progress {
        if self.notes.load(Relaxed) {
            self.inner.with(|inner| self.take_noted(inner, removed));
        }
        if self.marks.is_waiting() {
            self.work_off(Marks::try_take, removed);
        }
        // The copy is rounded up to a tick, which a clock that is moved by hand must not see.
        if !now.exact && now.ns < self.next_ns.load(Relaxed) {
            return Progress::Done;
        }
        let before = due.len();
        let full = before + wakers_max;
        let (mut progress, mut is_prepared) = (Progress::More, true);
        for _ in 0..BATCHES_AT_ONCE {
            let limits = Limits {
                now_ns: now.ns,
                exact: now.exact,
                wakers_max: full - due.len(),
            };
            // Locked for one batch at a time, so that others get their turn.
            (progress, is_prepared) = self.inner.with(|inner| {
                let progress = inner.wheel.advance_within(limits, due);
                self.publish(inner);
                (progress, inner.wheel.is_prepared())
            });
            if progress == Progress::Done || due.len() == full {
                break;
            }
        }
        // A clock that is moved by hand asks for order, not for haste.
        if !is_prepared && !now.exact {
            self.prepare(due.len() - before);
        }
        progress
    }

    /// Moves closer what will have to be soon, when so many timers have fired: of each level more than that, so that
    /// in a steady flow the work is done before its time, a little at each look.
    fn prepare(&self, fired: usize) {
        for _ in 0..=fired * PREPARED_FOR_EACH / PREPARED_AT_ONCE {
            // Locked for one part at a time, so that others get their turn.
            let moved = self
                .inner
                .with(|inner| inner.wheel.prepare(PREPARED_AT_ONCE));
            if moved == 0 {
                break;
            }
        }
    }

    /// As [`Self::fire`], for a helper: the worker may have gone to sleep meanwhile.
    pub fn fire_from_afar(
        &self,
        now: Now,
        wakers_max: usize,
        due: &mut Vec<Waker>,
        removed: &mut Vec<Waker>,
    ) -> FromAfar<Progress> {
        let progress = self.fire(now, wakers_max, due, removed);
        self.answer_from_afar(progress, false)
    }

    /// The next timer, for which the worker wakes; its deadline is remembered for those who insert meanwhile. The owner's.
    pub fn begin_sleep(&self) -> Option<NextTimer> {
        loop {
            // All that is to be known of the wheel: who finds the lock taken later leaves a mark that nobody would see.
            let next = self.inner.with(|inner| {
                let next = inner.next();
                let deadline_ns = next.map_or(NEVER_NS, |next| next.deadline_ns);
                self.next_ns.store(deadline_ns, Relaxed);
                inner.asleep_until_ns = deadline_ns;
                self.asleep.store(true, Relaxed);
                next
            });
            // Partner of the fence in `answer_from_afar`: either we see the mark, or who left it sees that we sleep.
            fence(SeqCst);
            if !self.has_work() {
                return next;
            }
            self.work_off_all();
        }
    }

    /// Whether marks wait, or timers are noted.
    fn has_work(&self) -> bool {
        self.marks.is_waiting() || self.notes.load(Relaxed)
    }

    /// The next deadline, or an earlier time, as a copy that may be read at any time; `u64::MAX` without timers.
    #[inline]
    pub fn next_deadline_ns(&self) -> u64 {
        self.next_ns.load(Relaxed)
    }

    /// The worker is awake, and will look. The owner's.
    #[inline]
    pub fn end_sleep(&self) {
        // Relaxed: who believes that the worker sleeps takes the lock, and leaves a mark if it is taken.
        self.asleep.store(false, Relaxed);
    }

    /// Takes out, and moves, what others have left marks for, and what was noted, and drops the wakers.
    pub fn work_off_all(&self) {
        while self.has_work() {
            let mut removed = Vec::new();
            self.inner
                .with(|inner| self.take_noted(inner, &mut removed));
            self.work_off(Marks::take, &mut removed);
            contain(|| drop(removed));
        }
    }

    /// The deadline to which a clock that is moved by hand may jump, when marks were worked off.
    pub fn next_deadline_exact_ns(&self) -> Option<u64> {
        self.inner
            .with(|inner| inner.wheel.next_deadline_exact_ns())
    }

    /// Whether there is no timer, apart from what marks and notes say.
    pub fn is_empty(&self) -> bool {
        self.inner.with(|inner| inner.wheel.is_empty())
    }

    /// Refuses new timers and collects the wakers of all.
    pub fn close(&self, all: &mut Vec<Waker>) {
        self.inner.with(|inner| {
            inner.closed = true;
            inner.wheel.drain(all);
            self.publish(inner);
        });
    }

    #[inline]
    fn is_asleep(&self) -> bool {
        self.asleep.load(Relaxed)
    }

    /// What another thread than the owner owes when it has left a mark or held the lock: of a worker that sleeps it works
    /// the marks off.
    fn answer_from_afar<T>(&self, outcome: T, before_sleeper: bool) -> FromAfar<T> {
        let mut before_sleeper = before_sleeper && self.is_asleep();
        loop {
            // Partner of the fence in `begin_sleep`, and of this one on the thread that holds the lock here: it looks
            // again when it has given it back.
            fence(SeqCst);
            if !self.marks.is_waiting() || !self.is_asleep() {
                break;
            }
            match self.try_work_off() {
                Some(moved_before) => before_sleeper |= moved_before,
                None => break,
            }
        }
        FromAfar {
            outcome,
            before_sleeper,
        }
    }

    /// Works some marks off. With the lock, they are taken by `take`.
    fn work_off(&self, take: impl FnOnce(&Marks, usize, &mut Vec<Mark>), removed: &mut Vec<Waker>) {
        self.inner.with(|inner| {
            take(&self.marks, MARKS_AT_ONCE, &mut inner.taken);
            inner.work_off(removed);
            self.publish(inner);
        });
    }

    /// As `work_off`, unless the lock is taken. Returns whether the worker may be sleeping past a deadline.
    fn try_work_off(&self) -> Option<bool> {
        let mut removed = Vec::new();
        let before_sleeper = self.inner.try_with(|inner| {
            self.marks.take(MARKS_AT_ONCE, &mut inner.taken);
            let earliest_ns = inner.work_off(&mut removed);
            self.publish(inner);
            earliest_ns < inner.asleep_until_ns
        });
        contain(|| drop(removed));
        before_sleeper
    }

    fn publish(&self, inner: &Inner) {
        inner.publish(&self.next_ns);
    }
}

impl Inner {
    fn remove(&mut self, key: Key) -> Removed {
        self.wheel.remove(key).map_or(Removed::None, Removed::One)
    }

    fn next(&self) -> Option<NextTimer> {
        Some(NextTimer {
            deadline_ns: self.wheel.next_deadline_ns()?,
            sleep_until_ns: self.wheel.sleep_until_ns()?,
        })
    }

    /// Brings the copy of the next deadline up to date.
    fn publish(&self, next_ns: &AtomicU64) {
        let next = self.wheel.next_deadline_ns();
        next_ns.store(next.unwrap_or(NEVER_NS), Relaxed);
    }

    /// As `publish`, when a timer has come to be due at `deadline_ns` and the copy was right before, without a look at the
    /// wheel. What the copy then names too early, because this timer was the earliest and was moved, is found out when the
    /// time has come.
    fn publish_earlier(&self, deadline_ns: u64, next_ns: &AtomicU64) {
        let due_ns = wheel::due_ns(deadline_ns);
        if due_ns < next_ns.load(Relaxed) {
            next_ns.store(due_ns, Relaxed);
        }
        debug_assert!(
            self.wheel.next_deadline_ns() >= Some(next_ns.load(Relaxed)),
            "nobody would look when the next timer is due"
        );
    }

    /// Inserts a timer, unless the shard was closed; `next_ns` is the copy of the next deadline.
    fn insert(
        &mut self,
        deadline_ns: u64,
        waker: Waker,
        next_ns: &AtomicU64,
    ) -> Result<Key, Waker> {
        if self.closed {
            return Err(waker);
        }
        let key = self.wheel.insert(deadline_ns, waker);
        self.publish_earlier(deadline_ns, next_ns);
        Ok(key)
    }

    /// Does what the marks say that were taken. Wakers that go with their timers come to `removed`; returns the earliest
    /// deadline to which a timer was moved.
    fn work_off(&mut self, removed: &mut Vec<Waker>) -> u64 {
        let mut earliest_ns = NEVER_NS;
        for mark in self.taken.drain(..) {
            match mark {
                Mark::Remove(key) => removed.extend(self.wheel.remove(key)),
                Mark::Reset(key, deadline_ns) => {
                    if self.wheel.reset(key, deadline_ns) {
                        earliest_ns = earliest_ns.min(deadline_ns);
                    }
                }
            }
        }
        earliest_ns
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::builder::Builder;

    struct Tell(mpsc::Sender<()>);

    impl Wake for Tell {
        fn wake(self: std::sync::Arc<Self>) {
            // Nobody waits for more than one.
            let _ = self.0.send(());
        }
    }

    /// A timer of a worker that sleeps is moved nearer by another worker, which finds the wheel taken and leaves a mark. A
    /// third one, which has noted something there and comes back for it, works the mark off and wakes the sleeper.
    ///
    /// Mutant: `Shared::settle` wakes nobody.
    #[test]
    fn who_settles_wakes_a_sleeper_whose_timer_was_moved_nearer() {
        const HOUR_NS: u64 = 3_600_000_000_000;
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let shared = runtime.handle().shared();
        let shard = shared.shard(0);
        let timers = shard.timers();
        let (told, tells) = mpsc::channel();
        let waker = Waker::from(std::sync::Arc::new(Tell(told)));
        let inserted = timers.insert_from_afar(HOUR_NS, waker);
        assert!(inserted.before_sleeper, "it sleeps for ever");
        shard.unpark();
        let sleeps = || {
            let until_ns = timers.inner.with(|inner| inner.asleep_until_ns);
            until_ns < NEVER_NS && timers.is_asleep() && !shard.word().is_awake()
        };
        while !sleeps() {
            thread::sleep(Duration::from_millis(1));
        }
        let key = inserted.outcome.expect("it is open");
        let now_ns = shared.clock.now().ns;
        let moved = timers
            .inner
            .with(|_| timers.reset_from_afar(key, now_ns + 1));
        assert!(moved.outcome && !moved.before_sleeper, "a mark is left");
        assert!(tells.try_recv().is_err());
        let third = shared.shard(1);
        third.debts().add(0);
        shared.settle(third);
        let told = tells.recv_timeout(Duration::from_secs(20));
        told.expect("the worker wakes for the timer");
    }
}
