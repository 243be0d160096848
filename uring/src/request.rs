//! [`Request`]: the future of an operation, and the two ways to end it early without losing anything.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use ringway_runtime::driver::{self, Op};
use ringway_timer::Sleep;

/// What became of one submission.
#[derive(Debug)]
pub enum Round<R, D> {
    /// The request is over.
    Done(D),
    /// There is more to do, by one more submission.
    Again(R),
    /// It is over, and holds what it brought, for it knows where to put that if nobody is left to take it.
    Parcel(R),
}

/// A request that one submission, or several one after the other, carry out. Only this crate implements it.
pub trait Rounds: driver::Operation<Output = Round<Self, Self::Done>> + Sized {
    /// What the caller gets.
    type Done: Send;

    /// Ends it between two submissions, because it was cancelled.
    fn give_up(self) -> Self::Done;

    /// Takes out what a [`Round::Parcel`] holds.
    fn unpack(self) -> Self::Done {
        self.give_up()
    }
}

/// The future of a request to the kernel.
///
/// Nothing happens before it is first polled. Its output contains whatever was handed over, buffers above all, also
/// when the request failed.
///
/// # Dropping and cancelling
///
/// **Dropping** it asks the kernel to give the operation up and does not wait. The buffer stays with the kernel until
/// that has answered, and is freed then: what had been received by it, or how much was sent, is lost. So a request in
/// a `select!` or under a `timeout` that must not lose anything is not dropped but **cancelled**: by
/// [`cancel`](Self::cancel), or beforehand by [`cancel_after`](Self::cancel_after) and
/// [`cancel_when`](Self::cancel_when). Then buffer and result come back: ECANCELED
/// ([`is_cancelled`](crate::is_cancelled)) if the cancel was in time, and the request's own result if not. A result
/// that is there is never thrown away for a cancel that came too late.
///
/// # Panics
///
/// The first poll panics outside a runtime, and a poll after the output was returned panics.
#[must_use = "requests do nothing unless polled"]
pub struct Request<R: Rounds> {
    op: Op<R>,
    is_cancelled: bool,
}

impl<R: Rounds> Request<R> {
    pub(crate) fn new(request: R) -> Self {
        Self {
            op: Op::new(request),
            is_cancelled: false,
        }
    }

    /// Asks the kernel to give the operation up. The future that is returned waits for the answer, which the kernel
    /// mostly has at once; a read of a disk that has begun is finished first.
    ///
    /// A request that was never polled is not submitted any more. To await a request and still be able to cancel it,
    /// await `&mut request`:
    ///
    /// ```
    /// # use ringway_net::UnixStream;
    /// # fn main() -> std::io::Result<()> {
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # let (stream, _peer) = UnixStream::pair()?;
    /// let mut request = ringway_uring::recv(&stream, Vec::with_capacity(4096));
    /// tokio::select! {
    ///     (result, buf) = &mut request => println!("received {:?} of {buf:?}", result?),
    ///     () = ringway_timer::sleep(std::time::Duration::from_millis(1)) => {
    ///         let (result, buf) = request.cancel().await;
    ///         match result {
    ///             Ok(count) => println!("received {count} in the last moment"),
    ///             Err(error) => assert!(ringway_uring::is_cancelled(&error)),
    ///         }
    ///         assert_eq!(buf.capacity(), 4096);
    ///     }
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The future that is returned panics if the request's output was returned already.
    ///
    /// # Cancel safety
    ///
    /// Dropping that future is as dropping the request.
    pub fn cancel(mut self) -> Cancel<Self> {
        self.ask();
        Cancel(self)
    }

