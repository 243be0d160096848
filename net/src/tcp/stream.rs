//! A TCP connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{self, AsSharedFd, Op, SharedFd};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, check_nonblocking, no_address};
use crate::addr::{ToSocketAddrs, resolve};
use crate::op::{self, Connect, Take};
use crate::socket::{StreamSocket, Who};
use crate::{Interest, Ready};

/// A TCP connection.
///
/// It is read and written through tokio's [`AsyncRead`] and [`AsyncWrite`], by one task, or by two after
/// [`split`](Self::split) or [`into_split`](Self::into_split). Beside that there are the `try_…` functions and
/// readiness (`readable`, `writable`, `ready`, `try_io`) for those who make their own system calls.
///
/// Dropping it closes the connection: what has been written is still sent. To tell the peer that no more will
/// come and go on reading, shut it down (`AsyncWriteExt::shutdown`).
///
/// # Cancel safety
///
/// A read that is dropped before it returns has taken nothing: the bytes are there for the next read. A write
/// that is dropped has written nothing unless it had returned.
///
/// ```
/// use ringway_net::{TcpListener, TcpStream};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
///
/// client.write_all(b"how are you?").await?;
/// client.shutdown().await?;
/// let mut question = String::new();
/// server.read_to_string(&mut question).await?;
/// assert_eq!(question, "how are you?");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct TcpStream {
    socket: StreamSocket,
}

impl TcpStream {
    /// Connects to the first of `address`'s addresses that answers.
    ///
    /// # Errors
    ///
    /// Those of name resolution, and that of the last address that was tried: `ConnectionRefused`,
    /// `NetworkUnreachable`, `TimedOut` (by the kernel, after minutes) and others.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up, and closes its socket.
    pub async fn connect<A: ToSocketAddrs>(address: A) -> io::Result<TcpStream> {
        let mut last_error = None;
        for address in resolve(address).await? {
            match TcpStream::connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(no_address))
    }

    async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
        let socket = op::stream_socket(&address)?;
        TcpStream::connect_socket(socket.into(), address).await
    }

    /// Connects a socket that has been set up already.
    pub(super) async fn connect_socket(fd: OwnedFd, address: SocketAddr) -> io::Result<TcpStream> {
        driver::assert_context();
        let fd = SharedFd::from(fd);
        Op::new(Connect::new(fd.clone(), address)).await?;
        Ok(TcpStream {
            socket: StreamSocket::new(fd, Ready::EMPTY),
        })
    }

    /// Takes a connection from a listener. Its client has often sent something already.
    pub(super) fn accepted(fd: OwnedFd) -> TcpStream {
        TcpStream {
            socket: StreamSocket::new(SharedFd::from(fd), Ready::READABLE),
        }
    }

    /// Takes over a connection of the standard library, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Panics
    ///
    /// Outside a runtime; and in debug builds if the connection is blocking.
    #[track_caller]
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        check_nonblocking(&stream)?;
        driver::assert_context();
        let fd = SharedFd::from(OwnedFd::from(stream));
        Ok(TcpStream {
            socket: StreamSocket::new(fd, Ready::READABLE),
        })
    }

    /// Turns the connection into one of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// Those of dup(2), in the rare case that the kernel still holds a poll of this connection.
    ///
    /// ```
    /// # use ringway_net::{TcpListener, TcpStream};
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = stream.into_std()?;
    /// stream.set_nonblocking(false)?;
    /// # assert!(stream.peer_addr()?.port() > 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        self.socket.into_fd().map(net::TcpStream::from)
    }

    /// Borrows the two directions of the connection for two futures of one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Parts the two directions of the connection, for two tasks.
    ///
    /// Dropping the write half shuts the connection down for writing.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        super::split_owned::split(self)
    }

    /// Waits for one of the events of `interest`, and says which have come.
    ///
    /// It may be wrong: a read or write after it may still fail with `WouldBlock`, and then this waits again.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the connection.
    ///
    /// ```
    /// # use ringway_net::{Interest, TcpListener, TcpStream};
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let ready = stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(ready.is_writable() && !ready.is_readable());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.socket.ready(interest).await
    }

    /// Waits until there may be something to read, or the end of the stream. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the connection.
    ///
    /// ```
    /// # use ringway_net::{TcpListener, TcpStream};
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// # client.try_write(b"hello")?;
    /// let mut buffer = [0; 16];
    /// let count = loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buffer) {
    ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
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
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read_ready(cx)
    }

    /// Waits until there may be room to write, or until no write can succeed any more.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it does nothing to the connection.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.readiness(Interest::WRITABLE).await.map(drop)
    }

    /// Polls for room to write. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    /// Reads what is there now. Zero is the end of the stream, if `buffer` has room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there, and those of recv(2).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .try_read(|fd| op::recv_into(fd, &mut ReadBuf::new(buffer), Take::Bytes))
    }

    /// As [`try_read`](Self::try_read), into several slices, the first one first.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.try_read(|fd| op::recv_vectored(fd, slices))
    }

    /// As [`try_read`](Self::try_read), to the end of a buffer that grows.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        self.socket.try_read(|fd| op::recv_buf_mut(fd, buffer))
    }

    /// Writes what there is room for now, which may be less than all of `bytes`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, and those of send(2).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write(|fd| op::send(fd, bytes))
    }

    /// As [`try_write`](Self::try_write), from several slices, the first one first.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.try_write(|fd| op::send_vectored(fd, slices))
    }

    /// Calls `call`, which makes a system call of its own on the connection, and learns from its result.
    ///
    /// `call` must try what `interest` names, and return `WouldBlock` if the kernel did, and only then.
    ///
    /// # Errors
    ///
    /// Those of `call`.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.try_io(interest, call)
    }

    /// Waits for `interest` and calls `call`, until that does not return `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of [`try_io`](Self::try_io) except `WouldBlock`, and of [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// As safe as `call` is: it is never called and then forgotten.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.async_io(interest, call).await
    }

    /// Waits for something to read, and copies it without taking it. Zero is the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of recv(2), and if the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the connection.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.peek(buffer).await
    }

    /// Polls for something to read, and copies it without taking it. Of several callers, only the last one's
    /// task is woken.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_peek(cx, Who::Last, buffer)
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    pub(super) fn socket(&self) -> &StreamSocket {
        &self.socket
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket.poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once: nothing is held back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that no more will come.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}

impl TryFrom<net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// As [`TcpStream::from_std`].
    #[track_caller]
    fn try_from(stream: net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl AsSharedFd for TcpStream {
    fn shared_fd(&self) -> &SharedFd {
        self.socket.fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.fd().as_raw_fd()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd().as_fd()
    }
}

// A panic in a waker leaves the locks' states whole: wakers are called outside of them.
impl UnwindSafe for TcpStream {}
impl RefUnwindSafe for TcpStream {}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TcpStream");
        if let Ok(address) = self.local_addr() {
            debug.field("addr", &address);
        }
        if let Ok(address) = self.peer_addr() {
            debug.field("peer", &address);
        }
        debug.field("fd", &self.as_raw_fd()).finish()
    }
}
