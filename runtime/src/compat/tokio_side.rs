//! A runtime of tokio's with one worker.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use self_cell::self_cell;
use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

use crate::context::{self, CurrentGuard};
use crate::scheduler::Shared;

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

    /// Ends tokio's runtime, waiting until `deadline` at most; without one, for as long as its blocking jobs take.
    pub(crate) fn shut_down(&self, deadline: Option<Instant>) {
        let Some(runtime) = self.runtime.lock().take() else {
            return;
        };
        let is_tokios_thread = OURS.with_borrow(Option::is_some);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match left {
            // A thread cannot wait for itself.
            _ if is_tokios_thread => runtime.shutdown_background(),
            Some(Duration::ZERO) => runtime.shutdown_background(),
            Some(left) => runtime.shutdown_timeout(left),
            None => drop(runtime),
        }
    }
}
