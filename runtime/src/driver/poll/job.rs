//! A request at the blocking pool.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::plain::{Place, Request, Step};
use super::claim::Claim;
use super::watch::Lookout;
use super::{Core, F_MORE};
use crate::driver::slots::Answer;
use crate::loom::Mutex;
use crate::loom::atomic::AtomicBool;

/// A request that is, or was, queued at the blocking pool.
#[derive(Debug)]
pub(super) struct Job {
    claim: Claim,
    request: Mutex<Option<Request>>,
    user_data: u64,
    fd: RawFd,
    /// Somebody wanted to cancel it when it had begun. Written and read under the table's lock.
    is_unwanted: AtomicBool,
}

impl Job {
    pub(super) fn new(request: Request) -> Self {
        Self {
            claim: Claim::new(),
            user_data: request.user_data(),
            fd: request.fd(),
            request: Mutex::new(Some(request)),
            is_unwanted: AtomicBool::new(false),
        }
    }

    pub(super) fn user_data(&self) -> u64 {
        self.user_data
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd
    }

    /// The last answer, if it is given up before a thread begins it.
    pub(super) fn given_up(&self) -> i32 {
        let request = self.request.lock();
        request.as_ref().map_or(-libc::ECANCELED, Request::given_up)
    }

    /// Keeps it from beginning; `false` if it has begun, and then it is not waited with again.
    pub(super) fn cancel(&self) -> bool {
        // Relaxed: ordered by the table's lock.
        self.is_unwanted.store(true, Ordering::Relaxed);
        self.claim.cancel()
    }
}

/// The job as the pool has it. One that the pool drops is cancelled.
#[derive(Debug)]
pub(super) struct Errand<W: Lookout> {
    job: Arc<Job>,
    core: Arc<Core<W>>,
}

impl<W: Lookout> Errand<W> {
    pub(super) fn new(job: Arc<Job>, core: Arc<Core<W>>) -> Self {
        Self { job, core }
    }

    /// Makes the call, which may wait.
    pub(super) fn run(self) {
        if !self.job.claim.begin() {
            return;
        }
        let user_data = self.job.user_data;
        let request = self.job.request.lock().take();
        let mut request = request.expect("a job is begun once");
        loop {
            match request.step(Place::Pool) {
                Step::Done(result) => {
                    let wanted = result < 0 || !request.skips_success();
                    return self.core.finish(user_data, wanted.then_some(result));
                }
                Step::More(result) => {
                    let flags = F_MORE;
                    let answer = Answer { result, flags };
                    self.core.post(&mut vec![(user_data, answer)]);
                }
                Step::Wait(fd, events) => {
                    let is_unwanted = || self.job.is_unwanted.load(Ordering::Relaxed);
                    return self.core.take_back(request, (fd, events), is_unwanted);
                }
                Step::Elsewhere => unreachable!("there is no place where a call may wait longer"),
            }
        }
    }
}

impl<W: Lookout> Drop for Errand<W> {
    fn drop(&mut self) {
        if self.job.claim.cancel() {
            self.core
                .finish(self.job.user_data, Some(self.job.given_up()));
        }
    }
}
