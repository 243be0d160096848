//! The connections of a listener as a stream: one request in the ring, which goes on.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ringway_runtime::driver::{Feature, Many, SharedFd, features, is_shutdown};
use ringway_runtime::task::coop;

use crate::op::AcceptMany;
use crate::socket::{Listener, Taker, WaitingAccept, is_shortage};

/// The connections of a listener: [`TcpListener::incoming`](crate::TcpListener::incoming) and
/// [`UnixListener::incoming`](crate::UnixListener::incoming).
///
/// It is a [`Stream`] that never ends, and [`next`](Self::next) is there without an import.
///
/// The kernel takes connections as they come, whether anybody asks for them or not, and makes their descriptors with no
/// call of the task's own. At most some 64 wait here, then it is left to the listener's own queue until they were taken. On
/// a kernel without multishot accepts (before 5.19), and without io_uring, each is an `accept` of the listener's.
///
/// # Dropping
///
/// Safe: no connection is lost. Those in the kernel's queue stay there; those that the kernel has given to this request,
/// and that nobody has taken, go to the listener's next accept, of whichever kind. If the listener is dropped too they
/// are closed, and its address is free as soon as the kernel has answered the cancel, not at once.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use ringway_net::{UnixListener, UnixStream};
///
/// let name = format!("\0example of incoming, {}", std::process::id());
/// let listener = UnixListener::bind(&name)?;
/// let mut incoming = listener.incoming();
/// for _ in 0..3 {
///     let _client = UnixStream::connect(&name).await?;
///     let server = incoming.next().await?;
///     assert!(server.peer_addr()?.is_unnamed());
/// }
/// // One that nobody takes here goes to the next accept.
/// let _client = UnixStream::connect(&name).await?;
/// drop(incoming);
/// listener.accept().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "nothing is accepted unless it is polled"]
pub struct Incoming<'a, S> {
    listener: &'a Listener,
    make: fn(SharedFd) -> S,
    /// Connections that others had won and could not use.
    taker: Taker,
    way: Way<'a>,
}

enum Way<'a> {
    /// Nothing is under way.
    Idle,
    /// A request that goes on.
    Many(Many<AcceptMany>),
    /// One accept of the listener's own.
    One(WaitingAccept<'a>),
}

impl<'a, S> Incoming<'a, S> {
    pub(crate) fn new(listener: &'a Listener, make: fn(SharedFd) -> S) -> Incoming<'a, S> {
        Incoming {
            listener,
            make,
            taker: listener.stash().taker(),
            way: Way::Idle,
        }
    }

    /// Waits for the next connection. Who connected says the stream's `peer_addr`.
    ///
    /// # Errors
    ///
    /// Those of accept(2), and if the runtime is shutting down. An error ends nothing: the next call tries again. "Too
    /// many open files" is told once a second at most, as long as it lasts; calls in between wait.
    ///
    /// # Panics
    ///
    /// The first call panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection that this future does not return waits for the next call.
    pub async fn next(&mut self) -> io::Result<S> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next connection.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Panics
    ///
    /// As [`next`](Self::next).
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
    /// let mut incoming = listener.incoming();
    /// let server = poll_fn(|cx| incoming.poll_next(cx)).await?;
    /// assert_eq!(server.peer_addr()?, client.local_addr()?);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
        let unit = ready!(coop::poll_proceed(cx));
        let accepted = match self.taker.poll_take(cx) {
            Some(connection) => Ok(connection),
            None => ready!(self.poll_accept(cx)),
        };
        unit.made_progress();
        Poll::Ready(accepted.map(|connection| (self.make)(self.listener.adopt(connection))))
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        loop {
            match &mut self.way {
                Way::Idle => self.way = self.begin(),
                Way::One(one) => {
                    let accepted = ready!(one.poll(cx));
                    self.way = Way::Idle;
                    return Poll::Ready(accepted.map(|(connection, _)| connection));
                }
                Way::Many(many) => match ready!(many.poll_next(cx)) {
                    Some(Ok(mut parcel)) => {
                        let connection = parcel.take();
                        return Poll::Ready(Ok(connection.expect("it is filled when it is made")));
                    }
                    None => self.way = Way::Idle,
                    Some(Err(error)) => self.judge(error)?,
                },
            }
        }
    }

    /// What the error means that has ended the request.
    fn judge(&mut self, error: io::Error) -> io::Result<()> {
        self.way = Way::Idle;
        if is_shortage(&error) {
            // The listener's own accepts know when to tell, and to rest.
            self.way = Way::One(self.listener.waiting_accept());
            return Ok(());
        }
        match error.raw_os_error() {
            Some(libc::ECANCELED | libc::EINTR) if !is_shutdown(&error) => Ok(()),
            _ => Err(error),
        }
    }

    fn begin(&self) -> Way<'a> {
        if features().has(Feature::MultishotAccept) {
            let (fd, stash) = (self.listener.fd(), self.listener.stash());
            Way::Many(Many::new(AcceptMany::new(fd, stash)))
        } else {
            Way::One(self.listener.waiting_accept())
        }
    }
}

impl<S> Stream for Incoming<'_, S> {
    type Item = io::Result<S>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<S>>> {
        Incoming::poll_next(self.get_mut(), cx).map(Some)
    }
}

impl<S> fmt::Debug for Incoming<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("fd", self.listener.fd())
            .finish_non_exhaustive()
    }
}
