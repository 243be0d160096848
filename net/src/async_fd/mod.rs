//! Readiness of any descriptor.

mod error;
mod guard;

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll, ready};

use ringway_runtime::driver;

pub use error::{AsyncFdRegisterError, TryIoError};
pub use guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};

use crate::Interest;
use crate::socket::{Edges, Who};

/// A descriptor of the user's own, for whose readiness tasks can wait.
///
/// It is for what this crate has no type for: netlink, inotify, timerfd, tun, libraries that hand out a descriptor. The
/// descriptor must not block (`O_NONBLOCK`).
///
/// # Readiness stays until it is cleared
///
/// The kernel tells of an event once. It is remembered, and [`readable`](Self::readable) returns at once, until a call
/// has shown that there is no more: the guard's [`try_io`](AsyncFdReadyGuard::try_io) clears it when its closure returns
/// `WouldBlock`, and [`clear_ready`](AsyncFdReadyGuard::clear_ready) does at the user's word. So go on until the call
/// returns `WouldBlock`, before you clear. What comes while a guard is held is not lost by clearing.
///
/// Of the `poll_…` functions, the last caller for each direction is woken. Any number of futures may wait.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use ringway_net::unix::AsyncFd;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// // SAFETY: the stream that is moved in keeps its descriptor open.
/// let ours = unsafe { AsyncFd::register(ours) }?;
/// theirs.write_all(b"hello")?;
///
/// let mut buffer = [0; 16];
/// let count = loop {
///     let mut guard = ours.readable().await?;
///     match guard.try_io(|fd| fd.get_ref().read(&mut buffer)) {
///         Ok(result) => break result?,
///         Err(_would_block) => continue,
///     }
/// };
/// assert_eq!(&buffer[..count], b"hello");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct AsyncFd<T: AsRawFd> {
    edges: Edges,
    /// Dropped after `edges`: the watch goes before the descriptor.
    inner: T,
}

impl<T: AsRawFd> AsyncFd<T> {
    /// What [`register`](Self::register) does. The caller promises what that asks for.
    #[track_caller]
    pub(crate) fn watch(inner: T, interest: Interest) -> Result<Self, AsyncFdRegisterError<T>> {
        driver::assert_context();
        match Edges::new(&inner, interest) {
            Ok(edges) => Ok(AsyncFd { edges, inner }),
            Err(cause) => Err(AsyncFdRegisterError::new(inner, cause)),
        }
    }

