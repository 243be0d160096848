//! A kind of signal that there is not, for models: the very counts and listeners, over a doorbell that is no descriptor.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ringway_runtime::loom;

use crate::doorbell::Ring;
use crate::source::{Listener, Next, Source};

/// A kind of signal.
#[derive(Clone, Copy, Debug)]
pub struct Specimen(&'static Source<Bell>);

/// A listener, and the operation by which it waits.
#[derive(Debug)]
pub struct Ear {
    source: &'static Source<Bell>,
    listener: Listener<Bell>,
    watch: Option<Arc<Watch>>,
}

/// As the eventfd, whose users are ordered by a lock of the kernel's.
#[derive(Debug, Default)]
struct Bell(loom::Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rung: bool,
    watches: Vec<Arc<Watch>>,
}

/// As the operation that waits for it: done with the first ring, whoever drains that. Its lock is nothing that loom sees:
/// it orders nothing, and is never held at a switch of threads.
#[derive(Debug, Default)]
struct Watch(Mutex<(bool, Option<Waker>)>);

fn lock(watch: &Watch) -> MutexGuard<'_, (bool, Option<Waker>)> {
    watch.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Specimen {
    /// A kind of which no signal has come.
    pub fn new() -> Self {
        Self(Source::with(Bell::default()))
    }

    /// The handler.
    pub fn deliver(self) {
        self.0.deliver();
    }

    /// A new listener.
    pub fn listen(self) -> Ear {
        Ear {
            source: self.0,
            listener: self.0.listen(),
            watch: None,
        }
    }

    /// How many wakers the kind keeps.
    pub fn waiters(self) -> usize {
        self.0.waiters()
    }
}

impl Default for Specimen {
    fn default() -> Self {
        Self::new()
    }
}

impl Ear {
    /// As `Signal::poll_recv`.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut rung = false;
        while self.listener.advance(rung, cx.waker()) == Next::Wait {
            if !self.poll_watch(cx.waker()) {
                return Poll::Pending;
            }
            rung = true;
        }
        Poll::Ready(())
    }

    /// How many signals it has been told of, or had been delivered when it began.
    pub fn seen(&self) -> usize {
        self.listener.seen()
    }

    /// Polls the operation, after making it if there is none; whether it is done.
    fn poll_watch(&mut self, waker: &Waker) -> bool {
        let watch = self.watch.get_or_insert_with(|| {
            let watch = Arc::new(Watch::default());
            let mut bell = self.source.doorbell().0.lock();
            lock(&watch).0 = bell.rung;
            bell.watches.push(Arc::clone(&watch));
            watch
        });
        // Cloned before the lock, for that may switch threads.
        let clone = waker.clone();
        let mut state = lock(&watch);
        let is_done = state.0;
        let former = mem::replace(&mut state.1, (!is_done).then_some(clone));
        drop(state);
        drop(former);
        if is_done {
            self.watch = None;
        }
        is_done
    }
}

impl Ring for Bell {
    fn ring(&self) {
        let mut bell = self.0.lock();
        bell.rung = true;
        let watches = mem::take(&mut bell.watches);
        drop(bell);
        let wakers = watches.iter().filter_map(|watch| {
            let mut state = lock(&watch);
            state.0 = true;
            state.1.take()
        });
        let wakers: Vec<Waker> = wakers.collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn drain(&self) -> bool {
        mem::take(&mut self.0.lock().rung)
    }
}
