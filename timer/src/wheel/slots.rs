//! The lists of a wheel: levels of slots, bitmaps of the occupied ones, and the arithmetic that says which slot a tick
//! belongs to.
//!
//! A slot of level `l` is as long as `64^l` ticks, and a level is a ring of 128 of them, which begins with the one that the
//! wheel is in. A tick that is still to come belongs to the lowest level whose ring reaches as far. It follows, and everything
//! in this module leans on it:
//!
//! 1. The wheel's own slot of a level is empty, unless the wheel has just come to its start, and empties it. All others are
//!    still to come, so which one is meant is known from its place in the ring.
//! 2. The slots of a level come one after the other, but not the levels: an entry stays where it is while the wheel comes
//!    closer, and others of the same tick go to lower levels meanwhile. So the earliest slot is the earliest of the first
//!    ones of all levels.
//! 3. When the wheel moves on to a tick before the start of that slot, no entry has to move.
//! 4. A ring is twice as long as a slot of the next level. So the whole slot of that level that comes next finds room in
//!    it, and may be moved there before its time has come, bit by bit.
//!
//! One more slot, [`SlotId::DUE`], holds what the wheel has reached already.

use super::TICK_SHIFT;
use super::slab::{NIL, Slab};

#[derive(Debug)]
pub(super) struct Slots {
    lists: Box<[List]>,
    /// One bit for each occupied slot of a level.
    occupied: [u128; LEVELS],
    /// One bit for each level that has an occupied slot.
    levels: u16,
}

/// Entries in the order in which they came, linked through their indices.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    /// Not later than the deadline of any entry here. It may be too early, because removing an entry leaves it.
    earliest_ns: u64,
}

impl Slots {
    pub(super) fn new() -> Slots {
        let empty = List {
            head: NIL,
            tail: NIL,
            earliest_ns: u64::MAX,
        };
        Slots {
            lists: vec![empty; LEVELS * SLOTS_PER_LEVEL + 1].into_boxed_slice(),
            occupied: [0; LEVELS],
            levels: 0,
        }
    }

    pub(super) fn head(&self, slot: SlotId) -> Option<u32> {
        self.end(slot, false)
    }

    /// The first entry, or the last.
    pub(super) fn end(&self, slot: SlotId, is_tail: bool) -> Option<u32> {
        let list = &self.lists[slot.index()];
        let end = if is_tail { list.tail } else { list.head };
        (end != NIL).then_some(end)
    }

    /// A lower bound for the deadlines in `slot`, which is occupied.
    pub(super) fn earliest_ns(&self, slot: SlotId) -> u64 {
        self.lists[slot.index()].earliest_ns
    }

    /// Says what the caller has found out by walking the list.
    pub(super) fn set_earliest_ns(&mut self, slot: SlotId, earliest_ns: u64) {
        self.lists[slot.index()].earliest_ns = earliest_ns;
    }

    /// The occupied slot that begins first in a wheel that has reached `elapsed`, [`SlotId::DUE`] aside.
    pub(super) fn first(&self, elapsed: u64) -> Option<SlotId> {
        let firsts = self.firsts(elapsed);
        firsts.min_by_key(|slot| slot.start(elapsed))
    }

    /// The first occupied slot of each level that has one.
    pub(super) fn firsts(&self, elapsed: u64) -> impl Iterator<Item = SlotId> {
        let mut levels = self.levels;
        std::iter::from_fn(move || {
            let level = (levels != 0).then(|| levels.trailing_zeros())?;
            levels &= levels - 1;
            let own = SlotId::at(level, elapsed);
            let ahead = self.occupied[level as usize].rotate_right(own.place());
            Some(own.ahead(ahead.trailing_zeros()))
        })
    }

    /// The slot of `level` that comes next in a wheel that has reached `elapsed`, if it is occupied.
    pub(super) fn next_of(&self, level: usize, elapsed: u64) -> Option<SlotId> {
        if self.levels & (1 << level) == 0 {
            return None;
        }
        let next = SlotId::at(level as u32, elapsed).ahead(1);
        self.head(next).map(|_| next)
    }

    /// The occupied slot behind `slot`, which is the first of its level, if that is the lowest and this one begins within
    /// `ticks` ticks after it.
    pub(super) fn next_within(&self, slot: SlotId, ticks: u32) -> Option<SlotId> {
        if slot == SlotId::DUE || slot.level() != 0 {
            return None;
        }
        let behind = slot.ahead(1);
        let distance = self.occupied[0]
            .rotate_right(behind.place())
            .trailing_zeros();
        (distance < ticks).then(|| behind.ahead(distance))
    }

    /// Appends an entry that is in no list.
    pub(super) fn link<T>(&mut self, slab: &mut Slab<T>, slot: SlotId, index: u32) {
        let list = &mut self.lists[slot.index()];
        let entry = &mut slab[index];
        entry.slot = slot;
        entry.prev = list.tail;
        entry.next = NIL;
        let deadline_ns = entry.deadline_ns;
        if list.tail == NIL {
            *list = List {
                head: index,
                tail: index,
                earliest_ns: deadline_ns,
            };
            self.mark_occupied(slot);
        } else {
            slab[list.tail].next = index;
            list.tail = index;
            list.earliest_ns = list.earliest_ns.min(deadline_ns);
        }
    }

