//! The halves of a stream, written once for all kinds of streams.

/// Writes `ReadHalf`, `WriteHalf`, `OwnedReadHalf`, `OwnedWriteHalf` and `ReuniteError` for a stream whose addresses are
/// `$Address`, and which is read by `$receive`.
macro_rules! halves {
    ($Stream:ident, $Address:ty, $receive:path) => {
        /// The reading direction of a stream, borrowed by its `split`.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $Stream);

        /// The writing direction of a stream, borrowed by its `split`.
        ///
        /// Dropping it does nothing to the connection; `AsyncWriteExt::shutdown` ends the direction.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $Stream);

        /// The reading direction of a stream, made by its `into_split`.
        ///
        /// Dropping it does nothing to the connection as long as the other half lives.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// # use ringway_net::{TcpListener, TcpStream};
        /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
        /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
        /// # let (peer, _) = listener.accept().await?;
        /// use std::io::ErrorKind;
        ///
        /// let (reader, writer) = stream.into_split();
        /// assert_eq!(reader.local_addr()?, peer.peer_addr()?);
        /// assert_eq!(reader.peer_addr()?, peer.local_addr()?);
        /// let nothing = reader.try_read(&mut [0; 16]).unwrap_err();
        /// assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        ///
        /// peer.try_write(b"head and body")?;
        /// reader.readable().await?;
        /// let mut head = [0; 5];
        /// assert_eq!(reader.try_read(&mut head)?, 5);
        /// let mut rest = Vec::new();
        /// assert_eq!(reader.try_read_buf(&mut rest)?, 8);
        /// assert_eq!((&head[..], &rest[..]), (&b"head "[..], &b"and body"[..]));
        /// # drop(writer);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        #[derive(Debug)]
        pub struct OwnedReadHalf(Arc<$Stream>);

        /// The writing direction of a stream, made by its `into_split`.
        ///
        /// Dropping it tells the peer that no more will come; [`forget`](Self::forget) does not.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// # use ringway_net::{TcpListener, TcpStream};
        /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
        /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
        /// # let (peer, _) = listener.accept().await?;
        /// use std::io::IoSlice;
        ///
        /// let (_reader, writer) = stream.into_split();
        /// writer.writable().await?;
        /// let slices = [IoSlice::new(b"two "), IoSlice::new(b"slices")];
        /// assert_eq!(writer.try_write_vectored(&slices)?, 10);
        /// drop(writer);
        ///
        /// peer.readable().await?;
        /// assert_eq!(peer.try_read(&mut [0; 16])?, 10);
        /// peer.readable().await?;
        /// assert_eq!(peer.try_read(&mut [0; 16])?, 0, "the end");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        #[derive(Debug)]
        pub struct OwnedWriteHalf(Arc<$Stream>, OnDrop);

        /// What dropping a write half does to the connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum OnDrop {
            ShutDown,
            Nothing,
        }

        /// Two halves that are not of one connection, given back.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tried to reunite halves that are not from the same socket")
            }
        }

        impl Error for ReuniteError {}

        /// Borrows the halves.
        pub(super) fn split(stream: &mut $Stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf(stream), WriteHalf(stream))
        }

        /// Parts the halves.
        pub(super) fn into_split(stream: $Stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = Arc::new(stream);
            let write = OwnedWriteHalf(stream.clone(), OnDrop::ShutDown);
            (OwnedReadHalf(stream), write)
        }

        fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
            if !Arc::ptr_eq(&read.0, &write.0) {
                return Err(ReuniteError(read, write));
            }
            write.forget();
            Ok(Arc::into_inner(read.0).expect("a connection has two halves, and both were here"))
        }

        impl OwnedReadHalf {
            /// Joins the halves again.
            ///
            /// # Errors
            ///
            /// Both halves, if they are not of one connection.
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// # use ringway_net::{TcpListener, TcpStream};
            /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
            /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
            /// # let (peer, _) = listener.accept().await?;
            /// let (reader, writer) = stream.into_split();
            /// // Another connection's.
            /// let (strange, _other) = peer.into_split();
            /// let error = strange.reunite(writer).unwrap_err();
            /// let stream = reader.reunite(error.1).expect("they belong together");
            /// assert_eq!(stream.try_write(b"as before")?, 9);
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
                reunite(self, other)
            }
        }

        impl OwnedWriteHalf {
            /// Joins the halves again.
            ///
            /// # Errors
            ///
            /// Both halves, if they are not of one connection.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$Stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops the half without ending the direction.
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// # use ringway_net::{TcpListener, TcpStream};
            /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
            /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
            /// # let (peer, _) = listener.accept().await?;
            /// let (reader, writer) = stream.into_split();
            /// writer.forget();
            /// let nothing = peer.try_read(&mut [0; 16]).unwrap_err();
            /// assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "not the end");
            /// # drop(reader);
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn forget(mut self) {
                self.1 = OnDrop::Nothing;
            }

            fn end_writing(&mut self) -> io::Result<()> {
                let result = self.0.end_writing();
                if result.is_ok() {
                    self.1 = OnDrop::Nothing;
                }
                result
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.1 == OnDrop::ShutDown {
                    // There is nobody to tell, and a connection that cannot be shut down is gone already.
                    let _ = self.0.end_writing();
                }
            }
        }

        impl WriteHalf<'_> {
            fn end_writing(&self) -> io::Result<()> {
                self.0.end_writing()
            }
        }

        crate::socket::halves!(@read ReadHalf<'_>, $Stream, $Address, $receive);
        crate::socket::halves!(@read OwnedReadHalf, $Stream, $Address, $receive);
        crate::socket::halves!(@write WriteHalf<'_>, $Stream, $Address);
        crate::socket::halves!(@write OwnedWriteHalf, $Stream, $Address);
    };

    (@read $Half:ty, $Stream:ident, $Address:ty, $receive:path) => {
        impl $Half {
            crate::socket::halves!(@both $Stream, $Address);

            /// As the stream's `readable`.
            ///
            /// # Errors
            ///
            /// If the runtime is shutting down.
            ///
            /// # Cancel safety
            ///
            /// Safe: it takes nothing from the connection.
            pub async fn readable(&self) -> io::Result<()> {
                self.0.readable().await
            }

            /// As the stream's `try_read`.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if nothing is there, and those of recv(2).
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.try_read(buffer)
            }

            /// As the stream's `try_read_vectored`.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// # use ringway_net::{TcpListener, TcpStream};
            /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
            /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
            /// # let (peer, _) = listener.accept().await?;
            /// use std::io::IoSliceMut;
            ///
            /// let (reader, _writer) = stream.into_split();
            /// peer.try_write(b"4:body")?;
            /// reader.readable().await?;
            /// let (mut head, mut body) = ([0; 2], [0; 8]);
            /// let mut slices = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
            /// assert_eq!(reader.try_read_vectored(&mut slices)?, 6);
            /// assert_eq!((&head, &body[..4]), (b"4:", &b"body"[..]));
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.try_read_vectored(slices)
            }

            /// As the stream's `try_read_buf`.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
                self.0.try_read_buf(buffer)
            }
        }

        crate::socket::stream_traits!(read $Half, $receive);
        crate::socket::halves!(@as_ref $Half, $Stream);
    };

    (@write $Half:ty, $Stream:ident, $Address:ty) => {
        impl $Half {
            crate::socket::halves!(@both $Stream, $Address);

            /// As the stream's `writable`.
            ///
            /// # Errors
            ///
            /// If the runtime is shutting down.
            ///
            /// # Cancel safety
            ///
            /// Safe: it does nothing to the connection.
            pub async fn writable(&self) -> io::Result<()> {
                self.0.writable().await
            }

            /// As the stream's `try_write`.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is no room, and those of send(2).
            ///
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// # let runtime = ringway_runtime::Runtime::new()?;
            /// # runtime.block_on(async {
            /// # use ringway_net::{TcpListener, TcpStream};
            /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
            /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
            /// # let (peer, _) = listener.accept().await?;
            /// let (_reader, writer) = stream.into_split();
            /// assert_eq!(writer.try_write(b"at once")?, 7);
            /// # Ok(())
            /// # })
            /// # }
            /// ```
            pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.0.try_write(bytes)
            }

            /// As the stream's `try_write_vectored`.
            ///
            /// # Errors
            ///
            /// As [`try_write`](Self::try_write).
            pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.try_write_vectored(slices)
            }
        }

        crate::socket::stream_traits!(write $Half);
        crate::socket::halves!(@as_ref $Half, $Stream);
    };

    (@both $Stream:ident, $Address:ty) => {
        /// As the stream's `ready`.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the connection.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// # use ringway_net::{TcpListener, TcpStream};
        /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
        /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
        /// # let (peer, _) = listener.accept().await?;
        /// use ringway_net::Interest;
        ///
        /// let (reader, _writer) = stream.into_split();
        /// drop(peer);
        /// assert!(reader.ready(Interest::READABLE).await?.is_read_closed());
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.0.ready(interest).await
        }

        /// The address of the other end.
        ///
        /// # Errors
        ///
        /// Those of getpeername(2).
        pub fn peer_addr(&self) -> io::Result<$Address> {
            self.0.peer_addr()
        }

        /// The address of this end.
        ///
        /// # Errors
        ///
        /// Those of getsockname(2).
        pub fn local_addr(&self) -> io::Result<$Address> {
            self.0.local_addr()
        }

        pub(crate) fn socket(&self) -> &Duplex {
            self.0.socket()
        }
    };

    (@as_ref $Half:ty, $Stream:ident) => {
        impl AsSharedFd for $Half {
            fn shared_fd(&self) -> &SharedFd {
                self.0.shared_fd()
            }
        }

        impl AsRef<$Stream> for $Half {
            fn as_ref(&self) -> &$Stream {
                &self.0
            }
        }
    };
}
pub(crate) use halves;
