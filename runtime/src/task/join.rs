//! The handle with which a task is awaited.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::abort::AbortHandle;
use super::abort_on_drop::AbortOnDrop;
use super::coop;
use super::error::JoinError;
use super::harness;
use super::id::Id;
use super::raw::Reference;

/// The right to await a task's output.
///
/// Dropping it detaches the task, which runs on.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let task = ringway_runtime::spawn(async { "done" });
/// assert_eq!(task.await?, "done");
///
/// let endless = ringway_runtime::spawn(std::future::pending::<()>());
/// endless.abort();
/// assert!(endless.await.unwrap_err().is_cancelled());
///
/// let broken = ringway_runtime::spawn(async { panic!("oh") });
/// assert!(broken.await.unwrap_err().is_panic());
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Cancel safety
///
/// Awaiting `&mut handle` in a `select!` loses nothing when another branch wins: the output stays with the
/// task until the handle takes it.
pub struct JoinHandle<T> {
    reference: Option<Reference>,
    output: PhantomData<T>,
}

// SAFETY: the handle moves a `T` from the task's thread to its own, and allows nothing else with it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives no access to the output.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(super) fn new(reference: Reference) -> Self {
        Self {
            reference: Some(reference),
            output: PhantomData,
        }
    }

    fn reference(&self) -> &Reference {
        self.reference
            .as_ref()
            .expect("only the drop takes the reference")
    }

    /// Aborts the task: its future is dropped when it next would run, and awaiting gives an error for which
    /// [`JoinError::is_cancelled`] holds, unless the task completes first. A blocking job that has started
    /// cannot be aborted.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let task = ringway_runtime::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    ///
    /// // One that has ended has ended.
    /// let task = ringway_runtime::spawn(async { 5 });
    /// while !task.is_finished() {
    ///     ringway_runtime::task::yield_now().await;
    /// }
    /// task.abort();
    /// assert_eq!(task.await.unwrap(), 5);
    /// # });
    /// ```
    pub fn abort(&self) {
        self.abort_handle().abort();
    }

    /// Aborts the task when the handle is dropped, instead of letting it run on.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// let held = Arc::new(());
    /// let mine = Arc::clone(&held);
    /// let task = ringway_runtime::spawn(async move {
    ///     let _mine = mine;
    ///     std::future::pending::<()>().await
    /// });
    /// drop(task.abort_on_drop());
    /// while Arc::strong_count(&held) > 1 {
    ///     ringway_runtime::task::yield_now().await;
    /// }
    /// # });
    /// ```
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop::new(self)
    }

    /// Whether the task has completed, was cancelled or panicked.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let endless = ringway_runtime::spawn(std::future::pending::<()>());
    /// assert!(!endless.is_finished());
    /// endless.abort();
    /// while !endless.is_finished() {
    ///     ringway_runtime::task::yield_now().await;
    /// }
    /// # });
    /// ```
    pub fn is_finished(&self) -> bool {
        self.reference().header().state.load().is_complete()
    }

    /// A handle that can abort the task and no more.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let task = ringway_runtime::spawn(std::future::pending::<()>());
    /// // One part of the program waits for the task, another one may end it.
    /// let end = task.abort_handle();
    /// ringway_runtime::spawn(async move { end.abort() });
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(self.reference().clone())
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.reference().header().id
    }

    /// Has `waker` woken once the task has completed; `false` if it has already. For a handle that was never polled.
    pub(crate) fn watch(&self, waker: Waker) -> bool {
        harness::offer(self.reference().header(), waker).is_ok()
    }

    /// Takes the output if the task has completed, whatever budget is left.
    ///
    /// # Panics
    ///
    /// If the output was taken before.
    pub(crate) fn take_if_finished(&mut self) -> Option<Result<T, JoinError>> {
        if !self.is_finished() {
            return None;
        }
        match self.take_output(Waker::noop()) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => unreachable!("a task that has completed stays so"),
        }
    }

    /// Takes the output, or stores the waker.
    fn take_output(&mut self, waker: &Waker) -> Poll<Result<T, JoinError>> {
        let mut output = Poll::Pending;
        let reference = self.reference();
        let take_output = reference.header().vtable.take_output;
        // SAFETY: this is the task's join handle, and `T` the output of its future (`new_task`).
        unsafe { take_output(reference.pointer(), (&raw mut output).cast(), waker) };
        output
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// After the output was returned.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_finished() {
            ready!(coop::poll_charge(cx));
        }
        self.take_output(cx.waker())
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let reference = self.reference.take().expect("dropped once");
        let header = reference.header();
        if header.state.drop_handle_fast() {
            // The transition gave up our reference too.
            reference.into_pointer();
            return;
        }
        let owed = header.state.drop_handle();
        if owed.drop_output {
            // SAFETY: the transition says that the task is complete and the output ours.
            unsafe { (header.vtable.drop_output)(reference.pointer()) };
        }
        if owed.drop_waker {
            harness::drop_join_waker(header);
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .finish()
    }
}
