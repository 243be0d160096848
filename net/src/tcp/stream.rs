//! A TCP connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, Op, SharedFd};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::addr::{ToSocketAddrs, no_address, resolve};
use crate::op::{self, Connect};
use crate::socket::{
    Duplex, Way, adopt, check_nonblocking, descriptors, readiness, stream_calls, stream_traits,
};
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
///
/// // By readiness: wait, try, and wait again if it was a false alarm.
/// server.writable().await?;
/// assert_eq!(server.try_write(b"fine")?, 4);
/// let mut answer = [0; 16];
/// let count = loop {
///     client.readable().await?;
///     match client.try_read(&mut answer) {
///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
///         result => break result?,
///     }
/// };
/// assert_eq!(&answer[..count], b"fine");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct TcpStream {
    socket: Duplex,
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
        let fd = adopt(fd)?;
        Op::new(Connect::new(fd.clone(), address.into())).await?;
        Ok(TcpStream::new(fd, Ready::EMPTY))
    }

    /// Takes a connection. `first_read` says whether the first read is tried before anybody waits.
    pub(crate) fn new(at: SharedFd, first_read: Ready) -> TcpStream {
        TcpStream {
            socket: Duplex::new(at, first_read, Way::Direct),
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::TcpStream;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_nonblocking(true)?;
    /// let mut stream = TcpStream::from_std(stream)?;
    /// stream.write_all(b"on our side of the fence").await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        check_nonblocking(&stream)?;
        Ok(TcpStream::new(adopt(stream)?, Ready::READABLE))
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut server, _) = listener.accept().await?;
    ///
    /// // What does not fit into the socket's buffers is sent while the answer is read.
    /// let (mut reader, mut writer) = client.split();
    /// let there = async {
    ///     writer.write_all(&[7; 100_000]).await?;
    ///     writer.shutdown().await
    /// };
    /// let mut answer = Vec::new();
    /// let back = reader.read_to_end(&mut answer);
    /// let echo = async {
    ///     let (mut reader, mut writer) = server.split();
    ///     tokio::io::copy(&mut reader, &mut writer).await?;
    ///     writer.shutdown().await
    /// };
    /// let (there, back, echo) = tokio::join!(there, back, echo);
    /// there?;
    /// echo?;
    /// assert_eq!(back?, 100_000);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Parts the two directions of the connection, for two tasks.
    ///
    /// Dropping the write half shuts the connection down for writing.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut server, _) = listener.accept().await?;
    ///
    /// let (mut reader, mut writer) = client.into_split();
    /// // The writing half ends with its task, and with it the stream.
    /// ringway_runtime::spawn(async move { writer.write_all(b"and that is all").await });
    /// let mut text = String::new();
    /// server.read_to_string(&mut text).await?;
    /// assert_eq!(text, "and that is all");
    ///
    /// server.write_all(b"well").await?;
    /// drop(server);
    /// assert_eq!(reader.read_to_string(&mut text).await?, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    readiness!(poll_read_ready, poll_write_ready);
    stream_calls!();

    /// Waits for something to read, and copies it without taking it. Zero is the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of recv(2), and if the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the connection.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    /// use tokio::io::AsyncReadExt;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut server, _) = listener.accept().await?;
    /// assert_eq!(client.try_write(b"PRI * HTTP/2.0")?, 14);
    ///
    /// // Which protocol is it? Whoever speaks it will read the same bytes.
    /// let mut first = [0; 3];
    /// assert_eq!(server.peek(&mut first).await?, 3);
    /// assert_eq!(&first, b"PRI");
    /// let mut line = [0; 14];
    /// server.read_exact(&mut line).await?;
    /// assert_eq!(&line, b"PRI * HTTP/2.0");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn peek(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let (count, ()) = self.socket.receive(&mut buffer, op::peek).await?;
        Ok(count)
    }

    /// Polls for something to read, and copies it without taking it. Of several callers, only the last one's
    /// task is woken.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::{TcpListener, TcpStream};
    /// use tokio::io::ReadBuf;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    /// assert_eq!(client.try_write(b"hello")?, 5);
    ///
    /// let mut bytes = [0; 4];
    /// let mut buffer = ReadBuf::new(&mut bytes);
    /// assert_eq!(poll_fn(|cx| server.poll_peek(cx, &mut buffer)).await?, 4);
    /// assert_eq!(buffer.filled(), b"hell");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        self.socket
            .poll_receive(cx, buffer, op::peek)
            .map_ok(|()| buffer.filled().len() - before)
    }
}

stream_traits!(read TcpStream, op::recv);
stream_traits!(write TcpStream);
descriptors!(TcpStream, net::TcpStream, peer_addr);

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}
