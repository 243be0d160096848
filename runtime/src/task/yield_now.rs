//! Giving up the worker for one round.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::raw::Notified;
use crate::contain::contain;
use crate::context;

/// Lets other tasks run, and goes on after them.
///
/// The task goes to the back of its worker's queue; on a current-thread runtime behind all tasks that are ready, and what the
/// kernel's answers make ready. Nothing is lost if the future is dropped.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[must_use = "futures do nothing unless polled"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        yield_by(cx.waker());
        Poll::Pending
    }
}

/// Wakes when all that is ready has had its turn; at once, where tasks run in no such order.
#[inline]
pub(crate) fn yield_by(waker: &Waker) {
    if !context::wake_after_round(waker) {
        YIELDED.with(|yielded| yielded.set(true));
        waker.wake_by_ref();
    }
}

/// Somebody who goes on when all that is ready has had its turn.
pub(crate) enum Yielded {
    Waker(Waker),
    /// It was woken while it ran.
    Task(Notified),
}

/// All go on, the last one first. A panic of one's waker does not keep the others from going on.
pub(crate) fn go_on(yielded: &mut Vec<Yielded>) {
    while !yielded.is_empty() {
        contain(|| {
            while let Some(one) = yielded.pop() {
                match one {
                    Yielded::Waker(waker) => waker.wake(),
                    Yielded::Task(task) => task.submit(),
                }
            }
        });
    }
}

impl fmt::Debug for Yielded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielded").finish_non_exhaustive()
    }
}

thread_local! {
    static YIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether something on this thread yielded since the last call: the root future must not be polled again
/// before others had their turn.
pub(crate) fn take_yielded() -> bool {
    YIELDED.with(Cell::take)
}

impl fmt::Debug for YieldNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YieldNow")
            .field("yielded", &self.yielded)
            .finish()
    }
}
