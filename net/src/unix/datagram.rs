//! A Unix datagram socket.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, Op, SharedFd};
use ringway_runtime::task::coop;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::ReadBuf;

use super::SocketAddr;
use super::address::kernel_address;
use crate::op::{self, PollOnce};
use crate::ready::poll_events;
use crate::socket::{Duplex, Way, adopt, check_nonblocking, descriptors, messages, readiness};
use crate::{Interest, Ready};

/// A socket for messages within this machine. They keep their order, and none is lost: a full receiver makes senders
/// wait.
///
/// All its functions take `&self`: share it in an [`Arc`](std::sync::Arc) to receive in one task and send in another.
///
/// # Cancel safety
///
/// A receive that is dropped before it returns has taken no message, and a send that is dropped has sent none.
///
/// ```
/// use ringway_net::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (one, two) = UnixDatagram::pair()?;
/// one.send(b"how are you?").await?;
/// let mut buffer = [0; 64];
/// let length = two.recv(&mut buffer).await?;
/// assert_eq!(&buffer[..length], b"how are you?");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixDatagram {
    socket: Duplex,
}

impl UnixDatagram {
    /// A socket at `path`, which it makes. A path that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// Those of bind(2): `AddrInUse` if there is something at that path, `PermissionDenied`, `NotFound`. And
    /// `InvalidInput` for a path that is too long.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UnixDatagram;
    ///
    /// let name = |who: &str| format!("\0{who} of process {}", std::process::id());
    /// let server = UnixDatagram::bind(name("server"))?;
    /// let client = UnixDatagram::bind(name("client"))?;
    /// client.connect(name("server"))?;
    /// client.send(b"ping").await?;
    ///
    /// let mut buffer = [0; 16];
    /// let (length, sender) = server.recv_from(&mut buffer).await?;
    /// assert_eq!(sender.as_abstract_name(), client.local_addr()?.as_abstract_name());
    /// assert_eq!(client.peer_addr()?.as_abstract_name(), server.local_addr()?.as_abstract_name());
    /// assert_eq!(server.send_to(&buffer[..length], name("client")).await?, 4);
    /// assert_eq!(client.recv(&mut buffer).await?, 4);
    /// assert!(client.take_error()?.is_none());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let socket = op::new_socket(Domain::UNIX, Type::DGRAM, None)?;
        socket.bind(&kernel_address(path)?)?;
        UnixDatagram::new(socket)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let (one, two) = Socket::pair_raw(Domain::UNIX, kind, None)?;
        Ok((UnixDatagram::new(one)?, UnixDatagram::new(two)?))
    }

    /// A socket without an address, which can send, but can be answered only if it is connected.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UnixDatagram;
    ///
    /// let name = format!("\0nobody's friend, {}", std::process::id());
    /// let server = UnixDatagram::bind(&name)?;
    /// let client = UnixDatagram::unbound()?;
    /// assert_eq!(client.try_send_to(b"ping", &name)?, 4);
    /// let (_, sender) = server.recv_from(&mut [0; 16]).await?;
    /// assert!(sender.is_unnamed(), "no answer can be sent");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        op::new_socket(Domain::UNIX, Type::DGRAM, None).and_then(UnixDatagram::new)
    }

    #[track_caller]
    pub(super) fn new(socket: Socket) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram {
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
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UnixDatagram;
    ///
    /// let (one, two) = std::os::unix::net::UnixDatagram::pair()?;
    /// one.set_nonblocking(true)?;
    /// let one = UnixDatagram::from_std(one)?;
    /// two.send(b"hello")?;
    /// assert_eq!(one.recv(&mut [0; 16]).await?, 5);
    ///
    /// let one = one.into_std()?;
    /// one.set_nonblocking(false)?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        check_nonblocking(&socket)?;
        UnixDatagram::new(Socket::from(socket))
    }

    /// Turns the socket into one of the standard library, which stays non-blocking.
    ///
    /// # Errors
    ///
    /// Those of dup(2), in the rare case that no descriptor was left for the runtime's watch on the socket.
    pub fn into_std(self) -> io::Result<net::UnixDatagram> {
        self.socket.into_fd().map(net::UnixDatagram::from)
    }

    /// Sets the address that [`send`](Self::send) sends to, and from which alone messages are received.
    ///
    /// # Errors
    ///
    /// Those of connect(2): `NotFound`, `ConnectionRefused`, `PermissionDenied`. And `InvalidInput` for a path that is
    /// too long.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.socket.options().connect(&kernel_address(path)?)
    }

    /// Ends one or both directions.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `NotConnected` if it is not connected.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use std::net::Shutdown;
    /// use ringway_net::UnixDatagram;
    ///
    /// let (one, two) = UnixDatagram::pair()?;
    /// one.shutdown(Shutdown::Write)?;
    /// assert_eq!(one.send(b"too late").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    /// # drop(two);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.options().shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::from_kernel(&self.socket.options().local_addr()?)
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::from_kernel(&self.socket.options().peer_addr()?)
    }

    /// Takes the error that the kernel has noted for this socket, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.options().take_error()
    }

    readiness!(poll_recv_ready, poll_send_ready);
    messages!(SocketAddr, SocketAddr::from_kernel);

    /// Sends one message to the socket at `target`.
    ///
    /// # Errors
    ///
    /// Those of sendto(2): `NotFound`, `ConnectionRefused` if no socket is there any more, a message that is too long
    /// (`EMSGSIZE`). And if the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropped before it returns, it has sent nothing.
    pub async fn send_to<P: AsRef<Path>>(&self, bytes: &[u8], target: P) -> io::Result<usize> {
        let target = kernel_address(target)?;
        loop {
            poll_fn(coop::poll_charge).await;
            let send = |fd: &_| op::send_to(fd, bytes, &target);
            match self.socket.try_write(send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.room_at(&target).await?;
                }
                result => return result,
            }
        }
    }

    /// Waits until the socket at `target` has room for a message, or this one for those that it has sent.
    ///
    /// A poll of this socket does not tell of the room at the other end, unless it is connected to that; and each send
    /// that finds none looks to it like a message that was received. So another one, which is, is polled in its place.
    async fn room_at(&self, target: &SockAddr) -> io::Result<()> {
        let events = poll_events(Interest::WRITABLE);
        if op::poll_now(self.socket.fd(), events)? == 0 {
            return self.writable().await;
        }
        let probe = op::new_socket(Domain::UNIX, Type::DGRAM, None)?;
        probe.connect(target)?;
        let probe = SharedFd::at_home(probe.into(), self.socket.fd().home());
        Op::new(PollOnce::new(probe, events)).await.map(drop)
    }

    /// Polls to send one message to the socket at `target`. Of several callers, only the last one's task is woken.
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
    /// use ringway_net::UnixDatagram;
    ///
    /// let name = format!("\0example of a poll, {}", std::process::id());
    /// let server = UnixDatagram::bind(&name)?;
    /// let client = UnixDatagram::unbound()?;
    /// assert_eq!(poll_fn(|cx| client.poll_send_to(cx, b"ping", &name)).await?, 4);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        let target = kernel_address(target)?;
        self.socket
            .poll_write(cx, 0, |fd| op::send_to(fd, bytes, &target))
    }

    /// Sends one message to the socket at `target`, if there is room now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, and as [`send_to`](Self::send_to).
    pub fn try_send_to<P: AsRef<Path>>(&self, bytes: &[u8], target: P) -> io::Result<usize> {
        let target = kernel_address(target)?;
        self.socket.try_write(|fd| op::send_to(fd, bytes, &target))
    }
}

descriptors!(UnixDatagram, net::UnixDatagram);
