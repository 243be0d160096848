//! The table of a shard's operations: plain data, no lock, no ring.
//!
//! A slot owns an operation's memory while the kernel may use it. Slots live in chunks that never move, so
//! that a pointer in an SQE stays good; small operations lie in the slot itself, larger ones in a box. A key
//! is index and generation: a late answer, or a cancel for an operation that is long gone, meets another
//! generation and finds nothing.
//!
//! Whoever calls these functions holds the shard's lock. None of them runs user code: wakers, requests and
//! outputs are handed out ([`Settled`], [`Orphan`]) to be woken, completed or dropped after unlocking.

use std::io;
use std::mem::{MaybeUninit, align_of, size_of};
use std::task::Waker;

use io_uring::squeue;

use super::op::Operation;

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
/// User data of cancels, whose own answers nobody needs.
pub(super) const CANCEL: u64 = u64::MAX - 1;
/// Indices stay below this, so that no key equals one of the reserved values above.
const INDEX_MAX: u32 = u32::MAX - 16;

/// The kernel's answer, as it stands in the CQE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result: a count or a descriptor, or the negative errno.
    pub result: i32,
    /// The flags of the CQE.
    pub flags: u32,
}

impl Answer {
    /// The answer of an operation that never reached the kernel.
    pub const CANCELED: Self = Self {
        result: -libc::ECANCELED,
        flags: 0,
    };

    pub(super) fn into_result(self) -> io::Result<u32> {
        if self.result < 0 {
            Err(io::Error::from_raw_os_error(-self.result))
        } else {
            Ok(self.result as u32)
        }
    }
}

/// The operations of one shard.
#[derive(Debug, Default)]
pub(super) struct Slots {
    chunks: Vec<Box<[Slot]>>,
    free_head: Option<u32>,
    in_flight: usize,
}

/// What a poll of an operation found.
#[derive(Debug)]
pub enum Polled<T> {
    /// The kernel has not answered; the waker is stored, and the one it replaced is to be dropped unlocked.
    Pending(Option<Waker>),
    /// Request and answer; the slot is free again.
    Ready(T, Answer),
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
    /// Operations whose futures are gone.
    pub orphans: Vec<Orphan>,
    /// Operations to submit once more, because the thread that had submitted them exited.
    pub again: Vec<squeue::Entry>,
    /// The doorbell had rung.
    pub doorbell: bool,
}

/// A finished operation without a future: its output is made and dropped by [`Orphan::finish`].
#[derive(Debug)]
pub struct Orphan {
    payload: Payload,
    face: &'static Face,
    answer: Answer,
}

impl Orphan {
    /// The kernel's answer.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Makes the output with `completion` and drops it. User code may run: hold no lock.
    pub fn finish(mut self, completion: super::Completion) {
        // SAFETY: the payload was moved out of its slot after the last CQE and `self` is consumed, so it is
        // read exactly once; `face` was made for its type in `insert`.
        unsafe { (self.face.finish)(&mut self.payload, completion) }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    stage: Stage,
    payload: Payload,
    face: &'static Face,
}

#[derive(Debug)]
enum Stage {
    Free {
        next: Option<u32>,
    },
    InFlight {
        waker: Option<Waker>,
        partial: Option<Answer>,
        cancelling: bool,
        tries: u8,
    },
    Abandoned {
        partial: Option<Answer>,
    },
    Done(Answer),
}

/// How often an operation that died with its submitting thread is submitted again.
const TRIES_MAX: u8 = 8;
/// Slots of a chunk: some 16 KiB, the size of a small page run.
const CHUNK_SLOTS: usize = 64;
/// Bytes of an operation that lie in the slot: a socket address with its length and a descriptor fit.
const INLINE_WORDS: usize = 18;

impl Slots {
    /// Operations whose last CQE has not come.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Moves `operation` into a slot, in flight from now on, and returns its SQE.
    pub(super) fn insert<T: Operation>(
        &mut self,
        operation: T,
        waker: Option<Waker>,
    ) -> (Key, squeue::Entry) {
        let index = self.take_free();
        let slot = self.slot_mut(index);
        slot.payload.put(operation);
        slot.face = const { &Face::of::<T>() };
        slot.stage = match waker {
            Some(waker) => Stage::InFlight {
                waker: Some(waker),
                partial: None,
                cancelling: false,
                tries: 0,
            },
            None => Stage::Abandoned { partial: None },
        };
        let key = Key {
            index,
            generation: slot.generation,
        };
        let entry = slot.entry(key);
        self.in_flight += 1;
        (key, entry)
    }

