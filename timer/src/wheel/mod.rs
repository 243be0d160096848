//! The hierarchical timing wheel, as plain data: no thread, no clock, no lock.
//!
//! Its owner puts it behind a lock, tells it the time, and wakes what it hands out after the lock is given back.
//! Time is in nanoseconds since an epoch of the owner's choice.
//!
//! 1. A timer is *due* at its deadline rounded up to a multiple of [`TICK_NS`], so it never fires early, and
//!    timers that are due within the same tick are fired together.
//! 2. [`insert`](Wheel::insert), [`remove`](Wheel::remove), [`reset`](Wheel::reset) and
//!    [`next_deadline_ns`](Wheel::next_deadline_ns) take constant time, whatever the number of timers. In the
//!    steady state they allocate nothing.
//! 3. [`advance`](Wheel::advance) looks only at slots with something in them, and touches an entry at most once
//!    for each of its levels. It handles [`BATCH_ENTRIES`] entries a call, so that the lock is not held for long. What it
//!    would have to move at once may be moved before, a little at a time, by [`prepare`](Wheel::prepare).
//! 4. Timers fire in the order of their ticks; those first that were late already when they were inserted.
//! 5. What a wheel hands out when a timer is due is mostly a [`Waker`], but may be anything (`Wheel<T>`).
//! 6. The wheel runs no code of its users: it neither wakes nor drops a waker, and clones one only in
//!    [`update`](Wheel::update), which is [`will_wake`](Wheel::will_wake) and [`replace`](Wheel::replace) for owners
//!    without a lock. (Dropping the wheel drops what is in it: [`drain`](Wheel::drain) it first.)
//!
//! How slots are chosen, and why the earliest one is found by two bit scans, is in `slots.rs`; the memory is in
//! `slab.rs`.
//!
//! # A clock that stands still
//!
//! Tests stop the clock and move it by hand. There the tick would show: a clock that jumps to the next timer would
//! read a few microseconds more than the timer said. So there are exact twins,
//! [`advance_exact`](Wheel::advance_exact) and [`next_deadline_exact_ns`](Wheel::next_deadline_exact_ns), that
//! know no tick and take time in proportion to the timers of a slot.

mod slab;
mod slots;

use std::task::Waker;

use slab::Slab;
use slots::{SlotId, Slots};

pub use slab::Key;

/// The tick: deadlines are rounded up to a multiple of it. In nanoseconds.
///
/// 16.4 µs: half of it is what rounding adds to a timer's lateness on average, which leaves most of the 40 µs that
/// the median may be late to the wake-up itself. A finer tick would split more of the timers that can be fired
/// with one wake-up.
pub const TICK_NS: u64 = 1 << TICK_SHIFT;

/// How far apart two deadlines may lie that are fired with one wake-up of a thread, in ticks: 82 µs. docs/adr/0019 has the
/// figures.
pub const COMPANY_TICKS: u32 = 5;

/// Entries that one call of [`Wheel::advance`] fires or moves at most; so also the number of wakers that a call
/// adds to the vector. It bounds for how long the owner's lock is held: an entry takes about 5 ns when it is in the
/// cache, and up to 100 when it is not.
pub const BATCH_ENTRIES: usize = 256;

/// A hierarchical timing wheel. Its rules are in the documentation of [this module](self).
///
/// ```
/// use ringway_timer::wheel::{Progress, TICK_NS, Wheel};
/// use std::task::Waker;
///
/// let mut wheel = Wheel::new();
/// let soon = wheel.insert(5 * TICK_NS, Waker::noop().clone());
/// wheel.insert(7 * TICK_NS, Waker::noop().clone());
/// assert_eq!(wheel.next_deadline_ns(), Some(5 * TICK_NS));
///
/// assert!(wheel.remove(soon).is_some());
/// assert_eq!(wheel.next_deadline_ns(), Some(7 * TICK_NS));
///
/// let mut fired = Vec::new();
/// assert_eq!(wheel.advance(7 * TICK_NS, &mut fired), Progress::Done);
/// assert_eq!(fired.len(), 1);
/// ```
#[derive(Debug)]
pub struct Wheel<T = Waker> {
    slab: Slab<T>,
    slots: Slots,
    /// The tick that the wheel has reached.
    ///
    /// A slot that is occupied and begins here is being emptied. Its entries go to lower levels, to the due list, or out of
    /// the wheel; none comes in.
    elapsed: u64,
}

