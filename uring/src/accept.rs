//! Accepting: one connection, or all that come.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ringway_net::seam::{Listening, Stash, Taker};
use ringway_runtime::driver::{Feature, Many, SharedFd, features};
use ringway_runtime::task::coop;
use ringway_timer::Sleep;

use crate::op::accept::{Accept, AcceptMany};
use crate::receive::ended_for_nothing;
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
/// Nothing happens before it is first polled. On a kernel without multishot accepts (before 5.19) it makes one request
/// after the other.
pub fn accept_multi<L: Listening + 'static>(listener: &L) -> AcceptMulti<L> {
    AcceptMulti {
        fd: listener.shared_fd().clone(),
        taker: listener.stash().taker(),
        stash: listener.stash(),
        state: Accepting::Idle,
    }
}

/// The connections of a listener: [`accept_multi`].
///
/// The kernel takes connections as they come, whether anybody asks for them or not. At most some 64 wait here, then it is
/// left to the listener's own queue until they were taken. While the request is in flight it holds the listener's
/// descriptor: after both were dropped the address is free as soon as the kernel has answered the cancel, not at once.
///
/// # Dropping
///
/// Safe: no connection is lost. Those in the kernel's queue stay there; those that the kernel has given to this request,
/// and that nobody has taken, go to the listener's next accept of either face. If the listener is gone too they are closed.
#[must_use = "nothing is accepted unless it is polled"]
pub struct AcceptMulti<L: Listening + 'static> {
    fd: SharedFd,
    stash: Stash,
    taker: Taker,
    state: Accepting<L>,
}

enum Accepting<L: Listening + 'static> {
    Idle,
    Many(Many<AcceptMany>),
    One(Request<Accept<L>>),
}

impl<L: Listening + 'static> AcceptMulti<L> {
    /// Waits for the next connection. Who connected says the stream's `peer_addr`.
    ///
    /// # Errors
    ///
    /// Those of accept(2), and if the runtime is shutting down. An error ends nothing: the next call tries again. "Too many
    /// open files" comes at once as long as it lasts, so wait a little then.
    ///
    /// # Panics
    ///
    /// The first call panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection that this future does not return waits for the next call.
    pub async fn next(&mut self) -> io::Result<L::Stream> {
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
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<L::Stream>> {
        let unit = ready!(coop::poll_proceed(cx));
        let accepted = match self.taker.poll_take(cx) {
            Some(connection) => Ok(L::stream(connection, self.fd.home())),
            None => ready!(self.poll_accept(cx)),
        };
        unit.made_progress();
        Poll::Ready(accepted)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<L::Stream>> {
        loop {
            let many = match &mut self.state {
                Accepting::Many(many) => many,
                Accepting::One(one) => {
                    let accepted = ready!(Pin::new(one).poll(cx));
                    self.state = Accepting::Idle;
                    return Poll::Ready(accepted);
                }
                Accepting::Idle => {
                    self.state = self.begin();
                    continue;
                }
            };
            match ready!(many.poll_next(cx)) {
                Some(Ok(mut parcel)) => {
                    let connection = parcel.take().expect("a parcel is filled when it is made");
                    return Poll::Ready(Ok(L::stream(connection, self.fd.home())));
                }
                Some(Err(error)) if ended_for_nothing(&error) => {}
                Some(Err(error)) => {
                    self.state = Accepting::Idle;
                    return Poll::Ready(Err(error));
                }
                None => self.state = Accepting::Idle,
            }
        }
    }

    fn begin(&self) -> Accepting<L> {
        if features().has(Feature::MultishotAccept) {
            Accepting::Many(Many::new(AcceptMany::new(&self.fd, self.stash.clone())))
        } else {
            Accepting::One(Request::new(Accept::new(&self.fd, self.stash.clone())))
        }
    }
}

impl<L: Listening + 'static> fmt::Debug for AcceptMulti<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptMulti")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}
