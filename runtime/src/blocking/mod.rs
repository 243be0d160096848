//! The blocking pool: threads for what the kernel cannot do asynchronously, and for users' blocking jobs.
//!
//! Threads are started as jobs come, up to a bound, and end after some idle time. A job is a task whose future
//! is the closure. At shutdown the jobs that have not started are cancelled, unless they are mandatory: a
//! write that was reported as done.

mod job;

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::thread::{self, JoinHandle as ThreadHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use self::job::{Job, new_job};
use crate::config::Config;
use crate::contain::contain;
use crate::context;
use crate::scheduler::Shared;
use crate::task::JoinHandle;

/// The pool of one runtime.
pub(crate) struct Pool {
    inner: Mutex<Inner>,
    /// A job was queued, or the pool shuts down.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
    threads_max: usize,
    keep_alive: Duration,
}

/// What the metrics say of a pool.
pub(crate) struct PoolCounts {
    pub(crate) threads: usize,
    pub(crate) idle: usize,
    pub(crate) queued: usize,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Jobs queued for idle threads that have not woken yet.
    promised: usize,
    running: usize,
    shut_down: bool,
    started: Vec<ThreadHandle<()>>,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            inner: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
            threads_max: config.max_blocking_threads,
            keep_alive: config.thread_keep_alive,
        }
    }

    /// Queues a job; it is cancelled at once if the pool has shut down.
    #[track_caller]
    pub(crate) fn spawn<F, R>(
        &self,
        shared: &Arc<Shared>,
        job: F,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, handle) = new_job(job, spawned_at);
        if let Err(refused) = self.queue(shared, job) {
            panic!("OS can't spawn worker thread: {refused}");
        }
        handle
    }

    /// Fails only if there is no thread and the system refuses one.
    fn queue(&self, shared: &Arc<Shared>, job: Job) -> std::io::Result<()> {
        let mut inner = self.inner.lock();
        if inner.shut_down {
            drop(inner);
            job.cancel();
            return Ok(());
        }
        if inner.idle > inner.promised {
            inner.promised += 1;
            inner.queue.push_back(job);
            self.work.notify_one();
            return Ok(());
        }
        if inner.threads < self.threads_max {
            match start_thread(Arc::clone(shared)) {
                Ok(thread) => {
                    inner.threads += 1;
                    inner.started.push(thread);
                }
                // Some thread will come to it.
                Err(_) if inner.threads > 0 => {}
                Err(refused) => {
                    drop(inner);
                    job.cancel();
                    return Err(refused);
                }
            }
        }
        inner.queue.push_back(job);
        Ok(())
    }

    /// How many threads there are, how many of them wait for a job, and how many jobs wait for a thread.
    pub(crate) fn counts(&self) -> PoolCounts {
        let inner = self.inner.lock();
        PoolCounts {
            threads: inner.threads,
            idle: inner.idle,
            queued: inner.queue.len(),
        }
    }

    /// Whether a test's clock may jump: no job is queued or runs that would set something going.
    pub(crate) fn may_advance_clock(&self) -> bool {
        let inner = self.inner.lock();
        inner.queue.is_empty() && inner.running == 0
    }

    /// Cancels the jobs that have not started, and waits for the others until `deadline`.
    pub(crate) fn shut_down(&self, deadline: Option<Instant>) {
        let mut inner = self.inner.lock();
        inner.shut_down = true;
        let cancelled: Vec<_> = inner.queue.drain(..).collect();
        self.work.notify_all();
        drop(inner);
        cancelled.into_iter().for_each(Job::cancel);
        let mut inner = self.inner.lock();
        // A job that ends its own runtime does not wait for itself.
        let this = thread::current().id();
        let own = inner
            .started
            .iter()
            .filter(|thread| thread.thread().id() == this)
            .count();
        while inner.threads > own {
            match deadline {
                None => self.ended.wait(&mut inner),
                Some(deadline) => {
                    if self.ended.wait_until(&mut inner, deadline).timed_out() {
                        return;
                    }
                }
            }
        }
        let threads = std::mem::take(&mut inner.started);
        drop(inner);
        for thread in threads
            .into_iter()
            .filter(|thread| thread.thread().id() != this)
        {
            let _ = thread.join();
        }
    }

    /// The body of a thread: jobs until there is none for the keep-alive time, or the pool shuts down.
    fn run_jobs(&self, shared: &Shared) {
        let mut inner = self.inner.lock();
        loop {
            if let Some(job) = inner.queue.pop_front() {
                inner.running += 1;
                drop(inner);
                job.run();
                inner = self.inner.lock();
                inner.running -= 1;
                if shared.clock.is_paused() {
                    // The clock may have waited for us.
                    shared.shard(0).unpark();
                }
                continue;
            }
            if inner.shut_down || !self.wait_for_job(&mut inner) {
                break;
            }
        }
        inner.threads -= 1;
        let this = thread::current().id();
        if let Some(place) = inner
            .started
            .iter()
            .position(|thread| thread.thread().id() == this)
            && !inner.shut_down
        {
            // Nobody needs to join a thread that has ended by itself.
            drop(inner.started.swap_remove(place));
        }
        drop(inner);
        self.ended.notify_all();
    }

    /// `false` if the keep-alive time has passed without a job.
    fn wait_for_job(&self, inner: &mut parking_lot::MutexGuard<'_, Inner>) -> bool {
        inner.idle += 1;
        let deadline = Instant::now() + self.keep_alive;
        let mut timed_out = false;
        while inner.promised == 0 && inner.queue.is_empty() && !inner.shut_down && !timed_out {
            timed_out = self.work.wait_until(inner, deadline).timed_out();
        }
        inner.promised = inner.promised.saturating_sub(1);
        inner.idle -= 1;
        !inner.queue.is_empty() || !timed_out
    }
}

fn start_thread(shared: Arc<Shared>) -> std::io::Result<ThreadHandle<()>> {
    let mut builder = thread::Builder::new().name((shared.config.thread_name)());
    if let Some(size) = shared.config.thread_stack_size {
        builder = builder.stack_size(size);
    }
    builder.spawn(move || {
        let pool = Arc::clone(&shared.pool);
        if let Some(hook) = &shared.config.on_thread_start {
            contain(|| hook());
        }
        {
            let _entered = context::enter(Arc::clone(&shared));
            pool.run_jobs(&shared);
        }
        if let Some(hook) = &shared.config.on_thread_stop {
            contain(|| hook());
        }
    })
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("Pool")
            .field("threads", &inner.threads)
            .field("idle", &inner.idle)
            .field("queued", &inner.queue.len())
            .finish_non_exhaustive()
    }
}