    /// Cancels the request as soon as `when` is ready, unless it is over by then; whatever comes of it is returned.
    ///
    /// `when` may be the receiver of a channel, a token's `cancelled()`, a signal: what its output is does not matter.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_net::UnixStream;
    /// use ringway_uring as uring;
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let (stop, stopped) = std::sync::mpsc::channel::<()>();
    /// // Any future: here a job that waits for a word of ours.
    /// let stopped = ringway_runtime::spawn_blocking(move || stopped.recv());
    /// let request = uring::recv(&ours, vec![0; 16]).cancel_when(stopped);
    /// drop(stop);
    /// let (result, _buf) = request.await;
    /// assert!(uring::is_cancelled(&result.unwrap_err()));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn cancel_when<F: Future>(self, when: F) -> CancelWhen<Self, F> {
        CancelWhen::new(self, when)
    }

    /// As [`cancel_when`](Self::cancel_when), when `duration` has passed since this call: a timeout that loses
    /// nothing.
    ///
    /// The clock is the runtime's own, in user space. A timeout in the ring would be one more operation for each
    /// request, linked to it, and a link hides the result of what it cut short.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ringway_net::UnixStream;
    /// # fn main() -> std::io::Result<()> {
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # let (stream, _peer) = UnixStream::pair()?;
    /// let request = ringway_uring::recv(&stream, Vec::with_capacity(64));
    /// let (result, buf) = request.cancel_after(Duration::from_millis(1)).await;
    /// assert!(ringway_uring::is_cancelled(&result.unwrap_err()));
    /// assert_eq!(buf.capacity(), 64);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a runtime, and in one without timers.
    #[track_caller]
    pub fn cancel_after(self, duration: Duration) -> CancelWhen<Self, Sleep> {
        self.cancel_when(ringway_timer::sleep(duration))
    }
}

/// A future that can be told to come to its end. Only this crate implements it.
pub trait InFlight: Future + Unpin {
    /// Asks for the end: the output comes soon, and is whatever had come of it.
    fn ask(&mut self);
}

impl<R: Rounds> InFlight for Request<R> {
    fn ask(&mut self) {
        self.is_cancelled = true;
        self.op.cancel();
    }
}

impl<R: Rounds> Unpin for Request<R> {}

impl<R: Rounds> Future for Request<R> {
    type Output = R::Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R::Done> {
        loop {
            match ready!(Pin::new(&mut self.op).poll(cx)) {
                Round::Done(output) => return Poll::Ready(output),
                Round::Parcel(request) => return Poll::Ready(request.unpack()),
                Round::Again(rest) if self.is_cancelled => return Poll::Ready(rest.give_up()),
                Round::Again(rest) => self.op = Op::new(rest),
            }
        }
    }
}

impl<R: Rounds> fmt::Debug for Request<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("op", &self.op)
            .field("is_cancelled", &self.is_cancelled)
            .finish()
    }
}

/// The future of a request that is being cancelled: [`Request::cancel`]. Its output is the request's.
#[derive(Debug)]
#[must_use = "dropping it drops what the request has to give back"]
pub struct Cancel<T: InFlight>(pub(crate) T);

impl<T: InFlight> Future for Cancel<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

pin_project! {
    /// The future of a request that another future may cancel: [`Request::cancel_when`]. Its output is the request's.
    ///
    /// Dropping it is as dropping the request.
    #[derive(Debug)]
    #[must_use = "requests do nothing unless polled"]
    pub struct CancelWhen<T: InFlight, F> {
        request: T,
        #[pin]
        when: Option<F>,
    }
}

impl<T: InFlight, F: Future> CancelWhen<T, F> {
    pub(crate) fn new(request: T, when: F) -> Self {
        Self {
            request,
            when: Some(when),
        }
    }
}

impl<T: InFlight, F: Future> Future for CancelWhen<T, F> {
    type Output = T::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = Pin::new(&mut *this.request).poll(cx) {
            return Poll::Ready(output);
        }
        let Some(when) = this.when.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        ready!(when.poll(cx));
        this.when.set(None);
        this.request.ask();
        // It may have its answer by now, of which nobody would tell.
        Pin::new(this.request).poll(cx)
    }
}
