//! The end of a runtime.
//!
//! 1. `begin`: the owned set and the injector are closed, the workers woken. A task that is spawned from now on
//!    is cancelled at once.
//! 2. Each worker leaves its loop and cancels the tasks of its list; their futures are dropped there.
//! 3. It drops what is still queued, and drains its ring: cancels every operation and waits until the kernel
//!    has let go of all memory, or until the deadline; what is left then is leaked on purpose, and counted.
//! 4. The last one to finish tells whoever waits.
//!
//! Worker threads end only after all that, for an operation dies with the thread that submitted it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::monitor::run_monitor;
use super::shared::Shared;
use super::worker::{Core, WorkerContext, run_worker};
use crate::config::UnhandledPanic;
use crate::contain::contain;
use crate::context;
use crate::driver::check_ledger;
use crate::runtime::RuntimeFlavor;

/// How long a ring is drained if nobody said otherwise.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Where the end of a runtime stands.
#[derive(Debug)]
pub(crate) struct Shutdown {
    begun: AtomicBool,
    /// A task's panic began it.
    by_panic: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    deadline: Option<Instant>,
    workers_left: usize,
    threads: Vec<JoinHandle<()>>,
    /// Of the workers' threads. One that is inside `block_in_place` runs on when its worker has left.
    threads_left: usize,
}

impl Shutdown {
    pub(super) fn new(workers: usize) -> Self {
        let state = State {
            deadline: None,
            workers_left: workers,
            threads: Vec::new(),
            threads_left: 0,
        };
        Self {
            begun: AtomicBool::new(false),
            by_panic: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Whether the runtime is ending.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        // Acquire: pairs with the Release in `begin`.
        self.begun.load(Ordering::Acquire)
    }

    /// Whether it was a task's panic that ended the runtime.
    pub(super) fn is_by_panic(&self) -> bool {
        // Relaxed: set before `begun`, and before the core is given back.
        self.by_panic.load(Ordering::Relaxed)
    }

    fn begin(&self, deadline: Option<Instant>) {
        self.state.lock().deadline = deadline;
        // Release: pairs with the Acquire in `has_begun`.
        self.begun.store(true, Ordering::Release);
    }

    fn drain_deadline(&self) -> Instant {
        self.state
            .lock()
            .deadline
            .unwrap_or_else(|| Instant::now() + DRAIN_MAX)
    }

    fn worker_left(&self) {
        self.state.lock().workers_left -= 1;
        self.changed.notify_all();
    }

    fn count_thread(&self, started: bool) {
        let threads = &mut self.state.lock().threads_left;
        *threads = if started { *threads + 1 } else { *threads - 1 };
        self.changed.notify_all();
    }

    /// Waits for all workers and their threads, but not for the calling thread; `false` if the deadline came first.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        let this = std::thread::current().id();
        let is_own = |thread: &JoinHandle<()>| thread.thread().id() == this;
        let own = usize::from(state.threads.iter().any(is_own));
        while state.workers_left > 0 || state.threads_left > own {
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        return state.workers_left == 0 && state.threads_left <= own;
                    }
                }
            }
        }
        true
    }
}

impl Shared {
    /// Starts the threads of a multi-thread runtime, and before them what of tokio's stands at its side.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread; those that were started are ended.
    pub(crate) fn start_threads(self: &Arc<Self>) -> std::io::Result<()> {
        if self.config.flavor == RuntimeFlavor::CurrentThread {
            let started = self.tokio.start(self).and_then(|()| self.start_watching());
            return started.inspect_err(|_| self.shut_down(None));
        }
        let start_worker =
            |index| self.start_thread(move |shared| run_worker(shared, index), Some(index));
        let started = self
            .tokio
            .start(self)
            .and_then(|()| (0..self.workers.len()).try_for_each(start_worker))
            .and_then(|()| self.start_thread(run_monitor, None));
        if started.is_err() {
            // Workers without a thread cannot leave by themselves.
            let missing = self
                .workers
                .iter()
                .filter(|worker| !worker.shard.has_thread())
                .count();
            self.shutdown.state.lock().workers_left -= missing;
            self.shut_down(None);
        }
        started
    }

    /// Starts the monitor of a current-thread runtime, if there is one.
    fn start_watching(self: &Arc<Self>) -> std::io::Result<()> {
        if !self.has_monitor() {
            return Ok(());
        }
        self.start_thread(run_monitor, None)
    }

