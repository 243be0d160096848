//! An operation without its type: the room in which it lies, and the functions that know what it is.

use std::mem::{MaybeUninit, align_of, size_of};
use std::sync::Arc;

use io_uring::squeue;

use super::op::{Answers, Completion, Operation, Tell};
use super::slots::Answer;
use crate::contain::contain;

/// Bytes of an operation that lie in the slot: a socket address with its length and a descriptor fit.
const INLINE_WORDS: usize = 18;

/// The type-erased functions of an operation.
#[derive(Debug)]
pub(super) struct Face {
    pub(super) gather: Gather,
    /// What an answer counts towards the limit of a queue.
    pub(super) weight: fn(i32) -> u32,
    name: fn() -> &'static str,
    /// # Safety
    /// As [`entry_of`].
    pub(super) entry: unsafe fn(&mut Payload) -> squeue::Entry,
    /// # Safety
    /// As [`finish_of`].
    pub(super) finish: unsafe fn(&mut Payload, &[Answer], Completion),
    /// # Safety
    /// As [`teller_of`].
    pub(super) teller: unsafe fn(&mut Payload) -> Arc<dyn Tell>,
}

/// How answers are gathered, see [`Answers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gather {
    One,
    Told,
    Queue { limit: u32 },
}

impl Face {
    pub(super) const NONE: Self = Self {
        gather: Gather::One,
        weight: |_| 1,
        name: std::any::type_name::<()>,
        entry: no_entry,
        finish: no_finish,
        teller: no_teller,
    };

    pub(super) const fn of<T: Operation>() -> Self {
        Self {
            gather: match T::ANSWERS {
                Answers::One => Gather::One,
                Answers::Told(_) => Gather::Told,
                Answers::Queue { limit, .. } => Gather::Queue { limit },
            },
            weight: T::weight,
            name: std::any::type_name::<T>,
            entry: entry_of::<T>,
            finish: finish_of::<T>,
            teller: teller_of::<T>,
        }
    }

    /// The operation's type.
    pub(super) fn name(&self) -> &'static str {
        (self.name)()
    }
}

unsafe fn no_entry(_: &mut Payload) -> squeue::Entry {
    unreachable!("a free slot has no operation")
}

unsafe fn no_finish(_: &mut Payload, _: &[Answer], _: Completion) {
    unreachable!("a free slot has no operation")
}

unsafe fn no_teller(_: &mut Payload) -> Arc<dyn Tell> {
    unreachable!("a free slot has no operation")
}

/// # Safety
/// The payload holds a `T`.
unsafe fn teller_of<T: Operation>(payload: &mut Payload) -> Arc<dyn Tell> {
    // SAFETY: the caller says that a `T` is there.
    let place = unsafe { payload.place::<T>() };
    // SAFETY: as above, and the caller has the payload to itself.
    let operation = unsafe { &*place };
    match T::ANSWERS {
        Answers::Told(teller) => Arc::clone(teller(operation)),
        Answers::One | Answers::Queue { .. } => unreachable!("it is told of"),
    }
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

/// Disposes of the operation and of all that its answers own, `earlier` ones and the last.
///
/// # Safety
/// The payload holds a `T` that the kernel no longer uses; it is gone afterwards.
unsafe fn finish_of<T: Operation>(payload: &mut Payload, earlier: &[Answer], last: Completion) {
    // SAFETY: the caller says that a `T` is there, to be taken once.
    let operation = unsafe { payload.take::<T>() };
    if let Some(item) = T::ANSWERS.item() {
        for answer in earlier {
            contain(|| drop(item(&operation, answer.into_completion())));
        }
    }
    drop(operation.complete(last));
}

/// Room for an operation, in place or in a box.
#[derive(Debug)]
pub(super) struct Payload(MaybeUninit<[u64; INLINE_WORDS]>);

impl Payload {
    pub(super) const EMPTY: Self = Self(MaybeUninit::uninit());

    const fn fits<T>() -> bool {
        size_of::<T>() <= INLINE_WORDS * size_of::<u64>() && align_of::<T>() <= align_of::<u64>()
    }

    pub(super) fn put<T>(&mut self, value: T) {
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
    pub(super) unsafe fn place<T>(&mut self) -> *mut T {
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
    pub(super) unsafe fn take<T>(&mut self) -> T {
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
    pub(super) fn copy_out(&mut self) -> Self {
        Self(self.0)
    }
}

// SAFETY: a payload holds an `Operation`, which is Send; its raw bytes are only touched by who owns it.
unsafe impl Send for Payload {}
