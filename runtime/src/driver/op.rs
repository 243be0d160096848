//! [`Operation`]: a request to the kernel with the memory that it needs; [`Op`]: its future, if it has one output.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use io_uring::squeue;

use super::current::{Here, with_here};
use super::error::{SHUTTING_DOWN, shutdown_error_saying};
use super::fd::Home;
use super::home::{any_shard, shard_of};
use super::ledger::Birth;
use super::provided::{Pool, Use};
use super::shard::Shard;
use super::slots::{Answer, Key, Polled};
use crate::fork::FORKED;

/// A request to the kernel together with all the memory that it names.
///
/// # Safety
///
/// The kernel reads and writes through the pointers in the SQE until the last CQE. The implementor promises:
///
/// - `entry` puts into the SQE only pointers to memory that `self` owns on the heap, to `self` itself (it
///   does not move between `entry` and `complete`), or to statics;
/// - every file descriptor in the SQE stays open as long as `self` lives ([`super::SharedFd`]);
/// - nothing else reads or writes that memory before `complete`.
///
/// The driver sets the user data.
pub unsafe trait Operation: Send + Sized + 'static {
    /// What the caller gets. It must own what the kernel made (a descriptor, a filled buffer), because it is
    /// simply dropped when the future is gone.
    type Output: Send;

    /// The runtime that this operation belongs to, wherever it is polled: when that runtime has ended it fails, and
    /// where no runtime is entered it is submitted there. By default it belongs to the runtime where it is polled.
    fn home(&self) -> Option<Home> {
        None
    }

    /// How the kernel's answers become outputs.
    const ANSWERS: Answers<Self> = Answers::One;

    /// Whether the kernel ends it by itself, whatever others do, as one on a file. A clock that stands waits for those that
    /// are awaited, as it does for blocking jobs.
    const ENDS_BY_ITSELF: bool = false;

    /// Whether it is made for a device, which works on it while the worker goes on: a read that did not find its bytes in
    /// memory, say. If others are under way it is submitted at once, and not with all that the worker's tasks come to ask
    /// for, during which the device would run dry.
    const KEEPS_A_DEVICE_BUSY: bool = false;

    /// What it says when its runtime has ended.
    const REFUSED: &'static str = SHUTTING_DOWN;

    /// How much an answer with that result counts towards the limit of [`Answers::Queue`]; more than 1 if it brings several
    /// things.
    fn weight(_result: i32) -> u32 {
        1
    }

    /// Builds the SQE. Called when the operation is submitted, and again if it must be submitted once more: because
    /// the thread that had submitted it exited, or because nobody took its answers for a while ([`Answers::Queue`]).
    /// It runs under a lock of the driver and calls nothing of the driver.
    ///
    /// It must not panic. If it does when the operation is submitted, the panic goes on to whoever submits, and nothing
    /// frees the operation and what it owns, for its drop may not run under that lock. If it does when it is submitted once
    /// more, the operation ends as one that was cancelled.
    fn entry(&mut self) -> squeue::Entry;

    /// Turns the kernel's answer into the output. Called once, after the last CQE, or with an error if the
    /// runtime shut down first.
    fn complete(self, completion: Completion) -> Self::Output;
}

/// The kernel's answer to an operation.
#[derive(Debug)]
pub struct Completion {
    /// The result of the CQE, negative values as errors.
    pub result: io::Result<u32>,
    /// The flags of the CQE.
    pub flags: u32,
}

/// How the answers of the kernel to an operation are gathered, and become outputs.
///
/// Every answer but the last has `IORING_CQE_F_MORE` among its flags. The function makes the output of one that is
/// not the last. It must own what the kernel made, like the output of [`Operation::complete`], which is called with
/// the last. It runs under a lock of the driver: it calls nothing of the driver and drops nothing of the user's.
#[derive(Debug)]
pub enum Answers<T: Operation> {
    /// One output, made of the first answer, after the last has come: all plain operations, and sends without copying,
    /// whose second answer says that the kernel has let go of the memory.
    One,
    /// Results are masks, and are told to whom the function names, as soon as they are reaped: for a multishot poll, of
    /// which whoever waits must be told anyway. They are no outputs, and [`Many`](super::Many) has but the last.
    Told(fn(&T) -> &Arc<dyn Tell>),
    /// Each answer is an output of its own, as of a multishot accept or receive.
    Queue {
        /// Makes the output of an answer that is not the last.
        item: fn(&T, Completion) -> T::Output,
        /// When so many answers wait, each with its [weight](Operation::weight), the operation is cancelled, and submitted again when they have been taken. The
        /// kernel may add some before it hears of the cancel.
        limit: u32,
    },
}

