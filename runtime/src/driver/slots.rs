//! The table of a shard's operations: plain data, no lock, no ring.
//!
//! A slot owns an operation's memory while the kernel may use it. Slots live in chunks that never move, so
//! that a pointer in an SQE stays good; small operations lie in the slot itself, larger ones in a box. A key
//! is index and generation: a late answer, or a cancel for an operation that is long gone, meets another
//! generation and finds nothing.
//!
//! Answers that are not the last of their operation wait in the slot's queue. What they own belongs to the operation
//! until somebody takes them: if its future is dropped first, the operation disposes of them after the last. Those that
//! own nothing, as the masks of a poll, are handed out to be told, and do not come back here.
//!
//! Whoever calls these functions holds the shard's lock. None of them runs user code: wakers, requests and
//! outputs are handed out ([`Settled`], [`Orphan`]) to be woken, completed or dropped after unlocking.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use io_uring::squeue;

pub use super::answers::Answer;
use super::answers::{Pool, Queue};
use super::bounds::Bounds;
use super::ledger::{Entry, Kind, Ledger};
use super::op::{Completion, Operation, Tell};
use super::payload::{Face, Gather, Payload};
use super::plain::is_poll;
use super::stored::{Entries, Stored, store};
use crate::offer::{Offer, Unprepared};

/// Index and generation of a slot; also the user data of its SQE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key as the user data of an SQE.
    pub fn to_user_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    fn from_user_data(user_data: u64) -> Self {
        Self {
            index: user_data as u32,
            generation: (user_data >> 32) as u32,
        }
    }
}

/// User data of the doorbell's multishot poll.
pub(super) const DOORBELL: u64 = u64::MAX;
/// User data of cancels, and of what was withdrawn, whose own answers nobody needs.
pub(super) const CANCEL: u64 = u64::MAX - 1;
/// User data of messages to a sleeper.
pub(super) const MESSAGE: u64 = u64::MAX - 3;

/// The operations of one shard.
#[derive(Debug, Default)]
pub(super) struct Slots {
    chunks: Vec<Box<[Slot]>>,
    free_head: Option<u32>,
    in_flight: usize,
    answers: Pool,
    ledger: Ledger,
    bounds: Bounds,
}

/// What a poll of an operation found.
#[derive(Debug)]
pub enum Polled<T> {
    /// The kernel has not answered; the waker is stored, and the one it replaced is to be dropped unlocked.
    Pending(Option<Waker>),
    /// Request and answer; the slot is free again.
    Ready(T, Answer),
}

/// What a poll of an operation with many answers found.
#[derive(Debug)]
pub enum Next<T: Operation> {
    /// No answer waits; the waker is stored, and the one it replaced is to be dropped unlocked.
    Pending(Option<Waker>),
    /// As `Pending`, and the operation was put back into the ring.
    Resumed {
        /// Whether SQEs wait for room.
        full: bool,
    },
    /// The output of one answer.
    Item(T::Output),
    /// Request and last answer; the slot is free again.
    Last(T, Answer),
}

/// What dropping the future of an operation leaves to do.
#[derive(Debug)]
#[must_use]
pub enum Abandoned {
    /// Ask the kernel to cancel; drop the waker after unlocking.
    Cancel(Option<Waker>),
    /// The answer had come: finish the orphan after unlocking.
    Finish(Orphan),
}

/// What reaping hands out, to be acted upon after unlocking.
#[derive(Debug, Default)]
pub struct Settled {
    /// Tasks whose operations are done.
    pub wakers: Vec<Waker>,
    /// What is to be told to whom.
    pub told: Vec<Told>,
    /// Operations whose futures are gone.
    pub orphans: Vec<Orphan>,
    /// Operations to submit once more, because the thread that had submitted them exited.
    pub again: Vec<squeue::Entry>,
    /// Operations to cancel, because nobody takes their answers.
    pub full: Vec<Key>,
    /// Of these something was put into the ring, and is to be submitted.
    pub queued: bool,
    /// The doorbell had rung.
    pub doorbell: bool,
    /// Of the wakers, as long as they are not called.
    pub(super) stored: Vec<Entry>,
}

/// An answer that is to be told.
pub struct Told {
    who: Arc<dyn Tell>,
    mask: u32,
}

impl Told {
    /// Where in memory what is told is noted.
    pub(super) fn place(&self) -> *const () {
        Arc::as_ptr(&self.who).cast()
    }

    /// Tells it. User code may run: hold no lock.
    pub fn tell(self) {
        self.who.tell(self.mask);
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("mask", &self.mask)
            .finish_non_exhaustive()
    }
}

