//! One poll of a set of local tasks: some of its tasks run, inside whatever task or root polls the set.
//!
//! Where tasks run in rounds, who yields goes on in the next poll of the set, which then yields itself.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::current::{self, CurrentGuard, Here};
use super::shared::Shared;
use crate::context::{self, LocalTasksGuard};
use crate::task::{Notified, Yielded, coop, yield_by};

/// Tasks run in one poll, so that whoever shares a task with the set gets its turn. tokio's number.
const TASKS_PER_POLL: u32 = 61;
/// One look in this many is into the mailbox first, so that tasks which wake themselves do not shut out what other
/// threads have woken. tokio's number.
const MAILBOX_INTERVAL: u32 = 31;

const _: () = assert!(
    MAILBOX_INTERVAL < TASKS_PER_POLL,
    "each poll looks into the mailbox"
);

/// Has a task's waker called in the next poll of the set whose tasks this thread runs in rounds; `false` if it runs none.
pub(crate) fn wake_in_next_poll(waker: &Waker) -> bool {
    let set = current::current();
    set.is_some_and(|set| set.hold_back(|| Some(Yielded::Waker(waker.clone()))))
}

/// Polls the set; ready when it has no task left.
pub(super) fn poll_set(set: &Here, poller: u64, cx: &mut Context<'_>) -> Poll<()> {
    let _polling = Polling::begin(set, poller, cx);
    run_tasks(set, cx);
    if set.owned.is_empty() {
        return Poll::Ready(());
    }
    Poll::Pending
}

/// Polls a future in the set, and then the set.
pub(super) fn poll_until<F: Future>(
    set: &Here,
    poller: u64,
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let _polling = Polling::begin(set, poller, cx);
    let polled = future.poll(cx);
    if polled.is_pending() {
        run_tasks(set, cx);
    }
    polled
}

/// The time of one poll.
struct Polling<'a> {
    polls: &'a Cell<u32>,
    _current: CurrentGuard,
    /// The set's tasks belong to this thread, which therefore cannot be lent.
    _local: LocalTasksGuard,
}

impl<'a> Polling<'a> {
    fn begin(set: &'a Here, poller: u64, cx: &Context<'_>) -> Self {
        // Before the first look at the queues: see the mailbox.
        set.mailbox.register(poller, cx.waker());
        let polls = &set.own().polls;
        polls.set(polls.get() + 1);
        let polling = Self {
            polls,
            _current: current::enter(set),
            _local: context::set_has_local_tasks(true),
        };
        set.go_on();
        polling
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.polls.set(self.polls.get() - 1);
    }
}

/// Runs tasks as long as there are some, but not for ever: then the set is to be polled again.
///
/// # Panics
///
/// If a task has panicked, and the set is to end then.
fn run_tasks(set: &Shared, cx: &Context<'_>) {
    assert_unharmed(set);
    let in_rounds = InRounds::begin(&set.own().in_rounds);
    coop::scope(|| {
        for _ in 0..TASKS_PER_POLL {
            let Some(task) = next_task(set) else { return };
            coop::refill();
            task.run();
            assert_unharmed(set);
        }
    });
    drop(in_rounds);
    if set.has_tasks() {
        cx.waker().wake_by_ref();
    }
    if set.has_yielded() {
        yield_by(cx.waker());
    }
}

/// The set's tasks run, in rounds if the thread's do; afterwards, also after a panic, it is as before. (A task may poll its own
/// set.)
struct InRounds<'a> {
    mark: &'a Cell<bool>,
    before: bool,
}

impl<'a> InRounds<'a> {
    fn begin(mark: &'a Cell<bool>) -> Self {
        let before = mark.replace(context::is_in_rounds());
        Self { mark, before }
    }
}

impl Drop for InRounds<'_> {
    fn drop(&mut self) {
        self.mark.set(self.before);
    }
}

fn assert_unharmed(set: &Shared) {
    assert!(
        !set.own().ended_by_panic.get(),
        "a spawned task panicked and the LocalSet is configured to shutdown on unhandled panic"
    );
}

/// The oldest task of the queue; now and then the oldest of the mailbox first, whose others go to the queue's back.
fn next_task(set: &Shared) -> Option<Notified> {
    let own = set.own();
    let tick = own.tick.get();
    own.tick.set(tick.wrapping_add(1));
    let mut queue = own.queue.borrow_mut();
    if !tick.is_multiple_of(MAILBOX_INTERVAL)
        && let Some(task) = queue.pop_front()
    {
        return Some(task);
    }
    let mut arrived = own.arrived.borrow_mut();
    set.mailbox.take(&mut arrived);
    let first = arrived.pop_front();
    queue.append(&mut arrived);
    first.or_else(|| queue.pop_front())
}