    /// Takes the answer if it has come; otherwise stores the waker.
    pub(super) fn poll<T: Operation>(&mut self, key: Key, waker: &Waker) -> Polled<T> {
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
                Polled::Ready(operation, answer)
            }
            Stage::InFlight { waker: stored, .. } => {
                if stored
                    .as_ref()
                    .is_some_and(|stored| stored.will_wake(waker))
                {
                    return Polled::Pending(None);
                }
                Polled::Pending(stored.replace(waker.clone()))
            }
            Stage::Free { .. } | Stage::Abandoned { .. } => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
        }
    }

    /// The future is gone.
    pub(super) fn abandon(&mut self, key: Key) -> Abandoned {
        let slot = self.slot_mut(key.index);
        assert_eq!(
            slot.generation, key.generation,
            "an operation's slot was freed while its future lived"
        );
        match &mut slot.stage {
            Stage::Done(answer) => {
                let orphan = Orphan {
                    answer: *answer,
                    face: slot.face,
                    payload: slot.payload.copy_out(),
                };
                self.give_free(key.index);
                Abandoned::Finish(orphan)
            }
            Stage::InFlight { waker, partial, .. } => {
                let waker = waker.take();
                let partial = *partial;
                slot.stage = Stage::Abandoned { partial };
                Abandoned::Cancel(waker)
            }
            Stage::Free { .. } | Stage::Abandoned { .. } => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
        }
    }

    /// Lets the operation finish without its future: as [`Self::abandon`], but nothing is cancelled.
    pub(super) fn settle(&mut self, user_data: u64, answer: Answer, out: &mut Settled) {
        let key = Key::from_user_data(user_data);
        let Some(slot) = self.find(key) else { return };
        let more = io_uring::cqueue::more(answer.flags);
        match &mut slot.stage {
            Stage::InFlight { partial, .. } | Stage::Abandoned { partial } if more => {
                *partial = partial.or(Some(answer));
            }
            Stage::InFlight {
                cancelling: false,
                tries,
                ..
            } if answer == Answer::CANCELED && *tries < TRIES_MAX => {
                *tries += 1;
                out.again.push(slot.entry(key));
            }
            Stage::InFlight { waker, partial, .. } => {
                let answer = partial.unwrap_or(answer);
                out.wakers.extend(waker.take());
                slot.stage = Stage::Done(answer);
                self.in_flight -= 1;
            }
            Stage::Abandoned { partial } => {
                let answer = partial.unwrap_or(answer);
                out.orphans.push(Orphan {
                    answer,
                    face: slot.face,
                    payload: slot.payload.copy_out(),
                });
                self.in_flight -= 1;
                self.give_free(key.index);
            }
            Stage::Free { .. } | Stage::Done(_) => {
                debug_assert!(false, "an answer after the last one for slot {}", key.index);
            }
        }
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
            Stage::Done(_) => false,
            Stage::Free { .. } | Stage::Abandoned { .. } => {
                unreachable!("only the drop of the future abandons or frees a slot")
            }
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
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        let in_flight = (0..).zip(slots).filter(|(_, slot)| {
            matches!(slot.stage, Stage::InFlight { .. } | Stage::Abandoned { .. })
        });
        let key = |(index, slot): (u32, &Slot)| Key {
            index,
            generation: slot.generation,
        };
        in_flight.map(key).collect()
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
        let (chunk, place) = Self::locate(index);
        &mut self.chunks[chunk][place]
    }

    fn take_free(&mut self) -> u32 {
        if self.free_head.is_none() {
            self.grow();
        }
        let index = self.free_head.expect("a new chunk has free slots");
        let Stage::Free { next } = self.slot_mut(index).stage else {
            unreachable!("the free list holds free slots")
        };
        self.free_head = next;
        index
    }

    fn give_free(&mut self, index: u32) {
        let next = self.free_head.replace(index);
        let slot = self.slot_mut(index);
        slot.generation = slot.generation.wrapping_add(1);
        slot.stage = Stage::Free { next };
    }

    fn grow(&mut self) {
        let first = self.chunks.len() * CHUNK_SLOTS;
        assert!(
            first + CHUNK_SLOTS < INDEX_MAX as usize,
            "more than 2^32 operations in one ring"
        );
        let end = first + CHUNK_SLOTS;
        let slot = |index: usize| Slot {
            generation: 0,
            stage: Stage::Free {
                next: (index + 1 < end).then_some(index as u32 + 1),
            },
            payload: Payload::EMPTY,
            face: &Face::NONE,
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
}

/// The type-erased functions of an operation.
#[derive(Debug)]
struct Face {
    entry: unsafe fn(&mut Payload) -> squeue::Entry,
    finish: unsafe fn(&mut Payload, super::Completion),
}

impl Face {
    const NONE: Self = Self {
        entry: no_entry,
        finish: no_finish,
    };

    const fn of<T: Operation>() -> Self {
        Self {
            entry: entry_of::<T>,
            finish: finish_of::<T>,
        }
    }
}

unsafe fn no_entry(_: &mut Payload) -> squeue::Entry {
    unreachable!("a free slot has no operation")
}

unsafe fn no_finish(_: &mut Payload, _: super::Completion) {
    unreachable!("a free slot has no operation")
}

/// # Safety
/// The payload holds a `T`.
unsafe fn entry_of<T: Operation>(payload: &mut Payload) -> squeue::Entry {
    // SAFETY: the caller says that a `T` is there.
    let place = unsafe { payload.place::<T>() };
    // SAFETY: as above, and the caller has the payload to itself.
    let operation = unsafe { &mut *place };
    operation.entry()
}

/// # Safety
/// The payload holds a `T` that the kernel no longer uses; it is gone afterwards.
unsafe fn finish_of<T: Operation>(payload: &mut Payload, completion: super::Completion) {
    // SAFETY: the caller says that a `T` is there, to be taken once.
    let operation = unsafe { payload.take::<T>() };
    drop(operation.complete(completion));
}

/// Room for an operation, in place or in a box.
#[derive(Debug)]
struct Payload(MaybeUninit<[u64; INLINE_WORDS]>);

impl Payload {
    const EMPTY: Self = Self(MaybeUninit::uninit());

    const fn fits<T>() -> bool {
        size_of::<T>() <= INLINE_WORDS * size_of::<u64>() && align_of::<T>() <= align_of::<u64>()
    }

    fn put<T>(&mut self, value: T) {
        let room = self.0.as_mut_ptr();
        if Self::fits::<T>() {
            // SAFETY: size and alignment were checked by `fits`; what was there was moved out before.
            unsafe { room.cast::<T>().write(value) };
        } else {
            // SAFETY: a pointer fits; what was there was moved out before.
            unsafe { room.cast::<*mut T>().write(Box::into_raw(Box::new(value))) };
        }
    }

    /// # Safety
    /// A `T` was put here and not taken.
    unsafe fn place<T>(&mut self) -> *mut T {
        let room = self.0.as_mut_ptr();
        if Self::fits::<T>() {
            room.cast::<T>()
        } else {
            // SAFETY: `put` wrote the pointer of the box here.
            unsafe { room.cast::<*mut T>().read() }
        }
    }

    /// # Safety
    /// A `T` was put here and not taken, and the kernel no longer uses it.
    unsafe fn take<T>(&mut self) -> T {
        // SAFETY: the caller says that a `T` is here.
        let place = unsafe { self.place::<T>() };
        if Self::fits::<T>() {
            // SAFETY: as above; the caller takes it once.
            unsafe { place.read() }
        } else {
            // SAFETY: `put` made the pointer by `Box::into_raw`, and the caller takes it once.
            *unsafe { Box::from_raw(place) }
        }
    }

    /// Moves the bytes to another room; what stays behind counts as taken.
    fn copy_out(&mut self) -> Self {
        Self(self.0)
    }
}

// SAFETY: a payload holds an `Operation`, which is Send; its raw bytes are only touched by who owns it.
unsafe impl Send for Payload {}
