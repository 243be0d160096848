//! The sockets of ringway: TCP, UDP, Unix sockets and pipes, and readiness of any descriptor, with tokio's face, over
//! the runtime's rings.
//!
//! # What happens below `read` and `write`
//!
//! - A **read** is `recv(2)` into the caller's memory. When there is nothing, a poll operation in the ring waits;
//!   it belongs to the socket, not to the future, and takes nothing. So a read that is dropped loses nothing,
//!   and an idle connection holds no buffer.
//! - A **write** is `send(2)` at once. What is reported as written is in the kernel. Only a full send buffer
//!   costs an operation in the ring, which waits for room.
//! - An **accept** is `accept4(2)` at once, and an operation that waits for the next connection when there
//!   is none. The waiting takes nothing out of the kernel's queue, so a dropped accept loses no connection.
//! - A **message** is one `recv(2)` or `send(2)`, tried at once, and waited for as a read or a write is.
//! - **Readiness** (`readable`, `try_io`, `ready`, …) is a hint kept in the socket. It may be wrong in one
//!   direction only: it may say ready when the kernel would block.
//!
//! # Map
//!
//! - [`TcpListener`], [`TcpStream`], [`TcpSocket`] and the halves in [`tcp`]; [`UdpSocket`]; [`UnixListener`],
//!   [`UnixStream`], [`UnixDatagram`], [`UnixSocket`] and what belongs to them in [`unix`], with
//!   [`pipe`](unix::pipe) and [`AsyncFd`](unix::AsyncFd): the public face.
//! - [`ToSocketAddrs`] and [`lookup_host`]: names to addresses, on the blocking pool where they need it.
//! - [`Interest`] and [`Ready`]: what one can wait for, and what one gets.
//! - `socket`: trying and waiting, shared by every kind of socket.
//! - `op`: what is handed to the kernel, and the only unsafe code of this crate.

#![deny(unsafe_code)]

mod addr;
mod async_fd;
#[cfg(feature = "axum")]
mod axum;
mod incoming;
mod interest;
#[expect(
    unsafe_code,
    reason = "the kernel is told about memory here and nowhere else in this crate"
)]
mod op;
mod ready;
#[doc(hidden)]
pub mod seam;
mod socket;
mod splice;
mod spread;
pub mod tcp;
mod udp;
pub mod unix;

/// For models.
#[cfg(feature = "models")]
#[doc(hidden)]
pub mod internals {
    pub use crate::socket::{Crowd, Deserted, Everybody, OneByOne, Specimen, Stash, Taker};
}

pub use addr::{ToSocketAddrs, lookup_host};
pub use incoming::Incoming;
pub use interest::Interest;
pub use ready::Ready;
pub use splice::{
    Splice, SpliceBidirectional, SpliceSink, SpliceSource, splice, splice_bidirectional,
};
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::{Datagram, Received, RecvBatch, UdpSocket};
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