impl Settled {
    /// Whether somebody is to be told or woken, or something is to be finished.
    pub(super) fn has_something(&self) -> bool {
        !(self.told.is_empty() && self.wakers.is_empty() && self.orphans.is_empty())
    }

    fn hand_out(&mut self, stored: &mut Option<Stored>) {
        if let Some(Stored { waker, entry }) = stored.take() {
            self.wakers.push(waker);
            self.stored.push(entry);
        }
    }
}

/// A finished operation without a future: its output is made and dropped by [`Orphan::finish`].
#[derive(Debug)]
pub struct Orphan {
    payload: Payload,
    face: &'static Face,
    /// Answers that nobody took.
    earlier: Vec<Answer>,
    answer: Answer,
    _entry: Entry,
}

impl Orphan {
    /// The kernel's answer.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Makes the output with `completion`, and those of the answers that nobody took, and drops them. User code may
    /// run: hold no lock.
    pub fn finish(mut self, completion: Completion) {
        // SAFETY: the payload was moved out of its slot after the last CQE and `self` is consumed, so it is
        // read exactly once; `face` was made for its type in `insert`.
        unsafe { (self.face.finish)(&mut self.payload, &self.earlier, completion) }
    }
}

/// What settling touches comes first and shares a cache line: a shard may have many thousands of slots.
#[derive(Debug)]
#[repr(C, align(64))]
struct Slot {
    generation: u32,
    /// Answers that are not the last.
    answers: Queue,
    face: &'static Face,
    stage: Stage,
    payload: Payload,
    entries: Entries,
}

#[derive(Debug)]
enum Stage {
    Free {
        next: Option<u32>,
    },
    InFlight {
        waker: Option<Stored>,
        cancelling: bool,
        /// The driver is cancelling it, because nobody takes its answers or for a sweep, and will go on with it.
        suspended: bool,
        /// It waits for an event, and the kernel has no memory of it.
        polls: bool,
        tries: u8,
    },
    /// Many answers were wanted, and the kernel has nothing of it now, but may be given it again.
    Paused {
        tries: u8,
    },
    Abandoned,
    Done(Answer),
}

const _: () = assert!(
    cfg!(any(debug_assertions, feature = "ledger")) || size_of::<Slot>() <= 192,
    "three cache lines"
);

/// How often an operation that died with its submitting thread is submitted again.
const TRIES_MAX: u8 = 8;
/// Slots of a chunk: some 16 KiB, the size of a small page run.
const CHUNK_SLOTS: usize = 64;

