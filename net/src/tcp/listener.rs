//! A TCP listener.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use ringway_runtime::driver::{AsSharedFd, SharedFd};
use socket2::{SockAddr, Socket};

use super::TcpStream;
use crate::addr::{ToSocketAddrs, no_address, resolve};
use crate::op;
use crate::socket::{BACKLOG, Listener, Stash, Who, adopt, check_nonblocking, descriptors};
use crate::spread;
use crate::{Incoming, Ready};

/// A TCP socket that listens for connections.
///
/// Any number of tasks may accept from it at once; each connection goes to one of them. Dropping it closes it:
/// its address is free again when `drop` returns.
///
/// ```
/// use ringway_net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, address) = listener.accept().await?;
/// assert_eq!(address, client.local_addr()?);
/// assert_eq!(server.local_addr()?, client.peer_addr()?);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct TcpListener {
    socket: Listener,
}

impl TcpListener {
    /// Listens at the first of `address`'s addresses that can be had.
    ///
    /// Port 0 asks the kernel for a free port; [`local_addr`](Self::local_addr) tells which. The socket has
    /// `SO_REUSEADDR` set, so that a server can be started again at once, and a queue of 1,024 connections.
    /// Use [`TcpSocket`](super::TcpSocket) for other options.
    ///
    /// # Errors
    ///
    /// Those of name resolution, and those of the last address that was tried: above all `AddrInUse`,
    /// `AddrNotAvailable` and `PermissionDenied`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no socket behind. It waits only for name resolution.
    pub async fn bind<A: ToSocketAddrs>(address: A) -> io::Result<TcpListener> {
        let mut last_error = None;
        for address in resolve(address).await? {
            match TcpListener::bind_to(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(no_address))
    }

    fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = op::stream_socket(&address)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::new(socket)
    }

    /// As many listeners at one address as the runtime has workers, to each of which the kernel gives a share of the
    /// connections (`SO_REUSEPORT`).
    ///
    /// Not in tokio. Each listener has a queue of its own, so that tasks that accept at the same time do not wait for each
    /// other in the kernel. Spawn one task for each:
    ///
    /// ```
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let listeners = TcpListener::bind_per_worker("127.0.0.1:0").await?;
    /// let address = listeners[0].local_addr()?;
    /// for listener in listeners {
    ///     ringway_runtime::spawn(async move {
    ///         while let Ok((stream, _)) = listener.accept().await {
    ///             ringway_runtime::spawn(async move { stream.try_write(b"welcome") });
    ///         }
    ///     });
    /// }
    /// let client = TcpStream::connect(address).await?;
    /// client.readable().await?;
    /// assert_eq!(client.try_read(&mut [0; 16])?, 7);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # How connections are spread
    ///
    /// The kernel chooses a listener by a hash of both addresses, whether its task has time or not. A task is not tied to
    /// a worker: where one is stuck, the task that waits for that listener is run by another. But a connection stays with
    /// its listener, so keep all of them accepting: those in the queue of one that is dropped are reset, and who never
    /// accepts from one lets its share wait.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind). Nothing is bound then.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_per_worker<A: ToSocketAddrs>(address: A) -> io::Result<Vec<TcpListener>> {
        spread::bind_per_worker(address, TcpListener::bind_shared, TcpListener::new).await
    }

    /// Binds a socket that shares its address with others, and listens.
    fn bind_shared(address: SocketAddr) -> io::Result<Socket> {
        let socket = op::stream_socket(&address)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    }

    /// Takes a socket that listens.
    #[track_caller]
    pub(super) fn new(socket: Socket) -> io::Result<TcpListener> {
        Ok(TcpListener {
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
    /// use ringway_net::TcpListener;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// listener.set_nonblocking(true)?;
    /// let listener = TcpListener::from_std(listener)?;
    /// # assert!(listener.local_addr()?.port() > 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(listener: net::TcpListener) -> io::Result<TcpListener> {
        check_nonblocking(&listener)?;
        TcpListener::new(Socket::from(listener))
    }

    /// Turns the listener into one of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// Those of dup(2), in the rare case that no descriptor was left for the runtime's watch on the listener.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let listener = listener.into_std()?;
    /// assert_eq!(listener.local_addr()?, address);
    /// listener.set_nonblocking(false)?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        self.socket.into_fd().map(net::TcpListener::from)
    }

    /// Waits for a connection and takes it.
    ///
    /// # Errors
    ///
    /// Those of accept(2): `ConnectionAborted` if the client has gone already, and "too many open files". Both
    /// leave the listener as it was. The second is told once a second at most, as long as it lasts: accepts in
    /// between wait, and get their connection some 50 ms after there is a descriptor.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection that this future does not return stays in the kernel's queue for the next accept.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
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
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (_server, from) = poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// assert_eq!(from, client.local_addr()?);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = ready!(self.socket.poll_accept(cx, Who::Last))?;
        Poll::Ready(self.take(accepted))
    }

    /// The connections that come, by one request that goes on, as a stream that never ends.
    ///
    /// Not in tokio. It costs less than an [`accept`](Self::accept) for each: the kernel makes the descriptors as the
    /// connections come. Who connected says the stream's `peer_addr`.
    ///
    /// ```
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let mut incoming = listener.incoming();
    /// for _ in 0..3 {
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let server = incoming.next().await?;
    ///     assert_eq!(client.try_write(b"hello")?, 5);
    ///     server.readable().await?;
    ///     assert_eq!(server.try_read(&mut [0; 16])?, 5);
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_, TcpStream> {
        Incoming::new(&self.socket, |fd| TcpStream::new(fd, Ready::READABLE))
    }

    pub(crate) fn stash(&self) -> Stash {
        self.socket.stash()
    }

    /// Makes a connection of what the kernel has given. Its client has often sent something already.
    fn take(&self, (fd, address): (OwnedFd, SockAddr)) -> io::Result<(TcpStream, SocketAddr)> {
        let fd = self.socket.adopt(fd);
        Ok((
            TcpStream::new(fd, Ready::READABLE),
            op::inet_address(&address)?,
        ))
    }

    /// The address that it listens at.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        op::inet_address(&self.socket.options().local_addr()?)
    }

    /// The time to live (in hops) of the packets that it sends.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.options().ttl_v4()
    }

    /// Sets the time to live (in hops) of the packets that it sends.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// listener.set_ttl(32)?;
    /// assert_eq!(listener.ttl()?, 32);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket.options().set_ttl_v4(hops)
    }
}

descriptors!(TcpListener, net::TcpListener);
