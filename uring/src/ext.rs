//! The requests of a socket as its methods.

use ringway_runtime::driver::{AsSharedFd, IoBuf, IoBufMut};

use crate::requests::{Drain, Fill};
use crate::{RecvMulti, Request};

/// Reads and writes with owned buffers, and what else io_uring has for sockets, as methods of the sockets: of streams,
/// their halves, and datagram sockets.
///
/// Each is the function that its documentation names; `_owned` tells those apart that the sockets have themselves.
///
/// ```
/// # use ringway_net::{TcpListener, TcpStream};
/// use ringway_uring::SocketExt;
///
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = TcpStream::connect(listener.local_addr()?).await?;
/// # let server = listener.accept().await?.0;
/// let (result, question) = client.send_all_owned("how are you?").await;
/// assert_eq!(result?, question.len());
/// let (result, buf) = server.recv_owned(Vec::with_capacity(4096)).await;
/// assert_eq!(&buf[..result?], b"how are you?");
///
/// // Sent from the vector's own memory, which comes back when the peer has it.
/// let (result, _answer) = server.send_all_zc(vec![7; 100_000]).await;
/// assert_eq!(result?, 100_000);
/// let (result, buf) = client.recv_exact_owned(vec![0; 100_000]).await;
/// assert_eq!((result?, buf[99_999]), (100_000, 7));
/// # Ok(())
/// # })
/// # }
/// ```
pub trait SocketExt: AsSharedFd {
    /// Receives what there is, as much as `buf` has room for: [`recv`](crate::recv).
    ///
    /// # Cancel safety
    ///
    /// Dropping the request may lose bytes, [cancelling](Request::cancel) it loses none.
    fn recv_owned<B: IoBufMut>(&self, buf: B) -> Request<Fill<B>>
    where
        Self: Sized,
    {
        crate::recv(self, buf)
    }

    /// Fills the whole room of `buf`: [`recv_exact`](crate::recv_exact).
    ///
    /// # Cancel safety
    ///
    /// As [`recv_owned`](Self::recv_owned).
    fn recv_exact_owned<B: IoBufMut>(&self, buf: B) -> Request<Fill<B>>
    where
        Self: Sized,
    {
        crate::recv_exact(self, buf)
    }

    /// Receives again and again into buffers of the runtime: [`recv_multi`](crate::recv_multi).
    fn recv_multi(&self) -> RecvMulti
    where
        Self: Sized,
    {
        crate::recv_multi(self)
    }

    /// Sends what there is room for of `buf`, or one message: [`send`](crate::send).
    ///
    /// # Cancel safety
    ///
    /// Dropping the request leaves open how much was sent, [cancelling](Request::cancel) it tells.
    fn send_owned<B: IoBuf>(&self, buf: B) -> Request<Drain<B>>
    where
        Self: Sized,
    {
        crate::send(self, buf)
    }

    /// Sends all of `buf`: [`send_all`](crate::send_all).
    ///
    /// # Cancel safety
    ///
    /// As [`send_owned`](Self::send_owned).
    fn send_all_owned<B: IoBuf>(&self, buf: B) -> Request<Drain<B>>
    where
        Self: Sized,
    {
        crate::send_all(self, buf)
    }

    /// Sends what there is room for of `buf`, from its own memory: [`send_zc`](crate::send_zc), which says when that is worth
    /// it.
    ///
    /// # Cancel safety
    ///
    /// As [`send_owned`](Self::send_owned).
    fn send_zc<B: IoBuf>(&self, buf: B) -> Request<Drain<B>>
    where
        Self: Sized,
    {
        crate::send_zc(self, buf)
    }

    /// Sends all of `buf`, from its own memory: [`send_all_zc`](crate::send_all_zc).
    ///
    /// # Cancel safety
    ///
    /// As [`send_owned`](Self::send_owned).
    fn send_all_zc<B: IoBuf>(&self, buf: B) -> Request<Drain<B>>
    where
        Self: Sized,
    {
        crate::send_all_zc(self, buf)
    }
}

impl<T: AsSharedFd> SocketExt for T {}
