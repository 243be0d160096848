//! Values that belong to a task, or to any future, instead of a thread.
//!
//! A key is a thread-local cell with room for one value. Between polls the value lies in the [`TaskLocalFuture`]; for
//! the time of a poll, and of the future's drop, the two are swapped. So what is found in the cell is always the value
//! of the innermost scope that this thread is in, and scopes of one key nest.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares keys of task-local values, as [`std::thread_local!`] does for threads.
///
/// A key has no value until [`LocalKey::scope`] or [`LocalKey::sync_scope`] gives it one.
///
/// ```
/// ringway_runtime::task_local! {
///     /// Which request this is.
///     pub static REQUEST: u32;
///     static USER: String;
/// }
///
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let answer = USER.scope("ada".to_string(), async {
///     USER.with(|user| format!("hello {user}"))
/// });
/// assert_eq!(ringway_runtime::spawn(answer).await.unwrap(), "hello ada");
/// assert!(REQUEST.try_get().is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static CELL: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::new(&CELL)
        };
        $($crate::task_local! { $($rest)* })?
    };
}

/// A key of task-local values, made by [`task_local!`](crate::task_local!).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// ringway_runtime::task_local! {
///     static REQUEST: u64;
/// }
///
/// let task = REQUEST.scope(7, async {
///     assert_eq!(REQUEST.get(), 7);
///     REQUEST.sync_scope(8, || assert_eq!(REQUEST.get(), 8));
///     REQUEST.with(|request| request + 1)
/// });
/// assert_eq!(ringway_runtime::spawn(task).await?, 8);
/// assert!(REQUEST.try_with(|_| ()).is_err());
/// # Ok(())
/// # })
/// # }
/// ```
pub struct LocalKey<T: 'static> {
    cell: &'static thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    /// For the macro.
    #[doc(hidden)]
    pub const fn new(cell: &'static thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { cell }
    }

    /// A future that runs `future` with the value set, also while it is dropped.
    ///
    /// # Panics
    ///
    /// The future panics where [`Self::sync_scope`] does, and when it is polled after it was ready.
    ///
    /// # Cancel safety
    ///
    /// That of `future`.
    pub fn scope<F>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F>
    where
        F: Future,
    {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(future),
            pinned: PhantomPinned,
        }
    }

    /// Calls `f` with the value set.
    ///
    /// # Panics
    ///
    /// Inside [`Self::with`] of the same key, while the thread is being torn down, and with the panic of `f`.
    #[track_caller]
    pub fn sync_scope<F, R>(&'static self, value: T, f: F) -> R
    where
        F: FnOnce() -> R,
    {
        let mut value = Some(value);
        match self.swapped(&mut value, f) {
            Ok(returned) => returned,
            Err(refused) => refused.panic(),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// Outside a scope of the key, and with the panic of `f`.
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.try_with(f) {
            Ok(returned) => returned,
            Err(AccessError(())) => {
                panic!("cannot access a task-local storage value without setting it first")
            }
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// Outside a scope of the key.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        // A cell that the end of the thread has taken away is in no scope either.
        let returned = self.cell.try_with(|cell| cell.borrow().as_ref().map(f));
        returned.ok().flatten().ok_or(AccessError(()))
    }

    /// Calls `f` with `value` in the cell. The value comes back in `value`, also if `f` panics.
    fn swapped<R>(
        &'static self,
        value: &mut Option<T>,
        f: impl FnOnce() -> R,
    ) -> Result<R, Refused> {
        let swap = |value: &mut Option<T>| {
            self.cell.try_with(|cell| {
                let mut cell = cell.try_borrow_mut().map_err(|_| Refused::Borrowed)?;
                mem::swap(&mut *cell, value);
                Ok(())
            })
        };
        swap(value).unwrap_or(Err(Refused::Gone))?;
        let back = Back(|| {
            // Nobody else's borrow outlives `f`, and the cell was there when `f` was called.
            let _ = swap(value);
        });
        let returned = f();
        drop(back);
        Ok(returned)
    }
}

/// Calls what it holds when it is dropped.
struct Back<F: FnMut()>(F);

impl<F: FnMut()> Drop for Back<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Why a scope cannot be entered.
enum Refused {
    Borrowed,
    Gone,
}

impl Refused {
    #[track_caller]
    fn panic(&self) -> ! {
        match self {
            Self::Borrowed => {
                panic!("cannot enter a task-local scope while the task-local storage is borrowed")
            }
            Self::Gone => panic!(
                "cannot enter a task-local scope during or after destruction of the underlying thread-local"
            ),
        }
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// Outside a scope of the key.
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }

    /// A copy of the value.
    ///
    /// # Errors
    ///
    /// Outside a scope of the key.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("LocalKey { .. }")
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// ringway_runtime::task_local! {
    ///     static NAME: &'static str;
    /// }
    ///
    /// let mut future = Box::pin(NAME.scope("ada", async {}));
    /// future.as_mut().await;
    /// // What was set outlives the future's own work, until somebody takes it.
    /// assert_eq!(future.as_mut().take_value(), Some("ada"));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // The key's value between polls; that of the scope around it during one.
        value: Option<T>,
        // Gone when it is ready: it is dropped inside its scope.
        #[pin]
        future: Option<F>,
        #[pin]
        pinned: PhantomPinned,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                // If the scope cannot be entered, the future is dropped outside, with the other fields.
                let _ = this.key.swapped(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T, F> TaskLocalFuture<T, F> {
    /// Takes the value out of the scope, which is without one from then on. `None` if it was taken before.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let polled = this.key.swapped(this.value, || {
            let polled = this.future.as_mut().as_pin_mut()?.poll(cx);
            if polled.is_ready() {
                this.future.set(None);
            }
            Some(polled)
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("`TaskLocalFuture` polled after completion"),
            Err(refused) => refused.panic(),
        }
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut this = f.debug_struct("TaskLocalFuture");
        match &self.value {
            Some(value) => this.field("value", value),
            None => this.field("value", &format_args!("<missing>")),
        };
        this.finish()
    }
}

/// The key has no value here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("task-local value not set")
    }
}

impl Error for AccessError {}
