//! A child's standard streams, as far as they are pipes to this process.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use ringway_net::unix::pipe::{Receiver, Sender};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The standard input of a child, to write to.
///
/// Dropping it closes the pipe, and the child finds the end of its input.
///
/// # Cancel safety
///
/// A write that is dropped has written nothing unless it had returned.
#[derive(Debug)]
pub struct ChildStdin {
    inner: Sender,
}

/// The standard output of a child, to read from.
///
/// # Cancel safety
///
/// A read that is dropped before it returns has taken nothing.
#[derive(Debug)]
pub struct ChildStdout {
    inner: Receiver,
}

/// The standard error of a child, to read from.
///
/// # Cancel safety
///
/// A read that is dropped before it returns has taken nothing.
#[derive(Debug)]
pub struct ChildStderr {
    inner: Receiver,
}

/// What all three have: how they are made, given back and named.
macro_rules! stream {
    ($Stream:ident, $End:ident) => {
        impl $Stream {
            /// Takes over a stream of a child that std has started.
            ///
            /// # Errors
            ///
            /// Those of fcntl(2), by which the pipe is made non-blocking.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_std(inner: std::process::$Stream) -> io::Result<Self> {
                let fd = OwnedFd::from(inner);
                fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
                let inner = $End::from_owned_fd_unchecked(fd)?;
                Ok(Self { inner })
            }

            /// Gives the descriptor back, and makes it block, as most programs expect of a standard stream.
            ///
            /// # Errors
            ///
            /// Those of fcntl(2) and dup(2).
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// use std::process::Stdio;
            /// use ringway_process::{ChildStdin, Command};
            /// use tokio::io::AsyncWriteExt;
            ///
            /// // What std has started, fed by us.
            /// let mut child = std::process::Command::new("cat")
            ///     .stdin(Stdio::piped())
            ///     .stdout(Stdio::null())
            ///     .spawn()?;
            /// let mut input = ChildStdin::from_std(child.stdin.take().expect("it was asked for"))?;
            /// input.write_all(b"hello").await?;
            /// // And now as a plain descriptor, whose end is the end of the input.
            /// drop(input.into_owned_fd()?);
            /// assert!(child.wait()?.success());
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.inner.into_blocking_fd()
            }
        }

        /// For another child: so the output of one becomes the input of the next.
        impl TryFrom<$Stream> for Stdio {
            type Error = io::Error;

            /// # Errors
            ///
            /// Those of fcntl(2) and dup(2).
            fn try_from(stream: $Stream) -> io::Result<Stdio> {
                stream.into_owned_fd().map(Stdio::from)
            }
        }

        impl AsRawFd for $Stream {
            fn as_raw_fd(&self) -> RawFd {
                self.inner.as_raw_fd()
            }
        }

        impl AsFd for $Stream {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }
    };
}

stream!(ChildStdin, Sender);
stream!(ChildStdout, Receiver);
stream!(ChildStderr, Receiver);

impl AsyncWrite for ChildStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Done at once: nothing is held back.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Does nothing: only dropping it ends the child's input.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Reading from a child.
macro_rules! read {
    ($Stream:ident) => {
        impl AsyncRead for $Stream {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.inner).poll_read(cx, buffer)
            }
        }
    };
}

read!(ChildStdout);
read!(ChildStderr);
