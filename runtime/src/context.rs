//! What this thread is to which runtime: the one that it entered, the core that it runs, and whether it may block.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

use crate::compat;
use crate::driver;
use crate::fork::Process;
use crate::local;
use crate::scheduler::{Shared, WorkerContext};
use crate::task::is_of_task;

/// The thread's place, three cells without destructors.
struct Context {
    /// The runtime that was entered last.
    current: Cell<Option<NonNull<Shared>>>,
    /// How many are entered, to see guards dropped out of order.
    depth: Cell<usize>,
    /// The core that this thread runs.
    worker: Cell<Option<NonNull<WorkerContext>>>,
    blocking: Cell<Blocking>,
    /// The thread polls tasks that belong to it, and cannot give them up.
    has_local_tasks: Cell<bool>,
}

/// Whether the thread may block in `block_on` or in the drop of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    Allowed,
    /// The thread polls tasks, or a root.
    Forbidden,
    /// The thread polls a root that `Handle::block_on` was given, which may block in place whatever the runtime; and
    /// between its polls maybe tasks, which may not.
    InPlace,
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            current: Cell::new(None),
            depth: Cell::new(0),
            worker: Cell::new(None),
            blocking: Cell::new(Blocking::Allowed),
            has_local_tasks: Cell::new(false),
        }
    };
}

/// tokio's text for a call outside a runtime.
pub(crate) const NO_RUNTIME: &str =
    "there is no reactor running, must be called from the context of a Tokio 1.x runtime";
/// The same in the child of a fork.
const NO_RUNTIME_IN_CHILD: &str = "there is no reactor running, must be called from the context of a Tokio 1.x runtime; the runtimes \
     of the parent process cannot be used after fork: build a new one in the child, or exec";
/// tokio's text for a call while the thread is being torn down.
pub(crate) const THREAD_GONE: &str = "The Tokio context thread-local variable has been destroyed.";

/// Why there is no current runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    NoRuntime,
    ThreadGone,
}

/// What to say of it.
pub(crate) fn missing(missing: Missing) -> &'static str {
    match missing {
        Missing::NoRuntime if Process::is_child() => NO_RUNTIME_IN_CHILD,
        Missing::NoRuntime => NO_RUNTIME,
        Missing::ThreadGone => THREAD_GONE,
    }
}

/// In the child of a fork: this thread is in no runtime. The core that it ran stays with the parent, whose code finds
/// that out when the task in which the fork was made returns.
pub(crate) fn leave_all() {
    let _ = CONTEXT.try_with(|context| {
        context.current.set(None);
        context.depth.set(0);
        context.blocking.set(Blocking::Allowed);
        context.has_local_tasks.set(false);
        let Some(worker) = context.worker.take() else {
            return;
        };
        // SAFETY: as in `with_worker`.
        unsafe { worker.as_ref() }.forget_core();
    });
}

/// Calls `f` with the runtime that this thread is in.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> Result<R, Missing> {
    let current = CONTEXT
        .try_with(|context| context.current.get())
        .map_err(|_| Missing::ThreadGone)?;
    let current = current.ok_or(Missing::NoRuntime)?;
    // SAFETY: the pointer came from `Arc::as_ptr` of the `Arc` that the guard of `enter` holds, and the guard
    // takes the pointer away before it drops the `Arc`. The clone made here is not counted, and never dropped.
    let shared = ManuallyDrop::new(unsafe { Arc::from_raw(current.as_ptr().cast_const()) });
    Ok(f(&shared))
}

/// Calls `f` with the core that this thread runs, if it runs one.
#[inline]
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&WorkerContext>) -> R) -> R {
    let worker = CONTEXT
        .try_with(|context| context.worker.get())
        .ok()
        .flatten();
    // SAFETY: the pointer is taken away by the guard of `enter_worker`, which borrows what it points to.
    f(worker.map(|worker| unsafe { worker.as_ref() }))
}

