//! A runtime that is no more than a queue and an owned set, and futures for its tasks.
//!
//! Tasks reach their runtime by a static function, so there is one runtime for each thread that runs models, made
//! anew for each interleaving.

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread::ThreadId;
use ringway_runtime::internals::{
    Birth, Inject, Notified, OwnedSet, Placement, Schedule, TaskRef, new_task, next_id,
};
use ringway_runtime::task::JoinHandle;

/// The queue and the owned set.
#[derive(Debug)]
pub struct Runtime {
    /// What is to be run.
    pub queue: Inject,
    /// The live tasks, in one list.
    pub owned: OwnedSet,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Runtime>>> = const { RefCell::new(None) };
}

impl Runtime {
    /// Makes the runtime of this interleaving.
    pub fn new() -> Arc<Self> {
        let this = Arc::new(Self {
            queue: Inject::new(),
            owned: OwnedSet::new(1),
        });
        CURRENT.set(Some(Arc::clone(&this)));
        this
    }

    fn current() -> Arc<Self> {
        CURRENT.with_borrow(|current| Arc::clone(current.as_ref().expect("a model made one")))
    }

    /// Spawns as the scheduler does.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let birth = Birth {
            placement: Placement {
                runtime: 0,
                shard: 0,
            },
            id: next_id(),
            spawned_at: Location::caller(),
            born: 0,
        };
        let (task, notified, handle) = new_task::<F, Queue, ()>(future, birth, ());
        match self.owned.bind(task) {
            Ok(()) => self.queue.push(notified),
            Err(task) => {
                drop(notified);
                task.shut_down();
            }
        }
        handle
    }

    /// Runs one task, if one is queued.
    pub fn run_one(&self) -> bool {
        let task = self.queue.pop();
        let found = task.is_some();
        task.into_iter().for_each(Notified::run);
        found
    }

    /// Runs tasks until none is queued; returns how many it ran.
    pub fn run_all(&self) -> usize {
        std::iter::from_fn(|| self.run_one().then_some(())).count()
    }

    /// Ends it, as a worker does that leaves.
    pub fn shut_down(&self) {
        self.owned.close_and_shut_down(0);
        self.queue.close();
    }

    /// Ends the interleaving: nothing may be left.
    pub fn end(self: Arc<Self>) {
        assert!(self.queue.is_empty(), "a task is left in the queue");
        assert!(self.owned.is_empty(), "a task is left in the owned set");
        CURRENT.set(None);
    }
}

struct Queue;

impl Schedule for Queue {
    fn schedule(task: Notified) {
        Runtime::current().queue.push(task);
    }

    fn reschedule(task: Notified) {
        Runtime::current().queue.push(task);
    }

    fn release(task: TaskRef<'_>) -> bool {
        Runtime::current().owned.release(task)
    }
}

/// What the model knows of a [`WaitForFlag`].
#[derive(Debug)]
pub struct Flag {
    set: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
    dropped_by: Mutex<Option<ThreadId>>,
    outputs: AtomicUsize,
}

impl Flag {
    /// A flag that is not set, and a future that waits for it.
    pub fn new() -> (Arc<Self>, WaitForFlag) {
        let this = Arc::new(Self {
            set: AtomicBool::new(false),
            wakers: Mutex::new(Vec::new()),
            dropped_by: Mutex::new(None),
            outputs: AtomicUsize::new(1),
        });
        let future = WaitForFlag {
            flag: Arc::clone(&this),
            output: Some(Output::new(&this)),
            registered: false,
        };
        (this, future)
    }

    /// Sets the flag. Relaxed: that the poll sees it is the wake's promise.
    pub fn set(&self) {
        self.set.store(true, Relaxed);
    }

    /// A waker of the task, of its last poll. The lock is nothing that loom sees: it orders nothing.
    pub fn take_waker(&self) -> Option<Waker> {
        self.wakers.lock().expect("no panic inside").pop()
    }

    /// Whether the output is gone.
    pub fn is_output_dropped(&self) -> bool {
        self.outputs.load(std::sync::atomic::Ordering::Relaxed) == 0
    }

    /// The thread that dropped the future.
    pub fn dropped_by(&self) -> Option<ThreadId> {
        *self.dropped_by.lock().expect("no panic inside")
    }
}

/// Ready once the flag is set. It never registers for a second wake: the first waker is all there is.
#[derive(Debug)]
pub struct WaitForFlag {
    flag: Arc<Flag>,
    output: Option<Output>,
    registered: bool,
}

impl Future for WaitForFlag {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        if self.flag.set.load(Relaxed) {
            return Poll::Ready(self.output.take().expect("ready once"));
        }
        if !std::mem::replace(&mut self.registered, true) {
            let waker = cx.waker().clone();
            // Locked after the clone, which may switch threads.
            self.flag
                .wakers
                .lock()
                .expect("no panic inside")
                .push(waker);
        }
        Poll::Pending
    }
}

impl Drop for WaitForFlag {
    fn drop(&mut self) {
        let mut dropped_by = self.flag.dropped_by.lock().expect("no panic inside");
        assert!(dropped_by.is_none(), "a future was dropped twice");
        *dropped_by = Some(loom::thread::current().id());
    }
}

/// An output that must be dropped, and only when nobody else has its memory.
#[derive(Debug)]
pub struct Output {
    value: loom::cell::UnsafeCell<u32>,
    flag: Arc<Flag>,
    _leak: loom::alloc::Track<()>,
}

impl Output {
    fn new(flag: &Arc<Flag>) -> Self {
        Self {
            value: loom::cell::UnsafeCell::new(0),
            flag: Arc::clone(flag),
            _leak: loom::alloc::Track::new(()),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the owner drops it; loom checks that nobody else has access.
        self.value.with_mut(|value| unsafe { *value += 1 });
        let outputs = &self.flag.outputs;
        let left = outputs.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(left, 1, "an output was dropped twice");
    }
}