impl Slots {
    /// An empty table within `bounds`.
    pub(super) fn within(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// Operations whose last CQE has not come.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What was handed out of here.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Moves `operation` into a slot, in flight from now on, and returns its SQE; gives it back if all slots are taken
    /// that there can be.
    pub(super) fn insert<T: Operation>(
        &mut self,
        operation: T,
        waker: Option<Waker>,
    ) -> Result<(Key, squeue::Entry), T> {
        let Some((index, next)) = self.first_free() else {
            return Err(operation);
        };
        let ledger = self.ledger.clone();
        // Dropped nowhere if `entry` panics, as the operation: not under the shard's lock. The slot is still free then.
        let waker = ManuallyDrop::new(waker);
        let slot = self.slot_mut(index);
        slot.payload.put(operation);
        slot.face = const { &Face::of::<T>() };
        let key = Key {
            index,
            generation: slot.generation,
        };
        let sqe = slot.entry(key);
        let entry = ledger.open(Kind::Slot, slot.face.name());
        slot.entries = Entries {
            operation: entry.beside(Kind::Operation),
            slot: entry,
        };
        slot.stage = match ManuallyDrop::into_inner(waker) {
            Some(waker) => Stage::in_flight(Stored::new(waker, &slot.entries), &sqe, 0),
            None => Stage::Abandoned,
        };
        self.free_head = next;
        self.in_flight += 1;
        Ok((key, sqe))
    }

    /// Takes the answer if it has come; otherwise stores the waker.
    pub(super) fn poll<T: Operation>(
        &mut self,
        key: Key,
        offer: &mut Offer<'_>,
    ) -> Result<Polled<T>, Unprepared> {
        let slot = self.slot_mut(key.index);
        assert_eq!(
            slot.generation, key.generation,
            "an operation's slot was freed while its future lived"
        );
        match &mut slot.stage {
            Stage::Done(answer) => {
                let answer = *answer;
                // SAFETY: the stage is Done: the last CQE has come, the kernel is through with the memory;
                // the type is the one of `insert`, for keys are only held by the `Op<T>` that made them.
                let operation = unsafe { slot.payload.take::<T>() };
                self.give_free(key.index);
                Ok(Polled::Ready(operation, answer))
            }
            Stage::InFlight { waker: stored, .. } => {
                store(stored, offer, &slot.entries).map(Polled::Pending)
            }
            Stage::Free { .. } | Stage::Paused { .. } | Stage::Abandoned => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
        }
    }

    /// As [`Self::poll`], for an operation with many answers. One that has paused and is not to end for good (`closed`)
    /// is in flight again: its SQE is put into `resumed`.
    pub(super) fn next<T: Operation>(
        &mut self,
        key: Key,
        offer: &mut Offer<'_>,
        closed: bool,
        resumed: &mut Option<squeue::Entry>,
    ) -> Result<Next<T>, Unprepared> {
        let (slot, pool) = self.slot_and_pool(key.index);
        assert_eq!(
            slot.generation, key.generation,
            "an operation's slot was freed while its future lived"
        );
        if let Some(answer) = slot.answers.pop(pool) {
            return Ok(slot.item(answer));
        }
        let answer = match &mut slot.stage {
            Stage::InFlight { waker: stored, .. } => {
                return store(stored, offer, &slot.entries).map(Next::Pending);
            }
            Stage::Paused { tries } if !closed => {
                let tries = *tries;
                if !offer.has_clone() {
                    return Err(Unprepared);
                }
                // First, for it may panic.
                let sqe = resumed.insert(slot.entry(key));
                let stored = Stored::new(offer.take()?, &slot.entries);
                slot.stage = Stage::in_flight(stored, sqe, tries);
                slot.entries.operation = slot.entries.slot.beside(Kind::Operation);
                self.in_flight += 1;
                return Ok(Next::Pending(None));
            }
            Stage::Paused { .. } => Answer::CANCELED,
            Stage::Done(answer) => *answer,
            Stage::Free { .. } | Stage::Abandoned => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
        };
        // SAFETY: the stage is Done or Paused: the last CQE has come, the kernel is through with the memory; the type
        // is the one of `insert`, for keys are only held by the `Many<T>` that made them.
        let operation = unsafe { slot.payload.take::<T>() };
        self.give_free(key.index);
        Ok(Next::Last(operation, answer))
    }

    /// The future is gone.
    pub(super) fn abandon(&mut self, key: Key) -> Abandoned {
        let (slot, pool) = self.slot_and_pool(key.index);
        assert_eq!(
            slot.generation, key.generation,
            "an operation's slot was freed while its future lived"
        );
        let answer = match &mut slot.stage {
            Stage::InFlight { waker, .. } => {
                let stored = waker.take();
                slot.stage = Stage::Abandoned;
                return Abandoned::Cancel(stored.map(|stored| stored.waker));
            }
            Stage::Paused { .. } => Answer::CANCELED,
            Stage::Done(answer) => *answer,
            Stage::Free { .. } | Stage::Abandoned => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
        };
        let orphan = slot.orphan(pool, answer);
        self.give_free(key.index);
        Abandoned::Finish(orphan)
    }

    /// The kernel's answer to an operation. `false` if it finds none: a second last answer, or one to nobody.
    pub(super) fn settle(&mut self, user_data: u64, answer: Answer, out: &mut Settled) -> bool {
        let key = Key::from_user_data(user_data);
        let Some(slot) = self.find(key) else {
            return false;
        };
        match slot.stage {
            Stage::InFlight { .. } | Stage::Abandoned => {}
            Stage::Free { .. } | Stage::Paused { .. } | Stage::Done(_) => return false,
        }
        if io_uring::cqueue::more(answer.flags) {
            self.gather(key, answer, out);
        } else {
            self.end(key, answer, out);
        }
        true
    }

    /// An answer that is not the last.
    fn gather(&mut self, key: Key, answer: Answer, out: &mut Settled) {
        let (slot, pool) = self.slot_and_pool(key.index);
        let gather = slot.face.gather;
        // Of one output the first answer has the result, as that of a send without copying.
        let is_kept = match gather {
            Gather::One => slot.answers.is_empty(),
            Gather::Told => false,
            Gather::Queue { .. } => true,
        };
        if is_kept {
            let weight = (slot.face.weight)(answer.result);
            slot.answers.push(pool, answer, weight);
        }
        let Stage::InFlight {
            waker,
            cancelling,
            suspended,
            tries,
            ..
        } = &mut slot.stage
        else {
            return;
        };
        match gather {
            Gather::One => {}
            Gather::Told => {
                *tries = 0;
                // SAFETY: the payload holds the operation that `face` was made for (`insert`), for it is in flight.
                let who = unsafe { (slot.face.teller)(&mut slot.payload) };
                let mask = u32::try_from(answer.result).unwrap_or(0);
                out.told.push(Told { who, mask });
            }
            Gather::Queue { limit } => {
                *tries = 0;
                out.hand_out(waker);
                if slot.answers.weight() >= limit
                    && !*cancelling
                    && !std::mem::replace(suspended, true)
                {
                    out.full.push(key);
                }
            }
        }
    }

    /// The last answer.
    fn end(&mut self, key: Key, answer: Answer, out: &mut Settled) {
        let (slot, pool) = self.slot_and_pool(key.index);
        match &mut slot.stage {
            Stage::InFlight {
                waker,
                cancelling: false,
                suspended,
                tries,
                ..
            } if answer == Answer::CANCELED && (*suspended || *tries < TRIES_MAX) => {
                *tries += u8::from(!std::mem::take(suspended));
                let tries = *tries;
                if slot.face.gather != Gather::One {
                    out.hand_out(waker);
                    slot.stage = Stage::Paused { tries };
                } else if let Some(entry) = slot.entry_again(key) {
                    out.again.push(entry);
                    return;
                } else {
                    slot.settle(answer, pool, out);
                }
            }
            Stage::InFlight { .. } => slot.settle(answer, pool, out),
            _ => {
                out.orphans.push(slot.orphan(pool, answer));
                self.give_free(key.index);
            }
        }
        self.slot_mut(key.index).entries.operation = Entry::default();
        self.in_flight -= 1;
    }

    /// Marks an operation as being cancelled, so that ECANCELED is final; `false` if it is marked, or has its answer.
    pub(super) fn expect_cancel(&mut self, key: Key) -> bool {
        let slot = self.slot_mut(key.index);
        assert_eq!(
            slot.generation, key.generation,
            "an operation's slot was freed while its future lived"
        );
        match &mut slot.stage {
            Stage::InFlight { cancelling, .. } => !std::mem::replace(cancelling, true),
            Stage::Paused { .. } => {
                slot.stage = Stage::Done(Answer::CANCELED);
                false
            }
            Stage::Done(_) => false,
            Stage::Free { .. } | Stage::Abandoned => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
        }
    }

    /// Marks an operation as being cancelled by a sweep, so that it goes on after ECANCELED.
    pub(super) fn expect_sweep(&mut self, key: Key) {
        if let Stage::InFlight { suspended, .. } = &mut self.slot_mut(key.index).stage {
            *suspended = true;
        }
    }

    /// Marks every operation as being cancelled, so that ECANCELED is final.
    pub(super) fn expect_cancel_of_all(&mut self) {
        for slot in self.chunks.iter_mut().flat_map(|chunk| chunk.iter_mut()) {
            if let Stage::InFlight { cancelling, .. } = &mut slot.stage {
                *cancelling = true;
            }
        }
    }

    /// The operations whose last CQE has not come.
    pub(super) fn keys_in_flight(&self) -> Vec<Key> {
        self.keys(|stage| matches!(stage, Stage::InFlight { .. } | Stage::Abandoned))
    }

    /// Those of them that somebody waits for, and that can end without the kernel, which has none of their memory.
    pub(super) fn keys_of_polls(&self) -> Vec<Key> {
        self.keys(|stage| matches!(stage, Stage::InFlight { polls: true, .. }))
    }

    fn keys(&self, of: impl Fn(&Stage) -> bool) -> Vec<Key> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        let found = (0..).zip(slots).filter(|(_, slot)| of(&slot.stage));
        let key = |(index, slot): (u32, &Slot)| Key {
            index,
            generation: slot.generation,
        };
        found.map(key).collect()
    }

