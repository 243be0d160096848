//! Receiving again and again by one request.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ringway_runtime::Process;
use ringway_runtime::driver::{
    AsSharedFd, Birth, Feature, Many, Op, PROVIDED_BYTES, Pool, ProvidedBuf, ProvidedBufs,
    SharedFd, Use, features, provided_buffers, receive_now,
};
use ringway_runtime::task::coop;
use socket2::{SockRef, Type};

use crate::is_cancelled;
use crate::op::receive::{Readable, RecvMany};

/// Receives again and again, by one request that goes on, into buffers of the runtime: as much as comes at a time, up to
/// 4 KiB.
///
/// A connection that is idle holds no buffer, however many there are: the kernel takes one when bytes have come.
///
/// ```
/// # use ringway_net::UnixStream;
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let (ours, theirs) = UnixStream::pair()?;
/// let mut received = uring::recv_multi(&theirs);
/// for word in ["one", "two"] {
///     uring::send_all(&ours, word).await.0?;
///     let buf = received.next().await.expect("no end yet")?;
///     assert_eq!(&buf[..], word.as_bytes());
///     // What was received can be sent as it is; then its memory goes back to the runtime.
///     uring::send_all(&theirs, buf).await.0?;
///     assert_eq!(uring::recv(&ours, Vec::with_capacity(8)).await.1, word.as_bytes());
/// }
/// drop(ours);
/// assert!(received.next().await.is_none());
/// # Ok(())
/// # })
/// # }
/// ```
///
/// Nothing happens before it is first polled. Where there are no such buffers (a kernel before 6.0, a runtime without
/// io_uring), or none are left, it waits for readiness and receives into memory of its own.
///
/// # Panics
///
/// Not here; the first poll does, outside a runtime.
#[track_caller]
pub fn recv_multi(socket: &impl AsSharedFd) -> RecvMulti {
    let fd = socket.shared_fd().clone();
    let is_stream = matches!(SockRef::from(&fd).r#type(), Ok(Type::STREAM));
    RecvMulti {
        fd,
        is_stream,
        bundle: ProvidedBufs::default(),
        state: Receiving::Idle,
        is_stopped: false,
        birth: Birth::here(),
        process: Process::current(),
    }
}

/// What a socket receives, in buffers of the runtime: [`recv_multi`].
///
/// While it is in flight the kernel takes bytes as they come, whether anybody asks for them or not. At most some 32 buffers
/// (128 KiB) wait here, then the rest is left to the socket until they were taken. Of several that receive from one socket,
/// each gets some of the bytes.
///
/// Where the kernel has bundles (6.17) and the socket is a stream, one answer of it brings as many buffers as there were bytes
/// for, which are handed out one by one. One request brings 128 KiB at most and is then made again, so that a flood on one
/// socket takes an eighth of the buffers.
///
/// Drop the buffers soon, or [copy](ProvidedBuf::into_vec) what is to stay: a worker has 256 of them for all its sockets.
/// When none are left, who receives gets memory of its own, at the price of an allocation and a system call.
///
/// # Dropping
///
/// What was received and not taken is lost. To lose nothing, [`stop`](Self::stop) it and take what is left.
#[must_use = "nothing is received unless it is polled"]
pub struct RecvMulti {
    fd: SharedFd,
    is_stream: bool,
    /// What is left of the last answer.
    bundle: ProvidedBufs,
    state: Receiving,
    is_stopped: bool,
    birth: Birth,
    process: Process,
}

enum Receiving {
    Idle,
    Many(Many<RecvMany>),
    /// Without provided buffers, one receive: when this has waited.
    Alone(Op<Readable>),
    /// The last such one has filled its memory, so there is probably more.
    Full,
    Ended,
}

impl RecvMulti {
    /// Waits for the next bytes, or the next message, as far as 4 KiB of it. `None` is the end of a stream, or of what was
    /// received before [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// Those of recv(2), and if the runtime is shutting down. An error ends nothing: the next call tries again.
    ///
    /// # Panics
    ///
    /// The first call panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: bytes that this future does not return wait for the next call.
    pub async fn next(&mut self) -> Option<io::Result<ProvidedBuf>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next bytes.
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
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let mut received = ringway_uring::recv_multi(&ours);
    /// theirs.try_write(b"hello")?;
    /// let bytes = poll_fn(|cx| received.poll_next(cx)).await.expect("not the end")?;
    /// assert_eq!(&bytes[..], b"hello");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<ProvidedBuf>>> {
        let unit = ready!(coop::poll_proceed(cx));
        let received = ready!(self.poll_receive(cx));
        unit.made_progress();
        Poll::Ready(received)
    }

    /// Asks the kernel to end the request. [`next`](Self::next) hands out what had been received until then, and `None` after
    /// that; what comes later stays in the socket, for whoever receives from it next.
    ///
    /// Does not wait.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let mut received = ringway_uring::recv_multi(&ours);
    /// theirs.try_write(b"for us")?;
    /// assert_eq!(&received.next().await.expect("not the end")?[..], b"for us");
    /// received.stop();
    /// assert!(received.next().await.is_none());
    /// // Whoever reads now gets what comes now.
    /// theirs.try_write(b"for others")?;
    /// ours.readable().await?;
    /// assert_eq!(ours.try_read(&mut [0; 16])?, 10);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn stop(&mut self) {
        self.is_stopped = true;
        match &mut self.state {
            Receiving::Many(many) => many.cancel(),
            Receiving::Idle | Receiving::Alone(_) | Receiving::Full => {
                self.state = Receiving::Ended
            }
            Receiving::Ended => {}
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<ProvidedBuf>>> {
        loop {
            if let Some(buf) = self.bundle.next() {
                return Poll::Ready(Some(Ok(buf)));
            }
            let result = match &mut self.state {
                Receiving::Idle => {
                    self.state = match self.pool() {
                        Some(pool) => self.many(pool),
                        None => self.alone(),
                    };
                    continue;
                }
                Receiving::Many(many) => match ready!(many.poll_next(cx)) {
                    Some(result) => result.map(|mut bundle| {
                        let first = bundle.next();
                        self.bundle = bundle;
                        first.unwrap_or_else(|| ProvidedBuf::from_vec(Vec::new()))
                    }),
                    None => {
                        self.state = self.after_many();
                        continue;
                    }
                },
                Receiving::Alone(readable) => {
                    let waited = ready!(Pin::new(readable).poll(cx));
                    self.state = Receiving::Idle;
                    match waited {
                        Ok(()) => self.receive_alone(),
                        Err(error) if ended_for_nothing(&error) => continue,
                        // Whatever a receive would do about it, it would be to wait.
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
                Receiving::Full => {
                    self.state = Receiving::Idle;
                    // In a forked child what comes is the parent's, which the next wait says.
                    if self.pool().is_some() || !self.process.is_current() {
                        continue;
                    }
                    self.receive_alone()
                }
                Receiving::Ended => return Poll::Ready(None),
            };
            match self.judge(result) {
                Some(received) => return Poll::Ready(received),
                None => continue,
            }
        }
    }

    /// Into memory of its own, what is there.
    fn receive_alone(&mut self) -> io::Result<ProvidedBuf> {
        let received = receive_now(&self.fd)?;
        if received.len() == PROVIDED_BYTES {
            self.state = Receiving::Full;
        }
        Ok(received)
    }

    /// What an answer means for who waits; nothing, if it is only a reason to go on.
    #[expect(
        clippy::option_option,
        reason = "no answer yet, and the end of the stream, are two things"
    )]
    fn judge(
        &mut self,
        result: io::Result<ProvidedBuf>,
    ) -> Option<Option<io::Result<ProvidedBuf>>> {
        match result {
            Ok(buf) if buf.is_empty() && self.is_stream => {
                self.state = Receiving::Ended;
                Some(None)
            }
            Ok(buf) => Some(Some(Ok(buf))),
            Err(error) if ended_for_nothing(&error) => None,
            Err(error) => match error.raw_os_error() {
                // All buffers are out, and the next bytes come into memory of their own; or somebody else was faster.
                Some(libc::ENOBUFS | libc::EAGAIN) => {
                    self.state = match self.is_stopped {
                        false => self.alone(),
                        true => Receiving::Ended,
                    };
                    None
                }
                _ => {
                    self.state = self.after_many();
                    Some(Some(Err(error)))
                }
            },
        }
    }

    fn after_many(&self) -> Receiving {
        if self.is_stopped {
            Receiving::Ended
        } else {
            Receiving::Idle
        }
    }

    /// The buffers to receive into, if there are any. A message comes in one of them, and the rest of it is lost.
    fn pool(&self) -> Option<Pool> {
        let features = features();
        if !features.has(Feature::MultishotReceive) {
            return None;
        }
        let purpose = match self.is_stream && features.has(Feature::Bundles) {
            true => Use::Bundles,
            false => Use::Single,
        };
        let pool = provided_buffers(self.fd.home(), purpose, self.birth);
        pool.filter(Pool::has_free)
    }

    fn many(&self, pool: Pool) -> Receiving {
        Receiving::Many(Many::born(RecvMany::new(&self.fd, pool), self.birth))
    }

    fn alone(&self) -> Receiving {
        Receiving::Alone(Op::new(Readable::new(&self.fd)))
    }
}

impl fmt::Debug for RecvMulti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMulti")
            .field("fd", &self.fd)
            .field("is_stopped", &self.is_stopped)
            .finish_non_exhaustive()
    }
}

/// A request that nobody cancelled ended so, or a signal did it: it is made again.
fn ended_for_nothing(error: &io::Error) -> bool {
    is_cancelled(error) || error.kind() == io::ErrorKind::Interrupted
}
