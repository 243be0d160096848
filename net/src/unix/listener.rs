//! A Unix listener.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::task::{Context, Poll, ready};

use ringway_runtime::driver::{AsSharedFd, SharedFd};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{SocketAddr, UnixStream};
use crate::op;
use crate::socket::{BACKLOG, Listener, Stash, Who, adopt, check_nonblocking, descriptors};
use crate::{Incoming, Ready};

/// A Unix socket that listens for connections.
///
/// Any number of tasks may accept from it at once; each connection goes to one of them. Dropping it closes it. A path
/// that it was bound to stays in the file system, and must be removed before another can be bound to it; an abstract
/// name is free again when `drop` returns.
///
/// ```
/// use ringway_net::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let name = format!("\0an example of process {}", std::process::id());
/// let listener = UnixListener::bind(&name)?;
/// let client = UnixStream::connect(&name).await?;
/// let (server, _) = listener.accept().await?;
/// assert_eq!(server.try_write(b"welcome")?, 7);
/// client.readable().await?;
/// assert_eq!(client.try_read(&mut [0; 16])?, 7);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixListener {
    socket: Listener,
}

impl UnixListener {
    /// Listens at `path`, which it makes. A path that begins with a zero byte is an abstract name.
    ///
    /// The queue has room for 1,024 connections. Use [`UnixSocket`](super::UnixSocket) for another number.
    ///
    /// # Errors
    ///
    /// Those of bind(2): `AddrInUse` if there is something at that path, `PermissionDenied`, `NotFound`. And
    /// `InvalidInput` for a path that is too long.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::of_path(path.as_ref())?)
    }

    /// Listens at `address`.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::os::linux::net::SocketAddrExt;
    /// use ringway_net::{UnixListener, UnixStream, unix::SocketAddr};
    ///
    /// let name = format!("example of an address, {}", std::process::id());
    /// let address = SocketAddr::from(std::os::unix::net::SocketAddr::from_abstract_name(&name)?);
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let _client = UnixStream::connect_addr(&address).await?;
    /// listener.accept().await?;
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), Some(name.as_bytes()));
    /// assert!(listener.take_error()?.is_none());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let socket = op::new_socket(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&address.to_kernel()?)?;
        socket.listen(BACKLOG)?;
        UnixListener::new(socket)
    }

    /// Takes a socket that listens.
    #[track_caller]
    pub(super) fn new(socket: Socket) -> io::Result<UnixListener> {
        Ok(UnixListener {
            socket: Listener::new(adopt(socket)?),
        })
    }

    /// Takes over a listener of the standard library, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Panics
    ///
    /// Outside a runtime; and in debug builds if the listener is blocking.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
    /// use ringway_net::UnixListener;
    ///
    /// let address = SocketAddr::from_abstract_name(format!("of std, {}", std::process::id()))?;
    /// let listener = StdListener::bind_addr(&address)?;
    /// listener.set_nonblocking(true)?;
    /// let listener = UnixListener::from_std(listener)?;
    /// let listener = listener.into_std()?;
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), address.as_abstract_name());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        check_nonblocking(&listener)?;
        UnixListener::new(Socket::from(listener))
    }

    /// Turns the listener into one of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// Those of dup(2), in the rare case that no descriptor was left for the runtime's watch on the listener.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        self.socket.into_fd().map(net::UnixListener::from)
    }

    /// The address that it listens at.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::from_kernel(&self.socket.options().local_addr()?)
    }

    /// Takes the error that the kernel has noted for this listener, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.options().take_error()
    }

    /// Waits for a connection and takes it.
    ///
    /// # Errors
    ///
    /// Those of accept(2), above all "too many open files", which is told once a second at most, as long as it lasts:
    /// accepts in between wait, and get their connection some 50 ms after there is a descriptor.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection that this future does not return stays in the kernel's queue for the next accept.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accepted = self.socket.accept().await?;
        self.take(accepted)
    }

    /// Polls for a connection. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::{UnixListener, UnixStream};
    ///
    /// let name = format!("\0example of polled accepts, {}", std::process::id());
    /// let listener = UnixListener::bind(&name)?;
    /// let _client = UnixStream::connect(&name).await?;
    /// let (_server, from) = poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// assert!(from.is_unnamed());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accepted = ready!(self.socket.poll_accept(cx, Who::Last))?;
        Poll::Ready(self.take(accepted))
    }

    /// The connections that come, by one request that goes on, as a stream that never ends.
    ///
    /// Not in tokio. It costs less than an [`accept`](Self::accept) for each: the kernel makes the descriptors as the
    /// connections come. Who connected says the stream's `peer_addr`.
    ///
    /// ```
    /// use ringway_net::{UnixListener, UnixStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let name = format!("\0incoming of process {}", std::process::id());
    /// let listener = UnixListener::bind(&name)?;
    /// let mut incoming = listener.incoming();
    /// for _ in 0..3 {
    ///     let client = UnixStream::connect(&name).await?;
    ///     let server = incoming.next().await?;
    ///     assert_eq!(client.try_write(b"hello")?, 5);
    ///     server.readable().await?;
    ///     assert_eq!(server.try_read(&mut [0; 16])?, 5);
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_, UnixStream> {
        Incoming::new(&self.socket, |fd| UnixStream::new(fd, Ready::READABLE))
    }

    pub(crate) fn stash(&self) -> Stash {
        self.socket.stash()
    }

    /// Makes a stream of what the kernel has given. Its client has often sent something already.
    fn take(&self, (fd, address): (OwnedFd, SockAddr)) -> io::Result<(UnixStream, SocketAddr)> {
        let stream = UnixStream::new(self.socket.adopt(fd), Ready::READABLE);
        Ok((stream, SocketAddr::from_kernel(&address)?))
    }
}

descriptors!(UnixListener, net::UnixListener);