    fn start_thread(
        self: &Arc<Self>,
        body: impl FnOnce(Arc<Self>) + Send + 'static,
        worker: Option<usize>,
    ) -> std::io::Result<()> {
        let mut builder = std::thread::Builder::new().name((self.config.thread_name)());
        if let Some(size) = self.config.thread_stack_size {
            builder = builder.stack_size(size);
        }
        let shared = Arc::clone(self);
        if worker.is_some() {
            self.shutdown.count_thread(true);
        }
        let started = builder.spawn(move || {
            let config = shared.config.clone();
            if let (Some(hook), true) = (&config.on_thread_start, worker.is_some()) {
                contain(|| hook());
            }
            body(Arc::clone(&shared));
            if let (Some(hook), true) = (&config.on_thread_stop, worker.is_some()) {
                contain(|| hook());
            }
            if worker.is_some() {
                shared.shutdown.count_thread(false);
            }
        });
        if started.is_err() && worker.is_some() {
            self.shutdown.count_thread(false);
        }
        let thread = started?;
        if let Some(worker) = worker {
            let shared = Arc::downgrade(self);
            let substitute = Box::new(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.call_stand_in(worker);
                }
            });
            self.workers[worker]
                .shard
                .set_thread(thread.thread().clone(), substitute);
        }
        self.shutdown.state.lock().threads.push(thread);
        Ok(())
    }

    /// A task has panicked: the end, if the user has it so. The thread that runs the core finds out after the poll, and
    /// tells those that wait in `block_on`.
    #[cold]
    pub(super) fn note_panic(&self) {
        if matches!(self.config.unhandled_panic, UnhandledPanic::ShutdownRuntime) {
            self.shutdown.by_panic.store(true, Ordering::Relaxed);
            self.begin_shutdown(None);
        }
    }

    /// Ends the runtime. `timeout`: how long to wait; `None` for as long as it takes.
    ///
    /// In a child of the process that made it there is nothing to end, and all of it is given up.
    pub(crate) fn shut_down(self: &Arc<Self>, timeout: Option<Duration>) {
        if !self.process().is_current() {
            return std::mem::forget(Arc::clone(self));
        }
        // Further away than the clock reaches is as long as it takes.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.begin_shutdown(deadline);
        if self.config.flavor == RuntimeFlavor::CurrentThread {
            self.shut_down_here();
        }
        let all_left = self.shutdown.wait(deadline);
        self.monitor.stop();
        let threads = std::mem::take(&mut self.shutdown.state.lock().threads);
        if all_left {
            let this = std::thread::current().id();
            for thread in threads {
                if thread.thread().id() == this {
                    continue;
                }
                // A worker's body does not unwind: tasks' panics are caught, and ours would have aborted.
                let _ = thread.join();
            }
        }
        self.stand_ins.shut_down(deadline);
        self.pool.shut_down(deadline);
        self.tokio.shut_down(deadline);
        if all_left {
            check_ledger(self.workers.iter().map(|worker| &worker.shard));
        }
    }

    fn begin_shutdown(&self, deadline: Option<Instant>) {
        self.shutdown.begin(deadline);
        self.owned.close();
        self.inject.close();
        for worker in &self.workers {
            worker.shard.unpark();
        }
    }

    /// A current-thread runtime is ended by the thread that drops it, or by the one that has the core.
    pub(super) fn shut_down_here(self: &Arc<Self>) {
        // Partner of the fence in `wake_waiting_for_core`: either we see the core that a thread gives back, or it
        // sees that the end has begun.
        fence(SeqCst);
        let Some(core) = self.workers[0].slot.take() else {
            // Another thread is in `block_on`; it ends the runtime when it gives the core back.
            return;
        };
        let worker = WorkerContext::new(Arc::clone(self), 0);
        let _entered = context::enter_worker(&worker);
        let _blocking = context::set_blocking(context::Blocking::Forbidden);
        worker.leave(core);
    }
}

impl WorkerContext {
    /// Steps 2 to 4.
    pub(super) fn leave(&self, mut core: Box<Core>) {
        let shared = self.shared();
        self.metrics().end_poll();
        shared.owned.close_and_shut_down(self.index());
        self.drop_queued(&mut core);
        shared.inject.close();
        let mut scratch = std::mem::take(&mut core.scratch);
        self.shard()
            .drain(shared.shutdown.drain_deadline(), &mut scratch);
        self.drop_queued(&mut core);
        self.metrics().end(Instant::now());
        shared.shutdown.worker_left();
        // Release: pairs with the Acquire in `wait_for_core`.
        self.remote().has_left.store(true, Ordering::Release);
        self.shard().unpark_own_thread();
    }
}
