//! A job of the pool: a task whose future runs a closure in its one poll.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::task::{
    Birth, Extras, Id, JoinHandle, Notified, Placement, Schedule, Task, TaskRef, new_task,
};
use crate::trace::{self, Kind};

/// A queued job.
#[derive(Debug)]
pub(super) struct Job {
    task: Task,
    notified: Notified,
    /// It finishes what was reported as done, so it runs at shutdown too.
    mandatory: bool,
}

impl Job {
    /// Runs the closure, unless the job was aborted.
    pub(super) fn run(self) {
        self.notified.run();
        drop(self.task);
    }

    pub(super) fn is_mandatory(&self) -> bool {
        self.mandatory
    }

    /// A thread has been called for it: it runs at shutdown too.
    pub(super) fn promise(&mut self) {
        self.mandatory = true;
    }

    /// At the pool's end: runs the closure if that is mandatory, and cancels the job otherwise.
    pub(super) fn finish(self) {
        if self.mandatory {
            self.run();
        } else {
            self.cancel();
        }
    }

    /// Drops the closure; awaiting the handle says that the job was cancelled.
    pub(super) fn cancel(self) {
        drop(self.notified);
        self.task.shut_down();
    }
}

pub(super) fn new_job<F, R, E>(
    closure: F,
    mandatory: bool,
    extras: E,
    spawned_at: &'static Location<'static>,
) -> (Job, JoinHandle<R>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    E: Extras,
{
    let future = RunOnce(Some(closure));
    let birth = Birth {
        placement: Placement {
            runtime: 0,
            shard: 0,
        },
        id: Id::next(),
        spawned_at,
        born: 0,
    };
    let (future, extras) =
        trace::task::<F, _, _>(Kind::Blocking, future, birth.id, spawned_at, extras);
    let (task, notified, handle) = new_task::<_, Unscheduled, _>(future, birth, extras);
    let job = Job {
        task,
        notified,
        mandatory,
    };
    (job, handle)
}

struct RunOnce<F>(Option<F>);

// The closure is never pinned: it is moved out and called.
impl<F> Unpin for RunOnce<F> {}

impl<F: FnOnce() -> R, R> Future for RunOnce<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let closure = self.0.take().expect("a job is polled once");
        Poll::Ready(closure())
    }
}

/// Jobs are in the pool's queue from the start; an abort before that has nothing to schedule.
struct Unscheduled;

impl Schedule for Unscheduled {
    fn schedule(task: Notified) {
        // A job is notified from birth and never pending, so this is not reached; dropping is right anyway.
        drop(task);
    }

    fn reschedule(task: Notified) {
        drop(task);
    }

    fn release(_: TaskRef<'_>) -> bool {
        false
    }
}