impl<T: Operation> Answers<T> {
    pub(super) fn item(&self) -> Option<fn(&T, Completion) -> T::Output> {
        match self {
            Self::One | Self::Told(_) => None,
            Self::Queue { item, .. } => Some(*item),
        }
    }
}

/// Who is told of an operation's answers, see [`Answers::Told`].
pub trait Tell: Send + Sync + 'static {
    /// An answer has come that is not the last: the result of its CQE.
    ///
    /// It is called by a worker that holds no lock, and must not block. It may come late: after the operation's last
    /// output, and after its drop.
    fn tell(self: Arc<Self>, mask: u32);
}

/// The future of an [`Operation`].
///
/// It is idle until first polled. Dropping it cancels the operation, from any thread and without waiting; the
/// operation's memory lives on until the kernel has let go of it.
///
/// # Panics
///
/// The first poll panics outside a runtime, and a poll after the output was returned panics.
#[must_use = "futures do nothing unless polled"]
pub struct Op<T: Operation> {
    state: State<T>,
    birth: Birth,
}

enum State<T> {
    Idle(T),
    /// Cancelled before it was submitted.
    Cancelled(T),
    Submitted(Arc<Shard>, Key),
    Finished,
}

impl<T: Operation> Op<T> {
    /// Makes the future; nothing is submitted yet.
    ///
    /// # Panics
    ///
    /// Not: the caller is noted, to be named if the operation is missed when its runtime ends.
    #[track_caller]
    pub fn new(operation: T) -> Self {
        const { assert!(matches!(T::ANSWERS, Answers::One), "this one is a `Many`") }
        Self {
            state: State::Idle(operation),
            birth: Birth::here(),
        }
    }

    /// Asks the kernel to cancel the operation. The output comes all the same, when the future is polled on: with
    /// ECANCELED as its error, or with the operation's own result if that was faster.
    ///
    /// One that was not submitted yet never will be. Does not wait, and may be called from any thread and more than
    /// once.
    pub fn cancel(&mut self) {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Idle(operation) => self.state = State::Cancelled(operation),
            State::Submitted(shard, key) => {
                shard.cancel(key);
                self.state = State::Submitted(shard, key);
            }
            other @ (State::Cancelled(_) | State::Finished) => self.state = other,
        }
    }

    /// Lets the operation run to its end without anybody waiting; submits it if that has not happened.
    ///
    /// Outside a runtime, or in one that is shutting down, an idle operation is dropped.
    pub fn detach(mut self) {
        let birth = self.birth;
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Idle(operation) => with_here(|here| match here {
                Here::Nowhere => drop(operation),
                Here::Owner(shard) => drop(birth.during(|| shard.submit(operation, None))),
                Here::Guest(shard) => drop(birth.during(|| shard.submit(operation, None))),
            }),
            State::Submitted(shard, key) => {
                Self::end_wait(&shard);
                shard.detach(key);
            }
            State::Cancelled(operation) => drop(operation),
            State::Finished => {}
        }
    }

    /// As [`detach`](Self::detach), for one that was not submitted yet and may run anywhere: in the runtime of this
    /// thread, or else in the operation's own, or else in any other that has I/O. If all have ended it is dropped.
    pub fn detach_anywhere(mut self) {
        let State::Idle(operation) = std::mem::replace(&mut self.state, State::Finished) else {
            return;
        };
        let shard = open_shard_here()
            .or_else(|| shard_of(operation.home()?.number()))
            .or_else(any_shard);
        if let Some(shard) = shard {
            drop(self.birth.during(|| shard.submit(operation, None)));
        }
    }

    fn submit(&mut self, operation: T, cx: &Context<'_>) -> Poll<T::Output> {
        match self.birth.during(|| submit_here(operation, cx.waker())) {
            Ok((shard, key)) => {
                if T::ENDS_BY_ITSELF {
                    shard.begin_wait();
                }
                self.state = State::Submitted(shard, key);
                Poll::Pending
            }
            Err(unsubmitted) => Poll::Ready(unsubmitted.complete()),
        }
    }

    fn end_wait(shard: &Shard) {
        if T::ENDS_BY_ITSELF {
            shard.end_wait();
        }
    }
}

/// An operation that was not submitted: its runtime has ended, or there is no room for it.
#[derive(Debug)]
pub(super) enum Unsubmitted<T> {
    Ended(T),
    NoRoom(T),
}

impl<T: Operation> Unsubmitted<T> {
    pub(super) fn complete(self) -> T::Output {
        match self {
            Self::Ended(operation) => {
                let refused = refused(&operation);
                operation.complete(refused)
            }
            Self::NoRoom(operation) => operation.complete(Completion {
                result: Err(io::Error::from_raw_os_error(libc::ENOMEM)),
                flags: 0,
            }),
        }
    }
}

