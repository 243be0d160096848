//! From one stream to another without a copy: [`splice`] and [`splice_bidirectional`].
//!
//! The kernel's way is splice(2): from a socket into a pipe, which then refers to the pages that were received, and from
//! the pipe into the other socket, which sends from those pages. Neither call waits: readiness does, as for reads and
//! writes. Each direction is a [`Flow`], which has a pipe from its first bytes on, and empties it before it takes more.
//!
//! Rejected: the splice in the ring. The kernel hands each to a thread of its own, which costs some 15 µs.

mod ends;
mod flow;
mod pipe;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use ends::{SpliceSink, SpliceSource};

use flow::Flow;

/// Moves all that comes from `source` to `sink`, until the end of the source; returns how many bytes that were. As
/// tokio's `io::copy`, but the bytes never pass through the process.
///
/// Source and sink are streams of this module: [`TcpStream`](crate::TcpStream), [`UnixStream`](crate::UnixStream), their
/// halves, and pipes. The sink is not shut down.
///
/// It takes two descriptors from the first bytes on. For bulk it costs a fraction of a copy; for small messages as much.
///
/// Not in tokio.
///
/// # Errors
///
/// Those of splice(2): `BrokenPipe` and `ConnectionReset` if the sink or the source is gone, "too many open files"; and if
/// the runtime is shutting down. What had been taken from the source and was not given to the sink is lost then.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future loses what it has taken from the source and not given to the sink: what its pipe holds, 64 KiB at
/// most ([`Splice::held`] tells). The source and the sink can be used after that. To lose nothing, await `&mut` the future,
/// and if it is to end before the source does, [`stop`](Splice::stop) it and await it once more.
///
/// ```
/// use ringway_net::{UnixStream, splice};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (mut client, mut front) = UnixStream::pair()?;
/// let (mut back, mut server) = UnixStream::pair()?;
/// client.write_all(b"a request").await?;
/// client.shutdown().await?;
/// assert_eq!(splice(&mut front, &mut back).await?, 9);
/// drop(back);
/// let mut heard = String::new();
/// server.read_to_string(&mut heard).await?;
/// assert_eq!(heard, "a request");
/// # Ok(())
/// # })
/// # }
/// ```
pub fn splice<'a, A: SpliceSource, B: SpliceSink>(
    source: &'a mut A,
    sink: &'a mut B,
) -> Splice<'a, A, B> {
    Splice {
        source,
        sink,
        flow: Flow::default(),
    }
}

/// The future of [`splice`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use std::future::{Future, poll_fn};
/// use std::pin::Pin;
/// use std::task::Poll;
/// use ringway_net::{UnixStream, splice};
///
/// let (client, mut front) = UnixStream::pair()?;
/// let (mut back, server) = UnixStream::pair()?;
/// client.try_write(b"a request")?;
/// let mut splice = splice(&mut front, &mut back);
/// // As far as it goes without a wait.
/// poll_fn(|cx| {
///     let _ = Pin::new(&mut splice).poll(cx);
///     Poll::Ready(())
/// })
/// .await;
/// // It is enough: what was taken is delivered, and no more is taken.
/// splice.stop();
/// assert_eq!((&mut splice).await?, splice.moved());
/// assert_eq!(splice.held(), 0);
/// # drop((client, server));
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "nothing is moved unless it is polled"]
pub struct Splice<'a, A, B> {
    source: &'a mut A,
    sink: &'a mut B,
    flow: Flow,
}

impl<A: SpliceSource, B: SpliceSink> Splice<'_, A, B> {
    /// How many bytes the sink has got.
    pub fn moved(&self) -> u64 {
        self.flow.moved()
    }

    /// How many bytes were taken from the source that the sink has not got yet.
    pub fn held(&self) -> usize {
        self.flow.held()
    }

    /// Takes no more from the source: the future is ready as soon as the sink has got what was taken.
    pub fn stop(&mut self) {
        self.flow.stop();
    }
}

impl<A: SpliceSource, B: SpliceSink> Future for Splice<'_, A, B> {
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        ready!(this.flow.poll(cx, this.source.end().0, this.sink.end().0))?;
        Poll::Ready(Ok(this.flow.moved()))
    }
}

impl<A, B> fmt::Debug for Splice<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splice")
            .field("flow", &self.flow)
            .finish_non_exhaustive()
    }
}

