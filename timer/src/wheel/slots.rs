//! The lists of a wheel: levels of slots, a bitmap of the occupied ones, and the arithmetic that says which slot a
//! tick belongs to.
//!
//! Level `l` has 64 slots of `64^l` ticks each. A tick that is still to come belongs to the level of the highest
//! base-64 digit in which it differs from the tick that the wheel has reached, and there to the slot of that
//! digit. It follows, and everything in this module leans on it:
//!
//! 1. Occupied slots of a level all lie after the wheel's own digit of that level: nothing wraps around.
//! 2. All ticks of a level come before all ticks of the next higher level, and those of a slot before those of
//!    the next slot. So the earliest slot is the lowest bit of the lowest level.
//! 3. When the wheel moves on to a tick before the start of that slot, no entry has to move.
//!
//! One more slot, [`SlotId::DUE`], holds what the wheel has reached already.

use super::TICK_SHIFT;
use super::slab::{NIL, Slab};

#[derive(Debug)]
pub(super) struct Slots {
    lists: Box<[List]>,
    /// One bit for each occupied slot of a level.
    occupied: [u64; LEVELS],
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

    /// The occupied slot with the earliest ticks, [`SlotId::DUE`] aside.
    pub(super) fn first(&self) -> Option<SlotId> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let digit = self.occupied[level as usize].trailing_zeros();
        Some(SlotId::new(level, digit))
    }

    /// The slot behind `slot`, if that is of the lowest level and this one begins within `ticks` ticks after it.
    pub(super) fn next_within(&self, slot: SlotId, ticks: u32) -> Option<SlotId> {
        if slot == SlotId::DUE || slot.level() != 0 {
            return None;
        }
        let behind = self.occupied[0] >> slot.digit() >> 1;
        let distance = behind.trailing_zeros() + 1;
        let is_near = behind != 0 && distance <= ticks;
        is_near.then(|| SlotId::new(0, slot.digit() + distance))
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
            self.occupied[slot.level()] |= 1 << slot.digit();
            self.levels |= 1 << slot.level();
        }
    }

    fn mark_empty(&mut self, slot: SlotId) {
        if slot != SlotId::DUE {
            let level = &mut self.occupied[slot.level()];
            *level &= !(1 << slot.digit());
            if *level == 0 {
                self.levels &= !(1 << slot.level());
            }
        }
    }
}

/// A level and a digit in it, or [`SlotId::DUE`].
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
        let level = (tick ^ elapsed).ilog2() / BITS_PER_LEVEL;
        let digit = (tick >> (level * BITS_PER_LEVEL)) as u32 & DIGIT_MASK;
        SlotId::new(level, digit)
    }

    /// The first tick of this slot in a wheel that has reached `elapsed`.
    pub(super) fn start(self, elapsed: u64) -> u64 {
        let shift = self.level() as u32 * BITS_PER_LEVEL;
        let below = (1u64 << (shift + BITS_PER_LEVEL)) - 1;
        (elapsed & !below) | (u64::from(self.digit()) << shift)
    }

    fn new(level: u32, digit: u32) -> SlotId {
        SlotId((level << BITS_PER_LEVEL) | digit)
    }

    /// Whether all of this slot is one tick.
    pub(super) fn is_lowest(self) -> bool {
        self.level() == 0
    }

    fn index(self) -> usize {
        self.0 as usize
    }

    fn level(self) -> usize {
        (self.0 >> BITS_PER_LEVEL) as usize
    }

    fn digit(self) -> u32 {
        self.0 & DIGIT_MASK
    }
}

const BITS_PER_LEVEL: u32 = 6;

/// 64, so that one word tells which slots of a level are occupied.
const SLOTS_PER_LEVEL: usize = 1 << BITS_PER_LEVEL;

const DIGIT_MASK: u32 = (1 << BITS_PER_LEVEL) - 1;

/// Enough that every deadline has its slot, and none has to be parked and looked at again.
const LEVELS: usize = 9;

/// Rounding up makes the last tick one more than the bits of a deadline allow, hence one bit more.
const _: () = assert!(LEVELS as u32 * BITS_PER_LEVEL > u64::BITS - TICK_SHIFT);
const _: () = assert!(LEVELS as u32 <= u16::BITS);
