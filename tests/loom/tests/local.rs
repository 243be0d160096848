//! Local sets: what other threads wake, against the end of a poll, the sleep of its thread, and the end of the set.
#![cfg(loom)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use ringway_loom_models::tasks::{Flag, Output, WaitForFlag};
use ringway_loom_models::{Alarm, check, spawn};
use ringway_runtime::internals::{
    Birth, Header, Mailbox, Notified, OwnedSet, Placement, Schedule, TaskRef, new_task, next_id,
};
use ringway_runtime::task::JoinHandle;

/// A set whose every wake comes from another thread.
struct Set {
    mailbox: Mailbox,
    owned: OwnedSet,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Set>>> = const { RefCell::new(None) };
}

impl Set {
    fn new() -> Arc<Self> {
        let this = Arc::new(Self {
            mailbox: Mailbox::new(),
            owned: OwnedSet::new(1),
        });
        CURRENT.set(Some(Arc::clone(&this)));
        this
    }

    fn current() -> Arc<Self> {
        CURRENT.with_borrow(|current| Arc::clone(current.as_ref().expect("a model made one")))
    }

    /// A task that was polled once, found its flag not set, and gave out a waker.
    fn spawn_idle(&self) -> (Arc<Flag>, JoinHandle<Output>) {
        let (flag, future) = Flag::new();
        let birth = Birth {
            placement: Placement {
                runtime: 0,
                shard: 0,
            },
            id: next_id(),
            spawned_at: Location::caller(),
            born: 0,
        };
        let (task, notified, handle) = new_task::<WaitForFlag, Scheduler, ()>(future, birth, ());
        self.owned.bind(task).expect("the set is open");
        notified.run();
        (flag, handle)
    }

    /// As `poll_set` in `runtime/src/local/poll.rs`.
    fn poll(&self, poller: u64, waker: &Waker) {
        self.mailbox.register(poller, waker);
        let mut queue = VecDeque::new();
        loop {
            self.mailbox.take(&mut queue);
            match queue.pop_front() {
                Some(task) => task.run(),
                None => return,
            }
        }
    }

    /// Polls, and sleeps in between, until `done`.
    fn run_until(&self, poller: u64, done: impl Fn() -> bool) {
        let waker = Alarm::waker();
        loop {
            self.poll(poller, &waker);
            if done() {
                return self.mailbox.forget(poller);
            }
            loom::thread::park();
        }
    }

    /// As `Shared::end` in `runtime/src/local/shared.rs`.
    fn end(&self) {
        self.owned.close_and_shut_down(0);
        self.mailbox.close();
    }

    /// Ends the interleaving: nothing may be left.
    fn assert_empty(self: Arc<Self>) {
        assert!(self.mailbox.is_empty(), "a task is left in the mailbox");
        assert!(self.owned.is_empty(), "a task is left in the owned set");
        CURRENT.set(None);
    }
}

struct Scheduler;

impl Schedule for Scheduler {
    fn schedule(task: Notified) {
        Set::current().mailbox.push(task);
    }

    fn reschedule(task: Notified) {
        Set::current().mailbox.push(task);
    }

    fn release(task: TaskRef<'_>) -> bool {
        Set::current().owned.release(task)
    }

    fn panicked(_: &Header) {}
}

/// Another thread wakes a task while the set is polled, finds nothing to do, and its thread falls asleep. Either the poll
/// finds the task, or the thread is woken.
///
/// Mutants in `local/mailbox.rs`: `push` marks the mailbox after it has woken; `push` takes the pollers, lets go of the
/// lock, and leaves the task then; `register` does not keep the waker; `push` wakes nobody; `push` does not mark.
#[test]
fn a_wake_from_another_thread_reaches_a_set_whose_thread_falls_asleep() {
    check(|| {
        let set = Set::new();
        let (flag, handle) = set.spawn_idle();
        let waker = flag.take_waker().expect("polled");
        let other = spawn(move || {
            flag.set();
            waker.wake();
        });
        set.run_until(1, || handle.is_finished());
        other.join().expect("no panic");
        drop(handle);
        set.assert_empty();
    });
}

/// Two threads wake a task each. Both tasks run, though the one waker that the set has is used once.
///
/// Mutants in `local/mailbox.rs`: `take` clears the mark when it has let go of the lock; `take` takes one task and clears
/// the mark.
#[test]
fn of_two_wakes_from_other_threads_neither_is_lost() {
    check(|| {
        let set = Set::new();
        let (handles, others): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (flag, handle) = set.spawn_idle();
                let waker = flag.take_waker().expect("polled");
                let wakes = move || {
                    flag.set();
                    waker.wake();
                };
                (handle, spawn(wakes))
            })
            .unzip();
        set.run_until(1, || handles.iter().all(JoinHandle::is_finished));
        for other in others {
            other.join().expect("no panic");
        }
        drop(handles);
        set.assert_empty();
    });
}

/// Another thread wakes a task while the set is dropped. The future is dropped by the set's thread, and no reference
/// stays behind.
///
/// Mutants in `local/mailbox.rs`: `close` does not close; `push` looks whether the mailbox is closed, lets go of the lock,
/// and leaves the task then; `close` leaves the tasks.
#[test]
fn a_wake_from_another_thread_during_the_end_of_a_set_leaves_nothing() {
    check(|| {
        let set = Set::new();
        let (flag, handle) = set.spawn_idle();
        let seen = Arc::clone(&flag);
        let waker = flag.take_waker().expect("polled");
        let other = spawn(move || {
            flag.set();
            waker.wake();
        });
        set.poll(1, Waker::noop());
        set.end();
        assert!(handle.is_finished());
        assert_eq!(seen.dropped_by(), Some(loom::thread::current().id()));
        other.join().expect("no panic");
        drop(handle);
        set.assert_empty();
    });
}

/// An abort from another thread while the set is polled: the set's thread is woken, and drops the future.
///
/// Mutants in `local/mailbox.rs`: `push` wakes nobody; `register` does not keep the waker.
#[test]
fn an_abort_from_another_thread_ends_a_task_on_the_thread_of_its_set() {
    check(|| {
        let set = Set::new();
        let (flag, handle) = set.spawn_idle();
        let other = {
            let aborts = handle.abort_handle();
            spawn(move || aborts.abort())
        };
        set.run_until(1, || handle.is_finished());
        assert_eq!(flag.dropped_by(), Some(loom::thread::current().id()));
        drop(flag.take_waker());
        other.join().expect("no panic");
        drop(handle);
        set.end();
        set.assert_empty();
    });
}
