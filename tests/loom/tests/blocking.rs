//! The blocking pool: a job that is pushed always has a thread that comes to it, and at the end none is left.
#![cfg(loom)]

use std::sync::Arc;

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use loom::thread::JoinHandle;
use ringway_loom_models::crew::Bell;
use ringway_loom_models::{check, spawn};
use ringway_runtime::internals::{JobCall, JobCrew, JobQueue, JobRest};
use ringway_runtime::loom::atomic::AtomicUsize;

/// A pool with the functions of `blocking/mod.rs`. A seat is a number.
struct Pool {
    crew: JobCrew<usize>,
    queue: JobQueue<u32>,
    seats: Vec<Bell>,
    /// Jobs that were run, and that were taken back, in bits.
    run: AtomicUsize,
    taken_back: AtomicUsize,
}

impl Pool {
    fn new(threads_max: usize, seats: usize) -> Arc<Self> {
        Arc::new(Self {
            crew: JobCrew::new(threads_max),
            queue: JobQueue::new(1),
            seats: (0..seats).map(|_| Bell::new()).collect(),
            run: AtomicUsize::new(0),
            taken_back: AtomicUsize::new(0),
        })
    }

    /// Has a thread that was started and searches.
    fn with_searcher(threads_max: usize, seats: usize) -> Arc<Self> {
        let pool = Self::new(threads_max, seats);
        assert_eq!(pool.crew.post(), JobCall::Start);
        pool
    }

    /// Has a thread that sleeps on seat 0.
    fn with_sleeper(threads_max: usize, seats: usize) -> Arc<Self> {
        let pool = Self::with_searcher(threads_max, seats);
        assert_eq!(pool.crew.fall_asleep(0), JobRest::LookAndSleep);
        pool
    }

    /// As `Pool::submit`; returns whether a thread is to be started.
    fn push(&self, job: u32) -> bool {
        self.queue.push(0, job);
        self.answer(self.crew.post())
    }

    fn answer(&self, call: JobCall<usize>) -> bool {
        match call {
            JobCall::Nobody => {}
            JobCall::Wake(seat) => self.seats[seat].ring(),
            JobCall::Start => return true,
            JobCall::Ended => self.finish_queued(),
        }
        false
    }

    fn finish_queued(&self) {
        while let Some(job) = self.queue.take(0) {
            self.taken_back.fetch_or(1 << job, AcqRel);
        }
    }

    /// As `Pool::start_thread`, where the system refuses; `false`: there is no thread.
    fn be_refused(&self) -> bool {
        if self.crew.start_refused() == 0 {
            self.finish_queued();
            return false;
        }
        if !self.queue.is_empty()
            && let JobCall::Wake(seat) = self.crew.post_to_sleepers()
        {
            self.seats[seat].ring();
        }
        true
    }

    /// As `Pool::run_jobs`, from a search to the first job, which blocks for ever; `true` if another thread is to be
    /// started. `None`: the thread has left.
    fn block_on_first(&self, seat: usize) -> Option<bool> {
        loop {
            if let Some(job) = self.queue.take(0) {
                let starts = self.crew.end_search()
                    && !self.queue.is_empty()
                    && self.answer(self.crew.post());
                self.run.fetch_or(1 << job, AcqRel);
                return Some(starts);
            }
            if !self.rest(seat) {
                return None;
            }
            self.seats[seat].wait();
        }
    }

    /// As `Pool::rest`, up to the sleep.
    fn rest(&self, seat: usize) -> bool {
        match self.crew.fall_asleep(seat) {
            JobRest::Leave => {
                self.finish_queued();
                return false;
            }
            JobRest::LookAndSleep if !self.queue.is_empty() => {
                assert!(!self.answer(self.crew.post()), "a sleeper is there");
            }
            JobRest::LookAndSleep | JobRest::Sleep => {}
        }
        true
    }

    fn runs(self: &Arc<Self>, seat: usize) -> JoinHandle<Option<bool>> {
        let pool = Arc::clone(self);
        spawn(move || pool.block_on_first(seat))
    }

    fn assert_run(&self, jobs: usize) {
        // Acquire: pairs with the AcqRel of the threads.
        assert_eq!(self.run.load(Acquire), jobs);
    }
}

/// A thread finds nothing and falls asleep, while a job is pushed. It runs the job.
///
/// Mutants in `blocking/crew.rs`: no fence in `post`; no fence in `fall_asleep`; `fall_asleep` never says to look.
#[test]
fn a_job_that_is_pushed_while_the_last_thread_falls_asleep_is_run() {
    check(|| {
        let pool = Pool::with_searcher(1, 1);
        let thread = pool.runs(0);
        assert!(!pool.push(0), "there may be one thread");
        thread.join().expect("no panic");
        pool.assert_run(1);
    });
}

/// Two jobs, of which the first blocks for ever, and two threads that sleep. Both jobs run.
///
/// Mutants in `blocking/crew.rs`: `end_search` never says that the searcher was the last; `end_search` has no fence.
#[test]
fn a_job_behind_one_that_blocks_for_ever_is_run() {
    check(|| {
        let pool = Pool::with_sleeper(2, 2);
        pool.push(0);
        // The sleeper is called, and searches; the second job relies upon it.
        let thread = pool.runs(0);
        let starts = pool.push(1);
        let also_starts = thread.join().expect("no panic").expect("not ended");
        if starts || also_starts {
            assert!(!(starts && also_starts), "one thread is enough");
            assert_eq!(pool.block_on_first(1), Some(false));
        }
        pool.assert_run(0b11);
    });
}

