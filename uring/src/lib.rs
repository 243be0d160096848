//! The completion face: owned buffers in, buffers and results out, and all of io_uring.
//!
//! tokio's traits lend a buffer for the time of a poll, so behind them a runtime waits until a socket is ready and then
//! copies. io_uring can do better for those who hand their buffer over: the kernel works with it while the task sleeps,
//! and gives it back with the result. The functions of this module do that, on the sockets and files of the runtime and
//! on any other descriptor, beside tokio's face: both can be used on one socket, as long as one does not read with both
//! at once.
//!
//! ```
//! use ringway_net::{TcpListener, TcpStream};
//! use ringway_uring as uring;
//!
//! # fn main() -> std::io::Result<()> {
//! # ringway_runtime::Runtime::new()?.block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = TcpStream::connect(listener.local_addr()?).await?;
//! let server = uring::accept(&listener).await?;
//!
//! let (result, question) = uring::send_all(&client, "how are you?").await;
//! assert_eq!(result?, question.len());
//! let (result, buf) = uring::recv(&server, Vec::with_capacity(64)).await;
//! assert_eq!(&buf[..result?], b"how are you?");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Buffers
//!
//! [`IoBuf`] is what can be sent and written, [`IoBufMut`] what can be filled: `Vec<u8>`, `Box<[u8]>`, `BytesMut`, and, to be
//! sent only, `Bytes`, `String`, `Arc<[u8]>`, `&'static [u8]` and `&'static str`. A buffer is filled **from its first byte on,
//! as far as it has room**: of a vector the capacity, over what was there before, and its length becomes the count. To
//! fill or send a part, hand over a slice, which owns the whole: [`buf.slice(a..b)`](IoBuf::slice) and
//! [`buf.slice_mut(a..b)`](IoBufMut::slice_mut). Several buffers at once are a `Vec` or an array of buffers, or a pair:
//! [`IoBufs`], [`IoBufsMut`].
//!
//! # Pieces
//!
//! Each request takes a turn through the ring, in which the other end has its turn too: what is sent in small pieces goes
//! out, and is received, piece by piece. tokio's traits, which try at once, let the kernel put small pieces together. On
//! loopback, both ends in one process, pieces of 4 KiB cost three times the processor time that they cost by the traits,
//! 16 KiB a quarter more, 64 KiB and more a third to a half less. So hand over large buffers, or several at once
//! ([`send_all_vectored`]).
//!
//! # Cancelling
//!
//! Dropping the future of a request never waits and never hurts, but what it holds is gone. [`Request`] says how to
//! cancel it and get everything back.
//!
//! # Map
//!
//! | to | there is |
//! | --- | --- |
//! | receive and send on sockets | [`recv`], [`recv_exact`], [`send`], [`send_all`], and `_vectored` forms; [`send_zc`] without a copy |
//! | receive and send messages | [`recv_from`], [`send_to`], and `recv` and `send` |
//! | connect and accept | [`connect`], [`accept`]; [`shutdown`] |
//! | read and write streams: pipes, terminals | [`read`], [`read_exact`], [`write()`], [`write_all`], and `_vectored` forms |
//! | read and write files at an offset | [`read_at`], [`read_exact_at`], [`write_at`], [`write_all_at`], and `_vectored` forms |
//! | look after files | [`sync_all`], [`sync_data`], [`allocate`], [`advise`] |
//! | move bytes between descriptors | [`splice`], [`tee`] |
//! | receive and accept many times by one request | [`recv_multi`], into buffers of the runtime's; [`accept_multi`] |
//! | call these as methods of a socket | [`SocketExt`] |
//! | do what is not here | [`submit`], with an [`Operation`] of one's own |
//!
//! # Which descriptors
//!
//! Everything that has a [`SharedFd`]: all sockets, pipes and files of the runtime ([`AsSharedFd`]), and, made from an
//! `OwnedFd`, any other. A request holds it, so that its number cannot go to another file before the kernel is through. A
//! file is closed when the last request in flight on it has ended.
//!
//! # Without io_uring
//!
//! Where the runtime has no io_uring, or one that lacks an operation, the same functions do the same by plain system
//! calls, as the whole runtime does.

#![deny(unsafe_code)]

mod accept;
mod address;
mod ext;
mod file;
#[expect(
    unsafe_code,
    reason = "the kernel is told about memory here and in `own`, nowhere else in this crate"
)]
mod op;
#[expect(unsafe_code, reason = "the contract of the users' own operations")]
mod own;
mod receive;
mod request;
mod socket;
mod stream;

pub use ringway_net::seam::Listening;
pub use ringway_runtime::driver::{
    AsSharedFd, Completion, IoBuf, IoBufMut, IoBufs, IoBufsMut, ProvidedBuf, SharedFd, Slice,
};
#[doc(no_inline)]
pub use ringway_runtime::driver::{cqueue, opcode, squeue, types};

pub use accept::{AcceptOne, accept, accept_multi};
pub use address::Address;
pub use ext::SocketExt;
pub use file::{
    advise, allocate, read_at, read_exact_at, read_vectored_at, splice, sync_all, sync_data, tee,
    write_all_at, write_at, write_vectored_at,
};
pub use own::{Operation, Own, submit};
pub use receive::{RecvMulti, recv_multi};
pub use request::{Cancel, CancelWhen, InFlight, Request, Rounds};
pub use socket::{
    connect, recv, recv_exact, recv_from, recv_vectored, send, send_all, send_all_vectored,
    send_all_zc, send_to, send_vectored, send_zc, shutdown,
};
pub use stream::{
    read, read_exact, read_vectored, write, write_all, write_all_vectored, write_vectored,
};

/// The requests, for who has to name their types.
pub mod requests {
    pub use crate::op::accept::Accept;
    pub use crate::op::connect::Connect;
    pub use crate::op::drain::Drain;
    pub use crate::op::fill::Fill;
    pub use crate::op::many::{DrainMany, FillMany};
    pub use crate::op::message::{RecvFrom, SendTo};
    pub use crate::op::number::Order;
    pub use crate::op::splice::Splice;
    pub use crate::own::Own;
    pub use crate::request::Round;
}

/// Whether a request says that it was cancelled before it could do anything.
///
/// A socket whose peer answers with the same error is as good as unknown; so this is what
/// [`Request::cancel`] leaves behind.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::UnixStream;
/// use ringway_uring as uring;
///
/// let (ours, _theirs) = UnixStream::pair()?;
/// let (result, buf) = uring::recv(&ours, vec![0; 16]).cancel().await;
/// assert!(uring::is_cancelled(&result.unwrap_err()));
/// assert_eq!(buf.capacity(), 16, "the buffer is back");
/// # Ok(())
/// # })
/// # }
/// ```
pub fn is_cancelled(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}
