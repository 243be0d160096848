//! A UDP socket.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, SharedFd};
use socket2::Socket;
use tokio::io::ReadBuf;

use crate::addr::{ToSocketAddrs, no_address, resolve};
use crate::op;
use crate::socket::{Duplex, Way, adopt, check_nonblocking, descriptors, messages, readiness};
use crate::spread;
use crate::{Interest, Ready};

/// A UDP socket.
///
/// It is used in one of two ways: *connected* ([`connect`](Self::connect)) to one address, with
/// [`send`](Self::send) and [`recv`](Self::recv), or with any number of addresses by [`send_to`](Self::send_to) and
/// [`recv_from`](Self::recv_from).
///
/// All its functions take `&self`: share it in an [`Arc`](std::sync::Arc) to receive in one task and send in another.
/// Any number of tasks may wait; a message goes to one of them. Dropping the socket closes it: its address is free
/// again when `drop` returns.
///
/// # Cancel safety
///
/// A receive that is dropped before it returns has taken no message, and a send that is dropped has sent none.
///
/// ```
/// use ringway_net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.connect(server.local_addr()?).await?;
///
/// client.send(b"how are you?").await?;
/// let mut buffer = [0; 64];
/// let (length, sender) = server.recv_from(&mut buffer).await?;
/// assert_eq!(&buffer[..length], b"how are you?");
///
/// server.send_to(b"fine", sender).await?;
/// assert_eq!(client.recv(&mut buffer).await?, 4);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UdpSocket {
    pub(super) socket: Duplex,
}

impl UdpSocket {
    /// A socket at the first of `address`'s addresses that can be had.
    ///
    /// Port 0 asks the kernel for a free port; [`local_addr`](Self::local_addr) tells which.
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
    pub async fn bind<A: ToSocketAddrs>(address: A) -> io::Result<UdpSocket> {
        let mut last_error = None;
        for address in resolve(address).await? {
            match UdpSocket::bind_to(address) {
                Ok(socket) => return Ok(socket),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(no_address))
    }

    fn bind_to(address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = op::datagram_socket(&address)?;
        socket.bind(&address.into())?;
        UdpSocket::new(socket)
    }

    /// As many sockets at one address as the runtime has workers, to each of which the kernel gives a share of the
    /// messages (`SO_REUSEPORT`).
    ///
    /// Not in tokio. Each socket has a queue of its own, so that tasks that receive at the same time do not wait for each
    /// other in the kernel, and an answer from any of them comes from the same address. Spawn one task for each.
    ///
    /// ```
    /// use ringway_net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let sockets = UdpSocket::bind_per_worker("127.0.0.1:0").await?;
    /// let address = sockets[0].local_addr()?;
    /// for socket in sockets {
    ///     ringway_runtime::spawn(async move {
    ///         let mut buffer = [0; 1500];
    ///         while let Ok((length, sender)) = socket.recv_from(&mut buffer).await {
    ///             let _ = socket.send_to(&buffer[..length], sender).await;
    ///         }
    ///     });
    /// }
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.send_to(b"echo", address).await?;
    /// assert_eq!(client.recv(&mut [0; 16]).await?, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # How messages are spread
    ///
    /// As the connections of [`TcpListener::bind_per_worker`](crate::TcpListener::bind_per_worker): by a hash of both
    /// addresses, so that those of one sender go to one socket.
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
    pub async fn bind_per_worker<A: ToSocketAddrs>(address: A) -> io::Result<Vec<UdpSocket>> {
        spread::bind_per_worker(address, UdpSocket::bind_shared, UdpSocket::new).await
    }

    /// Binds a socket that shares its address with others.
    fn bind_shared(address: SocketAddr) -> io::Result<Socket> {
        let socket = op::datagram_socket(&address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    }

    #[track_caller]
    fn new(socket: Socket) -> io::Result<UdpSocket> {
        Ok(UdpSocket {
            socket: Duplex::new(adopt(socket)?, Ready::EMPTY, Way::Aside),
        })
    }

    /// Takes over a socket of the standard library, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// None at present.
    ///
    /// # Panics
    ///
    /// Outside a runtime; and in debug builds if the socket is blocking.
    ///
    /// ```
    /// use ringway_net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_nonblocking(true)?;
    /// let socket = UdpSocket::from_std(socket)?;
    /// # assert!(socket.local_addr()?.port() > 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: net::UdpSocket) -> io::Result<UdpSocket> {
        check_nonblocking(&socket)?;
        UdpSocket::new(Socket::from(socket))
    }

    /// Turns the socket into one of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// Those of dup(2), in the rare case that no descriptor was left for the runtime's watch on the socket.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let address = socket.local_addr()?;
    /// let socket = socket.into_std()?;
    /// socket.set_nonblocking(false)?;
    /// assert_eq!(socket.local_addr()?, address);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn into_std(self) -> io::Result<net::UdpSocket> {
        self.socket.into_fd().map(net::UdpSocket::from)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        op::inet_address(&self.socket.options().local_addr()?)
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` if there is none.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_eq!(socket.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    /// socket.connect("127.0.0.1:9").await?;
    /// assert_eq!(socket.peer_addr()?.port(), 9);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        op::inet_address(&self.socket.options().peer_addr()?)
    }

    /// Takes the error that the kernel has noted for this socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.take_error()?.is_none());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.options().take_error()
    }

    /// Sets the address that [`send`](Self::send) sends to, and from which alone messages are received.
    ///
    /// Nothing is sent. The first of `address`'s addresses that the kernel accepts is taken.
    ///
    /// # Errors
    ///
    /// Those of name resolution, and that of the last address that was tried.
    ///
    /// # Cancel safety
    ///
    /// Safe: it waits only for name resolution.
    pub async fn connect<A: ToSocketAddrs>(&self, address: A) -> io::Result<()> {
        let mut last_error = None;
        for address in resolve(address).await? {
            match self.socket.options().connect(&address.into()) {
                Ok(()) => return Ok(()),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(no_address))
    }

    readiness!(poll_recv_ready, poll_send_ready);
    messages!(SocketAddr, op::inet_address);

    /// Sends one message to the first of `target`'s addresses.
    ///
    /// # Errors
    ///
    /// Those of name resolution and of sendto(2): a message that is too long (`EMSGSIZE`), and on a connected socket
    /// `ConnectionRefused` if the peer has said so of an earlier message. And if the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropped before it returns, it has sent nothing.
    pub async fn send_to<A: ToSocketAddrs>(&self, bytes: &[u8], target: A) -> io::Result<usize> {
        let target = resolve(target).await?.next().ok_or_else(no_target)?.into();
        self.socket.send(|fd| op::send_to(fd, bytes, &target)).await
    }

    /// Polls to send one message to `target`. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::UdpSocket;
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// let target = server.local_addr()?;
    /// assert_eq!(poll_fn(|cx| client.poll_send_to(cx, b"ping", target)).await?, 4);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let target = target.into();
        self.socket
            .poll_write(cx, 0, |fd| op::send_to(fd, bytes, &target))
    }

    /// Sends one message to `target`, if there is room now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, and as [`send_to`](Self::send_to).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.writable().await?;
    /// assert_eq!(client.try_send_to(b"ping", server.local_addr()?)?, 4);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_send_to(&self, bytes: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.socket
            .try_write(|fd| op::send_to(fd, bytes, &target.into()))
    }
}

descriptors!(UdpSocket, net::UdpSocket);

/// The error of a name that names no address to send to.
fn no_target() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to")
}
