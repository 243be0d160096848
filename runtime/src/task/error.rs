//! Why a task has no output.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use parking_lot::Mutex;

use super::id::Id;

/// The task did not return: it panicked, or it was cancelled by an abort or by the runtime's shutdown.
///
/// ```
/// # let runtime = ringway_runtime::Runtime::new().unwrap();
/// # runtime.block_on(async {
/// # std::panic::set_hook(Box::new(|_| {}));
/// let task = ringway_runtime::spawn(async { panic!("no such luck") });
/// let id = task.id();
/// let error = task.await.unwrap_err();
/// assert!(error.is_panic() && !error.is_cancelled());
/// assert_eq!(error.id(), id);
/// assert!(error.to_string().ends_with(r#"panicked with message "no such luck""#));
/// # });
/// ```
pub struct JoinError {
    cause: Cause,
    id: Id,
}

/// Why, in the task's memory: the task knows its id.
pub(super) enum Cause {
    Cancelled,
    // The lock makes the error Sync though the payload is only Send.
    Panic(Box<Mutex<Box<dyn Any + Send>>>),
}

impl Cause {
    pub(super) fn panic(payload: Box<dyn Any + Send>) -> Self {
        Self::Panic(Box::new(Mutex::new(payload)))
    }
}

impl JoinError {
    pub(super) fn new(id: Id, cause: Cause) -> Self {
        Self { cause, id }
    }

    /// Whether the task was cancelled.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let task = ringway_runtime::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// Whether the task panicked.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// let task = ringway_runtime::spawn(async { [1, 2, 3].iter().position(|n| *n == 5).unwrap() });
    /// assert!(task.await.unwrap_err().is_panic());
    /// # });
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic(_))
    }

    /// The payload of the task's panic, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic; see [`Self::try_into_panic`].
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// let error = ringway_runtime::spawn(async { panic!("pass it on") }).await.unwrap_err();
    /// let payload = error.into_panic();
    /// assert_eq!(payload.downcast_ref::<&str>(), Some(&"pass it on"));
    /// // `std::panic::resume_unwind(payload)` goes on here, as if the task had been a call.
    /// # });
    /// ```
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .expect("`JoinError` reason is not a panic.")
    }

    /// The payload of the task's panic.
    ///
    /// # Errors
    ///
    /// The error itself, if the task did not panic.
    ///
    /// ```
    /// # let runtime = ringway_runtime::Runtime::new().unwrap();
    /// # runtime.block_on(async {
    /// let task = ringway_runtime::spawn(std::future::pending::<()>());
    /// task.abort();
    /// let error = task.await.unwrap_err();
    /// match error.try_into_panic() {
    ///     Ok(payload) => std::panic::resume_unwind(payload),
    ///     Err(error) => assert!(error.is_cancelled(), "nothing to pass on"),
    /// }
    /// # });
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.cause {
            Cause::Panic(payload) => Ok(payload.into_inner()),
            Cause::Cancelled => Err(self),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.id
    }

    fn message(&self) -> Option<String> {
        let Cause::Panic(payload) = &self.cause else {
            return None;
        };
        let payload = payload.lock();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| payload.downcast_ref::<&'static str>().copied())
            .map(str::to_owned)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, self.message()) {
            (Cause::Cancelled, _) => write!(f, "task {} was cancelled", self.id),
            (_, Some(message)) => write!(f, "task {} panicked with message {message:?}", self.id),
            (_, None) => write!(f, "task {} panicked", self.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, self.message()) {
            (Cause::Cancelled, _) => write!(f, "JoinError::Cancelled({:?})", self.id),
            (_, Some(message)) => write!(f, "JoinError::Panic({:?}, {message:?}, ...)", self.id),
            (_, None) => write!(f, "JoinError::Panic({:?}, ...)", self.id),
        }
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        io::Error::other(match error.cause {
            Cause::Cancelled => "task was cancelled",
            Cause::Panic(_) => "task panicked",
        })
    }
}
