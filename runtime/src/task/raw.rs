//! Handles to a task that own one reference each, over one pointer with its type erased.

use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use super::cell::{Birth, Cell, Extras, Header, Links, PollTimes, Polls, Schedule, Stage};
use super::harness;
use super::join::JoinHandle;
use super::memory;
use super::state::{State, Wake};
use crate::hooks::TaskMeta;
use crate::loom::{UnsafeCell, Witness};

/// The functions that depend on the future's type.
pub(super) struct Vtable {
    pub(super) run: unsafe fn(NonNull<Header>),
    pub(super) schedule: fn(Notified),
    pub(super) free: unsafe fn(NonNull<Header>),
    pub(super) shut_down: unsafe fn(NonNull<Header>),
    /// Moves the output to the `Poll<Result<T, JoinError>>` behind the pointer, or stores the waker.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut (), &Waker),
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    pub(super) name: unsafe fn(TaskRef<'_>) -> Option<&str>,
    #[cfg(feature = "tracing")]
    pub(super) span: unsafe fn(TaskRef<'_>) -> Option<u64>,
}

impl Vtable {
    const fn of<F, S, E>() -> Self
    where
        F: Future + 'static,
        S: Schedule,
        E: Extras,
    {
        Self {
            run: harness::run::<F, S, E>,
            schedule: S::schedule,
            free: harness::free::<F, E>,
            shut_down: harness::shut_down::<F, S, E>,
            take_output: harness::take_output::<F, E>,
            drop_output: harness::drop_output::<F, E>,
            name: harness::name::<F, E>,
            #[cfg(feature = "tracing")]
            span: harness::span::<F, E>,
        }
    }
}

/// Makes a task; the three handles are its three references.
pub fn new_task<F, S, E>(
    future: F,
    birth: Birth,
    extras: E,
) -> (Task, Notified, JoinHandle<F::Output>)
where
    F: Future + 'static,
    S: Schedule,
    E: Extras,
{
    let cell = memory::place(Cell {
        header: Header {
            state: State::new(),
            vtable: const { &Vtable::of::<F, S, E>() },
            links: UnsafeCell::new(Links::NONE),
            join_waker: UnsafeCell::new(None),
            runtime: birth.placement.runtime,
            shard: birth.placement.shard,
            poll_times: PollTimes::default(),
            id: birth.id,
            spawned_at: birth.spawned_at,
            born: birth.born,
            polls: Polls::default(),
            witness: Witness::new(),
        },
        stage: UnsafeCell::new(Stage::Future(future)),
        extras,
    });
    let header = cell.cast::<Header>();
    (
        Task(Reference(header)),
        Notified(Reference(header)),
        JoinHandle::new(Reference(header)),
    )
}

/// One reference to a task.
#[derive(Debug)]
pub(super) struct Reference(NonNull<Header>);

// SAFETY: what a reference allows on any thread goes through the state word, which hands the future and the
// output, both Send, from thread to thread; `spawn` demands Send of them. A task that is not Send is only
// made by code that keeps its handles on one thread.
unsafe impl Send for Reference {}
// SAFETY: as above; a shared reference allows no more than waking and reading the header.
unsafe impl Sync for Reference {}

impl Reference {
    pub(super) fn pointer(&self) -> NonNull<Header> {
        self.0
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the reference that we own keeps the task.
        let header = unsafe { self.0.as_ref() };
        header.witness.touch();
        header
    }

    pub(super) fn look(&self) -> TaskRef<'_> {
        // SAFETY: the reference that is borrowed keeps the task.
        unsafe { TaskRef::new(self.0) }
    }

    pub(super) fn into_pointer(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// The caller hands over one reference to the task.
    pub(super) unsafe fn from_pointer(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// One more reference.
    ///
    /// # Safety
    /// Somebody's reference keeps the task for this call.
    pub(super) unsafe fn another(header: NonNull<Header>) -> Self {
        // SAFETY: the caller vouches for it.
        unsafe { header.as_ref() }.state.add_reference();
        Self(header)
    }

    /// Acts on what a transition said about the wake.
    pub(super) fn after_wake(self, wake: Wake) {
        match wake {
            // The transition gave our reference up, so the task may be gone: it is not looked at any more.
            Wake::Nothing => {
                self.into_pointer();
            }
            // `Submit` says that one reference, ours, and the notification are here.
            Wake::Submit => (self.header().vtable.schedule)(Notified(self)),
            Wake::Free => {
                let free = self.header().vtable.free;
                // SAFETY: `Free` says that the last reference was given up by us.
                unsafe { free(self.into_pointer()) }
            }
        }
    }
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        self.header().state.add_reference();
        Self(self.0)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let header = self.header();
        if header.state.drop_references(1) {
            // SAFETY: the last reference was ours.
            unsafe { (header.vtable.free)(self.0) };
        }
    }
}

/// A look at a task that somebody else's reference keeps for the time.
///
/// Not a `&Header`: from this one gets to what lies behind the header.
#[derive(Clone, Copy, Debug)]
pub struct TaskRef<'a> {
    header: NonNull<Header>,
    kept: PhantomData<&'a Header>,
}

impl<'a> TaskRef<'a> {
    /// # Safety
    /// `header` is that of a task, which somebody's reference keeps for `'a`.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        Self {
            header,
            kept: PhantomData,
        }
    }

    pub(super) fn pointer(self) -> NonNull<Header> {
        self.header
    }

    /// The task's header.
    pub fn header(self) -> &'a Header {
        // SAFETY: somebody's reference keeps the task.
        unsafe { self.header.as_ref() }
    }

    /// A reference of our own.
    pub(super) fn keep(self) -> Kept {
        self.header().state.add_reference();
        Kept(Reference(self.header))
    }

    /// The name that the task was given.
    pub fn name(self) -> Option<&'a str> {
        let name = self.header().vtable.name;
        // SAFETY: the table is the task's own.
        unsafe { name(self) }
    }

    /// The number of the task's span.
    #[cfg(feature = "tracing")]
    pub(crate) fn span(self) -> Option<u64> {
        let span = self.header().vtable.span;
        // SAFETY: the table is the task's own.
        unsafe { span(self) }
    }

    /// What hooks are told of the task.
    pub(crate) fn meta(self) -> TaskMeta<'a> {
        let header = self.header();
        TaskMeta::new(header.id, header.spawned_at, self.name())
    }
}

