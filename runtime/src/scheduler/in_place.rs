//! `block_in_place`: a task blocks its thread, and its worker goes on without it.
//!
//! The thread gives the worker's core up, as `block_on` does when it is done: a core with nothing left to do is laid
//! down in its slot, and costs no thread; any other goes to a stand-in ([`super::stand_in`]). Only if one is sure to be
//! there is the core given up at all: where the system refuses a thread, the thread blocks with the core, and the
//! monitor looks after the worker.
//!
//! 1. The thread has a stand-in reserved. If it is the worker's own it says that it is absent ([`Absence`]), so that
//!    whoever needs the core run calls the stand-in.
//! 2. It gives the core up, and queues its operations from outside from now on.
//! 3. The closure runs: the thread may block, `block_on` included, and has no budget.
//! 4. If the core lies in its slot, the thread takes it, and all is as it was.
//! 5. Otherwise the task goes on without a core until its poll ends. Then the worker's own thread says that it is back
//!    and waits, and the stand-in gives it the core at its next turn. A stand-in, or the main thread, that has lost the
//!    core is done with that worker.
//!
//! A runtime that ends meanwhile has the core's part of the end done by a stand-in; the thread finds out when the
//! closure returns, and is waited for.
//!
//! [`Absence`]: crate::driver::internals::Absence

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::worker::{Core, WorkerContext};
use crate::compat;
use crate::context::{self, Blocking, GuestGuard};
use crate::runtime::RuntimeFlavor;
use crate::task::coop;

/// Runs a closure that may block on this thread, and has the worker's other tasks run by another one meanwhile.
///
/// Other code in the *same task* does not run until the closure returns, not even what `join!` or `select!` polls beside
/// it. The closure may call `Handle::block_on`, and `block_in_place` again; it has no cooperative budget. Outside a
/// runtime, and in a blocking job, it is just called.
///
/// It cannot be aborted, and a runtime that is dropped waits for it; `shutdown_timeout` and `shutdown_background` do
/// not. A panic of the closure is passed on.
///
/// # Panics
///
/// In a current-thread runtime, but for a future that [`crate::Handle::block_on`] was given, and in a local set.
///
/// # Examples
///
/// ```
/// let runtime = ringway_runtime::Runtime::new()?;
/// let handle = runtime.handle().clone();
/// let sum = runtime.block_on(async move {
///     ringway_runtime::spawn(async move {
///         ringway_runtime::block_in_place(|| {
///             let part = handle.spawn(async { 20 });
///             22 + handle.block_on(part).unwrap()
///         })
///     })
///     .await
///     .unwrap()
/// });
/// assert_eq!(sum, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn block_in_place<F, R>(closure: F) -> R
where
    F: FnOnce() -> R,
{
    if context::blocking() == Blocking::Allowed {
        return compat::leave(closure);
    }
    assert!(
        may_block(),
        "can call blocking only when running on the multi-threaded runtime"
    );
    context::with_worker(|worker| worker.map(WorkerContext::give_up));
    // Dropped last: the thread is a worker's again, and may have its core back.
    let _back = Back;
    let _away = context::leave_worker();
    let _allowed = context::set_blocking(Blocking::Allowed);
    coop::without(|| compat::leave(closure))
}

/// Whether the poll that this thread is in can do without the thread.
fn may_block() -> bool {
    let is_multi = |flavor| flavor == RuntimeFlavor::MultiThread;
    let in_root = context::with_worker(|worker| {
        worker.is_none_or(|worker| worker.remote().polls_root.load(Relaxed))
    });
    if context::blocking() == Blocking::InPlace && in_root {
        return true;
    }
    !context::has_local_tasks()
        && context::with_worker(|worker| worker.map(|worker| worker.shared().config.flavor))
            .map_or_else(
                || context::with_current(|shared| is_multi(shared.config.flavor)) == Ok(true),
                is_multi,
            )
}

struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        context::with_worker(|worker| worker.map(WorkerContext::take_back));
    }
}

/// What a thread that has given its core up puts right when it has the core again, or does without for good.
#[derive(Debug)]
pub(super) struct Away {
    /// The thread's operations are queued from outside.
    _guest: GuestGuard,
    /// It is the worker's own.
    is_own: bool,
    /// It was inside the root of `block_on`.
    polled_root: bool,
    has_reserved: bool,
}

impl WorkerContext {
    /// Step 1 and 2. Does nothing if the thread has given the core up before, or nobody could run it.
    fn give_up(&self) {
        let Some(core) = self.take_lent() else { return };
        let remote = self.remote();
        let is_own = remote.shard.is_own_thread();
        // The worker's own thread comes, if it is called, when another one has taken the core over.
        let has_reserved = is_own || remote.shard.absence().is_on();
        if has_reserved && !self.shared().reserve_stand_in() {
            return self.lend_again(core);
        }
        let guest = context::submit_from_outside(self.shared());
        *self.away.borrow_mut() = Some(Away {
            _guest: guest,
            is_own,
            polled_root: remote.polls_root.load(Relaxed),
            has_reserved,
        });
        self.metrics().end_poll();
        self.set_polls_root(false);
        self.shared().begin_busy();
        if is_own {
            remote.shard.absence().begin();
        }
        self.give_back(core);
    }

    /// Step 4.
    fn take_back(&self) {
        if self.away.borrow().is_none() {
            return;
        }
        let Some(core) = self.remote().slot.take() else {
            return;
        };
        let away = self.away.take().expect("looked at above");
        if away.is_own {
            self.shard().absence().end_with_core();
        }
        self.set_polls_root(away.polled_root);
        self.end(away);
        self.go_on(core);
    }

    fn go_on(&self, mut core: Box<Core>) {
        let called = self.rise(&mut core, Instant::now());
        core.searching = called && self.take_search();
        self.stop_searching(&mut core);
        self.lend_again(core);
    }

    /// Step 5, for the worker's own thread, if it is that; `None` if it is not, or if the worker has ended.
    pub(super) fn return_and_wait(&self) -> Option<Box<Core>> {
        self.end_away();
        self.shard().return_thread();
        let core = self.wait_for_core()?;
        Some(self.wake(core))
    }

    /// Step 5, for all: the poll has ended.
    pub(super) fn end_away(&self) {
        let away = self.away.take();
        self.end(away.expect("the core was given up in `block_in_place`"));
    }

    fn end(&self, away: Away) {
        self.shared().end_busy();
        if away.has_reserved {
            self.shared().stand_ins.release();
        }
    }
}
