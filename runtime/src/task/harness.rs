//! Where the state word meets the memory: poll, complete, cancel, free.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::cell::{Cell, Extras, Header, Schedule, Stage};
use super::error::{Cause, JoinError};
use super::id::IdGuard;
use super::memory;
use super::raw::{Notified, Reference, TaskRef};
use super::state::{BeginPoll, EndPoll, Snapshot};
use super::unnested;
use super::waker::borrow_waker;
use crate::compat;
use crate::contain::contain;

type Panic = Box<dyn Any + Send>;

/// Runs a notified task.
///
/// # Safety
/// `task` is a `Cell<F, E>`, and the caller hands over a notification with its reference.
pub(super) unsafe fn run<F, S, E>(task: NonNull<Header>)
where
    F: Future + 'static,
    S: Schedule,
    E: Extras,
{
    // SAFETY: the caller's reference keeps the task, whose type it vouches for.
    let cell = unsafe { task.cast::<Cell<F, E>>().as_ref() };
    match cell.header.state.begin_poll() {
        BeginPoll::Poll => poll::<F, S, E>(cell, task),
        BeginPoll::Cancel => {
            cancel(cell);
            complete::<F, S, E>(cell, task);
        }
        BeginPoll::Nothing => {}
        // SAFETY: the last reference was ours.
        BeginPoll::Free => unsafe { free::<F, E>(task) },
    }
}

/// We have RUNNING, and one reference.
fn poll<F, S, E>(cell: &Cell<F, E>, task: NonNull<Header>)
where
    F: Future + 'static,
    S: Schedule,
    E: Extras,
{
    if poll_future::<F, S, E>(cell, task).is_ready() {
        return complete::<F, S, E>(cell, task);
    }
    match cell.header.state.end_poll() {
        EndPoll::Idle => {}
        // SAFETY: the transition left us the reference, now the notification's.
        EndPoll::Reschedule => S::reschedule(Notified::from_reference(unsafe {
            Reference::from_pointer(task)
        })),
        EndPoll::Cancel => {
            cancel(cell);
            complete::<F, S, E>(cell, task);
        }
        // SAFETY: the last reference was ours.
        EndPoll::Free => unsafe { free::<F, E>(task) },
    }
}

/// Polls; when ready or panicked, the output has taken the future's place.
fn poll_future<F, S, E>(cell: &Cell<F, E>, task: NonNull<Header>) -> Poll<()>
where
    F: Future + 'static,
    S: Schedule,
    E: Extras,
{
    let _id = IdGuard::enter(cell.header.id);
    cell.header.polls.count();
    let waker = borrow_waker(&task);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let future = DropInPanic(cell);
        let polled = cell.stage.with_mut(|stage| {
            // SAFETY: we have RUNNING, so the stage is ours.
            let Stage::Future(future) = (unsafe { &mut *stage }) else {
                unreachable!("a task that runs has its future")
            };
            // SAFETY: the future lies in the task's allocation and is dropped in place.
            let future = unsafe { Pin::new_unchecked(future) };
            cell.extras
                .in_poll(|| future.poll(&mut Context::from_waker(&waker)))
        });
        std::mem::forget(future);
        polled
    }));
    let end = match polled {
        Ok(Poll::Pending) => {
            S::polled(&cell.header);
            return Poll::Pending;
        }
        Ok(Poll::Ready(output)) => Stage::Done(output),
        Err(panic) => {
            compat::explain(&*panic);
            S::panicked(&cell.header);
            Stage::Failed(Cause::panic(panic))
        }
    };
    let end = match drop_future(cell) {
        None => end,
        Some(panic) => {
            // What the future returned, or panicked with, is the user's, and its drop may panic as well.
            contain(|| drop(end));
            Stage::Failed(Cause::panic(panic))
        }
    };
    set_stage(cell, end);
    Poll::Ready(())
}

/// Drops the future of a poll that panics, while it does: what the future has knows from that how it came to its end, as
/// the guard of a lock does.
struct DropInPanic<'a, F: Future, E>(&'a Cell<F, E>);

impl<F: Future, E> Drop for DropInPanic<'_, F, E> {
    fn drop(&mut self) {
        // The poll's panic came first, and stays the task's.
        let second = drop_future(self.0);
        contain(|| drop(second));
    }
}

/// Drops the future, the output being that of a cancelled task. We have RUNNING.
fn cancel<F: Future + 'static, E: Extras>(cell: &Cell<F, E>) {
    let _id = IdGuard::enter(cell.header.id);
    let panic = cell.extras.in_poll(|| drop_future(cell));
    let cause = panic.map_or(Cause::Cancelled, Cause::panic);
    set_stage(cell, Stage::Failed(cause));
}

