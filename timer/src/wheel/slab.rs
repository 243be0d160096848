//! The memory of a wheel: entries in chunks, found by index.
//!
//! 1. An entry never moves: growing adds a chunk, so it neither copies entries nor doubles the memory at once.
//! 2. A freed entry is reused before fresh memory is touched, the last freed one first, because it is in the cache.
//! 3. A key is an index and a generation. Generations come from one counter for the whole slab, so a key stays
//!    stale even if its chunk was given back and allocated again in between.
//! 4. An entry is live exactly when it has a value: mostly a waker.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};
use std::task::Waker;

use super::slots::SlotId;

/// Names a timer in the wheel that gave it out. When the timer has fired or was removed its key is stale: the
/// wheel answers that there is no such timer, though its memory may serve another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    generation: NonZeroU32,
}

impl Key {
    pub(super) fn index(self) -> u32 {
        self.index
    }
}

/// One timer. The list links are for the wheel's slots, and `next` is also the link of the free list.
#[derive(Debug)]
pub(super) struct Entry<T> {
    value: Option<T>,
    pub(super) deadline_ns: u64,
    pub(super) prev: u32,
    pub(super) next: u32,
    generation: u32,
    pub(super) slot: SlotId,
}

/// A million timers are a million of these, so it has to stay small: 16 bytes of waker, 8 of deadline, 8 of links,
/// 4 of generation, 4 of slot.
const _: () = assert!(size_of::<Entry<Waker>>() <= 40);

impl<T> Entry<T> {
    fn vacant() -> Entry<T> {
        Entry {
            value: None,
            deadline_ns: 0,
            prev: NIL,
            next: NIL,
            generation: 0,
            slot: SlotId::DUE,
        }
    }
}

#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Box<[Entry<T>; CHUNK_ENTRIES]>>,
    /// First entry of the free list.
    free: u32,
    /// Entries below this index are live or in the free list; those from it on were never used since the slab was
    /// last empty.
    used: u32,
    live: u32,
    last_generation: u32,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab {
            chunks: Vec::new(),
            free: NIL,
            used: 0,
            live: 0,
            last_generation: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.live as usize
    }

    pub(super) fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK_ENTRIES
    }

    /// Makes an entry that is in no list.
    pub(super) fn allocate(&mut self, deadline_ns: u64, value: T) -> Key {
        let index = self.take_vacant();
        let generation = self.next_generation();
        self.live += 1;
        let entry = &mut self[index];
        entry.value = Some(value);
        entry.deadline_ns = deadline_ns;
        entry.generation = generation.get();
        Key { index, generation }
    }

    /// Frees a live entry that the caller has taken out of its list.
    pub(super) fn release(&mut self, index: u32) -> T {
        let free = self.free;
        let entry = &mut self[index];
        let value = entry.value.take().expect("only live entries are released");
        entry.next = free;
        self.free = index;
        self.live -= 1;
        if self.live == 0 {
            self.forget_free_list();
        }
        value
    }

    /// The index of the live entry that `key` names, or `None` for a stale key.
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        let entry = self.get(key.index)?;
        let current = entry.generation == key.generation.get() && entry.value.is_some();
        current.then_some(key.index)
    }

    /// Has the processor fetch the entries of `keys`, and those that are linked to them: several at a time, because none
    /// of these loads waits for another.
    pub(super) fn fetch(&self, keys: &[Key; FETCHED_AT_ONCE]) {
        let links = keys.map(|key| match self.get(key.index) {
            // The value's line, too, if that is another.
            Some(entry) if entry.value.is_some() => [entry.prev, entry.next],
            _ => [NIL; 2],
        });
        let near = links.as_flattened().iter();
        let touched = near.filter_map(|&index| Some(self.get(index)?.next));
        black_box(touched.fold(0, |sum, next| sum ^ next));
    }

    fn get(&self, index: u32) -> Option<&Entry<T>> {
        let chunk = self.chunks.get(index as usize / CHUNK_ENTRIES)?;
        Some(&chunk[index as usize % CHUNK_ENTRIES])
    }

    /// The value of a live entry.
    pub(super) fn value(&self, index: u32) -> &T {
        self[index]
            .value
            .as_ref()
            .expect("the index is that of a live entry")
    }

    /// As [`Self::value`].
    pub(super) fn value_mut(&mut self, index: u32) -> &mut T {
        self[index]
            .value
            .as_mut()
            .expect("the index is that of a live entry")
    }

    /// Empties the slab into `values`.
    pub(super) fn drain(&mut self, values: &mut Vec<T>) {
        values.reserve(self.len());
        let used = self.used as usize;
        let entries = self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut());
        values.extend(entries.take(used).filter_map(|entry| entry.value.take()));
        self.live = 0;
        self.forget_free_list();
    }

    /// Gives back some chunks if the slab is empty, so that a burst of timers does not hold its memory for ever.
    pub(super) fn shrink(&mut self) {
        if self.live == 0 && self.chunks.len() > CHUNKS_KEPT {
            let keep = self
                .chunks
                .len()
                .saturating_sub(CHUNKS_FREED_AT_ONCE)
                .max(CHUNKS_KEPT);
            self.chunks.truncate(keep);
        }
    }

    fn take_vacant(&mut self) -> u32 {
        if self.free != NIL {
            let index = self.free;
            self.free = self[index].next;
            return index;
        }
        let index = self.used;
        assert!(index < NIL, "a timer wheel holds at most {NIL} timers");
        if index as usize == self.capacity() {
            self.chunks.push(new_chunk());
        }
        self.used += 1;
        index
    }

    fn next_generation(&mut self) -> NonZeroU32 {
        self.last_generation = self.last_generation.wrapping_add(1).max(1);
        NonZeroU32::new(self.last_generation).expect("at least 1 by the line above")
    }

    /// Starts over at index 0: with no live entry the free list is all there is, and in index order it is faster.
    fn forget_free_list(&mut self) {
        self.free = NIL;
        self.used = 0;
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = Entry<T>;

    fn index(&self, index: u32) -> &Entry<T> {
        &self.chunks[index as usize / CHUNK_ENTRIES][index as usize % CHUNK_ENTRIES]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut Entry<T> {
        &mut self.chunks[index as usize / CHUNK_ENTRIES][index as usize % CHUNK_ENTRIES]
    }
}

fn new_chunk<T>() -> Box<[Entry<T>; CHUNK_ENTRIES]> {
    // Made on the heap at once: ten kilobytes would be a rude guest on a coroutine's or a test thread's stack.
    let entries: Box<[Entry<T>]> = (0..CHUNK_ENTRIES).map(|_| Entry::vacant()).collect();
    let Ok(chunk) = entries.try_into() else {
        unreachable!("collected exactly that many")
    };
    chunk
}

/// Entries that [`Slab::fetch`] has fetched at a time: about as many lines as a processor waits for at once.
pub(super) const FETCHED_AT_ONCE: usize = 16;

/// No entry.
pub(super) const NIL: u32 = u32::MAX;

/// Entries in a chunk: 10 KiB, small enough for the first timer of a worker, large enough that a million timers
/// need only 4,000 allocations.
const CHUNK_ENTRIES: usize = 256;

/// Chunks that an empty slab keeps, for the next timers.
const CHUNKS_KEPT: usize = 4;

/// Chunks that one call of [`Slab::shrink`] frees at most, because the wheel's owner holds a lock meanwhile.
const CHUNKS_FREED_AT_ONCE: usize = 16;
