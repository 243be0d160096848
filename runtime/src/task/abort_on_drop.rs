//! A join handle that does not leave its task behind.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::abort::AbortHandle;
use super::error::JoinError;
use super::id::Id;
use super::join::JoinHandle;

/// A [`JoinHandle`] whose drop aborts the task. Made by [`JoinHandle::abort_on_drop`].
///
/// Awaiting it is awaiting the handle.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` in a `select!` loses nothing when another branch wins; awaiting the handle itself aborts
/// the task then.
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let endless = ringway_runtime::spawn(std::future::pending::<()>()).abort_on_drop();
/// let watch = endless.abort_handle();
/// drop(endless);
/// while !watch.is_finished() {
///     ringway_runtime::task::yield_now().await;
/// }
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping it aborts the task"]
pub struct AbortOnDrop<T> {
    handle: Option<JoinHandle<T>>,
}

impl<T> AbortOnDrop<T> {
    pub(super) fn new(handle: JoinHandle<T>) -> Self {
        Self {
            handle: Some(handle),
        }
    }

    fn handle(&self) -> &JoinHandle<T> {
        self.handle
            .as_ref()
            .expect("only what consumes it takes the handle")
    }

    /// The plain handle, whose drop lets the task run on.
    pub fn into_handle(mut self) -> JoinHandle<T> {
        self.handle
            .take()
            .expect("only what consumes it takes the handle")
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.handle().abort();
    }

    /// As [`JoinHandle::abort_handle`].
    pub fn abort_handle(&self) -> AbortHandle {
        self.handle().abort_handle()
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.handle().is_finished()
    }

    /// As [`JoinHandle::id`].
    pub fn id(&self) -> Id {
        self.handle().id()
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// After the output was returned.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let handle = self.handle.as_mut();
        Pin::new(handle.expect("only what consumes it takes the handle")).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for AbortOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortOnDrop")
            .field("id", &self.id())
            .finish()
    }
}
