//! The cooperative budget: how much a task may do in one poll before it must let others run.
//!
//! A task whose channel, socket or lock is ready every time would never return to its worker. So each poll of a task
//! has a budget of 128 units, and every operation that was ready takes one. When none is left, the next operation says
//! `Pending` though it is ready, and wakes the task at once: the task goes to the back of the queue, and gets a new
//! budget with its next poll. What is ready takes units; what has to wait does not.
//!
//! ```
//! # let runtime = ringway_runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! use ringway_runtime::task::coop;
//!
//! let mut primes = Vec::new();
//! for number in 2..10_000_u32 {
//!     if primes.iter().all(|prime| number % prime != 0) {
//!         primes.push(number);
//!     }
//!     // Now and then, other tasks get their turn.
//!     coop::consume_budget().await;
//! }
//! assert_eq!(primes.len(), 1_229);
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # One budget, and it is tokio's
//!
//! Channels, locks and adapters are tokio's own code, and charge tokio's budget. So that is the one that counts: this
//! module re-exports its functions, our own leaves charge it, and `refill` fills it. docs/adr/0010 says why.
//!
//! tokio fills it only where tokio polls. But [`RestoreOnPending`] puts the budget back to what it was when it was
//! taken, and when that was a full one, dropping it fills the budget. Each thread takes one such *seed*, once, from a
//! `LocalSet` of tokio's that it polls by hand; no runtime of tokio's takes part. From then on a copy of the seed is
//! dropped before each poll of a task.
//!
//! If a thread cannot get a seed, its tasks are unconstrained.
//!
//! # Where it applies
//!
//! 1. Whoever runs a task or polls a root future calls `refill` before each poll, inside a `scope`, at whose end
//!    the thread has the budget again that it had before. A stale budget must not stay behind: outside a runtime
//!    nobody would ever fill it.
//! 2. Whoever polls tasks from within another one, as a local set does, does the same: the outer task has its budget
//!    again afterwards.
//! 3. Blocking jobs and `block_in_place` run without a budget.

use std::cell::Cell;
use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[doc(inline)]
pub use tokio::task::coop::{
    Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
    poll_proceed, unconstrained,
};

/// Takes a unit of the budget, for an operation that is known to be ready. Pending: there is none, and the task was
/// woken.
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// use std::future::poll_fn;
/// use ringway_runtime::task::coop;
///
/// // A source that is always ready, which lets others run all the same.
/// let next = || poll_fn(|cx| coop::poll_charge(cx).map(|()| 5));
/// for _ in 0..1000 {
///     assert_eq!(next().await, 5);
/// }
/// # });
/// ```
#[inline]
pub fn poll_charge(cx: &mut Context<'_>) -> Poll<()> {
    poll_proceed(cx).map(|unit| unit.made_progress())
}

/// What fills this thread's budget.
enum Seed {
    /// Nobody has asked yet.
    Unasked,
    /// Dropping it, or a copy, fills the budget. It stays to the end of the thread, so it needs no destructor.
    Full(ManuallyDrop<RestoreOnPending>),
    /// tokio has refused; tasks of this thread are unconstrained.
    Refused,
}

thread_local! {
    static SEED: Cell<Seed> = const { Cell::new(Seed::Unasked) };
}

/// Fills this thread's budget, before a poll.
#[inline]
pub(crate) fn refill() {
    // Without a seed in between: what is called here never comes back to this function.
    let seed = match SEED.replace(Seed::Refused) {
        Seed::Full(seed) => seed,
        Seed::Refused => return,
        Seed::Unasked => match take_seed() {
            Some(seed) => ManuallyDrop::new(seed),
            None => return,
        },
    };
    SEED.set(Seed::Full(use_seed(seed)));
}

/// Whether the seed is plain data: two bytes, which own nothing. Otherwise it cannot be copied.
const IS_PLAIN: bool = size_of::<RestoreOnPending>() == size_of::<Option<u8>>();

