//! Where a core lies when nobody runs it, and how its thread gets it back.
//!
//! Taking the core out is taking over the worker. A worker's thread puts it there before it sleeps in the ring, and
//! the main thread, which may have taken it over, when it is done. The thread that finds its slot empty waits until
//! it is called: the shard's park word says *Notified*, and the core is, or will soon be, in the slot.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};

use crate::driver::ParkWord;
use crate::loom::atomic::{AtomicPtr, fence};

/// The place of a core. See the module.
#[derive(Debug)]
pub struct CoreSlot<C: Send>(AtomicPtr<C>);

impl<C: Send> CoreSlot<C> {
    /// A slot with its core.
    pub fn new(core: Box<C>) -> Self {
        Self(AtomicPtr::new(Box::into_raw(core)))
    }

    /// Puts the core in.
    pub fn put(&self, core: Box<C>) {
        // Release: publishes the core's state to the Acquire in `take`.
        let former = self.0.swap(Box::into_raw(core), Release);
        debug_assert!(former.is_null(), "a worker has one core");
    }

    /// Puts the core in for good. `true`: its thread was called meanwhile, and has to be started.
    #[must_use]
    pub fn lay_down(&self, core: Box<C>, word: &ParkWord) -> bool {
        self.put(core);
        // Partner of the fence in `take_if_called`: either the thread sees the core, or we see its notice.
        fence(SeqCst);
        word.is_notified()
    }

    /// Takes the core out if the thread was called. For a thread that waits for its core.
    pub fn take_if_called(&self, word: &ParkWord) -> Option<Box<C>> {
        if !word.is_notified() {
            return None;
        }
        // Partner of the fence in `lay_down`.
        fence(SeqCst);
        self.take()
    }

    /// Whether somebody has the core; a moment's value.
    pub fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release in `put`.
        self.0.load(Acquire).is_null()
    }

    /// Takes the core out, if it is there.
    pub fn take(&self) -> Option<Box<C>> {
        if self.is_empty() {
            return None;
        }
        // AcqRel: Acquire pairs with the Release in `put`.
        let core = self.0.swap(std::ptr::null_mut(), AcqRel);
        // SAFETY: the slot holds pointers from `Box::into_raw` only, and the swap took this one out.
        (!core.is_null()).then(|| unsafe { Box::from_raw(core) })
    }
}

impl<C: Send> Drop for CoreSlot<C> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