/// Whether [`Wheel::advance`] has done all there was to do.
#[must_use = "with `More` there are timers left that are due: call again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything due was handed out.
    Done,
    /// The batch was full. Wake what was handed out, and call again.
    More,
}

/// How far [`Wheel::advance_within`] goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The present time, in nanoseconds.
    pub now_ns: u64,
    /// A timer is due from its deadline on, not only from the end of its tick on.
    pub exact: bool,
    /// So many wakers are handed out at most. As many entries as by [`Wheel::advance`] are touched.
    pub wakers_max: usize,
}

impl Limits {
    fn ticks(now_ns: u64) -> Limits {
        Limits {
            now_ns,
            exact: false,
            wakers_max: BATCH_ENTRIES,
        }
    }

    fn exactly(now_ns: u64) -> Limits {
        Limits {
            exact: true,
            ..Limits::ticks(now_ns)
        }
    }
}

/// What became of [`Wheel::update`].
#[must_use = "the replaced waker must be dropped without a lock, and a timer that is gone will not wake anybody"]
#[derive(Debug)]
pub enum Update {
    /// There is no such timer: it has fired or was removed.
    Gone,
    /// The timer wakes the same task as before.
    Same,
    /// The timer wakes another task than before. This is the old waker: drop it after the lock is given back.
    Replaced(Waker),
}

impl Wheel {
    /// An empty wheel of wakers; of other things it is `Wheel::default`.
    pub fn new() -> Wheel {
        Wheel::default()
    }

    /// Has a timer wake `waker` from now on. It is cloned only if it wakes another task than the present one.
    pub fn update(&mut self, key: Key, waker: &Waker) -> Update {
        match self.will_wake(key, waker) {
            None => Update::Gone,
            Some(true) => Update::Same,
            Some(false) => self
                .replace(key, waker.clone())
                .map_or(Update::Gone, Update::Replaced),
        }
    }

    /// Whether a timer wakes the same task as `waker` does; `None` if it has fired or was removed.
    pub fn will_wake(&self, key: Key, waker: &Waker) -> Option<bool> {
        let index = self.slab.find(key)?;
        Some(self.slab.value(index).will_wake(waker))
    }
}

impl<T> Wheel<T> {
    /// The number of timers.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no timer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of timers for which there is memory. It grows by 256 at a time, and goes down after a burst: an
    /// [`advance`](Wheel::advance) of the empty wheel gives some of it back.
    pub fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    /// Adds a timer. One whose deadline has passed fires with the next `advance`.
    ///
    /// # Panics
    ///
    /// If there are 4,294,967,295 timers already.
    pub fn insert(&mut self, deadline_ns: u64, value: T) -> Key {
        let key = self.slab.allocate(deadline_ns, value);
        self.place(key.index());
        key
    }

