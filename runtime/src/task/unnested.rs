//! Outputs that own other tasks' handles are dropped one after the other, not one inside the other.
//!
//! A task's output may own the join handle of a task that is complete, whose output owns the next handle, and so on for a
//! million. To drop the first handle is to drop its output, and with it the next handle. So that this takes no stack
//! for each, a handle that goes while its thread is dropping an output has its own output dropped after that one.

use std::cell::RefCell;
use std::ptr::NonNull;

use super::cell::Header;
use super::raw::Reference;

/// Drops the output of a task whose future's type it knows.
type Discard = unsafe fn(NonNull<Header>);

thread_local! {
    /// What is left to drop, while this thread drops outputs.
    static WAITING: RefCell<Option<Vec<(Reference, Discard)>>> = const { RefCell::new(None) };
}

/// Drops the task's output by `discard`, now or when the output has been dropped inside of which this is called.
///
/// # Safety
/// What `discard` asks for, until it is called; the caller keeps the task for this call.
pub(super) unsafe fn discard(task: NonNull<Header>, discard: Discard) {
    let is_outermost = WAITING.try_with(|waiting| match &mut *waiting.borrow_mut() {
        Some(later) => {
            // SAFETY: the caller keeps the task for this call.
            let task = unsafe { Reference::another(task) };
            later.push((task, discard));
            false
        }
        waiting => {
            *waiting = Some(Vec::new());
            true
        }
    });
    match is_outermost {
        Ok(false) => {}
        Ok(true) => {
            // SAFETY: the caller vouches for it.
            unsafe { discard(task) };
            discard_waiting();
        }
        // The thread is at its end, and its list is gone.
        // SAFETY: the caller vouches for it.
        Err(_) => unsafe { discard(task) },
    }
}

fn discard_waiting() {
    while let Some((task, discard)) = next_waiting() {
        // SAFETY: who put it there vouched for it, and the reference has kept the task.
        unsafe { discard(task.pointer()) };
    }
}

/// The next to drop. If none is left, this thread drops outputs no longer.
fn next_waiting() -> Option<(Reference, Discard)> {
    let next = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        let next = waiting.as_mut().and_then(Vec::pop);
        if next.is_none() {
            *waiting = None;
        }
        next
    });
    next.ok().flatten()
}