    fn find(&mut self, key: Key) -> Option<&mut Slot> {
        let (chunk, place) = Self::locate(key.index);
        let slot = self.chunks.get_mut(chunk)?.get_mut(place)?;
        (slot.generation == key.generation).then_some(slot)
    }

    fn locate(index: u32) -> (usize, usize) {
        (index as usize / CHUNK_SLOTS, index as usize % CHUNK_SLOTS)
    }

    fn slot_mut(&mut self, index: u32) -> &mut Slot {
        self.slot_and_pool(index).0
    }

    fn slot_and_pool(&mut self, index: u32) -> (&mut Slot, &mut Pool) {
        let (chunk, place) = Self::locate(index);
        (&mut self.chunks[chunk][place], &mut self.answers)
    }

    /// The first slot of the free list, which it is still on, and the one behind it.
    fn first_free(&mut self) -> Option<(u32, Option<u32>)> {
        if self.free_head.is_none() {
            self.grow();
        }
        let index = self.free_head?;
        let Stage::Free { next } = self.slot_mut(index).stage else {
            unreachable!("the free list holds free slots")
        };
        Some((index, next))
    }

    fn give_free(&mut self, index: u32) {
        let next = self.free_head.replace(index);
        let slot = self.slot_mut(index);
        slot.generation = slot.generation.wrapping_add(1);
        slot.stage = Stage::Free { next };
        slot.entries.slot = Entry::default();
    }

