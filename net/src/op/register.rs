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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::unix::AsyncFd;
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let ours = unsafe { AsyncFd::register(ours)? };
    /// theirs.write_all(b"hello")?;
    /// let mut guard = ours.readable().await?;
    /// assert_eq!(guard.get_inner().read(&mut [0; 16])?, 5);
    /// drop(guard);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::os::fd::AsRawFd;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (reader, writer) = std::io::pipe()?;
    /// // SAFETY: the end of the pipe that is moved in keeps its descriptor open.
    /// let writer = unsafe { AsyncFd::register_with_interest(writer, Interest::WRITABLE)? };
    /// writer.writable().await?.retain_ready();
    ///
    /// // A regular file is always ready, and not to be watched: it comes back.
    /// let file = std::fs::File::open("/proc/self/exe")?;
    /// let fd = file.as_raw_fd();
    /// // SAFETY: as above.
    /// let refused = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) };
    /// let (file, _error) = refused.unwrap_err().into_parts();
    /// assert_eq!(file.as_raw_fd(), fd);
    /// # drop(reader);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
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