    /// Gives an entry another deadline, of the slot that it is in.
    pub(super) fn set_deadline<T>(&mut self, slab: &mut Slab<T>, index: u32, deadline_ns: u64) {
        let entry = &mut slab[index];
        entry.deadline_ns = deadline_ns;
        let list = &mut self.lists[entry.slot.index()];
        list.earliest_ns = match list.head == list.tail {
            true => deadline_ns,
            false => list.earliest_ns.min(deadline_ns),
        };
    }

    /// Takes an entry out of the list it is in.
    pub(super) fn unlink<T>(&mut self, slab: &mut Slab<T>, index: u32) {
        let entry = &slab[index];
        let (slot, prev, next) = (entry.slot, entry.prev, entry.next);
        let list = &mut self.lists[slot.index()];
        if prev == NIL {
            list.head = next;
        } else {
            slab[prev].next = next;
        }
        if next == NIL {
            list.tail = prev;
        } else {
            slab[next].prev = prev;
        }
        if list.head == NIL {
            self.mark_empty(slot);
        }
    }

    fn mark_occupied(&mut self, slot: SlotId) {
        if slot != SlotId::DUE {
            self.occupied[slot.level()] |= 1 << slot.place();
            self.levels |= 1 << slot.level();
        }
    }

    fn mark_empty(&mut self, slot: SlotId) {
        if slot != SlotId::DUE {
            let level = &mut self.occupied[slot.level()];
            *level &= !(1 << slot.place());
            if *level == 0 {
                self.levels &= !(1 << slot.level());
            }
        }
    }
}

/// A level and a place in its ring, or [`SlotId::DUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotId(u32);

impl SlotId {
    /// The list of what the wheel has reached.
    pub(super) const DUE: SlotId = SlotId((LEVELS * SLOTS_PER_LEVEL) as u32);

    /// Where `tick` belongs in a wheel that has reached `elapsed`.
    pub(super) fn of(tick: u64, elapsed: u64) -> SlotId {
        if tick <= elapsed {
            return SlotId::DUE;
        }
        let bits = (tick - elapsed).ilog2();
        // Less than 128 slots of this level ahead, but that may be 128 boundaries.
        let level = bits.saturating_sub(1) / BITS_PER_LEVEL;
        let shift = level * BITS_PER_LEVEL;
        let is_beyond = (tick >> shift) - (elapsed >> shift) == SLOTS_PER_LEVEL as u64;
        SlotId::at(level + u32::from(is_beyond), tick)
    }

    /// The first tick of this slot in a wheel that has reached `elapsed`.
    pub(super) fn start(self, elapsed: u64) -> u64 {
        let level = self.level() as u32;
        let distance = self.0.wrapping_sub(SlotId::at(level, elapsed).0) & PLACE_MASK;
        let shift = level * BITS_PER_LEVEL;
        ((elapsed >> shift) + u64::from(distance)) << shift
    }

    /// The slot of `level` in which `tick` is.
    fn at(level: u32, tick: u64) -> SlotId {
        let place = (tick >> (level * BITS_PER_LEVEL)) as u32 & PLACE_MASK;
        SlotId((level << PLACE_BITS) | place)
    }

    /// The slot that comes `slots` after this one.
    fn ahead(self, slots: u32) -> SlotId {
        SlotId((self.0 & !PLACE_MASK) | (self.0.wrapping_add(slots) & PLACE_MASK))
    }

    /// Whether all of this slot is one tick.
    pub(super) fn is_lowest(self) -> bool {
        self.level() == 0
    }

    fn index(self) -> usize {
        self.0 as usize
    }

    fn level(self) -> usize {
        (self.0 >> PLACE_BITS) as usize
    }

    fn place(self) -> u32 {
        self.0 & PLACE_MASK
    }
}

/// A slot is 64 times as long as one of the level below.
const BITS_PER_LEVEL: u32 = 6;

/// Twice that, so that the slot of the next level that comes next has room in a ring, and one word tells which are occupied.
const SLOTS_PER_LEVEL: usize = 1 << PLACE_BITS;

const PLACE_BITS: u32 = BITS_PER_LEVEL + 1;

const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;

/// Enough that every deadline has its slot, and none has to be parked and looked at again.
pub(super) const LEVELS: usize = 9;

/// Rounding up makes the last tick one more than the bits of a deadline allow, hence one bit more.
const _: () = assert!(LEVELS as u32 * BITS_PER_LEVEL > u64::BITS - TICK_SHIFT);
const _: () = assert!(LEVELS as u32 <= u16::BITS);
const _: () = assert!(SLOTS_PER_LEVEL as u32 == u128::BITS);
