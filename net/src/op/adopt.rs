//! Taking over descriptors whose owner says that they are sockets.

use std::os::fd::{FromRawFd, RawFd};

use socket2::Socket;

use crate::{TcpSocket, UnixSocket};

impl FromRawFd for TcpSocket {
    /// # Safety
    ///
    /// `fd` is an open socket that nobody else owns. It must be non-blocking.
    unsafe fn from_raw_fd(fd: RawFd) -> TcpSocket {
        // SAFETY: the caller gives us an open socket that nobody else owns.
        TcpSocket::from_socket(unsafe { Socket::from_raw_fd(fd) })
    }
}

impl FromRawFd for UnixSocket {
    /// # Safety
    ///
    /// `fd` is an open socket that nobody else owns. It must be non-blocking.
    unsafe fn from_raw_fd(fd: RawFd) -> UnixSocket {
        // SAFETY: the caller gives us an open socket that nobody else owns.
        UnixSocket::from_socket(unsafe { Socket::from_raw_fd(fd) })
    }
}
