//! In which order the buffers of a pool lie in the ring, and which of them are lent: plain data, behind the pool's lock.
//!
//! The kernel takes buffers in the order of the ring, which is that in which they were put back, whichever way they came out
//! of the last answers. Of a bundle it names the first alone, so we keep of each buffer which one was put behind it. That
//! holds until the buffer is put back itself; until then the bundle's others cannot be put back either, for nobody has them.
//!
//! A buffer's room is what its entry says when the kernel takes it, for some kernels shorten it: looking at the buffers for a
//! receive they cut one to what they mean to take, and then may take less, or nothing. The entry may be written anew
//! while an answer that names its former buffer waits, so the room of that one is kept.

use std::sync::atomic::Ordering;

use super::lane::{AnyLane, Lane};
use crate::driver::ledger::{Birth, Entry, Kind, Ledger};

#[derive(Debug)]
pub(super) struct Order {
    /// Entries written so far; the remainder by the number of buffers is the place of the next.
    tail: u64,
    /// Entries that the kernel has taken at least: those up to the last that an answer has named.
    taken: u64,
    /// The buffer that was put back last.
    newest: u16,
    lent: usize,
    buffers: Box<[Buffer]>,
    /// The buffer that the entry in each place names.
    named: Box<[u16]>,
    /// What the ledger calls them.
    what: &'static str,
    ledger: Ledger,
    /// Of the last that was lent.
    birth: Birth,
}

#[derive(Debug, Default)]
struct Buffer {
    /// The number of the entry that names it, or that named it last.
    position: u64,
    /// The buffer that came behind it.
    next: u16,
    /// Its room, from when its entry was written anew.
    room: u32,
    is_lent: bool,
    entry: Entry,
}

impl Order {
    /// Of `count` buffers, none of which is in the ring.
    pub(super) fn new(count: u16, what: &'static str) -> Self {
        Self {
            tail: 0,
            taken: 0,
            newest: 0,
            lent: 0,
            buffers: (0..count).map(|_| Buffer::default()).collect(),
            named: vec![0; usize::from(count)].into(),
            what,
            ledger: Ledger::default(),
            birth: Birth::here(),
        }
    }

    /// Whether some are not lent.
    pub(super) fn has_free(&self) -> bool {
        self.lent < self.buffers.len()
    }

    /// Puts a buffer behind all others, for the kernel to take.
    pub(super) fn put(&mut self, lane: &AnyLane, id: u16) {
        let (position, place) = (self.tail, self.place(self.tail));
        self.keep_room(lane, position);
        self.named[usize::from(place)] = id;
        self.buffers[usize::from(self.newest)].next = id;
        self.newest = id;
        let buffer = &mut self.buffers[usize::from(id)];
        buffer.position = position;
        self.lent -= usize::from(buffer.is_lent);
        buffer.is_lent = false;
        buffer.entry = Entry::default();
        self.tail += 1;
        // SAFETY: entries at and after the tail belong to us, not the kernel, and the pool's lock is held; there are as many
        // places as buffers, and this buffer is in none of them.
        unsafe { lane.put(place, id) };
        // Release: publishes the entry; pairs with the kernel's load-acquire of the tail.
        lane.publish(self.tail as u16, Ordering::Release);
    }

    /// The entry with the number `position` takes the place of an older one. The room of that one's buffer is kept, in case
    /// it is still out.
    fn keep_room(&mut self, lane: &AnyLane, position: u64) {
        let Some(older) = position.checked_sub(self.buffers.len() as u64) else {
            return;
        };
        let former = self.named[usize::from(self.place(older))];
        if self.buffers[usize::from(former)].position == older {
            self.buffers[usize::from(former)].room = self.room(lane, former);
        }
    }

    /// An answer says that `bytes` have come into the buffers from `first` on: they are lent, to an operation that was made
    /// at `birth`.
    ///
    /// # Panics
    ///
    /// If that cannot be: the kernel, or this file, has lost count, and two would have the same memory.
    pub(super) fn lend(&mut self, lane: &AnyLane, first: u16, bytes: u32, birth: Birth) {
        self.birth = birth;
        let (mut id, mut left) = (first, bytes);
        loop {
            let (room, next) = self.piece(lane, id);
            let entry = birth.during(|| self.ledger.open(Kind::Buffer, self.what));
            let buffer = &mut self.buffers[usize::from(id)];
            assert!(!buffer.is_lent, "the kernel chose a buffer that is lent");
            buffer.is_lent = true;
            buffer.entry = entry;
            self.taken = self.taken.max(buffer.position + 1);
            self.lent += 1;
            if left <= room {
                return;
            }
            (id, left) = (next, left - room);
        }
    }

    /// Puts back the buffers from `first` on into which `bytes` have come.
    pub(super) fn put_bundle(&mut self, lane: &AnyLane, first: u16, bytes: u32) {
        let (mut id, mut left) = (first, bytes);
        loop {
            let (room, next) = self.piece(lane, id);
            self.put(lane, id);
            if left <= room {
                return;
            }
            (id, left) = (next, left - room);
        }
    }

    /// Of a buffer that the kernel has taken, its room, and the buffer with which the kernel went on if it filled that.
    pub(super) fn piece(&self, lane: &AnyLane, id: u16) -> (u32, u16) {
        assert!(
            usize::from(id) < self.buffers.len(),
            "the kernel chose a buffer that was never provided"
        );
        (self.room(lane, id), self.buffers[usize::from(id)].next)
    }

    fn room(&self, lane: &AnyLane, id: u16) -> u32 {
        let buffer = &self.buffers[usize::from(id)];
        if self.tail - buffer.position > self.buffers.len() as u64 {
            return buffer.room;
        }
        // SAFETY: the kernel has taken the buffer, so its place is ours, and whoever writes entries has the lock, as we have.
        unsafe { lane.room(self.place(buffer.position)) }
    }

    fn place(&self, position: u64) -> u16 {
        (position % self.buffers.len() as u64) as u16
    }

    /// Answers were lost, and the buffers that they named with them.
    pub(super) fn excuse(&self) {
        self.ledger.excuse();
    }

    /// Nobody has the pool any more: tells of the buffers that were not put back, and of those that the kernel took and no
    /// answer has named.
    pub(super) fn end(&self) {
        let unnamed = |buffer: &&Buffer| !buffer.is_lent && buffer.position < self.taken;
        for _ in self.buffers.iter().filter(unnamed) {
            let what = self.what;
            let entry = self.birth.during(|| self.ledger.open(Kind::Unnamed, what));
            std::mem::forget(entry);
        }
        self.ledger.end_pool();
    }
}