    /// Takes a timer out. `None`: it has fired or was removed before.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let index = self.slab.find(key)?;
        Some(self.take(index))
    }

    /// Takes several timers out, and calls `removed` with what each had; with nothing for one that has fired or was removed.
    ///
    /// Of a million timers, which are in no cache, it takes a fraction of the time of as many calls of
    /// [`remove`](Wheel::remove): it waits for the memory of several at once.
    pub fn remove_all(&mut self, keys: &[Key], mut removed: impl FnMut(T)) {
        let (groups, _) = keys.as_chunks::<{ slab::FETCHED_AT_ONCE }>();
        let mut groups = groups.iter();
        for (place, &key) in keys.iter().enumerate() {
            if place % slab::FETCHED_AT_ONCE == 0
                && let Some(group) = groups.next()
            {
                self.slab.fetch(group);
            }
            if let Some(value) = self.remove(key) {
                removed(value);
            }
        }
    }

    /// Moves a timer to another deadline, earlier or later. `false`: there is no such timer.
    pub fn reset(&mut self, key: Key, deadline_ns: u64) -> bool {
        let Some(index) = self.slab.find(key) else {
            return false;
        };
        let slot = SlotId::of(tick_of(deadline_ns), self.elapsed);
        if slot == self.slab[index].slot {
            self.slots.set_deadline(&mut self.slab, index, deadline_ns);
            return true;
        }
        self.slots.unlink(&mut self.slab, index);
        self.slab[index].deadline_ns = deadline_ns;
        self.slots.link(&mut self.slab, slot, index);
        true
    }

    /// Has a timer hand out `value` from now on, and returns what it had.
    ///
    /// # Errors
    ///
    /// If it has fired or was removed: `value`, to be dropped without a lock.
    pub fn replace(&mut self, key: Key, value: T) -> Result<T, T> {
        match self.slab.find(key) {
            Some(index) => Ok(std::mem::replace(self.slab.value_mut(index), value)),
            None => Err(value),
        }
    }

    /// When to call [`advance`](Wheel::advance) next, in nanoseconds; `None` without timers.
    ///
    /// Never later than the time at which the next timer is due. It can be earlier, after the earliest timer was
    /// removed, in which case `advance` fires nothing and moves entries closer. After an
    /// `advance` that said [`Done`](Progress::Done) it is in the future; after one that said
    /// [`More`](Progress::More) it is in the past.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.next_bound_ns().map(due_ns)
    }

    /// As [`next_deadline_ns`](Wheel::next_deadline_ns), without rounding: for who calls
    /// [`advance_exact`](Wheel::advance_exact) and may be told a time at which nothing is due yet.
    pub fn next_bound_ns(&self) -> Option<u64> {
        self.next_bound().map(|(_, bound_ns)| bound_ns)
    }

    /// Until when to sleep if the [next deadline](Wheel::next_deadline_ns) is still to come, in nanoseconds; `None` without
    /// timers.
    ///
    /// If there is a second deadline within [`COMPANY_TICKS`] after the next one, that one: both are fired with one
    /// wake-up. A deadline of a higher level than the lowest is not seen, and a third one not waited for.
    pub fn sleep_until_ns(&self) -> Option<u64> {
        let (slot, bound_ns) = self.next_bound()?;
        let waits = bound_ns > 0;
        let second = waits.then(|| self.slots.next_within(slot, COMPANY_TICKS));
        Some(match second.flatten() {
            Some(second) => second.start(self.elapsed).saturating_mul(TICK_NS),
            None => due_ns(bound_ns),
        })
    }

    /// The earliest deadline, exactly, in nanoseconds; `None` without timers.
    pub fn next_deadline_exact_ns(&self) -> Option<u64> {
        self.earliest().map(|index| self.slab[index].deadline_ns)
    }

    /// The value of the timer with the earliest deadline; of several the one that is first in its slot. It takes time in
    /// proportion to the timers of a slot.
    pub fn first(&self) -> Option<&T> {
        self.earliest().map(|index| self.slab.value(index))
    }

    /// Tells the wheel that it is `now_ns`, and moves the wakers of timers that are due to `fired`, at most
    /// [`BATCH_ENTRIES`] of them. A time before that of an earlier call counts as that.
    pub fn advance(&mut self, now_ns: u64, fired: &mut Vec<T>) -> Progress {
        self.advance_within(Limits::ticks(now_ns), fired)
    }

    /// Like [`advance`](Wheel::advance), but without rounding: a timer is due from its deadline on. For clocks that
    /// are moved by hand.
    pub fn advance_exact(&mut self, now_ns: u64, fired: &mut Vec<T>) -> Progress {
        self.advance_within(Limits::exactly(now_ns), fired)
    }

    /// Like [`advance`](Wheel::advance), for an owner that has use for so many wakers only.
    pub fn advance_within(&mut self, limits: Limits, fired: &mut Vec<T>) -> Progress {
        let now_ns = match limits.exact {
            true => limits.now_ns,
            false => round_down(limits.now_ns),
        };
        let mut batch = Batch {
            limit_ns: now_ns,
            in_order: limits.exact,
            entries_left: BATCH_ENTRIES,
            wakers_left: limits.wakers_max,
            fired,
        };
        if self.fire_due(&mut batch) == Progress::More {
            return Progress::More;
        }
        let target = tick_of(now_ns);
        while let Some(slot) = self.open_until(target) {
            if self.empty(slot, &mut batch) == Progress::More {
                return Progress::More;
            }
        }
        self.elapsed = self.elapsed.max(target);
        self.slab.shrink();
        Progress::Done
    }

    /// Moves entries closer whose slots come next: `entries_max` of each level at most. Returns how many it has moved.
    ///
    /// It need not be called, and decides nothing but when the work is done: what is left of a slot when its time has come is
    /// moved by [`advance`](Wheel::advance), and what is due meanwhile waits for that. An owner that moves about as many from
    /// each level as it fires never has many to move at once.
    pub fn prepare(&mut self, entries_max: usize) -> usize {
        let slots = (1..slots::LEVELS).map(|level| self.prepare_level(level, entries_max));
        slots.sum()
    }

    /// Whether there is nothing for [`prepare`](Wheel::prepare) to move.
    pub fn is_prepared(&self) -> bool {
        (1..slots::LEVELS).all(|level| self.slots.next_of(level, self.elapsed).is_none())
    }

    /// Removes all timers and moves what they would have handed out to `values`, in no particular order. All keys are stale
    /// afterwards.
    pub fn drain(&mut self, values: &mut Vec<T>) {
        self.slab.drain(values);
        self.slots = Slots::new();
    }

    /// Fires what is due in the list of what the wheel has reached. More than that is in it only when the clock
    /// is moved by hand to within a tick.
    fn fire_due(&mut self, batch: &mut Batch<'_, T>) -> Progress {
        let mut earliest_ns = u64::MAX;
        let mut cursor = self.slots.head(SlotId::DUE);
        while let Some(index) = cursor {
            let entry = &self.slab[index];
            let deadline_ns = entry.deadline_ns;
            cursor = (entry.next != slab::NIL).then_some(entry.next);
            if deadline_ns > batch.limit_ns {
                earliest_ns = earliest_ns.min(deadline_ns);
                continue;
            }
            if batch.is_full() {
                return Progress::More;
            }
            let value = self.take(index);
            batch.fire(value);
        }
        self.slots.set_earliest_ns(SlotId::DUE, earliest_ns);
        Progress::Done
    }

    /// The slot to empty next, if the wheel may go as far as to `target`. Brings the wheel to its start.
    fn open_until(&mut self, target: u64) -> Option<SlotId> {
        let slot = self.slots.first(self.elapsed)?;
        let start = slot.start(self.elapsed);
        if start > self.elapsed.max(target) {
            return None;
        }
        self.elapsed = start;
        Some(slot)
    }

    /// The occupied slot with the earliest lower bound for its deadlines, and that: nothing, if the slot is being emptied.
    fn next_bound(&self) -> Option<(SlotId, u64)> {
        let firsts = self.slots.firsts(self.elapsed);
        let bounds = firsts.map(|slot| match slot.start(self.elapsed) > self.elapsed {
            true => (slot, self.slots.earliest_ns(slot)),
            false => (slot, 0),
        });
        let due = self.slots.head(SlotId::DUE);
        let due = due.map(|_| (SlotId::DUE, self.slots.earliest_ns(SlotId::DUE)));
        let all = due.into_iter().chain(bounds);
        all.min_by_key(|&(_, bound_ns)| bound_ns)
    }

    fn prepare_level(&mut self, level: usize, entries_max: usize) -> usize {
        let Some(slot) = self.slots.next_of(level, self.elapsed) else {
            return 0;
        };
        for moved in 0..entries_max {
            // From both ends in turn, as in `empty`.
            let Some(index) = self.slots.end(slot, moved % 2 == 1) else {
                return moved;
            };
            self.move_closer(index);
        }
        entries_max
    }

    /// Fires the entries of the open slot or moves them to where they belong now.
    ///
    /// Those that are far from due, of which there may be very many, are in no cache, and each says where the next one is. So
    /// they are taken from both ends of the list in turn: two are fetched at a time.
    fn empty(&mut self, slot: SlotId, batch: &mut Batch<'_, T>) -> Progress {
        let mut from_tail = false;
        while let Some(index) = self.slots.end(slot, from_tail) {
            if batch.is_full() {
                return Progress::More;
            }
            from_tail = !from_tail && !slot.is_lowest() && !batch.in_order;
            let deadline_ns = self.slab[index].deadline_ns;
            if tick_of(deadline_ns) <= self.elapsed && deadline_ns <= batch.limit_ns {
                let value = self.take(index);
                batch.fire(value);
            } else {
                batch.entries_left -= 1;
                self.move_closer(index);
            }
        }
        Progress::Done
    }

    /// Moves an entry from the list in which it is to where it belongs now.
    fn move_closer(&mut self, index: u32) {
        self.slots.unlink(&mut self.slab, index);
        self.place(index);
    }

    /// Links an entry into the list where it belongs.
    fn place(&mut self, index: u32) {
        let slot = SlotId::of(tick_of(self.slab[index].deadline_ns), self.elapsed);
        self.slots.link(&mut self.slab, slot, index);
    }

    fn take(&mut self, index: u32) -> T {
        self.slots.unlink(&mut self.slab, index);
        self.slab.release(index)
    }

    fn earliest(&self) -> Option<u32> {
        let slots = self.slots.firsts(self.elapsed).chain([SlotId::DUE]);
        slots
            .filter_map(|slot| self.earliest_in(slot))
            .min_by_key(|&index| self.slab[index].deadline_ns)
    }

    fn earliest_in(&self, slot: SlotId) -> Option<u32> {
        let mut earliest = self.slots.head(slot)?;
        let mut cursor = earliest;
        while cursor != slab::NIL {
            let entry = &self.slab[cursor];
            if entry.deadline_ns < self.slab[earliest].deadline_ns {
                earliest = cursor;
            }
            cursor = entry.next;
        }
        Some(earliest)
    }
}

