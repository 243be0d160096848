//! A Unix stream.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, Op, SharedFd};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{SocketAddr, UCred};
use crate::op::{self, Connect};
use crate::socket::{
    Duplex, Way, adopt, check_nonblocking, descriptors, readiness, stream_calls, stream_traits,
};
use crate::{Interest, Ready};

/// A stream between two processes of this machine, or two parts of one.
///
/// It is used as a [`TcpStream`](crate::TcpStream) is, with the same cancel safety.
///
/// ```
/// use ringway_net::UnixStream;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (mut one, mut two) = UnixStream::pair()?;
/// one.write_all(b"how are you?").await?;
/// one.shutdown().await?;
/// let mut question = String::new();
/// two.read_to_string(&mut question).await?;
/// assert_eq!(question, "how are you?");
/// assert_eq!(two.peer_cred()?.pid(), Some(std::process::id() as i32));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixStream {
    socket: Duplex,
}

impl UnixStream {
    /// Connects to the listener at `path`. A path that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// Those of connect(2): `NotFound`, `ConnectionRefused` if nobody listens there, `PermissionDenied`, and
    /// `WouldBlock` if the listener's queue is full, in which case one may try again a little later. And
    /// `InvalidInput` for a path that is too long.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up, and closes its socket.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{UnixListener, UnixStream};
    ///
    /// let path = std::env::temp_dir().join(format!("ringway-doc-connect-{}", std::process::id()));
    /// # let _ = std::fs::remove_file(&path);
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path).await?;
    /// assert_eq!(client.peer_addr()?.as_pathname(), Some(path.as_path()));
    /// assert!(client.local_addr()?.is_unnamed());
    /// assert!(client.take_error()?.is_none());
    /// drop(listener);
    /// std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        let address = SocketAddr::of_path(path.as_ref())?;
        UnixStream::connect_addr(&address).await
    }

    /// Connects to the listener at `address`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::os::linux::net::SocketAddrExt;
    /// use ringway_net::{UnixListener, UnixStream, unix::SocketAddr};
    ///
    /// let name = format!("example of a connect, {}", std::process::id());
    /// let address = SocketAddr::from(std::os::unix::net::SocketAddr::from_abstract_name(&name)?);
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address).await?;
    /// assert_eq!(client.peer_addr()?.as_abstract_name(), Some(name.as_bytes()));
    /// # drop(listener);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let socket = op::new_socket(Domain::UNIX, Type::STREAM, None)?;
        UnixStream::connect_socket(socket, address.to_kernel()?).await
    }

    /// Connects a socket that has been set up already.
    pub(super) async fn connect_socket(
        socket: Socket,
        address: SockAddr,
    ) -> io::Result<UnixStream> {
        let fd = adopt(socket)?;
        Op::new(Connect::new(fd.clone(), address)).await?;
        Ok(UnixStream::new(fd, Ready::EMPTY))
    }

    /// Takes a connection. `first_read` says whether the first read is tried before anybody waits.
    pub(crate) fn new(fd: SharedFd, first_read: Ready) -> UnixStream {
        UnixStream {
            socket: Duplex::new(fd, first_read, Way::Direct),
        }
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let (one, two) = Socket::pair_raw(Domain::UNIX, kind, None)?;
        let one = UnixStream::new(adopt(one)?, Ready::EMPTY);
        Ok((one, UnixStream::new(adopt(two)?, Ready::EMPTY)))
    }

    /// Takes over a stream of the standard library, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Panics
    ///
    /// Outside a runtime; and in debug builds if the stream is blocking.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UnixStream;
    ///
    /// let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// let ours = UnixStream::from_std(ours)?;
    /// assert_eq!(ours.try_write(b"hello")?, 5);
    /// let ours = ours.into_std()?;
    /// ours.set_nonblocking(false)?;
    /// # drop(theirs);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(stream: net::UnixStream) -> io::Result<UnixStream> {
        check_nonblocking(&stream)?;
        Ok(UnixStream::new(adopt(stream)?, Ready::READABLE))
    }

    /// Turns the stream into one of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// Those of dup(2), in the rare case that the kernel still holds a poll of this stream.
    pub fn into_std(self) -> io::Result<net::UnixStream> {
        self.socket.into_fd().map(net::UnixStream::from)
    }

    /// Borrows the two directions of the stream for two futures of one task.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UnixStream;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let (mut one, mut two) = UnixStream::pair()?;
    /// let (mut reader, mut writer) = one.split();
    /// writer.write_all(b"ping").await?;
    /// let mut bytes = [0; 4];
    /// two.read_exact(&mut bytes).await?;
    /// two.write_all(b"pong").await?;
    /// reader.read_exact(&mut bytes).await?;
    /// assert_eq!(&bytes, b"pong");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Parts the two directions of the stream, for two tasks.
    ///
    /// Dropping the write half shuts the stream down for writing.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::into_split(self)
    }

    /// The address of this end. That of one who connected is unnamed, unless it was bound before.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::from_kernel(&self.socket.options().local_addr()?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::from_kernel(&self.socket.options().peer_addr()?)
    }

    /// The process at the other end.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn peer_cred(&self) -> io::Result<UCred> {
        op::peer_cred(self)
    }

    /// Takes the error that the kernel has noted for this stream, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.options().take_error()
    }

    readiness!(poll_read_ready, poll_write_ready);
    stream_calls!();
}

stream_traits!(read UnixStream, op::recv_to_boundary);
stream_traits!(write UnixStream);
descriptors!(UnixStream, net::UnixStream, peer_addr);

impl AsRef<UnixStream> for UnixStream {
    fn as_ref(&self) -> &UnixStream {
        self
    }
}
