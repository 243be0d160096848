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
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readiness(Interest::READABLE).await.map(drop)
    }

    /// Polls for something to read. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
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
    pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.try_read(|fd| op::read_vectored(fd, slices))
    }

    /// As [`try_read`](Self::try_read), to the end of a buffer that grows.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
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
