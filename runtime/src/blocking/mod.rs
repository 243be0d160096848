//! The blocking pool: threads for what the kernel cannot do asynchronously, and for users' blocking jobs.
//!
//! A job is a task whose future is the closure. Jobs go into a [`queue`] that all threads take from. Threads are started
//! as jobs come, up to a bound, sleep when there is none, and end when they have slept for the keep-alive time;
//! [`crew`] is the protocol by which a job that is queued always has a thread that will come to it, and which
//! wakes no more threads than that takes. [`threads`] has their lives.
//!
//! Whatever a job waits for, another job among it, the jobs behind it are begun, as long as there may be one thread
//! more. If the system refuses a thread, those that are there come to the job; only if there is none the spawn
//! panics.
//!
//! At the end, jobs that have not begun are cancelled, unless they are mandatory: a write that was reported as done.
//! Whoever finds a mandatory job in the queue of a pool that has ended runs it.

mod crew;
mod job;
mod queue;
mod threads;

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::crew::{Call, Crew, Rest};
use self::job::{Job, new_job};
use self::queue::{Queue, submitter};
pub(crate) use self::threads::{Roster, Seat};
use crate::config::Config;
use crate::fork;
use crate::linger::{Linger, look_out};
use crate::scheduler::{Shared, enter_pool};
use crate::task::{Extras, JoinHandle};

/// For models.
pub(crate) mod internals {
    pub use super::crew::{Call as JobCall, Counts as JobCounts, Crew as JobCrew, Rest as JobRest};
    pub use super::queue::Queue as JobQueue;
}

/// The pool of one runtime.
pub(crate) struct Pool {
    crew: Crew<Seat>,
    queue: Queue<Job>,
    roster: Arc<Roster>,
    keep_alive: Duration,
}

