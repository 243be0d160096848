//! Our sockets by hickory's traits, and by those of `futures-io`, which hickory reads TCP by.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hickory_net::runtime::{DnsTcpStream, DnsUdpSocket};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::Clock;

/// A UDP socket, as hickory knows them.
#[derive(Debug)]
pub struct UdpSocket {
    inner: ringway_net::UdpSocket,
}

impl UdpSocket {
    pub(crate) fn new(inner: ringway_net::UdpSocket) -> UdpSocket {
        UdpSocket { inner }
    }
}

impl DnsUdpSocket for UdpSocket {
    type Time = Clock;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buffer = ReadBuf::new(buffer);
        let sender = ready!(self.inner.poll_recv_from(cx, &mut buffer))?;
        Poll::Ready(Ok((buffer.filled().len(), sender)))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_send_to(cx, bytes, target)
    }
}

/// A TCP connection, as hickory knows them.
#[derive(Debug)]
pub struct TcpStream {
    inner: ringway_net::TcpStream,
}

impl TcpStream {
    pub(crate) fn new(inner: ringway_net::TcpStream) -> TcpStream {
        TcpStream { inner }
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut ringway_net::TcpStream> {
        Pin::new(&mut self.get_mut().inner)
    }
}

impl DnsTcpStream for TcpStream {
    type Time = Clock;
}

impl futures_io::AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.inner().poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl futures_io::AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