#[inline]
fn use_seed(seed: ManuallyDrop<RestoreOnPending>) -> ManuallyDrop<RestoreOnPending> {
    if !IS_PLAIN {
        return exchange_seed(seed);
    }
    // SAFETY: the value is two bytes without a pointer (`IS_PLAIN`), so its copy frees nothing that it could own; its
    // drop writes the number that it holds to a cell of this thread. A version of tokio that gives it more than the
    // number makes it larger, and is not served here.
    drop(ManuallyDrop::into_inner(unsafe { std::ptr::read(&seed) }));
    seed
}

/// Fills the budget with the seed itself and takes the next one, which is a unit.
fn exchange_seed(seed: ManuallyDrop<RestoreOnPending>) -> ManuallyDrop<RestoreOnPending> {
    drop(ManuallyDrop::into_inner(seed));
    match poll_proceed(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => ManuallyDrop::new(next),
        Poll::Pending => unreachable!("the budget was full"),
    }
}

/// Takes a seed from within a task of tokio's, whose budget is full; `None` if tokio's part of this thread is gone.
#[cold]
fn take_seed() -> Option<RestoreOnPending> {
    let missing = tokio::runtime::Handle::try_current().err();
    if missing.is_some_and(|missing| missing.is_thread_local_destroyed()) {
        return None;
    }
    let found = Rc::new(Cell::new(None));
    let finder = Rc::clone(&found);
    let set = tokio::task::LocalSet::new();
    set.spawn_local(poll_fn(move |cx| {
        poll_proceed(cx).map(|seed| finder.set(Some(seed)))
    }));
    let mut cx = Context::from_waker(Waker::noop());
    let _ = Future::poll(pin!(set), &mut cx);
    found.take()
}

/// Calls `f` without a budget. What the budget was before, it is again after.
pub(crate) fn without<R>(f: impl FnOnce() -> R) -> R {
    let mut f = Some(f);
    let call = poll_fn(|_| {
        let f = f.take().expect("polled once");
        Poll::Ready(f())
    });
    let mut cx = Context::from_waker(Waker::noop());
    match Future::poll(pin!(unconstrained(call)), &mut cx) {
        Poll::Ready(returned) => returned,
        Poll::Pending => unreachable!("the call is ready"),
    }
}

/// Calls `f`, in which tasks are polled. What the budget was before, it is again after.
pub(crate) fn scope<R>(f: impl FnOnce() -> R) -> R {
    without(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// tokio's budget for a poll.
    const FULL: u32 = 128;

    /// How many units are left; uses them up. More than `FULL` if there is no limit.
    fn drain() -> u32 {
        let mut cx = Context::from_waker(Waker::noop());
        (0..=FULL)
            .find(|_| poll_charge(&mut cx).is_pending())
            .unwrap_or(u32::MAX)
    }

    /// Mutant: do not fill the budget in `refill`.
    #[test]
    fn a_refilled_budget_is_full_each_time() {
        without(|| {
            assert_eq!(drain(), u32::MAX, "there is no limit before the first");
            for _ in 0..3 {
                refill();
                assert_eq!(drain(), FULL);
            }
        });
    }

    /// Mutant: let `scope` call `f` and no more.
    #[test]
    fn a_poll_within_a_poll_leaves_the_outer_budget_alone() {
        scope(|| {
            refill();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(poll_charge(&mut cx).is_ready());
            scope(|| {
                refill();
                assert_eq!(drain(), FULL);
            });
            assert_eq!(without(drain), u32::MAX);
            assert_eq!(drain(), FULL - 1);
        });
        assert_eq!(drain(), u32::MAX, "no budget stays behind");
    }

    #[test]
    fn a_seed_that_cannot_be_copied_serves_all_but_one_unit() {
        scope(|| {
            let mut seed = ManuallyDrop::new(take_seed().expect("a seed"));
            for _ in 0..3 {
                seed = exchange_seed(seed);
                assert_eq!(drain(), FULL - 1);
            }
        });
    }

    #[test]
    fn a_panic_puts_the_budget_back() {
        let panicked = std::panic::catch_unwind(|| {
            scope(|| {
                refill();
                panic!("in a poll");
            })
        });
        assert!(panicked.is_err());
        assert_eq!(drain(), u32::MAX);
    }
}
