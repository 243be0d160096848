//! What sockets for messages have in common, written once: an `impl` of a type with a field `socket` of type
//! [`Duplex`](super::Duplex) has the macro in it.

/// Receives and sends of whole messages. `$sender` is the type of an address, `$from_kernel` makes one of the kernel's.
macro_rules! messages {
    ($sender:ty, $from_kernel:path) => {
        /// Receives one message from the address that the socket is connected to, and returns its length.
        ///
        /// What of the message there is no room for in `buffer` is lost.
        ///
        /// # Errors
        ///
        /// Those of recv(2): `ConnectionRefused`, once for each time that the peer has said so. And if the
        /// runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: a message that this future does not return waits for the next receive.
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
        /// server.connect(client.local_addr()?).await?;
        ///
        /// assert_eq!(client.send(b"ping").await?, 4);
        /// let mut buffer = [0; 16];
        /// let length = server.recv(&mut buffer).await?;
        /// assert_eq!(&buffer[..length], b"ping");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn recv(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
            self.recv_buf(&mut buffer).await
        }

        /// Polls for a message. Of several callers, only the last one's task is woken.
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
        /// use ringway_net::UnixDatagram;
        /// use tokio::io::ReadBuf;
        ///
        /// let (client, server) = UnixDatagram::pair()?;
        /// poll_fn(|cx| client.poll_send(cx, b"ping")).await?;
        /// let mut bytes = [0; 16];
        /// let mut buffer = ReadBuf::new(&mut bytes);
        /// poll_fn(|cx| server.poll_recv(cx, &mut buffer)).await?;
        /// assert_eq!(buffer.filled(), b"ping");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn poll_recv(
            &self,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.socket.poll_receive(cx, buffer, op::recv)
        }

        /// Receives a message that is there now.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if none is there, and as [`recv`](Self::recv).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::ErrorKind;
        /// use ringway_net::UnixDatagram;
        ///
        /// let (client, server) = UnixDatagram::pair()?;
        /// let mut buffer = [0; 16];
        /// let nothing = server.try_recv(&mut buffer).unwrap_err();
        /// assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        /// assert_eq!(client.try_send(b"ping")?, 4);
        /// server.readable().await?;
        /// assert_eq!(server.try_recv(&mut buffer)?, 4);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_recv(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
            self.try_recv_buf(&mut buffer)
        }

        /// As [`try_recv`](Self::try_recv), to the end of a buffer, as far as that has room without growing.
        ///
        /// # Errors
        ///
        /// As [`try_recv`](Self::try_recv).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::UnixDatagram;
        ///
        /// let (client, server) = UnixDatagram::pair()?;
        /// client.send(b"ping").await?;
        /// server.readable().await?;
        /// let mut buffer = Vec::with_capacity(1500);
        /// assert_eq!(server.try_recv_buf(&mut buffer)?, 4);
        /// assert_eq!(buffer, b"ping");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            let (count, ()) = self.socket.try_receive(buffer, op::recv)?;
            Ok(count)
        }

        /// As [`recv`](Self::recv), to the end of a buffer, as far as that has room without growing.
        ///
        /// # Errors
        ///
        /// As [`recv`](Self::recv).
        ///
        /// # Cancel safety
        ///
        /// Safe, as [`recv`](Self::recv).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::UnixDatagram;
        ///
        /// let (client, server) = UnixDatagram::pair()?;
        /// let mut log = Vec::with_capacity(1500);
        /// for word in ["first", "second"] {
        ///     client.send(word.as_bytes()).await?;
        ///     server.recv_buf(&mut log).await?;
        ///     log.push(b' ');
        /// }
        /// assert_eq!(log, b"first second ");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn recv_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            let (count, ()) = self.socket.receive(buffer, op::recv).await?;
            Ok(count)
        }

        /// Receives one message, and returns its length and who sent it.
        ///
        /// What of the message there is no room for in `buffer` is lost.
        ///
        /// # Errors
        ///
        /// Those of recvfrom(2), and if the runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: a message that this future does not return waits for the next receive.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::UdpSocket;
        ///
        /// let server = UdpSocket::bind("127.0.0.1:0").await?;
        /// let client = UdpSocket::bind("127.0.0.1:0").await?;
        /// client.send_to(b"who is there?", server.local_addr()?).await?;
        /// let mut buffer = [0; 64];
        /// let (length, sender) = server.recv_from(&mut buffer).await?;
        /// assert_eq!(&buffer[..length], b"who is there?");
        /// assert_eq!(sender, client.local_addr()?);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn recv_from(&self, mut buffer: &mut [u8]) -> io::Result<(usize, $sender)> {
            self.recv_buf_from(&mut buffer).await
        }

        /// Polls for a message and who sent it. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// As [`recv_from`](Self::recv_from).
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
        /// let target = server.local_addr()?;
        /// poll_fn(|cx| client.poll_send_to(cx, b"ping", target)).await?;
        /// let mut bytes = [0; 16];
        /// let mut buffer = ReadBuf::new(&mut bytes);
        /// let sender = poll_fn(|cx| server.poll_recv_from(cx, &mut buffer)).await?;
        /// assert_eq!((buffer.filled(), sender), (&b"ping"[..], client.local_addr()?));
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn poll_recv_from(
            &self,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<$sender>> {
            let sender = ready!(self.socket.poll_receive(cx, buffer, op::recv_from))?;
            Poll::Ready($from_kernel(&sender))
        }

        /// Receives a message that is there now, and says who sent it.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if none is there, and as [`recv_from`](Self::recv_from).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::UdpSocket;
        ///
        /// let server = UdpSocket::bind("127.0.0.1:0").await?;
        /// let client = UdpSocket::bind("127.0.0.1:0").await?;
        /// client.try_send_to(b"ping", server.local_addr()?)?;
        /// server.readable().await?;
        /// let (length, sender) = server.try_recv_from(&mut [0; 64])?;
        /// assert_eq!((length, sender), (4, client.local_addr()?));
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_recv_from(&self, mut buffer: &mut [u8]) -> io::Result<(usize, $sender)> {
            self.try_recv_buf_from(&mut buffer)
        }

        /// As [`try_recv_from`](Self::try_recv_from), to the end of a buffer, as far as that has room without
        /// growing.
        ///
        /// # Errors
        ///
        /// As [`try_recv_from`](Self::try_recv_from).
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
        /// server.readable().await?;
        /// let mut buffer = Vec::with_capacity(1500);
        /// let (_, sender) = server.try_recv_buf_from(&mut buffer)?;
        /// assert_eq!((&buffer[..], sender), (&b"ping"[..], client.local_addr()?));
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_recv_buf_from<B: BufMut>(&self, buffer: &mut B) -> io::Result<(usize, $sender)> {
            let (count, sender) = self.socket.try_receive(buffer, op::recv_from)?;
            Ok((count, $from_kernel(&sender)?))
        }

        /// As [`recv_from`](Self::recv_from), to the end of a buffer, as far as that has room without growing.
        ///
        /// # Errors
        ///
        /// As [`recv_from`](Self::recv_from).
        ///
        /// # Cancel safety
        ///
        /// Safe, as [`recv_from`](Self::recv_from).
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
        /// let mut buffer = Vec::with_capacity(1500);
        /// let (length, sender) = server.recv_buf_from(&mut buffer).await?;
        /// assert_eq!((&buffer[..length], sender), (&b"ping"[..], client.local_addr()?));
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn recv_buf_from<B: BufMut>(
            &self,
            buffer: &mut B,
        ) -> io::Result<(usize, $sender)> {
            let (count, sender) = self.socket.receive(buffer, op::recv_from).await?;
            Ok((count, $from_kernel(&sender)?))
        }

        /// Sends one message to the address that the socket is connected to.
        ///
        /// # Errors
        ///
        /// Those of send(2): a message that is too long (`EMSGSIZE`), a socket that is not connected, and
        /// `ConnectionRefused` if the peer has said so of an earlier message. And if the runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: dropped before it returns, it has sent nothing.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::ErrorKind;
        /// use ringway_net::UdpSocket;
        ///
        /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
        /// assert!(socket.send(b"to whom?").await.is_err());
        /// socket.connect(socket.local_addr()?).await?;
        /// assert_eq!(socket.send(b"to myself").await?, 9);
        /// let too_long = socket.send(&[0; 70_000]).await.unwrap_err();
        /// assert_eq!(too_long.raw_os_error(), Some(libc::EMSGSIZE));
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
            self.socket.send(|fd| op::send(fd, bytes)).await
        }

        /// Polls to send one message. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// As [`send`](Self::send).
        pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.socket.poll_write(cx, 0, |fd| op::send(fd, bytes))
        }

        /// Sends one message, if there is room now.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is no room, and as [`send`](Self::send).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::ErrorKind;
        /// use ringway_net::UnixDatagram;
        ///
        /// let (client, server) = UnixDatagram::pair()?;
        /// let error = loop {
        ///     if let Err(error) = client.try_send(&[0; 1024]) {
        ///         break error;
        ///     }
        /// };
        /// assert_eq!(error.kind(), ErrorKind::WouldBlock, "nobody has received any");
        /// # drop(server);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
            self.socket.try_write(|fd| op::send(fd, bytes))
        }
    };
}
pub(crate) use messages;