    fn grow(&mut self) {
        let first = self.chunks.len() * CHUNK_SLOTS;
        let end = first + CHUNK_SLOTS;
        if end > self.bounds.slots_max() {
            return;
        }
        let slot = |index: usize| Slot {
            generation: self.bounds.first_generation(),
            answers: Queue::default(),
            face: &Face::NONE,
            stage: Stage::Free {
                next: (index + 1 < end).then_some(index as u32 + 1),
            },
            payload: Payload::EMPTY,
            entries: Entries::default(),
        };
        self.chunks.push((first..end).map(slot).collect());
        self.free_head = Some(first as u32);
    }
}

impl Slot {
    fn entry(&mut self, key: Key) -> squeue::Entry {
        // SAFETY: the payload holds the operation that `face` was made for (`insert`), at an address that
        // does not change before the last CQE: chunks never move and nobody moves out of a slot in flight.
        let entry = unsafe { (self.face.entry)(&mut self.payload) };
        entry.user_data(key.to_user_data())
    }

    /// The same while answers are reaped, where nobody is to blame for a panic: `None`.
    fn entry_again(&mut self, key: Key) -> Option<squeue::Entry> {
        let built = catch_unwind(AssertUnwindSafe(|| self.entry(key)));
        // The panic's payload is the user's, and must not be dropped here.
        built.map_err(std::mem::forget).ok()
    }

    /// The last answer of an operation whose future lives.
    fn settle(&mut self, answer: Answer, pool: &mut Pool, out: &mut Settled) {
        if let Stage::InFlight { waker, .. } = &mut self.stage {
            out.hand_out(waker);
        }
        self.stage = Stage::Done(self.last(pool, answer));
    }

    /// Hands an answer out that is not the last.
    fn item<T: Operation>(&mut self, answer: Answer) -> Next<T> {
        let item = T::ANSWERS
            .item()
            .expect("an operation whose answers wait makes outputs of them");
        // SAFETY: the payload holds the operation until the last answer is taken; the type is the one of `insert`,
        // for keys are only held by the `Many<T>` that made them.
        let place = unsafe { self.payload.place::<T>() };
        // SAFETY: as above, and the shard's lock keeps everybody else away.
        let operation = unsafe { &*place };
        Next::Item(item(operation, answer.into_completion()))
    }

    /// The answer that counts, now that the last has come.
    fn last(&mut self, pool: &mut Pool, answer: Answer) -> Answer {
        match self.face.gather {
            Gather::One => self.answers.pop(pool).unwrap_or(answer),
            Gather::Told | Gather::Queue { .. } => answer,
        }
    }

    /// Empties the queue, for the operation to dispose of what the answers own.
    fn untaken(&mut self, pool: &mut Pool) -> Vec<Answer> {
        let answers = self.answers.take_all(pool);
        match self.face.gather {
            Gather::Queue { .. } => answers.collect(),
            Gather::One | Gather::Told => {
                answers.for_each(drop);
                Vec::new()
            }
        }
    }

    /// Moves everything out of a slot that is to be freed.
    fn orphan(&mut self, pool: &mut Pool, answer: Answer) -> Orphan {
        Orphan {
            answer: self.last(pool, answer),
            earlier: self.untaken(pool),
            face: self.face,
            payload: self.payload.copy_out(),
            _entry: self.entries.slot.beside(Kind::Output),
        }
    }
}

impl Stage {
    fn in_flight(waker: Stored, sqe: &squeue::Entry, tries: u8) -> Self {
        Self::InFlight {
            waker: Some(waker),
            cancelling: false,
            suspended: false,
            polls: is_poll(sqe),
            tries,
        }
    }
}
