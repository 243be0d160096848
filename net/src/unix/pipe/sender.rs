//! The end of a pipe to write to.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use ringway_runtime::driver::{AsSharedFd, SharedFd};
use tokio::io::AsyncWrite;

use super::{End, end, end_of_pipe, prepare, set_blocking};
use crate::op;
use crate::socket::Duplex;
use crate::{Interest, Ready};

/// The end of a pipe to write to.
///
/// Dropping it closes it, and the reader finds the end when it has read the rest. A write to a pipe that nobody reads is
/// an error, `BrokenPipe`.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use std::io::ErrorKind;
/// use ringway_net::unix::pipe;
///
/// let (sender, receiver) = pipe::pipe()?;
/// sender.writable().await?;
/// assert_eq!(sender.try_write(b"some")?, 4);
/// drop(receiver);
/// assert_eq!(sender.try_write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Cancel safety
///
/// A write that is dropped has written nothing unless it had returned.
pub struct Sender {
    socket: Duplex,
}

end!(Sender, End::Write);

impl Sender {
    /// Waits until there may be room to write, or nobody reads any more.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it does nothing to the pipe.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.readiness(Interest::WRITABLE).await.map(drop)
    }

    /// Polls for room to write. Of several callers, only the last one's task is woken.
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
    /// assert_eq!(sender.try_write(b"hello")?, 5);
    /// # drop(receiver);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    /// Writes what there is room for now. What fits into `PIPE_BUF` (4,096 bytes) is written whole or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, `BrokenPipe` if nobody reads, and others of write(2).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write(|fd| op::write(fd, bytes))
    }

    /// As [`try_write`](Self::try_write), from several slices, the first one first.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::IoSlice;
    /// use ringway_net::unix::pipe;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let (sender, mut receiver) = pipe::pipe()?;
    /// let slices = [IoSlice::new(b"head "), IoSlice::new(b"and body")];
    /// assert_eq!(sender.try_write_vectored(&slices)?, 13);
    /// drop(sender);
    /// let mut text = String::new();
    /// receiver.read_to_string(&mut text).await?;
    /// assert_eq!(text, "head and body");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.try_write(|fd| op::write_vectored(fd, slices))
    }

    /// Calls `call`, which writes by a system call of its own, if the pipe may be ready, and learns from its result.
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
    /// use std::io::Write;
    /// use std::os::fd::AsFd;
    /// use ringway_net::unix::pipe;
    ///
    /// let (sender, receiver) = pipe::pipe()?;
    /// let mut file = std::fs::File::from(sender.as_fd().try_clone_to_owned()?);
    /// let written = sender.try_io(|| file.write(b"by hand"));
    /// assert_eq!(written?, 7);
    /// # drop(receiver);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.socket.try_io(Interest::WRITABLE, call)
    }
}

impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |fd: &_| op::write(fd, bytes);
        self.socket.poll_write(cx, bytes.len(), write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |fd: &_| op::write_vectored(fd, slices);
        self.socket.poll_write(cx, 0, write)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once: nothing is held back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: only closing the last sender ends a pipe.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
