//! The two directions of a connection, borrowed or each with its own owner.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;
use ringway_runtime::driver::{AsSharedFd, SharedFd};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TcpStream;
use crate::op;
use crate::socket::{Duplex, halves};
use crate::{Interest, Ready};

halves!(TcpStream, SocketAddr, op::recv);

/// The look at what comes next, which only TCP has.
macro_rules! peeking {
    ($Half:ty) => {
        impl $Half {
            /// As [`TcpStream::poll_peek`].
            ///
            /// # Errors
            ///
            /// As [`TcpStream::peek`].
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// use std::future::poll_fn;
            /// use ringway_net::{TcpListener, TcpStream};
            /// use tokio::io::ReadBuf;
            ///
            /// let listener = TcpListener::bind("127.0.0.1:0").await?;
            /// let client = TcpStream::connect(listener.local_addr()?).await?;
            /// let (server, _) = listener.accept().await?;
            /// assert_eq!(client.try_write(b"hello")?, 5);
            ///
            /// let (mut reader, _writer) = server.into_split();
            /// let mut bytes = [0; 16];
            /// let mut buffer = ReadBuf::new(&mut bytes);
            /// assert_eq!(poll_fn(|cx| reader.poll_peek(cx, &mut buffer)).await?, 5);
            /// assert_eq!(buffer.filled(), b"hello");
            /// # Ok(())
            /// # })
            /// # }
            /// ```
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
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// use ringway_net::{TcpListener, TcpStream};
            /// use tokio::io::AsyncReadExt;
            ///
            /// let listener = TcpListener::bind("127.0.0.1:0").await?;
            /// let client = TcpStream::connect(listener.local_addr()?).await?;
            /// let (server, _) = listener.accept().await?;
            /// assert_eq!(client.try_write(b"GET /")?, 5);
            ///
            /// let (mut reader, _writer) = server.into_split();
            /// let mut start = [0; 3];
            /// assert_eq!(reader.peek(&mut start).await?, 3);
            /// let mut whole = [0; 5];
            /// reader.read_exact(&mut whole).await?;
            /// assert_eq!((&start, &whole), (b"GET", b"GET /"));
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.peek(buffer).await
            }
        }
    };
}

peeking!(ReadHalf<'_>);
peeking!(OwnedReadHalf);