/// Has `waker` called when all that is ready has had its turn. `false`: tasks run in no such order here, or it is not a task's.
#[inline]
pub(crate) fn wake_after_round(waker: &Waker) -> bool {
    let of_worker =
        || with_worker(|worker| worker.is_some_and(|worker| worker.wake_after_round(waker)));
    is_of_task(waker) && (local::wake_in_next_poll(waker) || of_worker())
}

/// Whether this thread runs tasks in rounds.
pub(crate) fn is_in_rounds() -> bool {
    with_worker(|worker| worker.is_some_and(WorkerContext::is_in_rounds))
}

/// This thread is in the runtime until the guard is dropped.
#[derive(Debug)]
pub(crate) struct CurrentGuard {
    /// What was entered of tokio's beside.
    tokio: Option<compat::Entered>,
    shared: ManuallyDrop<Arc<Shared>>,
    former: Option<NonNull<Shared>>,
    depth: usize,
    driver: ManuallyDrop<driver::Entered>,
    /// The guard belongs to this thread.
    not_send: PhantomData<*const ()>,
}

/// Enters a runtime.
///
/// # Panics
///
/// While the thread is being torn down.
#[track_caller]
pub(crate) fn enter(shared: Arc<Shared>) -> CurrentGuard {
    let mut guard = enter_without_tokio(shared);
    guard.tokio = Some(guard.shared.tokio.enter());
    guard
}

/// Enters a runtime, and not the one of tokio's at its side: for threads of that one.
#[track_caller]
pub(crate) fn enter_without_tokio(shared: Arc<Shared>) -> CurrentGuard {
    shared.assert_is_here();
    // SAFETY: the shard stays where it is as long as the runtime, which the guard holds.
    let driver = unsafe { driver::enter_guest(shared.guest_shard()) };
    let pointer = NonNull::from(&*shared);
    let entered = CONTEXT.try_with(|context| {
        let depth = context.depth.get() + 1;
        context.depth.set(depth);
        (context.current.replace(Some(pointer)), depth)
    });
    let Ok((former, depth)) = entered else {
        panic!("{THREAD_GONE}")
    };
    CurrentGuard {
        tokio: None,
        shared: ManuallyDrop::new(shared),
        former,
        depth,
        driver: ManuallyDrop::new(driver),
        not_send: PhantomData,
    }
}

impl Drop for CurrentGuard {
    #[track_caller]
    fn drop(&mut self) {
        let tokio = ManuallyDrop::new(self.tokio.take());
        if !self.shared.process().is_current() {
            // tokio knows of no child, and counts what is entered.
            let _left = ManuallyDrop::into_inner(tokio);
            return;
        }
        let in_order = CONTEXT.try_with(|context| {
            let in_order = context.depth.get() == self.depth;
            if in_order {
                context.depth.set(self.depth - 1);
                context.current.set(self.former);
            }
            in_order
        });
        if in_order == Ok(false) {
            // The runtime is never given up, for the thread's place still points to it.
            if !std::thread::panicking() {
                panic!(
                    "`EnterGuard` values dropped out of order. Guards returned by \
                     `tokio::runtime::Handle::enter()` must be dropped in the reverse \
                     order as they were acquired."
                );
            }
            return;
        }
        let _left = ManuallyDrop::into_inner(tokio);
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.driver) };
        // SAFETY: dropped once, here, and nobody points to the runtime through this guard any more.
        unsafe { ManuallyDrop::drop(&mut self.shared) };
    }
}

/// This thread runs a core until the guard is dropped.
#[derive(Debug)]
pub(crate) struct WorkerGuard<'a> {
    former: Option<NonNull<WorkerContext>>,
    _driver: driver::Entered,
    _current: CurrentGuard,
    worker: PhantomData<&'a WorkerContext>,
}

