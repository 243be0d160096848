//! The end of a pipe to read from.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, SharedFd};
use tokio::io::{AsyncRead, ReadBuf};

use super::{End, end, end_of_pipe, prepare, set_blocking};
use crate::op;
use crate::socket::Duplex;
use crate::{Interest, Ready};

/// The end of a pipe to read from.
///
/// It finds the end of the stream when the last sender has been closed. Dropping it closes it: who writes then gets an
/// error.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use ringway_net::unix::pipe;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let (mut sender, mut receiver) = pipe::pipe()?;
/// sender.write_all(b"through the pipe").await?;
/// drop(sender);
/// let mut text = String::new();
/// receiver.read_to_string(&mut text).await?;
/// assert_eq!(text, "through the pipe");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Cancel safety
///
/// A read that is dropped before it returns has taken nothing.
pub struct Receiver {
    socket: Duplex,
}

end!(Receiver, End::Read);

impl Receiver {
    /// Waits until there may be something to read, or the end of the stream.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the pipe.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_net::unix::pipe;
    ///
    /// let (sender, receiver) = pipe::pipe()?;
    /// ringway_runtime::spawn(async move { sender.try_write(b"hello") });
    /// let mut buffer = [0; 16];
    /// let count = loop {
    ///     receiver.readable().await?;
    ///     match receiver.try_read(&mut buffer) {
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
    ///         result => break result?,
    ///     }
    /// };
    /// assert_eq!(&buffer[..count], b"hello");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readiness(Interest::READABLE).await.map(drop)
    }

    /// Polls for something to read. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::unix::pipe;
    ///
    /// let (sender, receiver) = pipe::pipe()?;
    /// poll_fn(|cx| sender.poll_write_ready(cx)).await?;
    /// sender.try_write(b"hello")?;
    /// poll_fn(|cx| receiver.poll_read_ready(cx)).await?;
    /// assert_eq!(receiver.try_read(&mut [0; 16])?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read_ready(cx)
    }

    /// Reads what is there now. Zero is the end of the stream, if `buffer` has room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there, and others of read(2).
    pub fn try_read(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read_buf(&mut buffer)
    }

    /// As [`try_read`](Self::try_read), into several slices, the first one first.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::{IoSlice, IoSliceMut};
    /// use ringway_net::unix::pipe;
    ///
    /// let (sender, receiver) = pipe::pipe()?;
    /// sender.try_write_vectored(&[IoSlice::new(b"he"), IoSlice::new(b"llo")])?;
    /// receiver.readable().await?;
    /// let (mut start, mut rest) = ([0; 4], [0; 4]);
    /// let mut slices = [IoSliceMut::new(&mut start), IoSliceMut::new(&mut rest)];
    /// assert_eq!(receiver.try_read_vectored(&mut slices)?, 5);
    /// assert_eq!((&start, rest[0]), (b"hell", b'o'));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.try_read(|fd| op::read_vectored(fd, slices))
    }

    /// As [`try_read`](Self::try_read), to the end of a buffer that grows.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::unix::pipe;
    ///
    /// let (sender, receiver) = pipe::pipe()?;
    /// sender.try_write(b"hello")?;
    /// receiver.readable().await?;
    /// let mut text = Vec::new();
    /// assert_eq!(receiver.try_read_buf(&mut text)?, 5);
    /// assert_eq!(text, b"hello");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        let (count, ()) = self.socket.try_receive(buffer, op::read)?;
        Ok(count)
    }

    /// Calls `call`, which reads by a system call of its own, if the pipe may be ready, and learns from its result.
    ///
    /// `call` must return `WouldBlock` if the kernel did, and only then.
    ///
    /// # Errors
    ///
    /// Those of `call`, and `WouldBlock` without calling it if the pipe is not ready.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::{ErrorKind, Read};
    /// use std::os::fd::AsFd;
    /// use ringway_net::unix::pipe;
    ///
    /// let (_sender, receiver) = pipe::pipe()?;
    /// let mut file = std::fs::File::from(receiver.as_fd().try_clone_to_owned()?);
    /// let nothing = receiver.try_io(|| file.read(&mut [0; 4]));
    /// assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.socket.try_io(Interest::READABLE, call)
    }
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket.poll_read(cx, buffer, op::read)
    }
}
