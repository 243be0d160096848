//! Unix sockets: streams and their halves, listeners, datagrams, and sockets to set up before any of them.

mod address;
mod cred;
mod datagram;
mod listener;
pub mod pipe;
mod socket;
mod split;
mod stream;

pub use crate::async_fd::{
    AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
};
pub use address::SocketAddr;
pub use cred::UCred;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};

#[doc(hidden)]
pub use {datagram::UnixDatagram, listener::UnixListener, socket::UnixSocket, stream::UnixStream};

/// The number of a user.
#[expect(non_camel_case_types, reason = "the name of the C library")]
pub type uid_t = u32;

/// The number of a group of users.
#[expect(non_camel_case_types, reason = "the name of the C library")]
pub type gid_t = u32;

/// The number of a process.
#[expect(non_camel_case_types, reason = "the name of the C library")]
pub type pid_t = i32;
