//! Calls that succeed one after the other without waiting, and the pause that must follow so many of them.
//!
//! A task whose peer is quick enough never has to wait, and would keep its worker for itself.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

/// How many calls may succeed in a row. tokio allows a task so many, and programs are used to it.
const CALLS_IN_A_ROW: u8 = 128;

/// Counts the calls that have succeeded since the last one that had to wait.
///
/// Relaxed throughout: a count that two tasks disturb now and then makes a pause early or late, no more.
#[derive(Debug, Default)]
pub(crate) struct Streak(AtomicU8);

impl Streak {
    /// Counts a call. Pending when it is time for a pause: the task has been woken, and comes back when others
    /// have had their turn.
    pub(crate) fn poll_go_on(&self, cx: &mut Context<'_>) -> Poll<()> {
        let calls = self.0.load(Ordering::Relaxed);
        if calls < CALLS_IN_A_ROW {
            self.0.store(calls + 1, Ordering::Relaxed);
            return Poll::Ready(());
        }
        self.end();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A call had to wait.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{CALLS_IN_A_ROW, Streak};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_pause_follows_so_many_calls_and_wakes_the_task() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let streak = Streak::default();
        for _ in 0..2 {
            for _ in 0..CALLS_IN_A_ROW {
                assert!(streak.poll_go_on(&mut cx).is_ready());
            }
            assert!(streak.poll_go_on(&mut cx).is_pending());
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_call_that_waits_starts_the_count_anew() {
        let mut cx = Context::from_waker(Waker::noop());
        let streak = Streak::default();
        for _ in 0..CALLS_IN_A_ROW {
            assert!(streak.poll_go_on(&mut cx).is_ready());
        }
        streak.end();
        assert!(streak.poll_go_on(&mut cx).is_ready());
    }
}
