//! Watching a descriptor whose owner promises to keep it open.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::Interest;
use crate::async_fd::{AsyncFd, AsyncFdRegisterError, BOTH};

impl<T: AsRawFd> AsyncFd<T> {
    /// Watches the descriptor of `inner` for reading and writing.
    ///
    /// # Safety
    ///
    /// As long as the `AsyncFd` lives, `inner`'s descriptor is open and is the one that it says now.
    ///
    /// # Errors
    ///
    /// If the kernel has no descriptor left for the watch, or cannot watch this one: it is closed (`EBADF`), or of a
    /// file that is always ready, such as a regular one (`EPERM`).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::watch(inner, BOTH)
    }

    /// Watches the descriptor of `inner` for the events of `interest`.
    ///
    /// # Safety
    ///
    /// As [`register`](Self::register).
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub unsafe fn register_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::watch(inner, interest)
    }
}

impl<T: AsRawFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: who made the `AsyncFd` has promised to `register` that the descriptor stays open as long as it lives.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}