/// Makes this thread the one that runs the worker's core.
#[track_caller]
pub(crate) fn enter_worker(worker: &WorkerContext) -> WorkerGuard<'_> {
    let current = enter(Arc::clone(worker.shared()));
    // SAFETY: the shard stays where it is as long as the runtime, which the guard above holds; guards are
    // dropped in the order of the fields, this one before that.
    let driver = unsafe { driver::enter_owner(worker.shard()) };
    let former = CONTEXT.with(|context| context.worker.replace(Some(NonNull::from(worker))));
    WorkerGuard {
        former,
        _driver: driver,
        _current: current,
        worker: PhantomData,
    }
}

impl Drop for WorkerGuard<'_> {
    fn drop(&mut self) {
        if self._current.shared.process().is_current() {
            let _ = CONTEXT.try_with(|context| context.worker.set(self.former));
        }
    }
}

/// This thread runs a core again when the guard is dropped, which it did when the guard was made.
#[derive(Debug)]
pub(crate) struct AwayGuard {
    former: Option<NonNull<WorkerContext>>,
    process: Process,
    not_send: PhantomData<*const ()>,
}

/// Until the guard is dropped, this thread runs no core: what is called there may take one over.
pub(crate) fn leave_worker() -> AwayGuard {
    AwayGuard {
        former: CONTEXT.with(|context| context.worker.take()),
        process: Process::current(),
        not_send: PhantomData,
    }
}

impl Drop for AwayGuard {
    fn drop(&mut self) {
        if self.process.is_current() {
            let _ = CONTEXT.try_with(|context| context.worker.set(self.former));
        }
    }
}

/// Until it is dropped, what this thread submits is queued from outside.
#[derive(Debug)]
pub(crate) struct GuestGuard {
    // Dropped before the runtime is given up.
    _driver: driver::Entered,
    _shared: Arc<Shared>,
}

/// This thread, which has given its core up, submits to the runtime from outside until the guard is dropped.
pub(crate) fn submit_from_outside(shared: &Arc<Shared>) -> GuestGuard {
    GuestGuard {
        // SAFETY: the shard stays where it is as long as the runtime, which the guard holds.
        _driver: unsafe { driver::enter_guest(shared.guest_shard()) },
        _shared: Arc::clone(shared),
    }
}

/// Puts the former state back when dropped.
#[derive(Debug)]
pub(crate) struct LocalTasksGuard {
    former: bool,
    not_send: PhantomData<*const ()>,
}

/// Until the guard is dropped, this thread polls tasks that belong to it, or does not.
pub(crate) fn set_has_local_tasks(to: bool) -> LocalTasksGuard {
    LocalTasksGuard {
        former: CONTEXT.with(|context| context.has_local_tasks.replace(to)),
        not_send: PhantomData,
    }
}

impl Drop for LocalTasksGuard {
    fn drop(&mut self) {
        let _ = CONTEXT.try_with(|context| context.has_local_tasks.set(self.former));
    }
}

/// Whether this thread polls tasks that belong to it.
pub(crate) fn has_local_tasks() -> bool {
    CONTEXT
        .try_with(|context| context.has_local_tasks.get())
        .unwrap_or(false)
}

/// Whether this thread may block.
pub(crate) fn blocking() -> Blocking {
    CONTEXT
        .try_with(|context| context.blocking.get())
        .unwrap_or(Blocking::Allowed)
}

/// Puts the former permission back when dropped.
#[derive(Debug)]
pub(crate) struct BlockingGuard {
    former: Blocking,
    process: Process,
    not_send: PhantomData<*const ()>,
}

/// Until the guard is dropped, this thread may, or may not, block.
pub(crate) fn set_blocking(to: Blocking) -> BlockingGuard {
    let former = CONTEXT.with(|context| context.blocking.replace(to));
    BlockingGuard {
        former,
        process: Process::current(),
        not_send: PhantomData,
    }
}

impl Drop for BlockingGuard {
    fn drop(&mut self) {
        if self.process.is_current() {
            let _ = CONTEXT.try_with(|context| context.blocking.set(self.former));
        }
    }
}
