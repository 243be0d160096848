//! Which shard this thread submits to: its own, if it runs a worker's core, or one of the runtime it entered.

use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use super::error::shutdown_error;
use super::shard::Shard;
use crate::context::{self, Missing};
use crate::fork::Process;
use crate::loom::thread_constant;

/// This thread's place, as the driver sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Here<'a> {
    /// No runtime.
    Nowhere,
    /// The thread runs the core whose shard this is, and will submit what it queues.
    Owner(&'a Arc<Shard>),
    /// The thread entered a runtime from outside: it queues here, and the owner must be woken to submit.
    Guest(&'a Arc<Shard>),
}

#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Owner(NonNull<Arc<Shard>>),
    Guest(NonNull<Arc<Shard>>),
}

thread_constant! {
    static PLACE: Cell<Place> = Cell::new(Place::Nowhere);
}

/// Calls `f` with this thread's place.
#[inline]
pub(crate) fn with_here<R>(f: impl FnOnce(Here<'_>) -> R) -> R {
    match PLACE.try_with(Cell::get).unwrap_or(Place::Nowhere) {
        Place::Nowhere => f(Here::Nowhere),
        // SAFETY: the pointer was made from a reference that outlives the `Entered` guard, which puts the
        // former place back before that reference ends.
        Place::Owner(shard) => f(Here::Owner(unsafe { shard.as_ref() })),
        // SAFETY: as above.
        Place::Guest(shard) => f(Here::Guest(unsafe { shard.as_ref() })),
    }
}

/// Calls `f` with this thread's own shard, if it runs a core.
#[inline]
pub(crate) fn with_owner<R>(f: impl FnOnce(&Arc<Shard>) -> R) -> Option<R> {
    with_here(|here| match here {
        Here::Owner(shard) => Some(f(shard)),
        Here::Guest(_) | Here::Nowhere => None,
    })
}

/// Puts the former place back when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Entered(Former);

struct Former(Place, Process);

impl std::fmt::Debug for Former {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Former")
    }
}

/// This thread runs the core of `shard` until the guard is dropped.
///
/// # Safety
///
/// `shard` stays where it is until the guard is dropped.
pub(crate) unsafe fn enter_owner(shard: &Arc<Shard>) -> Entered {
    enter(Place::Owner(NonNull::from(shard)))
}

/// This thread submits to `shard` from outside until the guard is dropped.
///
/// # Safety
///
/// `shard` stays where it is until the guard is dropped.
pub(crate) unsafe fn enter_guest(shard: &Arc<Shard>) -> Entered {
    enter(Place::Guest(NonNull::from(shard)))
}

fn enter(place: Place) -> Entered {
    Entered(Former(
        PLACE.with(|cell| cell.replace(place)),
        Process::current(),
    ))
}

/// In the child of a fork: this thread has no place in the parent's runtimes.
pub(crate) fn leave_place() {
    let _ = PLACE.try_with(|cell| cell.set(Place::Nowhere));
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.0.1.is_current() {
            return;
        }
        // At thread exit the cell may be gone; then nobody can look at it either.
        let _ = PLACE.try_with(|cell| cell.set(self.0.0));
    }
}

/// As [`assert_context`], for what is to be made in this thread's runtime.
///
/// # Errors
///
/// If the runtime has ended.
///
/// # Panics
///
/// Outside a runtime, and in one without I/O.
#[track_caller]
pub fn check_context() -> io::Result<()> {
    assert_context();
    with_here(|here| match here {
        Here::Owner(shard) | Here::Guest(shard) if shard.is_closed() => Err(shutdown_error()),
        Here::Owner(_) | Here::Guest(_) | Here::Nowhere => Ok(()),
    })
}

/// Whether a runtime was entered on this thread that has not ended.
pub fn is_in_live_runtime() -> bool {
    with_here(|here| match here {
        Here::Owner(shard) | Here::Guest(shard) => !shard.is_closed(),
        Here::Nowhere => false,
    })
}

/// Panics, in tokio's words, unless a runtime was entered on this thread in which sockets and the like are enabled.
///
/// # Panics
///
/// Outside a runtime, and in one without I/O.
#[track_caller]
pub fn assert_context() {
    // A closure has no caller to name: it must not be the one that panics.
    let is_io_enabled = with_here(|here| match here {
        Here::Owner(shard) | Here::Guest(shard) => Some(shard.is_io_enabled()),
        Here::Nowhere => None,
    });
    match is_io_enabled {
        Some(true) => {}
        Some(false) => io_disabled(),
        None => no_runtime(),
    }
}

#[track_caller]
#[cold]
fn io_disabled() -> ! {
    panic!(
        "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on the runtime builder to enable IO."
    )
}

#[track_caller]
#[cold]
pub(super) fn no_runtime() -> ! {
    panic!("{}", context::missing(Missing::NoRuntime))
}
