//! The pool's threads: what one does from its start to its end, how it sleeps, and how the end waits for it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::{self, JoinHandle, Thread, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Refused;
use crate::contain::contain;
use crate::context;
use crate::scheduler::Shared;

/// Where a thread sleeps until it is called.
#[derive(Clone, Debug)]
pub(crate) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    thread: Thread,
    called: AtomicBool,
}

impl Seat {
    /// The seat of the calling thread.
    pub(crate) fn here() -> Self {
        Self(Arc::new(Place {
            thread: thread::current(),
            called: AtomicBool::new(false),
        }))
    }

    /// Wakes the thread.
    pub(crate) fn call(&self) {
        // Release: pairs with the Acquire in `wait`.
        self.0.called.store(true, Release);
        self.0.thread.unpark();
    }

    /// Sleeps until called; `false` if that has not happened for `at_most`.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let deadline = Instant::now().checked_add(at_most);
        let mut left = at_most;
        loop {
            // A job may have left or taken a token of this thread's, so tokens say nothing.
            thread::park_timeout(left);
            // Acquire: pairs with the Release in `call`.
            if self.0.called.swap(false, Acquire) {
                return true;
            }
            let Some(deadline) = deadline else { continue };
            left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
        }
    }

    /// Takes the call that somebody has made, or is about to make, to a sleeper whose time was up.
    pub(crate) fn take_call(&self) {
        while !self.wait(Duration::MAX) {}
    }
}

impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The threads that were started and have not ended.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    list: Mutex<List>,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct List {
    threads: Vec<JoinHandle<()>>,
    /// Somebody waits for all: no thread is started any more, and those that end stay in the list, to be joined.
    closed: bool,
    ended: usize,
}

impl Roster {
    /// Starts a thread, which runs `body` inside the runtime.
    pub(crate) fn start(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        body: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> Result<(), Refused> {
        let mut builder = thread::Builder::new().name((shared.config.thread_name)());
        if let Some(size) = shared.config.thread_stack_size {
            builder = builder.stack_size(size);
        }
        let shared = Arc::clone(shared);
        // Locked until the thread is in the list, from which it takes itself at its end.
        let mut list = self.list.lock();
        if list.closed {
            return Err(Refused::Ended);
        }
        let roster = Arc::clone(self);
        let started = builder.spawn(move || {
            run_thread(&shared, body);
            roster.remove(thread::current().id());
        });
        list.threads.push(started.map_err(Refused::NoThread)?);
        Ok(())
    }

    fn remove(&self, thread: ThreadId) {
        let mut list = self.list.lock();
        if list.closed {
            list.ended += 1;
        } else if let Some(place) = position(&list.threads, thread) {
            drop(list.threads.swap_remove(place));
        }
        drop(list);
        self.ended.notify_all();
    }

    /// Waits until every thread has ended but the caller's own, or until `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let this = thread::current().id();
        let mut list = self.list.lock();
        list.closed = true;
        // A job that ends its own runtime does not wait for itself.
        let own = usize::from(position(&list.threads, this).is_some());
        while list.threads.len() > list.ended + own {
            match deadline {
                None => self.ended.wait(&mut list),
                Some(deadline) => {
                    if self.ended.wait_until(&mut list, deadline).timed_out() {
                        return;
                    }
                }
            }
        }
        let threads = std::mem::take(&mut list.threads);
        drop(list);
        for thread in threads {
            if thread.thread().id() != this {
                // It has done all but end; its panics were contained.
                let _ = thread.join();
            }
        }
    }
}

fn position(threads: &[JoinHandle<()>], thread: ThreadId) -> Option<usize> {
    threads
        .iter()
        .position(|handle| handle.thread().id() == thread)
}

fn run_thread(shared: &Arc<Shared>, body: impl FnOnce(&Arc<Shared>)) {
    if let Some(hook) = &shared.config.on_thread_start {
        contain(|| hook());
    }
    {
        let _entered = context::enter(Arc::clone(shared));
        body(shared);
    }
    if let Some(hook) = &shared.config.on_thread_stop {
        contain(|| hook());
    }
}
