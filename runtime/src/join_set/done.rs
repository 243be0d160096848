//! Which tasks of a set have completed: a queue that their wakers fill and the set empties.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::loom::Mutex;

/// The keys of tasks that have completed, in the order in which they did.
#[derive(Debug, Default)]
pub(super) struct Done {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: VecDeque<usize>,
    /// Who waits for the first key to come.
    waiter: Option<Waker>,
}

impl Done {
    /// A waker for the task's join handle: says that the task with `key` has completed.
    pub(super) fn waker(self: &Arc<Self>, key: usize) -> Waker {
        Waker::from(Arc::new(Entry {
            done: Arc::clone(self),
            key,
        }))
    }

    /// Moves all keys to `into`, which is empty. `false` if there are none.
    pub(super) fn take(&self, into: &mut VecDeque<usize>) -> bool {
        mem::swap(&mut self.inner.lock().keys, into);
        !into.is_empty()
    }

    /// As [`Self::take`]; if there are none, `cx` is woken when one comes.
    pub(super) fn take_or_wait(&self, into: &mut VecDeque<usize>, cx: &Context<'_>) -> bool {
        let mut waiter = None;
        loop {
            let mut inner = self.inner.lock();
            if !inner.keys.is_empty() {
                mem::swap(&mut inner.keys, into);
                return true;
            }
            let known = inner.waiter.as_ref();
            if known.is_some_and(|known| known.will_wake(cx.waker())) {
                return false;
            }
            if let Some(waiter) = waiter.take() {
                let former = inner.waiter.replace(waiter);
                drop(inner);
                drop(former);
                return false;
            }
            // Wakers are cloned and dropped without the lock: both are others' code.
            drop(inner);
            waiter = Some(cx.waker().clone());
        }
    }

    fn push(&self, key: usize) {
        let mut inner = self.inner.lock();
        inner.keys.push_back(key);
        let waiter = inner.waiter.take();
        drop(inner);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// What the waker of one task knows.
#[derive(Debug)]
struct Entry {
    done: Arc<Done>,
    key: usize,
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.done.push(self.key);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.done.push(self.key);
    }
}
