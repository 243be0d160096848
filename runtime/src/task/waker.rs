//! The waker of a task: a pointer to its header, and one reference.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::Header;
use super::raw::{Reference, TaskRef};
use super::state::Wake;
use crate::trace;

/// A waker that borrows the runner's reference for the time of a poll.
pub(super) struct BorrowedWaker<'a> {
    waker: ManuallyDrop<Waker>,
    borrow: PhantomData<&'a Header>,
}

impl Deref for BorrowedWaker<'_> {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// A waker for the time in which `task` is kept by somebody else's reference.
pub(super) fn borrow_waker(task: &NonNull<Header>) -> BorrowedWaker<'_> {
    // SAFETY: the functions of the table keep the waker's contract; the waker is never dropped, so it uses
    // up no reference.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw(*task)) });
    BorrowedWaker {
        waker,
        borrow: PhantomData,
    }
}

fn raw(task: NonNull<Header>) -> RawWaker {
    RawWaker::new(task.as_ptr().cast_const().cast(), &TABLE)
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Whether `waker` is a task's. Its clone is one more reference.
#[inline]
pub(crate) fn is_of_task(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &TABLE)
}

/// # Safety
/// `task` is a waker's pointer, whose reference keeps the task.
unsafe fn header<'a>(task: *const ()) -> &'a Header {
    // SAFETY: the caller says so.
    unsafe { &*task.cast::<Header>() }
}

/// # Safety
/// `task` is a waker's pointer, and the waker is used up.
unsafe fn own(task: *const ()) -> Reference {
    // SAFETY: wakers are made from non-null pointers only.
    let header = unsafe { NonNull::new_unchecked(task.cast_mut().cast()) };
    // SAFETY: the caller hands over the waker's reference.
    unsafe { Reference::from_pointer(header) }
}

/// Tells who watches that the waker is used.
///
/// # Safety
/// `task` is a waker's pointer, whose reference keeps the task.
#[inline]
unsafe fn tell(task: *const (), op: &'static str) {
    // SAFETY: wakers are made from non-null pointers only.
    let header = unsafe { NonNull::new_unchecked(task.cast_mut().cast()) };
    // SAFETY: the caller says so.
    trace::waker(unsafe { TaskRef::new(header) }, op);
}

unsafe fn clone(task: *const ()) -> RawWaker {
    // SAFETY: called through the table with a live waker's pointer.
    unsafe { tell(task, "waker.clone") };
    // SAFETY: called through the table with a live waker's pointer.
    unsafe { header(task) }.state.add_reference();
    RawWaker::new(task, &TABLE)
}

unsafe fn wake(task: *const ()) {
    // SAFETY: called through the table with a live waker's pointer.
    unsafe { tell(task, "waker.wake") };
    // SAFETY: called through the table, using up the waker.
    let reference = unsafe { own(task) };
    let wake = reference.header().state.wake_by_value();
    reference.after_wake(wake);
}

unsafe fn wake_by_ref(task: *const ()) {
    // SAFETY: called through the table with a live waker's pointer.
    unsafe { tell(task, "waker.wake_by_ref") };
    // SAFETY: called through the table with a live waker's pointer.
    let wake = unsafe { header(task) }.state.wake_by_reference();
    if wake == Wake::Submit {
        // SAFETY: the transition added a reference for the notification.
        unsafe { own(task) }.after_wake(wake);
    }
}

unsafe fn drop_waker(task: *const ()) {
    // SAFETY: called through the table with a live waker's pointer.
    unsafe { tell(task, "waker.drop") };
    // SAFETY: called through the table, using up the waker.
    drop(unsafe { own(task) });
}
