//! A Unix socket before it connects, listens or sends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::path::Path;

use socket2::{Domain, Socket, Type};

use super::address::kernel_address;
use super::{UnixDatagram, UnixListener, UnixStream};
use crate::op;

/// A Unix socket that is not connected and does not listen yet, to bind it before, or to choose the length of its queue.
///
/// ```
/// use ringway_net::UnixSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let name = format!("\0a socket of process {}", std::process::id());
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&name)?;
/// let listener = socket.listen(16)?;
///
/// let client = UnixSocket::new_stream()?.connect(&name).await?;
/// let (server, _) = listener.accept().await?;
/// assert_eq!(server.peer_cred()?, client.peer_cred()?);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    socket: Socket,
}

impl UnixSocket {
    /// A new datagram socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{UnixDatagram, UnixSocket};
    ///
    /// let name = format!("\0example of a datagram socket, {}", std::process::id());
    /// let socket = UnixSocket::new_datagram()?;
    /// socket.bind(&name)?;
    /// let server: UnixDatagram = socket.datagram()?;
    /// UnixDatagram::unbound()?.send_to(b"hello", &name).await?;
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn new_datagram() -> io::Result<UnixSocket> {
        op::new_socket(Domain::UNIX, Type::DGRAM, None).map(UnixSocket::from_socket)
    }

    /// A new stream socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_stream() -> io::Result<UnixSocket> {
        op::new_socket(Domain::UNIX, Type::STREAM, None).map(UnixSocket::from_socket)
    }

    pub(crate) fn from_socket(socket: Socket) -> UnixSocket {
        UnixSocket { socket }
    }

    /// Gives the socket the address `path`, which it makes. A path that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// Those of bind(2), and `InvalidInput` for a path that is too long.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.bind(&kernel_address(path)?)
    }

    /// Listens, with room for `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    ///
    /// Those of listen(2), and if it is a datagram socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.must_not_be(Type::DGRAM, "listen cannot be called on a datagram socket")?;
        self.socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
        UnixListener::new(self.socket)
    }

    /// Connects to the listener at `path`.
    ///
    /// # Errors
    ///
    /// As [`UnixStream::connect`], and if it is a datagram socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up, and closes the socket.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.must_not_be(Type::DGRAM, "connect cannot be called on a datagram socket")?;
        UnixStream::connect_socket(self.socket, kernel_address(path)?).await
    }

    /// Makes a datagram socket of it, to send and receive.
    ///
    /// # Errors
    ///
    /// If it is a stream socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.must_not_be(Type::STREAM, "datagram cannot be called on a stream socket")?;
        UnixDatagram::new(self.socket)
    }

    fn must_not_be(&self, kind: Type, text: &'static str) -> io::Result<()> {
        if self.socket.r#type()? == kind {
            return Err(io::Error::other(text));
        }
        Ok(())
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}
