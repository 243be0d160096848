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
        }
    };
}

peeking!(ReadHalf<'_>);
peeking!(OwnedReadHalf);
