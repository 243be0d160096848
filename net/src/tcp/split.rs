//! The two directions of a borrowed connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TcpStream;
use crate::{Interest, Ready};

/// The reading direction of a [`TcpStream`], borrowed by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(pub(super) &'a TcpStream);

/// The writing direction of a [`TcpStream`], borrowed by [`TcpStream::split`].
///
/// Dropping it does nothing to the connection; `AsyncWriteExt::shutdown` ends the direction.
#[derive(Debug)]
pub struct WriteHalf<'a>(pub(super) &'a TcpStream);

/// The functions of a reading half, whether it borrows its stream or shares it.
macro_rules! reading {
    () => {
        /// As [`TcpStream::poll_peek`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::peek`].
        pub fn poll_peek(
            &mut self,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<usize>> {
            self.0.poll_peek(cx, buffer)
        }

        /// As [`TcpStream::peek`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::peek`].
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the connection.
        pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.peek(buffer).await
        }

        /// As [`TcpStream::ready`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::ready`].
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the connection.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.0.ready(interest).await
        }

        /// As [`TcpStream::readable`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::readable`].
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the connection.
        pub async fn readable(&self) -> io::Result<()> {
            self.0.readable().await
        }

        /// As [`TcpStream::try_read`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::try_read`].
        pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.try_read(buffer)
        }

        /// As [`TcpStream::try_read_vectored`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::try_read`].
        pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.0.try_read_vectored(slices)
        }

        /// As [`TcpStream::try_read_buf`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::try_read`].
        pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            self.0.try_read_buf(buffer)
        }

        /// As [`TcpStream::peer_addr`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::peer_addr`].
        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.0.peer_addr()
        }

        /// As [`TcpStream::local_addr`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::local_addr`].
        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }
    };
}
pub(super) use reading;

/// The functions of a writing half, whether it borrows its stream or shares it.
macro_rules! writing {
    () => {
        /// As [`TcpStream::ready`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::ready`].
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the connection.
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.0.ready(interest).await
        }

        /// As [`TcpStream::writable`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::writable`].
        ///
        /// # Cancel safety
        ///
        /// Safe: it does nothing to the connection.
        pub async fn writable(&self) -> io::Result<()> {
            self.0.writable().await
        }

        /// As [`TcpStream::try_write`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::try_write`].
        pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.0.try_write(bytes)
        }

        /// As [`TcpStream::try_write_vectored`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::try_write`].
        pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.try_write_vectored(slices)
        }

        /// As [`TcpStream::peer_addr`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::peer_addr`].
        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.0.peer_addr()
        }

        /// As [`TcpStream::local_addr`].
        ///
        /// # Errors
        ///
        /// As [`TcpStream::local_addr`].
        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }
    };
}
pub(super) use writing;

impl ReadHalf<'_> {
    reading!();
}

impl WriteHalf<'_> {
    writing!();
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.socket().poll_read(cx, buffer)
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.socket().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.socket().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once: nothing is held back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that no more will come.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown_write())
    }
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}
