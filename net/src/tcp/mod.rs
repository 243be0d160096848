//! TCP: a listener, a stream, its halves, and a socket to set up before either.

mod listener;
mod options;
mod socket;
mod split;
mod split_owned;
mod stream;

pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use stream::TcpStream;

use std::io;
use std::os::fd::AsFd;

use socket2::SockRef;

/// Debug builds tell the caller who hands over a blocking socket, which would stall a worker sooner or later.
#[track_caller]
fn check_nonblocking(socket: &impl AsFd) -> io::Result<()> {
    debug_assert!(
        SockRef::from(socket).nonblocking()?,
        "a blocking socket was given to the runtime; call set_nonblocking(true) on it first"
    );
    Ok(())
}

/// The error of an address that names no address.
fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "could not resolve to any address",
    )
}
