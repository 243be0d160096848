//! What a wait for a descriptor returns: that it is ready, until somebody knows better.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use super::{AsyncFd, TryIoError};
use crate::Ready;
use crate::socket::Event;

/// Readiness of an [`AsyncFd`]. It stays if the guard is dropped, and goes when it is cleared.
#[must_use = "say whether the readiness is used up: by `try_io`, `clear_ready` or `retain_ready`"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    async_fd: &'a AsyncFd<T>,
    event: Option<Event>,
}

/// Readiness of an [`AsyncFd`] that it lends to be changed. It stays if the guard is dropped, and goes when it is cleared.
#[must_use = "say whether the readiness is used up: by `try_io`, `clear_ready` or `retain_ready`"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    async_fd: &'a mut AsyncFd<T>,
    event: Option<Event>,
}

/// What both guards do.
macro_rules! clearing {
    () => {
        /// Takes the readiness back: a call has shown that there is no more. What has come since is kept.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::{ErrorKind, Read, Write};
        /// use std::os::unix::net::UnixStream;
        /// use ringway_net::{Interest, unix::AsyncFd};
        ///
        /// let (ours, mut theirs) = UnixStream::pair()?;
        /// ours.set_nonblocking(true)?;
        /// // SAFETY: the stream that is moved in keeps its descriptor open.
        /// let mut ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE)? };
        /// theirs.write_all(b"hello")?;
        /// let mut text = Vec::new();
        /// let mut guard = ours.readable_mut().await?;
        /// let error = guard.get_inner_mut().read_to_end(&mut text).unwrap_err();
        /// // All is read, and so the next wait is for more.
        /// assert_eq!((&text[..], error.kind()), (&b"hello"[..], ErrorKind::WouldBlock));
        /// guard.clear_ready();
        /// assert_eq!(guard.get_mut().get_mut().read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        /// drop(guard);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn clear_ready(&mut self) {
            self.clear_ready_matching(Ready::ALL);
        }

        /// Takes a part of the readiness back.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::{Read, Write};
        /// use std::os::unix::net::UnixStream;
        /// use ringway_net::{Interest, Ready, unix::AsyncFd};
        ///
        /// let (ours, mut theirs) = UnixStream::pair()?;
        /// ours.set_nonblocking(true)?;
        /// // SAFETY: the stream that is moved in keeps its descriptor open.
        /// let ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE | Interest::WRITABLE)? };
        /// theirs.write_all(b"hello")?;
        /// let mut guard = ours.readable().await?;
        /// assert_eq!(guard.get_inner().read(&mut [0; 16])?, 5);
        /// // It was all that there was. That there is room to write has not changed.
        /// guard.clear_ready_matching(Ready::READABLE);
        /// assert!(!guard.ready().is_readable());
        /// drop(guard);
        /// ours.writable().await?.retain_ready();
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn clear_ready_matching(&mut self, ready: Ready) {
            let Some(mut event) = self.event.take() else {
                return;
            };
            self.async_fd.edges.clear(event, event.ready & ready);
            event.ready = event.ready - ready;
            if !event.ready.is_empty() {
                self.event = Some(event);
            }
        }

        /// Leaves the readiness as it is, as dropping the guard does, but says so.
        pub fn retain_ready(&mut self) {}

        /// What the descriptor is ready for, of what was waited for, less what was cleared through this guard.
        pub fn ready(&self) -> Ready {
            self.event.map_or(Ready::EMPTY, |event| event.ready)
        }

        /// Clears the readiness if `result` says that a call would block.
        fn learn<R>(&mut self, result: io::Result<R>) -> Result<io::Result<R>, TryIoError> {
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.clear_ready();
                    Err(TryIoError::new())
                }
                result => Ok(result),
            }
        }
    };
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    pub(super) fn new(async_fd: &'a AsyncFd<T>, event: Event) -> Self {
        let event = Some(event);
        AsyncFdReadyGuard { async_fd, event }
    }

    clearing!();

    /// Calls `call`, and clears the readiness if that returns `WouldBlock`.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if `call` returned `WouldBlock`; every other result of it is inside the `Ok`.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE)? };
    /// theirs.write_all(b"hello")?;
    /// let mut guard = ours.readable().await?;
    /// let read = guard.try_io(|ours| ours.get_ref().read(&mut [0; 16]));
    /// assert_eq!(read.expect("it is there")?, 5);
    /// // There was no more, which the guard learns from the call.
    /// assert!(guard.try_io(|ours| ours.get_ref().read(&mut [0; 16])).is_err());
    /// assert!(guard.ready().is_empty());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = call(self.async_fd);
        self.learn(result)
    }

    /// The descriptor that is ready.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.async_fd
    }

    /// The value that has the descriptor.
    pub fn get_inner(&self) -> &'a T {
        self.async_fd.get_ref()
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyMutGuard<'a, T> {
    pub(super) fn new(async_fd: &'a mut AsyncFd<T>, event: Event) -> Self {
        let event = Some(event);
        AsyncFdReadyMutGuard { async_fd, event }
    }

    clearing!();

    /// Calls `call`, and clears the readiness if that returns `WouldBlock`.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if `call` returned `WouldBlock`; every other result of it is inside the `Ok`.
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = call(self.async_fd);
        self.learn(result)
    }

    /// The descriptor that is ready.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.async_fd
    }

    /// The descriptor that is ready, to change it.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.async_fd
    }

    /// The value that has the descriptor.
    pub fn get_inner(&self) -> &T {
        self.async_fd.get_ref()
    }

    /// The value that has the descriptor, to change it.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.async_fd.get_mut()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadyGuard")
            .field("async_fd", &self.async_fd)
            .finish()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyMutGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutReadyGuard")
            .field("async_fd", &self.async_fd)
            .finish()
    }
}
