//! The way of bytes between a connection and its client: a socket of TCP or a Unix socket, or TLS over TCP.
//!
//! 1. What is *tried* goes by the socket's own system calls, and only without TLS: with it every try says `WouldBlock`,
//!    and what was tried is written by [`Transport::write_all`].
//! 2. The kernel moves bodies of files without TLS only. With it they go through memory, where they are encrypted.
//! 3. What [`Transport::write_all`] has written, the kernel has: nothing waits in a session.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringway::fs::{File, Transfer};
use ringway::io::{AsyncRead, AsyncWriteExt, Interest, ReadBuf};
use ringway::net::{TcpStream, UnixStream};
use socket2::SockRef;

use crate::tls::Session;

/// A connection's socket, with what is over it.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Unix(UnixStream),
    Tls(Box<Session>),
}

impl Transport {
    /// The socket under it all, for its options.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        match self {
            Transport::Plain(socket) => SockRef::from(socket),
            Transport::Unix(socket) => SockRef::from(socket),
            Transport::Tls(session) => SockRef::from(session.get_ref().0),
        }
    }

    /// Whether what is written arrives as it is.
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(self, Transport::Tls(_))
    }

    /// Has the kernel send full packets only, or whatever there is. A Unix socket has no packets.
    pub(crate) fn set_cork(&self, is_corked: bool) -> io::Result<()> {
        match self {
            Transport::Unix(_) => Ok(()),
            Transport::Plain(_) | Transport::Tls(_) => self.socket().set_tcp_cork(is_corked),
        }
    }

    /// Has packets leave at once. It costs some latency if that fails, and nothing else.
    pub(crate) fn set_nodelay(&self) {
        if !matches!(self, Transport::Unix(_)) {
            let _ = self.socket().set_tcp_nodelay(true);
        }
    }

    /// A part of a file for the kernel to move, step by step. With TLS it cannot.
    pub(crate) fn transfer<'t>(
        &'t self,
        file: &'t File,
        offset: u64,
        length: u64,
    ) -> io::Result<Transfer<'t>> {
        match self {
            Transport::Plain(socket) => Transfer::new(file, offset, length, socket),
            Transport::Unix(socket) => Transfer::new(file, offset, length, socket),
            Transport::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Receives some bytes; 0 at the end.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        let read = match self {
            Transport::Plain(socket) => Pin::new(socket).poll_read(context, &mut room),
            Transport::Unix(socket) => Pin::new(socket).poll_read(context, &mut room),
            Transport::Tls(session) => Pin::new(session).poll_read(context, &mut room),
        };
        read.map_ok(|()| room.filled().len())
    }

    /// Receives some bytes to forget them; 0 at the end. With TLS they are not even understood. Dropping the future loses none.
    pub(crate) async fn discard(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut room = ReadBuf::new(room);
        poll_fn(|context| match self {
            Transport::Plain(socket) => Pin::new(socket).poll_read(context, &mut room),
            Transport::Unix(socket) => Pin::new(socket).poll_read(context, &mut room),
            Transport::Tls(session) => Pin::new(session.get_mut().0).poll_read(context, &mut room),
        })
        .await?;
        Ok(room.filled().len())
    }

    /// Bytes of what was written that the client's kernel has not acknowledged, and one for our end if that was said. Of a
    /// Unix socket the client has everything at once.
    pub(crate) fn unacknowledged(&self) -> u64 {
        if matches!(self, Transport::Unix(_)) {
            return 0;
        }
        let socket = self.socket();
        let mut bytes: libc::c_int = 0;
        #[allow(unsafe_code, reason = "no library asks for this without it")]
        // SAFETY: the descriptor is borrowed from an open socket, and this request writes one int, which is on our stack.
        let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        match asked {
            0 => u64::try_from(bytes).unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether the kernel holds something that came and was not read, beside the client's end.
    pub(crate) fn has_unread(&self) -> bool {
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let mut room = [MaybeUninit::uninit()];
        let peeked = self.socket().recv_with_flags(&mut room, flags);
        peeked.is_ok_and(|count| count > 0)
    }

    /// Writes what the kernel takes at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.try_write(bytes),
            Transport::Unix(socket) => socket.try_write(bytes),
            Transport::Tls(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what the kernel takes at once of several pieces in a row.
    pub(crate) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.try_write_vectored(pieces),
            Transport::Unix(socket) => socket.try_write_vectored(pieces),
            Transport::Tls(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what the kernel takes at once; it may wait for what follows before it sends it.
    pub(crate) fn try_write_before_more(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => {
                let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
                let send = || SockRef::from(socket).send_with_flags(bytes, flags);
                socket.try_io(Interest::WRITABLE, send)
            }
            Transport::Unix(_) | Transport::Tls(_) => self.try_write(bytes),
        }
    }

    /// Writes all of it, and leaves nothing in a session.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.write_all(bytes).await,
            Transport::Unix(socket) => socket.write_all(bytes).await,
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
            Transport::Unix(socket) => socket.shutdown().await,
            Transport::Tls(session) => session.shutdown().await,
        }
    }
}