impl<T> Default for Wheel<T> {
    /// An empty wheel at time 0. It has its slots (18 KiB), and memory for entries from the first timer on.
    fn default() -> Wheel<T> {
        Wheel {
            slab: Slab::new(),
            slots: Slots::new(),
            elapsed: 0,
        }
    }
}

/// What one call of `advance` may still do.
struct Batch<'a, T> {
    limit_ns: u64,
    /// What was inserted first comes first, of what is due at the same time.
    in_order: bool,
    entries_left: usize,
    wakers_left: usize,
    fired: &'a mut Vec<T>,
}

impl<T> Batch<'_, T> {
    fn is_full(&self) -> bool {
        self.entries_left == 0 || self.wakers_left == 0
    }

    fn fire(&mut self, value: T) {
        self.entries_left -= 1;
        self.wakers_left -= 1;
        self.fired.push(value);
    }
}

/// The tick at which a deadline is due.
fn tick_of(deadline_ns: u64) -> u64 {
    deadline_ns.div_ceil(TICK_NS)
}

/// When a timer is due that has this deadline, both in nanoseconds: at the end of the deadline's tick. The last tick of all
/// has no end, so in it time is exact.
pub fn due_ns(deadline_ns: u64) -> u64 {
    if deadline_ns > LAST_TICK_NS {
        deadline_ns
    } else {
        tick_of(deadline_ns) << TICK_SHIFT
    }
}

/// The last moment up to which, at `now_ns`, everything is due. In the last tick of all that is the moment itself, as in
/// [`due_ns`].
fn round_down(now_ns: u64) -> u64 {
    if now_ns > LAST_TICK_NS {
        now_ns
    } else {
        now_ns & LAST_TICK_NS
    }
}

const TICK_SHIFT: u32 = 14;

const LAST_TICK_NS: u64 = !(TICK_NS - 1);
