//! [`Many`]: the outputs of an operation that the kernel answers many times.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::ledger::Birth;
use super::op::{Answers, Operation, completion, submit_here};
use super::shard::Shard;
use super::slots::{Key, Next};

/// The outputs of an [`Operation`] that the kernel answers many times, as a multishot poll or accept.
///
/// It is idle until first polled, and goes on until the kernel ends it. The last answer is an output like the others;
/// after it comes none. Dropping it cancels the operation, from any thread and without waiting. Answers that nobody took,
/// and those that are still under way, are made into outputs and dropped.
#[must_use = "nothing is submitted unless it is polled"]
pub struct Many<T: Operation> {
    state: State<T>,
    birth: Birth,
}

enum State<T> {
    Idle(T),
    Submitted(Arc<Shard>, Key),
    Finished,
}

/// A limit for [`Answers::Queue`] that suits connections and messages: more than arrive between two turns of a task
/// that keeps up.
pub const QUEUED_ANSWERS_MAX: u32 = 64;

impl<T: Operation> Many<T> {
    /// Makes it; nothing is submitted yet.
    ///
    /// # Panics
    ///
    /// Not: the caller is noted, to be named if the operation is missed when its runtime ends.
    #[track_caller]
    pub fn new(operation: T) -> Self {
        Self::born(operation, Birth::here())
    }

    /// The same, for what was made elsewhere.
    pub fn born(operation: T, birth: Birth) -> Self {
        const { assert!(!matches!(T::ANSWERS, Answers::One), "this one is an `Op`") }
        Self {
            state: State::Idle(operation),
            birth,
        }
    }

    /// The next output, `None` after the last.
    ///
    /// With [`Answers::Told`] there is but the last one, and it need not be polled again before the waker is called.
    ///
    /// # Panics
    ///
    /// The first poll panics outside a runtime.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T::Output>> {
        match &self.state {
            State::Submitted(shard, key) => match shard.next::<T>(*key, cx.waker()) {
                Next::Pending(replaced) => {
                    drop(replaced);
                    Poll::Pending
                }
                Next::Resumed { .. } => Poll::Pending,
                Next::Item(output) => Poll::Ready(Some(output)),
                Next::Last(operation, answer) => {
                    let last = completion(shard, answer, operation.home(), T::REFUSED);
                    self.state = State::Finished;
                    Poll::Ready(Some(operation.complete(last)))
                }
            },
            State::Idle(_) => self.submit(cx),
            State::Finished => Poll::Ready(None),
        }
    }

    /// Whether the last output was taken.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Asks the kernel to end the operation. What it has answered by then is still handed out, and the last output is
    /// an error, ECANCELED, or what came before it. One that was not submitted yet never will be, and has no output.
    ///
    /// Does not wait, and may be called from any thread and more than once.
    pub fn cancel(&mut self) {
        match &self.state {
            State::Submitted(shard, key) => shard.cancel(*key),
            State::Idle(_) | State::Finished => self.state = State::Finished,
        }
    }

    /// Waits for the next output, `None` after the last.
    ///
    /// # Cancel safety
    ///
    /// An output is taken only when it is returned, so nothing is lost if the future is dropped.
    ///
    /// # Panics
    ///
    /// As [`poll_next`](Self::poll_next).
    pub async fn next(&mut self) -> Option<T::Output> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn submit(&mut self, cx: &Context<'_>) -> Poll<Option<T::Output>> {
        let State::Idle(operation) = std::mem::replace(&mut self.state, State::Finished) else {
            unreachable!("only an idle operation is submitted")
        };
        match self.birth.during(|| submit_here(operation, cx.waker())) {
            Ok((shard, key)) => {
                self.state = State::Submitted(shard, key);
                Poll::Pending
            }
            Err(unsubmitted) => Poll::Ready(Some(unsubmitted.complete())),
        }
    }
}

impl<T: Operation> Unpin for Many<T> {}

impl<T: Operation> Drop for Many<T> {
    fn drop(&mut self) {
        if let State::Submitted(shard, key) = std::mem::replace(&mut self.state, State::Finished) {
            shard.abandon(key);
        }
    }
}

impl<T: Operation> fmt::Debug for Many<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle(_) => "idle",
            State::Submitted(..) => "submitted",
            State::Finished => "finished",
        };
        f.debug_struct("Many")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