/// Drops the future in place; a panic of its drop is returned.
fn drop_future<F: Future, E>(cell: &Cell<F, E>) -> Option<Panic> {
    catch_unwind(AssertUnwindSafe(|| set_stage(cell, Stage::Gone))).err()
}

/// The caller has the right to the stage: RUNNING, or COMPLETE and the join handle's place.
fn set_stage<F: Future, E>(cell: &Cell<F, E>, next: Stage<F>) {
    cell.stage.with_mut(|stage| {
        // Should the drop of the old value panic, the new one is in place all the same.
        // SAFETY: the caller has the right to the stage.
        let stage = unsafe { &mut *stage };
        struct Put<'a, F: Future>(&'a mut Stage<F>, Option<Stage<F>>);
        impl<F: Future> Drop for Put<'_, F> {
            fn drop(&mut self) {
                // SAFETY: what was here was dropped in place by the lines below, and is not dropped again.
                unsafe { std::ptr::write(self.0, self.1.take().expect("put once")) };
            }
        }
        let put = Put(stage, Some(next));
        // SAFETY: the old value is overwritten without being dropped again, by `Put`.
        unsafe { std::ptr::drop_in_place(put.0) };
    });
}

/// The output is in place: tells the join handle, leaves the owned set, gives up the reference.
fn complete<F, S, E>(cell: &Cell<F, E>, task: NonNull<Header>)
where
    F: Future + 'static,
    S: Schedule,
    E: Extras,
{
    let header = &cell.header;
    // JOIN_INTEREST is never set again, so an output that nobody wants now is ours to drop while we have RUNNING.
    let seen = header.state.load();
    if !seen.has_join_interest() {
        discard_output(cell);
    }
    // SAFETY: our reference keeps the task meanwhile.
    let references = 1 + usize::from(S::release(unsafe { TaskRef::new(task) }));
    let last = match header.state.complete_quietly(seen, references) {
        Ok(last) => last,
        Err(()) => {
            complete_and_wake(cell);
            header.state.drop_references(references)
        }
    };
    if last {
        // SAFETY: the last references were ours.
        unsafe { free::<F, E>(task) };
    }
}

/// The join handle has stored a waker, which it may take back, or has gone.
fn complete_and_wake<F: Future, E>(cell: &Cell<F, E>) {
    let snapshot = cell.header.state.complete();
    if !snapshot.has_join_interest() {
        discard_output(cell);
    } else if snapshot.has_join_waker() {
        wake_joiner(&cell.header);
    }
}

/// Wakes through the join waker, and drops it if the handle is gone meanwhile.
fn wake_joiner(header: &Header) {
    header.join_waker.with(|waker| {
        // SAFETY: JOIN_WAKER is set and the task complete: everybody may read until it is cleared.
        let waker = unsafe { (*waker).as_ref() };
        let waker = waker.expect("a waker was offered");
        // A panic of the joiner's waker is not the task's business.
        contain(|| waker.wake_by_ref());
    });
    if !header.state.return_join_waker().has_join_interest() {
        drop_join_waker(header);
    }
}

/// The waker is ours: JOIN_WAKER is clear and the handle is gone, or we are the handle.
pub(super) fn drop_join_waker(header: &Header) {
    // SAFETY: see above.
    let waker = header
        .join_waker
        .with_mut(|waker| unsafe { (*waker).take() });
    contain(|| drop(waker));
}

fn discard_output<F: Future, E>(cell: &Cell<F, E>) {
    let _id = IdGuard::enter(cell.header.id);
    contain(|| set_stage(cell, Stage::Gone));
}

/// Frees the task.
///
/// # Safety
/// The last reference to the `Cell<F, E>` was given up by the caller.
pub(super) unsafe fn free<F: Future, E>(task: NonNull<Header>) {
    // SAFETY: the cell was made by `place` in `new_task`, and nobody else can reach it any more.
    contain(|| unsafe { memory::remove(task.cast::<Cell<F, E>>()) });
}

/// The runtime shuts down: cancels the task unless it runs or has completed.
///
/// # Safety
/// `task` is a `Cell<F, E>`, and the caller hands over a reference.
pub(super) unsafe fn shut_down<F, S, E>(task: NonNull<Header>)
where
    F: Future + 'static,
    S: Schedule,
    E: Extras,
{
    // SAFETY: the caller's reference keeps the task, whose type it vouches for.
    let cell = unsafe { task.cast::<Cell<F, E>>().as_ref() };
    if cell.header.state.begin_shutdown() {
        cancel(cell);
        return complete::<F, S, E>(cell, task);
    }
    if cell.header.state.drop_references(1) {
        // SAFETY: the last reference was ours.
        unsafe { free::<F, E>(task) };
    }
}