/// Submits an operation where it belongs.
#[track_caller]
pub(super) fn submit_here<T: Operation>(
    operation: T,
    waker: &Waker,
) -> Result<(Arc<Shard>, Key), Unsubmitted<T>> {
    let Some(shard) = shard_for(&operation) else {
        return Err(Unsubmitted::Ended(operation));
    };
    let key = shard.submit(operation, Some(waker.clone()))?;
    Ok((shard, key))
}

/// The answer of a runtime that has ended, or is another process's.
fn refused<T: Operation>(operation: &T) -> Completion {
    let is_of_parent = operation.home().is_some_and(Home::is_of_parent);
    let error = match is_of_parent {
        true => io::Error::other(FORKED),
        false => shutdown_error_saying(T::REFUSED),
    };
    Completion {
        result: Err(error),
        flags: 0,
    }
}

/// The shard of this thread's worker, or one of the runtime that was entered, or of the operation's own; none if that
/// one has ended.
#[track_caller]
fn shard_for<T: Operation>(operation: &T) -> Option<Arc<Shard>> {
    shard_at(operation.home())
}

/// The provided buffers of the shard to which an operation of that home would go that was submitted now, on this thread;
/// none if it has none, or if the runtime has ended. Those that are missed at the end are said to be born at `birth`.
///
/// # Panics
///
/// Outside a runtime, if there is no home.
#[track_caller]
pub fn provided_buffers(home: Option<Home>, purpose: Use, birth: Birth) -> Option<Pool> {
    let shard = shard_at(home)?;
    let pool = shard.provided(purpose)?;
    Some(pool.born(birth))
}

#[track_caller]
fn shard_at(home: Option<Home>) -> Option<Arc<Shard>> {
    let here = with_here(|here| match here {
        Here::Owner(shard) | Here::Guest(shard) => Some(Arc::clone(shard)),
        Here::Nowhere => None,
    });
    match (here, home) {
        (None, None) => super::current::no_runtime(),
        (Some(here), None) => Some(here),
        (Some(here), Some(home)) if here.runtime() == home.number() => Some(here),
        (here, Some(home)) => {
            let home = shard_of(home.number())?;
            Some(here.unwrap_or(home))
        }
    }
}

/// The shard of this thread's worker, or one of the runtime that was entered, unless that has ended.
fn open_shard_here() -> Option<Arc<Shard>> {
    let here = with_here(|here| match here {
        Here::Owner(shard) | Here::Guest(shard) => Some(Arc::clone(shard)),
        Here::Nowhere => None,
    });
    here.filter(|shard| !shard.is_closed())
}

impl<T: Operation> Future for Op<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Idle(operation) => self.submit(operation, cx),
            State::Submitted(shard, key) => match shard.poll::<T>(key, cx.waker()) {
                Polled::Pending(replaced) => {
                    drop(replaced);
                    self.state = State::Submitted(shard, key);
                    Poll::Pending
                }
                Polled::Ready(operation, answer) => {
                    Self::end_wait(&shard);
                    let completion = completion(&shard, answer, operation.home(), T::REFUSED);
                    Poll::Ready(operation.complete(completion))
                }
            },
            State::Cancelled(operation) => Poll::Ready(operation.complete(Completion {
                result: Answer::CANCELED.into_result(),
                flags: 0,
            })),
            State::Finished => panic!("an operation was polled after it had completed"),
        }
    }
}

/// The answer as the operation sees it: when a shard is closed it cancels what is in it. One that was only a guest there
/// is told no more than that, and may be tried elsewhere.
pub(super) fn completion(
    shard: &Arc<Shard>,
    answer: Answer,
    home: Option<Home>,
    refused: &'static str,
) -> Completion {
    let is_guest = home.is_some_and(|home| home.number() != shard.runtime());
    let result = if answer == Answer::CANCELED && shard.is_closed() && !is_guest {
        Err(shutdown_error_saying(refused))
    } else {
        return answer.into_completion();
    };
    Completion {
        result,
        flags: answer.flags,
    }
}

impl<T: Operation> Unpin for Op<T> {}

impl<T: Operation> Drop for Op<T> {
    fn drop(&mut self) {
        if let State::Submitted(shard, key) = std::mem::replace(&mut self.state, State::Finished) {
            Self::end_wait(&shard);
            shard.abandon(key);
        }
    }
}

impl<T: Operation> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle(_) => "idle",
            State::Cancelled(_) => "cancelled",
            State::Submitted(..) => "submitted",
            State::Finished => "finished",
        };
        f.debug_struct("Op")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
