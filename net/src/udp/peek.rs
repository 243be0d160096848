//! Looking at a message without taking it.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::UdpSocket;
use crate::op;

impl UdpSocket {
    /// Waits for a message from the address that the socket is connected to, and copies it without taking it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the socket.
    pub async fn peek(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let (count, ()) = self.socket.receive(&mut buffer, op::peek).await?;
        Ok(count)
    }

    /// As [`peek`](Self::peek), by polling. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.socket.poll_receive(cx, buffer, op::peek)
    }

    /// Copies the message that is there now without taking it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is there, and as [`recv`](Self::recv).
    pub fn try_peek(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let (count, ()) = self.socket.try_receive(&mut buffer, op::peek)?;
        Ok(count)
    }

    /// Waits for a message, copies it without taking it, and says who sent it.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the socket.
    pub async fn peek_from(&self, mut buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, sender) = self.socket.receive(&mut buffer, op::peek_from).await?;
        Ok((count, op::inet_address(&sender)?))
    }

    /// As [`peek_from`](Self::peek_from), by polling. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let sender = ready!(self.socket.poll_receive(cx, buffer, op::peek_from))?;
        Poll::Ready(op::inet_address(&sender))
    }

    /// Copies the message that is there now without taking it, and says who sent it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is there, and as [`recv_from`](Self::recv_from).
    pub fn try_peek_from(&self, mut buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, sender) = self.socket.try_receive(&mut buffer, op::peek_from)?;
        Ok((count, op::inet_address(&sender)?))
    }

    /// Waits for a message, and says who sent it, without taking it.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    ///
    /// Safe: it takes nothing from the socket.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        let sender = self.socket.read_with(op::peek_sender).await?;
        op::inet_address(&sender)
    }

    /// As [`peek_sender`](Self::peek_sender), by polling. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        let sender = ready!(self.socket.poll_read_with(cx, op::peek_sender))?;
        Poll::Ready(op::inet_address(&sender))
    }

    /// Who sent the message that is there now, without taking it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none is there, and as [`recv_from`](Self::recv_from).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        op::inet_address(&self.socket.try_read(op::peek_sender)?)
    }
}
