//! Accepting: one connection, or all that come.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ringway_net::Incoming;
use ringway_net::seam::{Listening, Taker};
use ringway_runtime::driver::SharedFd;
use ringway_timer::Sleep;

use crate::op::accept::Accept;
use crate::request::InFlight;
use crate::{Cancel, CancelWhen, Request};

/// Takes one connection of a listener. Who connected says the stream's `peer_addr`.
///
/// The kernel makes the connection's descriptor when it comes, with no call of the task's own. While the request is in
/// flight it holds the listener's descriptor: after the listener was dropped its address is free as soon as the kernel has
/// answered the cancel, not at once.
///
/// # Errors
///
/// Those of accept(2), and if the runtime is shutting down. "Too many open files" comes at once, also when nobody has
/// connected.
///
/// # Cancel safety
///
/// Safe: no connection is lost. One that the kernel has given to a request that is gone goes to the listener's next
/// accept of either face, before those that wait in the kernel; if the listener is gone too it is closed.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::{TcpListener, TcpStream};
/// use ringway_uring as uring;
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let server = uring::accept(&listener).await?;
/// assert_eq!(server.peer_addr()?, client.local_addr()?);
///
/// // Nobody else comes.
/// let waited = uring::accept(&listener).cancel_after(std::time::Duration::from_millis(1)).await;
/// assert!(uring::is_cancelled(&waited.unwrap_err()));
/// # Ok(())
/// # })
/// # }
/// ```
pub fn accept<L: Listening + 'static>(listener: &L) -> AcceptOne<L> {
    let stash = listener.stash();
    AcceptOne {
        taker: stash.taker(),
        fd: listener.shared_fd().clone(),
        request: Request::new(Accept::new(listener.shared_fd(), stash)),
    }
}

/// The future of one connection: [`accept`].
///
/// # Panics
///
/// The first poll panics outside a runtime, and a poll after the output was returned may panic.
#[must_use = "nothing is accepted unless it is polled"]
pub struct AcceptOne<L: Listening + 'static> {
    taker: Taker,
    fd: SharedFd,
    request: Request<Accept<L>>,
}

impl<L: Listening + 'static> AcceptOne<L> {
    /// As [`Request::cancel`].
    pub fn cancel(mut self) -> Cancel<Self> {
        self.ask();
        Cancel(self)
    }

    /// As [`Request::cancel_when`].
    pub fn cancel_when<F: Future>(self, when: F) -> CancelWhen<Self, F> {
        CancelWhen::new(self, when)
    }

    /// As [`Request::cancel_after`].
    ///
    /// # Panics
    ///
    /// Outside a runtime, and in one without timers.
    #[track_caller]
    pub fn cancel_after(self, duration: Duration) -> CancelWhen<Self, Sleep> {
        self.cancel_when(ringway_timer::sleep(duration))
    }
}

impl<L: Listening + 'static> InFlight for AcceptOne<L> {
    fn ask(&mut self) {
        self.request.ask();
    }
}

impl<L: Listening + 'static> Future for AcceptOne<L> {
    type Output = io::Result<L::Stream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The request may be in flight, and may have won another one: that goes to the stash when we are dropped.
        if let Some(connection) = self.taker.poll_take(cx) {
            return Poll::Ready(Ok(L::stream(connection, self.fd.home())));
        }
        Pin::new(&mut self.request).poll(cx)
    }
}

impl<L: Listening + 'static> fmt::Debug for AcceptOne<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptOne")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// Takes the connections of a listener, one after the other, by one request that goes on.
///
/// ```
/// # use ringway_net::{TcpListener, TcpStream};
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let mut connections = uring::accept_multi(&listener);
/// for _ in 0..3 {
///     let client = TcpStream::connect(address).await?;
///     let server = connections.next().await?;
///     assert_eq!(server.peer_addr()?, client.local_addr()?);
/// }
/// # Ok(())
/// # })
/// # }
/// ```
///
/// It is the listener's `incoming`. Nothing happens before it is first polled.
pub fn accept_multi<L: Listening>(listener: &L) -> Incoming<'_, L::Stream> {
    listener.incoming()
}
