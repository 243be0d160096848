//! The way of bytes between a connection and its client: a socket, or TLS over one.
//!
//! 1. What is *tried* goes by the socket's own system calls, and only without TLS: with it every try says `WouldBlock`,
//!    and what was tried is written by [`Transport::write_all`].
//! 2. The kernel moves bodies of files without TLS only. With it they go through memory, where they are encrypted.
//! 3. What [`Transport::write_all`] has written, the kernel has: nothing waits in a session.

use std::io::{self, IoSlice};

use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::TcpStream;
use socket2::SockRef;

use crate::tls::Session;

/// A connection's socket, with what is over it.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<Session>),
}

impl Transport {
    /// The socket under it all, for its options.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(session) => session.get_ref().0,
        }
    }

    /// The socket, if what is written to it arrives as it is.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match self {
            Transport::Plain(socket) => Some(socket),
            Transport::Tls(_) => None,
        }
    }

    /// Receives some bytes; 0 at the end. Dropping the future loses none.
    pub(crate) async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.read(room).await,
            Transport::Tls(session) => session.read(room).await,
        }
    }

    /// Writes what the kernel takes at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_plainly(|socket| socket.try_write(bytes))
    }

    /// Writes what the kernel takes at once of several pieces in a row.
    pub(crate) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_plainly(|socket| socket.try_write_vectored(pieces))
    }

    /// Writes what the kernel takes at once; it may wait for what follows before it sends it.
    pub(crate) fn try_write_before_more(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_plainly(|socket| {
            let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
            let send = || SockRef::from(socket).send_with_flags(bytes, flags);
            socket.try_io(Interest::WRITABLE, send)
        })
    }

    fn try_plainly(
        &self,
        write: impl FnOnce(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => write(socket),
            Transport::Tls(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes all of it, and leaves nothing in a session.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.write_all(bytes).await,
            Transport::Tls(session) => {
                session.write_all(bytes).await?;
                session.flush().await
            }
        }
    }

    /// Says that nothing follows, which TLS says to its client before the socket does.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.shutdown().await,
            Transport::Tls(session) => session.shutdown().await,
        }
    }
}
