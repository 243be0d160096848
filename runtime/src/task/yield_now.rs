//! Giving up the worker for one round.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

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
        if !context::wake_after_round(cx.waker()) {
            YIELDED.with(|yielded| yielded.set(true));
            cx.waker().wake_by_ref();
        }
        Poll::Pending
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
