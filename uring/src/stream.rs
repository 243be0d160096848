//! Requests on what has no offset: pipes, terminals, devices, and files at their own position.

use ringway_runtime::driver::{AsSharedFd, IoBuf, IoBufMut, IoBufs, IoBufsMut};

use crate::Request;
use crate::op::Goal;
use crate::op::drain::{Drain, Sink};
use crate::op::fill::{Fill, Source};
use crate::op::many::{DrainMany, FillMany};

/// Reads what there is, as much as `buf` has room for: read(2). Waits if there is nothing. A count of 0 is the end.
///
/// ```
/// # use ringway_net::unix::pipe;
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let (sender, receiver) = pipe::pipe()?;
/// uring::write_all(&sender, "through the pipe").await.0?;
/// let (result, buf) = uring::read(&receiver, Vec::with_capacity(64)).await;
/// assert_eq!(&buf[..result?], b"through the pipe");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of read(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request may lose what was read into the buffer by then. Cancelling it loses nothing.
pub fn read<B: IoBufMut>(stream: &impl AsSharedFd, buf: B) -> Request<Fill<B>> {
    Request::new(Fill::new(
        stream.shared_fd(),
        buf,
        Source::Stream,
        Goal::Some,
    ))
}

/// As [`read`], but fills the whole room of `buf`.
///
/// The count is smaller than the room only if the request was cancelled: then it says how many bytes had come.
///
/// # Errors
///
/// `UnexpectedEof` if the stream ends before, and as [`read`]. What came until then is in the buffer.
///
/// # Cancel safety
///
/// As [`read`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::unix::pipe;
/// use ringway_uring as uring;
///
/// let (sender, receiver) = pipe::pipe()?;
/// uring::write_all(&sender, "1234").await.0?;
/// assert_eq!(uring::read_exact(&receiver, vec![0; 4]).await.1, b"1234");
/// drop(sender);
/// let error = uring::read_exact(&receiver, vec![0; 4]).await.0.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn read_exact<B: IoBufMut>(stream: &impl AsSharedFd, buf: B) -> Request<Fill<B>> {
    Request::new(Fill::new(
        stream.shared_fd(),
        buf,
        Source::Stream,
        Goal::Whole,
    ))
}

/// As [`read`], into several buffers, the first one first: readv(2). Costs an allocation for their list.
///
/// # Errors
///
/// As [`read`].
///
/// # Cancel safety
///
/// As [`read`].
pub fn read_vectored<V: IoBufsMut>(stream: &impl AsSharedFd, bufs: V) -> Request<FillMany<V>> {
    Request::new(FillMany::new(
        stream.shared_fd(),
        bufs,
        Source::Stream,
        Goal::Some,
    ))
}

/// Writes what there is room for now of the initialised bytes of `buf`: write(2). Waits if there is no room.
///
/// On a pipe that nobody reads, and on a socket, it raises SIGPIPE as write(2) does, which Rust programs ignore unless
/// they have changed that; for sockets there is [`send`](crate::send), which never does.
///
/// # Errors
///
/// Those of write(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open how much was written. Cancelling it tells.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::unix::pipe;
/// use ringway_uring as uring;
///
/// let (sender, receiver) = pipe::pipe()?;
/// // More than it has room for: some of it is written.
/// let (result, bytes) = uring::write(&sender, vec![7; 1 << 20]).await;
/// assert!(result? < bytes.len());
/// # drop(receiver);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn write<B: IoBuf>(stream: &impl AsSharedFd, buf: B) -> Request<Drain<B>> {
    Request::new(Drain::new(
        stream.shared_fd(),
        buf,
        Sink::Stream,
        Goal::Some,
    ))
}

/// As [`write()`], but writes all initialised bytes of `buf`.
///
/// The count is smaller than their number only if the request was cancelled: then it says how many were written.
///
/// # Errors
///
/// `WriteZero` if the stream takes no more, and as [`write()`]; how much was written before is not known.
///
/// # Cancel safety
///
/// As [`write()`].
pub fn write_all<B: IoBuf>(stream: &impl AsSharedFd, buf: B) -> Request<Drain<B>> {
    Request::new(Drain::new(
        stream.shared_fd(),
        buf,
        Sink::Stream,
        Goal::Whole,
    ))
}

/// As [`write()`], of several buffers, the first one first: writev(2). Costs an allocation for their list.
///
/// # Errors
///
/// As [`write()`].
///
/// # Cancel safety
///
/// As [`write()`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::unix::pipe;
/// use ringway_uring as uring;
///
/// let (sender, receiver) = pipe::pipe()?;
/// assert_eq!(uring::write_vectored(&sender, ["head ", "body"]).await.0?, 9);
/// assert_eq!(uring::write_all_vectored(&sender, [" and", " tail"]).await.0?, 9);
/// let bufs = [vec![0; 5], vec![0; 64]];
/// let (result, [head, rest]) = uring::read_vectored(&receiver, bufs).await;
/// assert_eq!(result?, 18);
/// assert_eq!((&head[..], &rest[..]), (&b"head "[..], &b"body and tail"[..]));
/// # Ok(())
/// # })
/// # }
/// ```
pub fn write_vectored<V: IoBufs>(stream: &impl AsSharedFd, bufs: V) -> Request<DrainMany<V>> {
    Request::new(DrainMany::new(
        stream.shared_fd(),
        bufs,
        Sink::Stream,
        Goal::Some,
    ))
}

/// As [`write_all`], of several buffers, the first one first.
///
/// # Errors
///
/// As [`write_all`].
///
/// # Cancel safety
///
/// As [`write_all`].
pub fn write_all_vectored<V: IoBufs>(stream: &impl AsSharedFd, bufs: V) -> Request<DrainMany<V>> {
    Request::new(DrainMany::new(
        stream.shared_fd(),
        bufs,
        Sink::Stream,
        Goal::Whole,
    ))
}
