//! Requests on sockets.

use std::net::Shutdown;

use ringway_runtime::driver::{AsSharedFd, IoBuf, IoBufMut, IoBufs, IoBufsMut};

use crate::op::Goal;
use crate::op::connect::Connect;
use crate::op::drain::{Drain, Sink};
use crate::op::fill::{Fill, Source};
use crate::op::many::{DrainMany, FillMany};
use crate::op::message::{RecvFrom, SendTo};
use crate::op::number::{Order, What};
use crate::{Address, Request};

/// A send to a peer that is gone fails with EPIPE, and raises no signal.
const QUIET: Sink = Sink::Socket(libc::MSG_NOSIGNAL);
const SOCKET: Source = Source::Socket(0);

/// Receives what there is of a stream, or one message, as much as `buf` has room for. Waits if there is nothing. A count
/// of 0 is the end of a stream.
///
/// ```
/// # use ringway_net::UnixStream;
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let (one, two) = UnixStream::pair()?;
/// uring::send_all(&one, "hello").await.0?;
/// let (result, buf) = uring::recv(&two, Vec::with_capacity(16)).await;
/// assert_eq!(result?, 5);
/// assert_eq!(buf, b"hello");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of recv(2), and if the runtime is shutting down. The buffer comes back as it was.
///
/// # Cancel safety
///
/// Dropping the request may lose bytes: those that the kernel had received into the buffer by then. Cancelling it
/// loses none: either the buffer has them and the result their count, or they wait in the socket for the next call.
pub fn recv<B: IoBufMut>(socket: &impl AsSharedFd, buf: B) -> Request<Fill<B>> {
    Request::new(Fill::new(socket.shared_fd(), buf, SOCKET, Goal::Some))
}

/// As [`recv`], but fills the whole room of `buf`.
///
/// The count is smaller than the room only if the request was cancelled: then it says how many bytes had come.
///
/// # Errors
///
/// `UnexpectedEof` if the stream ends before, and as [`recv`]. What came until then is in the buffer, and its length says
/// how much that is if it is one that grows (`Vec<u8>`, `BytesMut`).
///
/// # Cancel safety
///
/// As [`recv`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::UnixStream;
/// use ringway_uring as uring;
///
/// let (one, two) = UnixStream::pair()?;
/// // In two pieces, which take two rounds.
/// uring::send_all(&one, "hello ").await.0?;
/// let sending = ringway_runtime::spawn(async move { uring::send_all(&one, "world").await.0 });
/// let (result, buf) = uring::recv_exact(&two, vec![0; 11]).await;
/// assert_eq!((result?, &buf[..]), (11, &b"hello world"[..]));
/// assert_eq!(sending.await??, 5);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn recv_exact<B: IoBufMut>(socket: &impl AsSharedFd, buf: B) -> Request<Fill<B>> {
    Request::new(Fill::new(socket.shared_fd(), buf, SOCKET, Goal::Whole))
}

/// As [`recv`], into several buffers, the first one first. Costs an allocation for their list.
///
/// # Errors
///
/// As [`recv`].
///
/// # Cancel safety
///
/// As [`recv`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::UnixStream;
/// use ringway_uring as uring;
///
/// let (one, two) = UnixStream::pair()?;
/// let (result, _) = uring::send_vectored(&one, ["4:", "body"]).await;
/// assert_eq!(result?, 6);
/// let bufs = [Vec::with_capacity(2), Vec::with_capacity(100)];
/// let (result, [length, body]) = uring::recv_vectored(&two, bufs).await;
/// assert_eq!(result?, 6);
/// assert_eq!((&length[..], &body[..]), (&b"4:"[..], &b"body"[..]));
/// # Ok(())
/// # })
/// # }
/// ```
pub fn recv_vectored<V: IoBufsMut>(socket: &impl AsSharedFd, bufs: V) -> Request<FillMany<V>> {
    Request::new(FillMany::new(socket.shared_fd(), bufs, SOCKET, Goal::Some))
}

/// Sends what there is room for now of the initialised bytes of `buf`, or one message. Waits if there is no room.
///
/// # Errors
///
/// Those of send(2) (EPIPE if the other side is gone; no signal is raised), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open how much was sent. Cancelling it tells.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::UnixStream;
/// use ringway_uring as uring;
///
/// let (one, two) = UnixStream::pair()?;
/// let (result, text) = uring::send(&one, String::from("hello")).await;
/// assert_eq!((result?, &text[..]), (5, "hello"));
/// drop(two);
/// let error = uring::send(&one, text).await.0.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn send<B: IoBuf>(socket: &impl AsSharedFd, buf: B) -> Request<Drain<B>> {
    Request::new(Drain::new(socket.shared_fd(), buf, QUIET, Goal::Some))
}

/// As [`send`], but sends all initialised bytes of `buf`.
///
/// The count is smaller than their number only if the request was cancelled: then it says how many were sent.
///
/// # Errors
///
/// As [`send`]; how much was sent before the error is not known.
///
/// # Cancel safety
///
/// As [`send`].
pub fn send_all<B: IoBuf>(socket: &impl AsSharedFd, buf: B) -> Request<Drain<B>> {
    Request::new(Drain::new(socket.shared_fd(), buf, QUIET, Goal::Whole))
}

/// As [`send`], of several buffers, the first one first. Costs an allocation for their list.
///
/// # Errors
///
/// As [`send`].
///
/// # Cancel safety
///
/// As [`send`].
pub fn send_vectored<V: IoBufs>(socket: &impl AsSharedFd, bufs: V) -> Request<DrainMany<V>> {
    Request::new(DrainMany::new(socket.shared_fd(), bufs, QUIET, Goal::Some))
}

