//! A TCP listener.
//!
//! An accept is `accept4(2)` at once. If nobody has connected, a poll operation that belongs to the listener
//! waits, and the accepts that wait are woken one at a time, in the order in which they came. The poll takes
//! nothing from the kernel's queue: a connection leaves the queue only in the call that returns it, so an
//! accept that is dropped can lose none.
//!
//! What is polled is not the listener itself but an epoll instance that has the listener as its only member.
//! An operation in flight keeps its file open, and a listener that stays open after its drop would keep its
//! port: `drop(listener)` followed by `bind` to the same address would fail now and then. The epoll instance
//! does not keep its member open, so dropping the listener closes it, there and then.
//!
//! Rejected: an accept operation in the ring. It needs a stash for the connections that nobody waited for any
//! more; under a full descriptor table it fails at once, whether or not anybody connects; and it keeps the port.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use ringway_runtime::driver::{self, SharedFd};
use ringway_runtime::task::coop;
use socket2::{SockRef, Socket};

use super::{TcpStream, check_nonblocking, no_address};
use crate::addr::{ToSocketAddrs, resolve};
use crate::op;
use crate::ready::poll_events;
use crate::socket::{Readiness, Side, SideState, Waiters, Wakes, Who};
use crate::{Interest, Ready};

/// How many connections the kernel keeps for a listener made by [`TcpListener::bind`] until they are accepted.
///
/// Enough for a burst of clients between two turns of a busy worker. The kernel caps it at `net.core.somaxconn`
/// (4,096 by default); connections beyond it are dropped, and the clients try again after a second.
const BACKLOG: i32 = 1024;

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
    side: Side<Queue>,
    /// Readable when `socket` is; see the module's prose.
    watch: SharedFd,
    socket: Socket,
}

/// What is known of the kernel's queue of connections.
#[derive(Debug, Default)]
struct Queue(Readiness);

impl SideState for Queue {
    const WAKES: Wakes = Wakes::One;

    fn waiters(&mut self) -> &mut Waiters {
        self.0.waiters()
    }
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

    /// Takes a socket that listens.
    #[track_caller]
    pub(super) fn new(socket: Socket) -> io::Result<TcpListener> {
        driver::assert_context();
        let watch = SharedFd::from(op::watch(&socket)?);
        let side = Side::new(Queue(Readiness::new(Ready::READABLE)));
        Ok(TcpListener {
            side,
            watch,
            socket,
        })
    }

    /// Takes over a listener of the standard library, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// If the kernel has no descriptor left for the runtime's watch on the listener.
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
    /// None; the `Result` is there for tokio's sake.
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        Ok(self.socket.into())
    }

    /// Waits for a connection and takes it.
    ///
    /// # Errors
    ///
    /// Those of accept(2): `ConnectionAborted` if the client has gone already, and "too many open files". Both
    /// leave the listener as it was; the second returns at once as long as it lasts, so wait a little before
    /// the next try.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection that this future does not return stays in the kernel's queue for the next accept.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut place = self.side.place();
        let accepted = poll_fn(|cx| self.poll_accept_as(cx, place.who())).await;
        place.leave();
        accepted
    }

    /// Polls for a connection. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept_as(cx, Who::Last)
    }

    /// The address that it listens at.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        op::inet_address(&self.socket.local_addr()?)
    }

    /// The time to live (in hops) of the packets that it sends.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl_v4()
    }

    /// Sets the time to live (in hops) of the packets that it sends.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket.set_ttl_v4(hops)
    }

    fn poll_accept_as(
        &self,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let unit = ready!(coop::poll_proceed(cx));
        let mut queue = self.side.lock();
        let mut operations = self.side.context();
        match self.poll_queue(&mut queue.0, &mut operations) {
            Poll::Pending => {
                let stale = queue.waiters().register(who, cx.waker());
                drop(queue);
                drop(stale);
                Poll::Pending
            }
            Poll::Ready(result) => {
                unit.made_progress();
                // Whoever still waits was not woken for this event, so somebody must see to the next one.
                let others = queue.waiters().has_futures();
                let watched = !others || self.watch(&mut queue.0, &mut operations).is_ok();
                drop(queue);
                if !watched {
                    self.side.hand_on();
                }
                Poll::Ready(result.map(|(fd, address)| (TcpStream::accepted(fd), address)))
            }
        }
    }

    /// Takes a connection from the kernel's queue, or starts the operation that waits for one.
    fn poll_queue(
        &self,
        queue: &mut Readiness,
        operations: &mut Context<'_>,
    ) -> Poll<io::Result<(OwnedFd, SocketAddr)>> {
        queue.settle(operations)?;
        loop {
            if queue.believed().is_readable() {
                match op::accept(&self.socket) {
                    Err(error) if self.is_empty(&error) => {
                        queue.doubt(Ready::READABLE | Ready::READ_CLOSED);
                    }
                    result => return Poll::Ready(result),
                }
            }
            if queue.is_armed() {
                return Poll::Pending;
            }
            self.watch(queue, operations)?;
        }
    }

    fn watch(&self, queue: &mut Readiness, operations: &mut Context<'_>) -> io::Result<()> {
        queue.arm(&self.watch, poll_events(Interest::READABLE), operations)
    }

    /// Whether an accept failed because nobody has connected.
    ///
    /// With a full descriptor table the kernel says so before it looks at its queue. That is an error of this
    /// accept only if there is a connection that it would have returned.
    fn is_empty(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => true,
            Some(libc::EMFILE | libc::ENFILE) => {
                matches!(
                    op::poll_now(&self.socket, poll_events(Interest::READABLE)),
                    Ok(0)
                )
            }
            _ => false,
        }
    }
}

impl TryFrom<net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// As [`TcpListener::from_std`].
    #[track_caller]
    fn try_from(listener: net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

// A panic in a waker leaves the lock's state whole: wakers are called outside of it.
impl UnwindSafe for TcpListener {}
impl RefUnwindSafe for TcpListener {}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TcpListener");
        if let Ok(address) = self.local_addr() {
            debug.field("addr", &address);
        }
        debug.field("fd", &SockRef::from(self).as_raw_fd()).finish()
    }
}