/// Moves the output out if the task is complete; otherwise stores the waker.
///
/// # Safety
/// `task` is a `Cell<F, E>`, the caller is its join handle, and `into` points to a
/// `Poll<Result<F::Output, JoinError>>`.
pub(super) unsafe fn take_output<F: Future, E>(
    task: NonNull<Header>,
    into: *mut (),
    waker: &Waker,
) {
    // SAFETY: the join handle's reference keeps the task, whose type the caller vouches for.
    let cell = unsafe { task.cast::<Cell<F, E>>().as_ref() };
    if !ready_to_join(&cell.header, waker) {
        return;
    }
    let stage = cell.stage.with_mut(|stage| {
        // SAFETY: COMPLETE with JOIN_INTEREST: the stage is the handle's.
        std::mem::replace(unsafe { &mut *stage }, Stage::Gone)
    });
    let output = match stage {
        Stage::Done(output) => Ok(output),
        Stage::Failed(cause) => Err(JoinError::new(cell.header.id, cause)),
        Stage::Future(_) | Stage::Gone => panic!("JoinHandle polled after completion"),
    };
    let into = into.cast::<Poll<Result<F::Output, JoinError>>>();
    // SAFETY: the caller vouches for the pointer.
    unsafe { *into = Poll::Ready(output) };
}

/// Whether the output is there; if not, `waker` will be woken when it is.
fn ready_to_join(header: &Header, waker: &Waker) -> bool {
    let snapshot = header.state.load();
    if snapshot.is_complete() {
        return true;
    }
    let offered = if snapshot.has_join_waker() {
        // SAFETY: JOIN_WAKER is set: everybody may read.
        let same = header.join_waker.with(|stored| unsafe {
            (*stored)
                .as_ref()
                .is_some_and(|stored| stored.will_wake(waker))
        });
        if same {
            return false;
        }
        header
            .state
            .withdraw_join_waker()
            .and_then(|()| offer(header, waker.clone()))
    } else {
        offer(header, waker.clone())
    };
    offered.is_err()
}

/// JOIN_WAKER is clear, so the waker is ours, the handle's, to write.
pub(super) fn offer(header: &Header, waker: Waker) -> Result<(), Snapshot> {
    // SAFETY: see above.
    header
        .join_waker
        .with_mut(|stored| unsafe { *stored = Some(waker) });
    let offered = header.state.offer_join_waker();
    if offered.is_err() {
        // SAFETY: the offer failed, so JOIN_WAKER is still clear.
        header
            .join_waker
            .with_mut(|stored| unsafe { *stored = None });
    }
    offered
}

/// The join handle goes: drops the output if the task is complete.
///
/// # Safety
/// `task` is a `Cell<F, E>`, complete, and its JOIN_INTEREST was cleared by the caller.
pub(super) unsafe fn drop_output<F: Future, E>(task: NonNull<Header>) {
    // SAFETY: the join handle's reference keeps the task, whose type the caller vouches for.
    let cell: &Cell<F, E> = unsafe { task.cast().as_ref() };
    // SAFETY: the output is the caller's, and nobody else's any more.
    let is_gone = cell
        .stage
        .with(|stage| matches!(unsafe { &*stage }, Stage::Gone));
    if !is_gone {
        // SAFETY: the function drops what the caller vouches for.
        unsafe { unnested::discard(task, discard_joined::<F, E>) };
    }
}

/// # Safety
/// As for `drop_output`; somebody's reference keeps the task.
unsafe fn discard_joined<F: Future, E>(task: NonNull<Header>) {
    // SAFETY: the caller vouches for both.
    discard_output(unsafe { task.cast::<Cell<F, E>>().as_ref() });
}

/// The name among the task's extras.
///
/// # Safety
/// `task` is a `Cell<F, E>`.
pub(super) unsafe fn name<F, E>(task: TaskRef<'_>) -> Option<&str>
where
    F: Future + 'static,
    E: Extras,
{
    // SAFETY: the caller vouches for the type, and the look for the time.
    let cell: &Cell<F, E> = unsafe { task.pointer().cast().as_ref() };
    cell.extras.name()
}

/// The span's number among the task's extras.
///
/// # Safety
/// `task` is a `Cell<F, E>`.
#[cfg(feature = "tracing")]
pub(super) unsafe fn span<F, E>(task: TaskRef<'_>) -> Option<u64>
where
    F: Future + 'static,
    E: Extras,
{
    // SAFETY: the caller vouches for the type, and the look for the time.
    let cell: &Cell<F, E> = unsafe { task.pointer().cast().as_ref() };
    cell.extras.span()
}