/// Moves all that comes from either stream to the other one, and the end of either too, until both have ended; returns how
/// many bytes went from `a` to `b` and from `b` to `a`. As tokio's `io::copy_bidirectional`, but the bytes never pass
/// through the process: for proxies.
///
/// The end of one direction is passed on by a shutdown of the other stream for writing, when it has got all bytes, and
/// the other direction goes on. Each direction takes two descriptors from its first bytes on.
///
/// Not in tokio.
///
/// # Errors
///
/// As [`splice`], of either direction: the first error ends both.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// As [`splice`], for each direction.
///
/// ```
/// use ringway_net::{TcpListener, TcpStream, splice_bidirectional};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let backend = TcpListener::bind("127.0.0.1:0").await?;
/// # let backend_address = backend.local_addr()?;
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # drop(std::net::TcpStream::connect(listener.local_addr()?)?);
/// # let answers = ringway_runtime::spawn(async move { drop(backend.accept().await) });
/// let (mut client, _) = listener.accept().await?;
/// let mut server = TcpStream::connect(backend_address).await?;
/// let (asked, answered) = splice_bidirectional(&mut client, &mut server).await?;
/// # assert_eq!((asked, answered), (0, 0));
/// # answers.await.unwrap();
/// # Ok(())
/// # })
/// # }
/// ```
pub fn splice_bidirectional<'a, A, B>(a: &'a mut A, b: &'a mut B) -> SpliceBidirectional<'a, A, B>
where
    A: SpliceSource + SpliceSink,
    B: SpliceSource + SpliceSink,
{
    SpliceBidirectional {
        a,
        b,
        there: Direction::default(),
        back: Direction::default(),
    }
}

/// The future of [`splice_bidirectional`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use ringway_net::{UnixStream, splice_bidirectional};
///
/// let (client, mut front) = UnixStream::pair()?;
/// let (mut back, server) = UnixStream::pair()?;
/// client.try_write(b"a request")?;
/// let mut joined = splice_bidirectional(&mut front, &mut back);
/// tokio::select! {
///     result = &mut joined => panic!("nobody has ended it: {result:?}"),
///     readable = server.readable() => readable?,
/// }
/// assert_eq!(joined.moved().0, 9);
/// joined.stop();
/// (&mut joined).await?;
/// assert_eq!(joined.held(), (0, 0));
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "nothing is moved unless it is polled"]
pub struct SpliceBidirectional<'a, A, B> {
    a: &'a mut A,
    b: &'a mut B,
    there: Direction,
    back: Direction,
}

/// A flow that passes the end on.
#[derive(Debug, Default)]
struct Direction {
    flow: Flow,
    is_over: bool,
}

impl Direction {
    fn poll<A: SpliceSource, B: SpliceSink>(
        &mut self,
        cx: &mut Context<'_>,
        source: &A,
        sink: &B,
    ) -> Poll<io::Result<()>> {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        ready!(self.flow.poll(cx, source.end().0, sink.end().0))?;
        self.is_over = true;
        if !self.flow.is_stopped() {
            sink.end().0.shutdown(Shutdown::Write)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<A, B> SpliceBidirectional<'_, A, B>
where
    A: SpliceSource + SpliceSink,
    B: SpliceSource + SpliceSink,
{
    /// How many bytes `b` has got of `a`, and `a` of `b`. Numbers that do not grow are a sign of an idle connection.
    pub fn moved(&self) -> (u64, u64) {
        (self.there.flow.moved(), self.back.flow.moved())
    }

    /// How many bytes were taken from `a` that `b` has not got yet, and from `b` that `a` has not.
    pub fn held(&self) -> (usize, usize) {
        (self.there.flow.held(), self.back.flow.held())
    }

    /// Takes no more from either stream: the future is ready as soon as each has got what was taken. Neither is shut
    /// down that has not been already.
    pub fn stop(&mut self) {
        self.there.flow.stop();
        self.back.flow.stop();
    }
}

impl<A, B> Future for SpliceBidirectional<'_, A, B>
where
    A: SpliceSource + SpliceSink,
    B: SpliceSource + SpliceSink,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let there = this.there.poll(cx, &*this.a, &*this.b)?;
        let back = this.back.poll(cx, &*this.b, &*this.a)?;
        ready!(there);
        ready!(back);
        Poll::Ready(Ok(this.moved()))
    }
}

impl<A, B> fmt::Debug for SpliceBidirectional<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpliceBidirectional")
            .field("there", &self.there)
            .field("back", &self.back)
            .finish_non_exhaustive()
    }
}
