//! A runtime of tokio's with one worker.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use self_cell::self_cell;
use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

use crate::context::{self, Blocking, CurrentGuard};
use crate::scheduler::Shared;
use crate::task::coop;

/// tokio's runtime at the side of one of ours, if it was asked for.
#[derive(Debug)]
pub(crate) struct TokioSide {
    /// Set once, before a thread of ours starts.
    handle: OnceLock<Handle>,
    /// Taken by the end of our runtime.
    runtime: Mutex<Option<Runtime>>,
}

/// What a thread has entered of tokio's.
#[derive(Debug)]
pub(crate) struct Entered {
    _guard: Option<Guard>,
}

self_cell! {
    /// tokio's guard, with the handle that it borrows.
    struct Guard {
        owner: Handle,

        #[not_covariant]
        dependent: EnterGuard,
    }

    impl {Debug}
}

thread_local! {
    /// On tokio's threads: they are in our runtime as long as they live.
    static OURS: RefCell<Option<CurrentGuard>> = const { RefCell::new(None) };
    /// Whether this thread is in [`TokioSide::run`], and not in [`leave`] there.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// tokio's worker takes what libraries spawn; the user's tasks are ours. One is enough for `block_in_place`, too.
const WORKERS: usize = 1;

const THREAD_NAME: &str = "tokio-compat";

impl TokioSide {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            handle: OnceLock::new(),
            runtime: Mutex::new(None),
        }
    }

    /// Starts tokio's runtime, if ours was built so. Before any thread of ours starts.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread or a descriptor.
    pub(crate) fn start(&self, shared: &Arc<Shared>) -> io::Result<()> {
        if !shared.config.tokio_compat {
            return Ok(());
        }
        let ours = Arc::downgrade(shared);
        let enter_ours = move || {
            if let Some(shared) = ours.upgrade() {
                let guard = context::enter_without_tokio(shared);
                OURS.with_borrow_mut(|ours| *ours = Some(guard));
            }
        };
        let leave_ours = || drop(OURS.with_borrow_mut(Option::take));
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(shared.config.max_blocking_threads)
            .thread_keep_alive(shared.config.thread_keep_alive)
            .thread_name(THREAD_NAME)
            .on_thread_start(enter_ours)
            .on_thread_stop(leave_ours)
            .enable_all()
            .build()
            .map_err(|refused| {
                let text = format!("tokio's runtime at its side: {refused}");
                io::Error::new(refused.kind(), text)
            })?;
        let handle = runtime.handle().clone();
        *self.runtime.lock() = Some(runtime);
        self.handle.set(handle).expect("started once");
        Ok(())
    }

    /// Enters tokio's runtime, if there is one.
    #[track_caller]
    pub(crate) fn enter(&self) -> Entered {
        let handle = self.handle.get();
        Entered {
            _guard: handle.map(|handle| Guard::new(handle.clone(), |handle| handle.enter())),
        }
    }

    /// Calls `polls`, which polls tasks of ours or a root, with tokio knowing that nothing may block there, if tokio's
    /// runtime is there at all.
    ///
    /// # Panics
    ///
    /// If this thread is polled by a runtime of tokio's.
    #[track_caller]
    pub(crate) fn run<R>(&self, polls: impl FnOnce() -> R) -> R {
        let Some(handle) = self.handle.get() else {
            return polls();
        };
        // In the child of a fork, which begins anew where a task of the parent's was.
        if RUNS.get() {
            return leave(|| self.run(polls));
        }
        let _runs = RunsGuard::set(true);
        let mut polls = Some(polls);
        let whole = poll_fn(|_| {
            let polls = polls.take().expect("polled once");
            Poll::Ready(polls())
        });
        // Our tasks have budgets of their own, and what is between them has none.
        handle.block_on(coop::unconstrained(whole))
    }

    /// Ends tokio's runtime, waiting until `deadline` at most; without one, for as long as its blocking jobs take.
    pub(crate) fn shut_down(&self, deadline: Option<Instant>) {
        let Some(runtime) = self.runtime.lock().take() else {
            return;
        };
        // A thread that ends may have given up that cell, and what it had entered.
        let is_tokios_thread = OURS.try_with(|ours| ours.borrow().is_some());
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match left {
            // A thread cannot wait for itself.
            _ if is_tokios_thread == Ok(true) => runtime.shutdown_background(),
            // Nor may a thread that polls tasks wait.
            _ if context::blocking() != Blocking::Allowed => runtime.shutdown_background(),
            Some(Duration::ZERO) => runtime.shutdown_background(),
            Some(left) => leave(|| runtime.shutdown_timeout(left)),
            None => leave(|| drop(runtime)),
        }
    }
}

/// Calls `blocks`, which may block this thread, whatever polls that is called from.
pub(crate) fn leave<R>(blocks: impl FnOnce() -> R) -> R {
    if !RUNS.get() {
        return blocks();
    }
    let _runs = RunsGuard::set(false);
    tokio::task::block_in_place(blocks)
}

/// Puts the former state back when dropped.
struct RunsGuard {
    former: bool,
}

impl RunsGuard {
    fn set(to: bool) -> Self {
        let former = RUNS.replace(to);
        Self { former }
    }
}

impl Drop for RunsGuard {
    fn drop(&mut self) {
        RUNS.set(self.former);
    }
}
