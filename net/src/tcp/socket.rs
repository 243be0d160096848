//! A TCP socket before it connects or listens, for its options.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::time::Duration;

use socket2::Socket;

use super::{TcpListener, TcpStream};
use crate::op;
use crate::socket::options;

/// A TCP socket that is not connected and does not listen yet, to set options that must be set before.
///
/// ```
/// use ringway_net::TcpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseport(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(64)?;
///
/// let client = TcpSocket::new_v4()?;
/// client.set_nodelay(true)?;
/// let client = client.connect(listener.local_addr()?).await?;
/// assert!(client.nodelay()?);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use ringway_net::TcpSocket;
///
/// // Each option is set by one function, and told by another.
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.set_reuseport(true)?;
/// socket.set_keepalive(true)?;
/// socket.set_nodelay(true)?;
/// socket.set_tos_v4(0x10)?;
/// assert!(socket.reuseaddr()? && socket.reuseport()? && socket.keepalive()? && socket.nodelay()?);
/// assert_eq!(socket.tos_v4()?, 0x10);
///
/// // The same of IPv6, on a machine that has it.
/// if let Ok(socket) = TcpSocket::new_v6() {
///     socket.set_tclass_v6(0x10)?;
///     assert_eq!(socket.tclass_v6()?, 0x10);
/// }
/// # Ok(())
/// # }
/// ```
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// A new IPv4 socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new_for(SocketAddr::from(([0; 4], 0)))
    }

    /// A new IPv6 socket.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use ringway_net::TcpSocket;
    ///
    /// // A machine without IPv6 says so.
    /// match TcpSocket::new_v6() {
    ///     Ok(socket) => assert!(socket.local_addr()?.is_ipv6()),
    ///     Err(error) => eprintln!("no IPv6 here: {error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new_for(SocketAddr::from(([0; 16], 0)))
    }

    fn new_for(address: SocketAddr) -> io::Result<TcpSocket> {
        op::stream_socket(&address).map(TcpSocket::from_socket)
    }

    /// Takes over a socket of the standard library that is a stream by type only: neither connected nor
    /// listening. It must be non-blocking.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpSocket};
    /// use socket2::{Domain, Socket, Type};
    ///
    /// // An option that `TcpSocket` has no function for.
    /// let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    /// socket.set_tcp_user_timeout(Some(std::time::Duration::from_secs(10)))?;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpSocket::from_std_stream(socket.into())
    ///     .connect(listener.local_addr()?)
    ///     .await?;
    /// assert_eq!(client.peer_addr()?, listener.local_addr()?);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn from_std_stream(stream: net::TcpStream) -> TcpSocket {
        TcpSocket::from_socket(Socket::from(stream))
    }

    pub(crate) fn from_socket(socket: Socket) -> TcpSocket {
        TcpSocket { socket }
    }

    fn options(&self) -> &Socket {
        &self.socket
    }

    options! {
        set_keepalive, keepalive, bool, set_keepalive, keepalive,
        "Sends probes on an idle connection, or not (`SO_KEEPALIVE`).",
        "Whether probes are sent on an idle connection (`SO_KEEPALIVE`).";

        set_reuseaddr, reuseaddr, bool, set_reuse_address, reuse_address,
        "Lets [`bind`](Self::bind) take an address that closed connections still hold (`SO_REUSEADDR`).",
        "Whether [`bind`](Self::bind) may take an address that closed connections still hold (`SO_REUSEADDR`).";

        set_reuseport, reuseport, bool, set_reuse_port, reuse_port,
        "Lets several sockets bind to one address, and share what comes in (`SO_REUSEPORT`).",
        "Whether several sockets may bind to one address (`SO_REUSEPORT`).";

        set_nodelay, nodelay, bool, set_tcp_nodelay, tcp_nodelay,
        "Sends small writes at once, or lets the kernel gather them (`TCP_NODELAY`).",
        "Whether small writes are sent at once (`TCP_NODELAY`).";

        set_tclass_v6, tclass_v6, u32, set_tclass_v6, tclass_v6,
        "Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).",
        "The traffic class of IPv6 packets (`IPV6_TCLASS`).";

        set_tos_v4, tos_v4, u32, set_tos_v4, tos_v4,
        "Sets the type of service of IPv4 packets (`IP_TOS`).",
        "The type of service of IPv4 packets (`IP_TOS`).";
    }

    /// The former name of [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[deprecated(note = "it is for IPv4 only: use set_tos_v4")]
    #[doc(hidden)]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The former name of [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[deprecated(note = "it is for IPv4 only: use tos_v4")]
    #[doc(hidden)]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Asks for a send buffer of `bytes`; the kernel doubles it, and caps it at `net.core.wmem_max`.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use ringway_net::TcpSocket;
    ///
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_send_buffer_size(16 * 1024)?;
    /// socket.set_recv_buffer_size(16 * 1024)?;
    /// assert!(socket.send_buffer_size()? >= 16 * 1024);
    /// assert!(socket.recv_buffer_size()? >= 16 * 1024);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.socket.set_send_buffer_size(bytes as usize)
    }

    /// The size of the send buffer in bytes, as the kernel counts it.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.send_buffer_size().map(saturating)
    }

    /// Asks for a receive buffer of `bytes`; the kernel doubles it, and caps it at `net.core.rmem_max`.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_recv_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes as usize)
    }

    /// The size of the receive buffer in bytes, as the kernel counts it.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.recv_buffer_size().map(saturating)
    }

    /// Sets how long a close waits for unsent bytes, in whole seconds; `None` sends them in the background.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # #![allow(deprecated)]
    /// use std::time::Duration;
    /// use ringway_net::TcpSocket;
    ///
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_linger(Some(Duration::from_secs(1)))?;
    /// assert_eq!(socket.linger()?, Some(Duration::from_secs(1)));
    /// # Ok(())
    /// # }
    /// ```
    #[deprecated = "a lingering close blocks the thread that drops the connection; set_zero_linger does not"]
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(duration)
    }

    /// Makes the close a reset: unsent bytes are thrown away, and the peer gets an error.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use ringway_net::TcpSocket;
    ///
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_zero_linger()?;
    /// assert_eq!(socket.linger()?, Some(Duration::ZERO));
    /// assert!(socket.take_error()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// How long a close waits for unsent bytes (`SO_LINGER`); `None` if it sends them in the background.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// The name of the network interface that it is tied to (`SO_BINDTODEVICE`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use ringway_net::TcpSocket;
    ///
    /// let socket = TcpSocket::new_v4()?;
    /// assert_eq!(socket.device()?, None, "any interface will do");
    /// // Some kernels ask for a privilege.
    /// if socket.bind_device(Some(b"lo")).is_ok() {
    ///     assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..]));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.socket.device()
    }

    /// Ties it to a network interface, or to none (`SO_BINDTODEVICE`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(interface)
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        op::inet_address(&self.socket.local_addr()?)
    }

    /// Takes the error that the kernel has noted for this socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Binds it to `address`. Nothing is set for you: see [`set_reuseaddr`](Self::set_reuseaddr).
    ///
    /// # Errors
    ///
    /// Those of bind(2).
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&address.into())
    }

    /// Connects it to `address`.
    ///
    /// # Errors
    ///
    /// Those of connect(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up, and closes the socket.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_socket(self.socket.into(), address).await
    }

    /// Listens, and lets the kernel keep up to `backlog` connections that are not accepted yet.
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket
            .listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::new(self.socket)
    }
}

fn saturating(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}