    /// The value that has the descriptor.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The value that has the descriptor, to change it. It must keep its descriptor.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the value back. The runtime does not watch its descriptor any more.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Polls for something to read. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE | Interest::WRITABLE)? };
    /// let guard = poll_fn(|cx| ours.poll_write_ready(cx)).await?;
    /// assert_eq!(guard.get_inner().write(b"how are you?")?, 12);
    /// drop(guard);
    /// theirs.write_all(b"fine")?;
    /// let guard = poll_fn(|cx| ours.poll_read_ready(cx)).await?;
    /// assert_eq!(guard.get_inner().read(&mut [0; 16])?, 4);
    /// drop(guard);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.edges.poll_ready(cx, Who::Last, Interest::READABLE))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// As [`poll_read_ready`](Self::poll_read_ready), with a guard that lends the value to be changed.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.edges.poll_ready(cx, Who::Last, Interest::READABLE))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Polls for room to write. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(
            self.edges
                .poll_ready(cx, Who::LastWriter, Interest::WRITABLE)
        )?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// As [`poll_write_ready`](Self::poll_write_ready), with a guard that lends the value to be changed.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(
            self.edges
                .poll_ready(cx, Who::LastWriter, Interest::WRITABLE)
        )?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Waits for one of the events of `interest`, which must be among those that it was registered for.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the descriptor.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE | Interest::WRITABLE)? };
    /// theirs.write_all(b"hello")?;
    /// let guard = ours.ready(Interest::READABLE).await?;
    /// assert!(guard.ready().is_readable());
    /// drop(guard);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let event = self.edges.readiness(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, event))
    }

    /// As [`ready`](Self::ready), with a guard that lends the value to be changed.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the descriptor.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::{ErrorKind, Write};
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let mut ours = unsafe { AsyncFd::register_with_interest(ours, Interest::WRITABLE)? };
    /// let mut guard = ours.ready_mut(Interest::WRITABLE).await?;
    /// // `Write` wants the stream to be changed.
    /// let result = guard.try_io(|ours| ours.get_mut().write(b"hello"));
    /// assert_eq!(result.expect("there is room")?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let event = self.edges.readiness(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, event))
    }

    /// Waits until there may be something to read.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the descriptor.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// As [`readable`](Self::readable), with a guard that lends the value to be changed.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the descriptor.
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
    /// let mut ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE | Interest::WRITABLE)? };
    /// theirs.write_all(b"hello")?;
    /// let mut guard = ours.readable_mut().await?;
    /// assert_eq!(guard.get_inner_mut().read(&mut [0; 16])?, 5);
    /// drop(guard);
    ///
    /// let mut guard = ours.writable_mut().await?;
    /// assert_eq!(guard.get_inner_mut().write(b"fine")?, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until there may be room to write.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it does nothing to the descriptor.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let ours = unsafe { AsyncFd::register_with_interest(ours, Interest::WRITABLE)? };
    /// let mut guard = ours.writable().await?;
    /// let written = guard.try_io(|ours| ours.get_ref().write(b"hello"));
    /// assert_eq!(written.expect("there is room")?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// As [`writable`](Self::writable), with a guard that lends the value to be changed.
    ///
    /// # Errors
    ///
    /// If the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it does nothing to the descriptor.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Waits for `interest` and calls `call`, until that does not return `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of `call` except `WouldBlock`, and if the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// As safe as `call` is: it is never called and then forgotten.
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
    /// let mut buffer = [0; 16];
    /// let read = |mut stream: &UnixStream| stream.read(&mut buffer);
    /// assert_eq!(ours.async_io(Interest::READABLE, read).await?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.edges.async_io(interest, || call(&self.inner)).await
    }

    /// As [`async_io`](Self::async_io), for a `call` that changes the value.
    ///
    /// # Errors
    ///
    /// As [`async_io`](Self::async_io).
    ///
    /// # Cancel safety
    ///
    /// As [`async_io`](Self::async_io).
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
    /// let mut ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE)? };
    /// theirs.write_all(b"hello")?;
    /// let mut buffer = [0; 16];
    /// let read = |stream: &mut UnixStream| stream.read(&mut buffer);
    /// assert_eq!(ours.async_io_mut(Interest::READABLE, read).await?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut call: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let AsyncFd { edges, inner } = self;
        edges.async_io(interest, || call(inner)).await
    }

    /// Calls `call` if the descriptor is known to be ready for `interest`, and clears that if it returns `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of `call`, and `WouldBlock` without calling it if the descriptor is not ready.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::{ErrorKind, Read};
    /// use std::os::unix::net::UnixStream;
    /// use ringway_net::{Interest, unix::AsyncFd};
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// // SAFETY: the stream that is moved in keeps its descriptor open.
    /// let mut ours = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE)? };
    /// let early = ours.try_io(Interest::READABLE, |mut stream| stream.read(&mut [0; 16]));
    /// assert_eq!(early.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// let early = ours.try_io_mut(Interest::READABLE, |stream| stream.read(&mut [0; 16]));
    /// assert_eq!(early.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.edges.try_io(interest, || call(&self.inner))
    }

    /// As [`try_io`](Self::try_io), for a `call` that changes the value.
    ///
    /// # Errors
    ///
    /// As [`try_io`](Self::try_io).
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        call: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let AsyncFd { edges, inner } = self;
        edges.try_io(interest, || call(inner))
    }

    /// As [`register`](Self::register), without its promise.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    #[deprecated = "nothing keeps the descriptor open; use `AsyncFd::register`, which asks for that promise"]
    pub fn new(inner: T) -> io::Result<Self> {
        Ok(Self::watch(inner, BOTH)?)
    }

    /// As [`register_with_interest`](Self::register_with_interest), without its promise.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    #[deprecated = "nothing keeps the descriptor open; use `AsyncFd::register_with_interest`, which asks for that promise"]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        Ok(Self::watch(inner, interest)?)
    }

    /// As [`register`](Self::register), without its promise.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    #[deprecated = "nothing keeps the descriptor open; use `AsyncFd::register`, which asks for that promise"]
    pub fn try_new(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::watch(inner, BOTH)
    }

    /// As [`register_with_interest`](Self::register_with_interest), without its promise.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    #[deprecated = "nothing keeps the descriptor open; use `AsyncFd::register_with_interest`, which asks for that promise"]
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        Self::watch(inner, interest)
    }
}

/// What a descriptor is watched for if its user does not say.
pub(crate) const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("inner", &self.inner)
            .finish()
    }
}
