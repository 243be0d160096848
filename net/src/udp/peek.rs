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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// client.send(b"again and again").await?;
    /// let mut buffer = [0; 5];
    /// for _ in 0..3 {
    ///     assert_eq!(server.peek(&mut buffer).await?, 5);
    /// }
    /// assert_eq!(server.try_peek(&mut buffer)?, 5);
    /// assert_eq!(&buffer, b"again");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn peek(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let (count, ()) = self.socket.receive(&mut buffer, op::peek).await?;
        Ok(count)
    }

    /// As [`peek`](Self::peek), by polling. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::UdpSocket;
    /// use tokio::io::ReadBuf;
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.send_to(b"ping", server.local_addr()?).await?;
    /// let mut bytes = [0; 16];
    /// let mut buffer = ReadBuf::new(&mut bytes);
    /// let sender = poll_fn(|cx| server.poll_peek_sender(cx)).await?;
    /// poll_fn(|cx| server.poll_peek(cx, &mut buffer)).await?;
    /// assert_eq!(buffer.filled(), b"ping");
    /// buffer.clear();
    /// assert_eq!(poll_fn(|cx| server.poll_peek_from(cx, &mut buffer)).await?, sender);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.send_to(b"ping", server.local_addr()?).await?;
    /// let mut buffer = [0; 16];
    /// let (length, sender) = server.peek_from(&mut buffer).await?;
    /// assert_eq!((length, sender), (4, client.local_addr()?));
    /// // It is still there.
    /// assert_eq!(server.try_peek_from(&mut buffer)?, (4, sender));
    /// assert_eq!(server.recv_from(&mut buffer).await?, (4, sender));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let friend = UdpSocket::bind("127.0.0.1:0").await?;
    /// friend.send_to(b"it is me", server.local_addr()?).await?;
    /// assert_eq!(server.peek_sender().await?, friend.local_addr()?);
    /// assert_eq!(server.try_peek_sender()?, friend.local_addr()?);
    /// assert_eq!(server.recv(&mut [0; 16]).await?, 8);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
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
