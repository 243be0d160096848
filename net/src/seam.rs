//! What the completion face needs of listeners. Nobody else should use it.

use std::os::fd::OwnedFd;

use ringway_runtime::driver::{AsSharedFd, Home, SharedFd};

use crate::{Incoming, Ready, TcpListener, TcpStream, UnixListener, UnixStream};

pub use crate::op::{ACCEPT_FLAGS, Parcel};
pub use crate::socket::{Stash, Taker};

/// A socket that listens. Only this crate implements it.
pub trait Listening: AsSharedFd + sealed::Listener {
    /// What a connection becomes.
    type Stream: Send + 'static;

    /// Where a connection goes that was accepted for somebody who is gone.
    fn stash(&self) -> Stash;

    /// The connections that come.
    fn incoming(&self) -> Incoming<'_, Self::Stream>;

    /// Takes a connection, which does not block, in the runtime that this thread is in, or else in `home`.
    fn stream(connection: OwnedFd, home: Option<Home>) -> Self::Stream;
}

mod sealed {
    pub trait Listener {}
}

fn share(connection: OwnedFd, home: Option<Home>) -> SharedFd {
    SharedFd::at_home(connection, Home::here().or(home))
}

impl sealed::Listener for TcpListener {}

impl Listening for TcpListener {
    type Stream = TcpStream;

    fn stash(&self) -> Stash {
        TcpListener::stash(self)
    }

    fn incoming(&self) -> Incoming<'_, TcpStream> {
        TcpListener::incoming(self)
    }

    fn stream(connection: OwnedFd, home: Option<Home>) -> TcpStream {
        TcpStream::new(share(connection, home), Ready::READABLE)
    }
}

impl sealed::Listener for UnixListener {}

impl Listening for UnixListener {
    type Stream = UnixStream;

    fn stash(&self) -> Stash {
        UnixListener::stash(self)
    }

    fn incoming(&self) -> Incoming<'_, UnixStream> {
        UnixListener::incoming(self)
    }

    fn stream(connection: OwnedFd, home: Option<Home>) -> UnixStream {
        UnixStream::new(share(connection, home), Ready::READABLE)
    }
}