/// What the metrics say of a pool.
pub(crate) struct PoolCounts {
    pub(crate) threads: usize,
    pub(crate) idle: usize,
    pub(crate) queued: usize,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            crew: Crew::new(config.max_blocking_threads),
            queue: Queue::for_processors(),
            roster: Arc::default(),
            keep_alive: config.thread_keep_alive,
        }
    }

    /// Queues a job; it is cancelled at once if the pool has ended.
    ///
    /// # Panics
    ///
    /// If there is no thread and the system refuses one.
    #[track_caller]
    pub(crate) fn spawn<F, R>(
        &self,
        shared: &Arc<Shared>,
        closure: F,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.try_spawn(shared, closure, (), spawned_at) {
            Ok(handle) => handle,
            Err(error) => panic!("OS can't spawn worker thread: {error}"),
        }
    }

    /// As [`Self::spawn`], with extras for the job's task.
    ///
    /// # Errors
    ///
    /// If there is no thread and the system refuses one.
    pub(crate) fn try_spawn<F, R, E>(
        &self,
        shared: &Arc<Shared>,
        closure: F,
        extras: E,
        spawned_at: &'static Location<'static>,
    ) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
        E: Extras,
    {
        let (job, handle) = new_job(closure, false, extras, spawned_at);
        match self.submit(shared, job) {
            Ok(()) | Err(Refused::Ended) => Ok(handle),
            Err(Refused::NoThread(error)) => Err(error),
        }
    }

    /// Queues a job that runs even if the runtime ends before it has begun. `None` if the runtime has ended, or if
    /// there is no thread and the system refuses one; then the job is not run.
    pub(crate) fn spawn_mandatory<F, R>(
        &self,
        shared: &Arc<Shared>,
        closure: F,
        spawned_at: &'static Location<'static>,
    ) -> Option<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (job, handle) = new_job(closure, true, (), spawned_at);
        // Without a thread the job is run by whoever was refused, which is this thread.
        let queued = !matches!(self.submit(shared, job), Err(Refused::Ended));
        queued.then_some(handle)
    }

    fn submit(&self, shared: &Arc<Shared>, job: Job) -> Result<(), Refused> {
        if self.crew.counts().has_ended() {
            job.cancel();
            return Err(Refused::Ended);
        }
        self.queue.push(submitter(), job);
        self.answer(shared, self.crew.post())
    }

    /// Does what a post asks for.
    fn answer(&self, shared: &Arc<Shared>, call: Call<Seat>) -> Result<(), Refused> {
        match call {
            Call::Nobody => {}
            Call::Wake(seat) => seat.call(),
            Call::Start => return self.start_thread(shared),
            Call::Ended => self.finish_queued(),
        }
        Ok(())
    }

    #[cold]
    fn start_thread(&self, shared: &Arc<Shared>) -> Result<(), Refused> {
        let started = self
            .roster
            .start(shared, |shared| shared.pool.run_jobs(shared));
        let Err(refused) = started else { return Ok(()) };
        if self.crew.start_refused() == 0 {
            self.finish_queued();
            return Err(refused);
        }
        if !self.queue.is_empty()
            && let Call::Wake(seat) = self.crew.post_to_sleepers()
        {
            seat.call();
        }
        Ok(())
    }

    /// Nobody will come to what is queued: cancels it, and runs what is mandatory.
    #[cold]
    fn finish_queued(&self) {
        while let Some(job) = self.queue.take(0) {
            job.finish();
        }
    }

    /// The body of a thread, which counts as searching: jobs until there is none for the keep-alive time, or the
    /// pool ends.
    fn run_jobs(&self, shared: &Arc<Shared>) {
        let seat = Seat::here();
        enter_pool(shared);
        let mut linger = Linger::new();
        let mut first = submitter();
        // The first job after a call was begun when the thread was called, though the pool has ended since.
        let mut is_called = true;
        loop {
            while let Some(job) = self.queue.take(first) {
                first = first.wrapping_add(1);
                if self.crew.end_search() && !self.queue.is_empty() {
                    // If no thread can be started, this one comes to the others' jobs when it is done.
                    let _ = self.answer(shared, self.crew.post());
                }
                shared.standstill.pass();
                if std::mem::take(&mut is_called) {
                    job.run();
                } else {
                    self.run(job);
                }
                if !shared.process().is_current() {
                    fork::stop();
                }
                shared.note_job_end();
                self.crew.begin_search();
            }
            if self.lingers(&mut linger) {
                continue;
            }
            linger.fall_asleep(Instant::now());
            if !self.rest(shared, &seat) {
                break;
            }
            linger.wake(Instant::now());
            is_called = true;
        }
        self.tell_paused_clock(shared);
    }

    /// Looks out for a job, if that has paid lately; `false` if none has come.
    fn lingers(&self, linger: &mut Linger) -> bool {
        let until = linger.begin(Instant::now());
        let found = until.is_some_and(|until| look_out(until, || !self.queue.is_empty()).is_ok());
        if found {
            linger.paid();
        }
        found
    }

    fn run(&self, job: Job) {
        if self.crew.counts().has_ended() {
            job.finish();
        } else {
            job.run();
        }
    }

    /// `false`: this thread has left the crew, and ends.
    fn rest(&self, shared: &Arc<Shared>, seat: &Seat) -> bool {
        match self.crew.fall_asleep(seat.clone()) {
            Rest::Leave => {
                self.finish_queued();
                return false;
            }
            Rest::LookAndSleep if !self.queue.is_empty() => {
                let _ = self.answer(shared, self.crew.post());
            }
            Rest::LookAndSleep | Rest::Sleep => {}
        }
        self.tell_paused_clock(shared);
        if seat.wait(self.keep_alive) {
            return true;
        }
        if self.crew.leave(seat) {
            return false;
        }
        seat.take_call();
        true
    }

    /// A clock that stands may have waited for us before it jumps.
    fn tell_paused_clock(&self, shared: &Shared) {
        if shared.clock.is_paused() {
            shared.shard(0).unpark();
        }
    }

    /// How many threads are in a job, or on their way to one; `None` if a job waits for a thread.
    pub(crate) fn busy(&self) -> Option<usize> {
        let counts = self.crew.counts();
        let is_empty = self.queue.is_empty();
        is_empty.then(|| counts.threads() - counts.asleep())
    }

    /// Cancels the jobs that have not begun, and waits for the others, and for those that are mandatory, until
    /// `deadline`.
    pub(crate) fn shut_down(&self, deadline: Option<Instant>) {
        let called = self.crew.end();
        self.cancel_queued();
        called.iter().for_each(Seat::call);
        if self.crew.is_deserted() {
            self.finish_queued();
        }
        self.roster.wait(deadline);
    }

    /// Leaves only what is mandatory in the queue, and a job for each thread that was called and has not come to one.
    fn cancel_queued(&self) {
        let mut mandatory = Vec::new();
        let mut promised = self.crew.counts().searching();
        while let Some(mut job) = self.queue.take(0) {
            if !job.is_mandatory() && promised > 0 {
                promised -= 1;
                job.promise();
            }
            if job.is_mandatory() {
                mandatory.push(job);
            } else {
                job.cancel();
            }
        }
        for job in mandatory {
            self.queue.push(0, job);
        }
    }

    /// How many threads there are, how many of them wait for a job, and how many jobs wait for a thread; each at
    /// about the same moment.
    pub(crate) fn counts(&self) -> PoolCounts {
        let counts = self.crew.counts();
        PoolCounts {
            threads: counts.threads(),
            idle: counts.asleep(),
            queued: self.queue.len(),
        }
    }
}

/// Why a job was not queued, or was taken back.
#[derive(Debug)]
pub(crate) enum Refused {
    Ended,
    NoThread(io::Error),
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("counts", &self.crew.counts())
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}
