//! The set that this thread is in: polls, or has entered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::shared::Shared;

/// A set, counted on its own thread.
pub(super) type Here = Rc<Arc<Shared>>;

thread_local! {
    static CURRENT: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// The set that this thread is in. None while the thread is being torn down.
#[inline]
pub(super) fn current() -> Option<Here> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// Puts the former set back when dropped.
#[must_use = "the set is left when the guard is dropped"]
pub(super) struct CurrentGuard {
    former: Option<Here>,
}

/// This thread is in `set` until the guard is dropped. While the thread is being torn down it is in none.
pub(super) fn enter(set: &Here) -> CurrentGuard {
    let set = Rc::clone(set);
    let former = CURRENT.try_with(|current| current.replace(Some(set)));
    CurrentGuard {
        former: former.ok().flatten(),
    }
}

impl Drop for CurrentGuard {
    fn drop(&mut self) {
        let former = self.former.take();
        let left = CURRENT.try_with(|current| current.replace(former));
        drop(left);
    }
}