/// Two threads push a job each. Of two sleepers one is called, which is on its way when the other push looks.
///
/// Mutants in `blocking/crew.rs`: `pick` does not look at the counts again; `pick` does not count the sleeper that it
/// takes as a searcher.
#[test]
fn two_pushes_at_once_call_one_of_two_sleepers() {
    check(|| {
        let pool = Pool::with_searcher(2, 2);
        let _ = pool.crew.end_search();
        assert_eq!(pool.crew.post(), JobCall::Start);
        assert_eq!(pool.crew.fall_asleep(1), JobRest::LookAndSleep);
        pool.crew.begin_search();
        assert_eq!(pool.crew.fall_asleep(0), JobRest::LookAndSleep);
        let post = |job| {
            let pool = Arc::clone(&pool);
            move || {
                pool.queue.push(0, job);
                usize::from(pool.crew.post() != JobCall::Nobody)
            }
        };
        let other = spawn(post(0));
        let calls = post(1)() + other.join().expect("no panic");
        assert_eq!(calls, 1);
        assert_eq!(pool.crew.counts().asleep(), 1);
    });
}

/// A thread whose time is up leaves, while a job is pushed: it stays, or another one is started.
///
/// Mutants in `blocking/crew.rs`: `leave` does not mind that it was called; `leave` keeps its place in the list; `leave`
/// does not take the thread from the count.
#[test]
fn a_job_that_is_pushed_while_a_thread_leaves_is_run() {
    check(|| {
        let pool = Pool::with_sleeper(1, 1);
        let thread = {
            let pool = Arc::clone(&pool);
            spawn(move || {
                if pool.crew.leave(&0) {
                    return;
                }
                pool.seats[0].wait();
                pool.block_on_first(0);
            })
        };
        let starts = pool.push(0);
        thread.join().expect("no panic");
        if starts {
            pool.block_on_first(0);
        }
        pool.assert_run(1);
    });
}

/// The pool ends while a job is pushed and its thread falls asleep. The job is run or taken back, and the thread leaves.
///
/// Mutants: `pick` or `fall_asleep` in `blocking/crew.rs` does not mind the end; `rest` in `blocking/mod.rs` leaves
/// without a look at the queue.
#[test]
fn a_push_during_the_end_leaves_no_job() {
    check(|| {
        let pool = Pool::with_searcher(1, 1);
        let thread = pool.runs(0);
        let end = {
            let pool = Arc::clone(&pool);
            spawn(move || {
                let called = pool.crew.end();
                pool.finish_queued();
                for seat in called {
                    pool.seats[seat].ring();
                }
            })
        };
        if pool.crew.counts().has_ended() {
            pool.taken_back.fetch_or(1, AcqRel);
        } else {
            pool.push(0);
        }
        end.join().expect("no panic");
        thread.join().expect("no panic");
        let run = pool.run.load(Acquire);
        assert_eq!(run ^ pool.taken_back.load(Acquire), 1);
        assert!(pool.queue.is_empty());
    });
}

/// A mandatory job is queued when the pool ends, and its only thread may just have found nothing. Whoever ends the pool
/// puts the job back for the thread, and runs it if there is none.
///
/// Mutants: `is_deserted` in `blocking/crew.rs` has no fence, or always says no; `rest` in `blocking/mod.rs` leaves
/// without a look at the queue.
#[test]
fn a_mandatory_job_is_run_at_the_end() {
    check(|| {
        let pool = Pool::with_searcher(1, 1);
        let thread = pool.runs(0);
        pool.push(0);
        let called = pool.crew.end();
        // As `Pool::cancel_queued`.
        if let Some(job) = pool.queue.take(0) {
            pool.queue.push(0, job);
        }
        for seat in called {
            pool.seats[seat].ring();
        }
        if pool.crew.is_deserted() {
            pool.finish_queued();
        }
        thread.join().expect("no panic");
        assert_eq!(pool.run.load(Acquire) ^ pool.taken_back.load(Acquire), 1);
    });
}

/// The system refuses a thread, while another thread queues a job and relies upon the one that is refused, and the only
/// thread that there is falls asleep.
///
/// Mutants: `start_refused` in `blocking/crew.rs` has no fence, or leaves the searcher counted; `start_thread` in
/// `blocking/mod.rs` does not post.
#[test]
fn a_job_that_relied_on_a_thread_that_is_refused_is_run() {
    check(|| {
        let pool = Pool::with_searcher(2, 1);
        // The only thread is busy, and a second one is about to be started.
        let _ = pool.crew.end_search();
        assert!(pool.push(0));
        let thread = {
            let pool = Arc::clone(&pool);
            spawn(move || {
                for _ in 0..2 {
                    pool.crew.begin_search();
                    if pool.block_on_first(0) == Some(true) {
                        assert!(pool.be_refused());
                    }
                }
            })
        };
        let other = {
            let pool = Arc::clone(&pool);
            spawn(move || {
                if pool.push(1) {
                    assert!(pool.be_refused());
                }
            })
        };
        assert!(pool.be_refused(), "there is a thread");
        thread.join().expect("no panic");
        other.join().expect("no panic");
        pool.assert_run(0b11);
    });
}