/// The owned set's reference.
#[derive(Debug)]
pub struct Task(Reference);

impl Task {
    pub(super) fn reference(&self) -> &Reference {
        &self.0
    }

    pub(super) fn into_reference(self) -> Reference {
        self.0
    }

    pub(super) fn from_reference(reference: Reference) -> Self {
        Self(reference)
    }

    /// Cancels the task: drops its future here, unless somebody runs it, who will do so then.
    pub fn shut_down(self) {
        let shut_down = self.0.header().vtable.shut_down;
        // SAFETY: the owned set's reference is handed over.
        unsafe { shut_down(self.0.into_pointer()) };
    }
}

/// The right, and the duty, to run a task once.
#[derive(Debug)]
pub struct Notified(Reference);

impl Notified {
    /// Polls the task, or drops its future if it was aborted.
    pub fn run(self) {
        let run = self.0.header().vtable.run;
        // SAFETY: the notification's reference is handed over.
        unsafe { run(self.0.into_pointer()) };
    }

    /// Hands the task to whoever runs it, as a wake does.
    pub fn submit(self) {
        (self.0.header().vtable.schedule)(self);
    }

    /// The task's header.
    pub fn header(&self) -> &Header {
        self.0.header()
    }

    /// A look at the task.
    pub fn look(&self) -> TaskRef<'_> {
        self.0.look()
    }

    /// A reference that keeps the task's memory, and no more than that.
    pub(crate) fn keep(&self) -> Kept {
        Kept(self.0.clone())
    }

    pub(super) fn from_reference(reference: Reference) -> Self {
        Self(reference)
    }

    /// The notification as a pointer, for an atomic slot.
    pub fn into_raw(self) -> *mut Header {
        self.0.into_pointer().as_ptr()
    }

    /// # Safety
    /// `raw` came from [`Self::into_raw`] and is used once.
    pub unsafe fn from_raw(raw: NonNull<Header>) -> Self {
        // SAFETY: the caller hands over the reference that `into_raw` let go of.
        Self(unsafe { Reference::from_pointer(raw) })
    }
}

/// A reference that allows nothing but to look at the header.
#[derive(Debug)]
pub struct Kept(Reference);

impl Kept {
    /// A look at the task.
    pub fn look(&self) -> TaskRef<'_> {
        self.0.look()
    }
}