/// As [`send_all`], of several buffers, the first one first: a head and a body, for example, in a pair.
///
/// ```
/// # use ringway_net::UnixStream;
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let (one, two) = UnixStream::pair()?;
/// let (result, (head, _body)) = uring::send_all_vectored(&one, ("length: 5\n", vec![7; 5])).await;
/// assert_eq!(result?, head.len() + 5);
/// # let (result, buf) = uring::recv_exact(&two, Vec::with_capacity(15)).await;
/// # assert_eq!(&buf[..result?], b"length: 5\n\x07\x07\x07\x07\x07");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// As [`send_all`].
///
/// # Cancel safety
///
/// As [`send_all`].
pub fn send_all_vectored<V: IoBufs>(socket: &impl AsSharedFd, bufs: V) -> Request<DrainMany<V>> {
    Request::new(DrainMany::new(socket.shared_fd(), bufs, QUIET, Goal::Whole))
}

/// As [`send`], but the network sends from the buffer's own memory, which is not copied.
///
/// The buffer comes back when the network no longer needs it: over TCP when the peer has acknowledged the bytes, which
/// takes a round trip. Where the socket or the kernel (before 6.0) cannot do it, it is a [`send`]; over the loopback the
/// kernel copies all the same. It costs more than a send for each call, so it is for large buffers on a real network;
/// the figures are in the project's ADR 16.
///
/// # Errors
///
/// As [`send`]; also ENOMEM or EPERM if the pages that may be locked (`ulimit -l`) are used up.
///
/// # Cancel safety
///
/// As [`send`]. The buffer is not touched before the network is through with it, whatever happens to the request.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::{TcpListener, TcpStream};
/// use ringway_uring as uring;
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// // A round trip later the vector is ours again.
/// let (result, page) = uring::send_all_zc(&client, vec![7; 4096]).await;
/// assert_eq!((result?, page.len()), (4096, 4096));
/// assert!(uring::send_zc(&client, page).await.0? > 0);
/// assert_eq!(uring::recv_exact(&server, vec![0; 4096]).await.0?, 4096);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn send_zc<B: IoBuf>(socket: &impl AsSharedFd, buf: B) -> Request<Drain<B>> {
    let sink = Sink::SocketWithoutCopy(libc::MSG_NOSIGNAL);
    Request::new(Drain::new(socket.shared_fd(), buf, sink, Goal::Some))
}

/// As [`send_zc`], but sends all initialised bytes of `buf`.
///
/// # Errors
///
/// As [`send_zc`].
///
/// # Cancel safety
///
/// As [`send_zc`].
pub fn send_all_zc<B: IoBuf>(socket: &impl AsSharedFd, buf: B) -> Request<Drain<B>> {
    let sink = Sink::SocketWithoutCopy(libc::MSG_NOSIGNAL);
    Request::new(Drain::new(socket.shared_fd(), buf, sink, Goal::Whole))
}

/// Receives one message, and says who sent it. What of it there is no room for in `buf` is lost.
///
/// ```
/// # use ringway_net::UdpSocket;
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let one = UdpSocket::bind("127.0.0.1:0").await?;
/// let two = UdpSocket::bind("127.0.0.1:0").await?;
/// uring::send_to(&one, "hello", two.local_addr()?).await.0?;
/// let (result, buf) = uring::recv_from(&two, Vec::with_capacity(1500)).await;
/// let (count, sender) = result?;
/// assert_eq!((&buf[..count], sender.as_inet()), (&b"hello"[..], one.local_addr().ok()));
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of recvmsg(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request may lose a message. Cancelling it loses none.
pub fn recv_from<B: IoBufMut>(socket: &impl AsSharedFd, buf: B) -> Request<RecvFrom<B>> {
    Request::new(RecvFrom::new(socket.shared_fd(), buf))
}

/// Sends the initialised bytes of `buf` as one message to `target`.
///
/// # Errors
///
/// Those of sendmsg(2), above all EMSGSIZE for a message that is too long; and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether the message was sent. Cancelling it tells.
pub fn send_to<B: IoBuf>(
    socket: &impl AsSharedFd,
    buf: B,
    target: impl Into<Address>,
) -> Request<SendTo<B>> {
    Request::new(SendTo::new(socket.shared_fd(), buf, target.into()))
}

/// Connects a socket.
///
/// For sockets that the runtime does not make itself: `TcpStream::connect` and its like go through the ring already.
///
/// ```
/// # use std::os::fd::OwnedFd;
/// # use ringway_uring::{self as uring, SharedFd};
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
/// let socket = SharedFd::from(OwnedFd::from(socket));
/// uring::connect(&socket, address).await?;
/// assert_eq!(uring::send(&socket, "hello").await.0?, 5);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of connect(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request, or cancelling it in time, leaves a socket that may or may not be connected: close it.
pub fn connect(socket: &impl AsSharedFd, address: impl Into<Address>) -> Request<Connect> {
    Request::new(Connect::new(socket.shared_fd(), address.into()))
}

/// Ends one direction of a connection, or both: shutdown(2).
///
/// # Errors
///
/// Those of shutdown(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether it was done.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use std::net::Shutdown;
/// use ringway_net::UnixStream;
/// use ringway_uring as uring;
///
/// let (one, two) = UnixStream::pair()?;
/// uring::shutdown(&one, Shutdown::Write).await?;
/// assert_eq!(uring::recv(&two, vec![0; 16]).await.0?, 0, "the end");
/// # Ok(())
/// # })
/// # }
/// ```
pub fn shutdown(socket: &impl AsSharedFd, how: Shutdown) -> Request<Order> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    Request::new(Order::new(socket.shared_fd(), What::Shutdown(how)))
}
