//! What the public types have in common, written once.
//!
//! Each macro stands in an `impl` of a type with a field `socket` of type [`Duplex`](super::Duplex), or writes whole
//! `impl`s for it.

/// Waiting for readiness, and calls of the user's own: `ready`, `readable`, `writable`, `try_io`, `async_io`.
macro_rules! readiness {
    ($poll_read_ready:ident, $poll_write_ready:ident) => {
        /// Waits for one of the events of `interest`, and says which have come.
        ///
        /// It may be wrong: a call after it may still fail with `WouldBlock`, and then this waits again.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the socket.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::{Interest, UnixStream};
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// let either = Interest::READABLE | Interest::WRITABLE;
        /// let ready = client.ready(either).await?;
        /// assert!(ready.is_writable());
        /// drop(server);
        /// let ready = client.ready(Interest::READABLE).await?;
        /// assert!(ready.is_read_closed());
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
            self.socket.ready(interest).await
        }

        /// Waits until there may be something to receive, an error, or the end. Any number of tasks may wait.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: it takes nothing from the socket.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::ErrorKind;
        /// use ringway_net::UnixStream;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// ringway_runtime::spawn(async move { client.try_write(b"hello") });
        /// let mut buffer = [0; 16];
        /// let count = loop {
        ///     server.readable().await?;
        ///     match server.try_read(&mut buffer) {
        ///         // A false alarm: wait again.
        ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        ///         result => break result?,
        ///     }
        /// };
        /// assert_eq!(&buffer[..count], b"hello");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn readable(&self) -> io::Result<()> {
            self.socket.readiness(Interest::READABLE).await.map(drop)
        }

        /// Polls for something to receive. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::future::poll_fn;
        /// use ringway_net::UnixStream;
        ///
        /// // A datagram socket calls it `poll_recv_ready`, and its twin `poll_send_ready`.
        /// let (client, server) = UnixStream::pair()?;
        /// poll_fn(|cx| client.poll_write_ready(cx)).await?;
        /// client.try_write(b"hello")?;
        /// poll_fn(|cx| server.poll_read_ready(cx)).await?;
        /// assert_eq!(server.try_read(&mut [0; 16])?, 5);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn $poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.socket.poll_read_ready(cx)
        }

        /// Waits until there may be room to send, or until no send can succeed any more.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
        ///
        /// # Cancel safety
        ///
        /// Safe: it does nothing to the socket.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::ErrorKind;
        /// use ringway_net::UnixStream;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// // Until there is no room.
        /// while client.try_write(&[0; 4096]).is_ok() {}
        /// // Somebody makes some.
        /// let _reader = ringway_runtime::spawn(async move {
        ///     while server.try_read(&mut [0; 65536]).is_ok() {}
        ///     server
        /// });
        /// loop {
        ///     client.writable().await?;
        ///     match client.try_write(b"more") {
        ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        ///         result => break assert!(result? > 0),
        ///     }
        /// }
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn writable(&self) -> io::Result<()> {
            self.socket.readiness(Interest::WRITABLE).await.map(drop)
        }

        /// Polls for room to send. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
        pub fn $poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.socket.poll_write_ready(cx)
        }

        /// Calls `call`, which makes a system call of its own on the socket, if that may be ready for what `interest`
        /// names, and learns from its result.
        ///
        /// `call` must try what `interest` names, and return `WouldBlock` if the kernel did, and only then.
        ///
        /// # Errors
        ///
        /// Those of `call`, and `WouldBlock` without calling it if the socket is not ready.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::ErrorKind;
        /// use ringway_net::{Interest, UnixStream};
        /// use socket2::SockRef;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// // A call that the stream has no function for: it sends, and says that more will follow.
        /// let send = || SockRef::from(&client).send_with_flags(b"head", libc::MSG_MORE);
        /// assert_eq!(client.try_io(Interest::WRITABLE, send)?, 4);
        /// // Nothing has come back: the call is not even made, or the kernel says so.
        /// let receive = || SockRef::from(&client).recv(&mut [std::mem::MaybeUninit::uninit(); 4]);
        /// let error = client.try_io(Interest::READABLE, receive).unwrap_err();
        /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
        /// # drop(server);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_io<R>(
            &self,
            interest: Interest,
            call: impl FnOnce() -> io::Result<R>,
        ) -> io::Result<R> {
            self.socket.try_io(interest, call)
        }

        /// Waits for `interest` and calls `call`, until that does not return `WouldBlock`.
        ///
        /// # Errors
        ///
        /// Those of [`try_io`](Self::try_io) except `WouldBlock`, and of [`ready`](Self::ready).
        ///
        /// # Cancel safety
        ///
        /// As safe as `call` is: it is never called and then forgotten.
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::{Interest, UnixStream};
        /// use socket2::SockRef;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// ringway_runtime::spawn(async move { client.try_write(b"hello") });
        /// let mut room = [std::mem::MaybeUninit::uninit(); 16];
        /// // Called again and again, until it does not say `WouldBlock`.
        /// let receive = || SockRef::from(&server).recv(&mut room);
        /// assert_eq!(server.async_io(Interest::READABLE, receive).await?, 5);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub async fn async_io<R>(
            &self,
            interest: Interest,
            call: impl FnMut() -> io::Result<R>,
        ) -> io::Result<R> {
            self.socket.async_io(interest, call).await
        }
    };
}
pub(crate) use readiness;

/// Reads and writes of a stream that do not wait.
macro_rules! stream_calls {
    () => {
        /// Reads what is there now. Zero is the end of the stream, if `buffer` has room.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if nothing is there, and those of recv(2).
        pub fn try_read(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
            self.try_read_buf(&mut buffer)
        }

        /// As [`try_read`](Self::try_read), into several slices, the first one first.
        ///
        /// # Errors
        ///
        /// As [`try_read`](Self::try_read).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::IoSliceMut;
        /// use ringway_net::UnixStream;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// client.try_write(b"4:body")?;
        /// server.readable().await?;
        /// let (mut head, mut body) = ([0; 2], [0; 8]);
        /// let mut slices = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
        /// assert_eq!(server.try_read_vectored(&mut slices)?, 6);
        /// assert_eq!((&head, &body[..4]), (b"4:", &b"body"[..]));
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.socket.try_read(|fd| op::recv_vectored(fd, slices))
        }

        /// As [`try_read`](Self::try_read), to the end of a buffer that grows.
        ///
        /// # Errors
        ///
        /// As [`try_read`](Self::try_read).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use ringway_net::UnixStream;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// let mut text = Vec::from(*b"said: ");
        /// client.try_write(b"hello")?;
        /// server.readable().await?;
        /// assert_eq!(server.try_read_buf(&mut text)?, 5);
        /// assert_eq!(text, b"said: hello");
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_read_buf<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
            let (count, ()) = self.socket.try_receive(buffer, op::recv)?;
            Ok(count)
        }

        /// Writes what there is room for now, which may be less than all of `bytes`.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is no room, and those of send(2).
        pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.socket.try_write(|fd| op::send(fd, bytes))
        }

        /// As [`try_write`](Self::try_write), from several slices, the first one first.
        ///
        /// # Errors
        ///
        /// As [`try_write`](Self::try_write).
        ///
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// # let runtime = ringway_runtime::Runtime::new()?;
        /// # runtime.block_on(async {
        /// use std::io::IoSlice;
        /// use ringway_net::UnixStream;
        ///
        /// let (client, server) = UnixStream::pair()?;
        /// let slices = [IoSlice::new(b"4:"), IoSlice::new(b"body")];
        /// assert_eq!(client.try_write_vectored(&slices)?, 6);
        /// let mut message = [0; 16];
        /// server.readable().await?;
        /// assert_eq!(server.try_read(&mut message)?, 6);
        /// # Ok(())
        /// # })
        /// # }
        /// ```
        pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.socket.try_write(|fd| op::send_vectored(fd, slices))
        }

        pub(super) fn end_writing(&self) -> io::Result<()> {
            self.socket.shutdown(Shutdown::Write)
        }

        pub(crate) fn socket(&self) -> &Duplex {
            &self.socket
        }
    };
}
pub(crate) use stream_calls;

/// tokio's traits for a stream, which has the functions `socket` and `end_writing`.
macro_rules! stream_traits {
    (read $type:ty, $receive:path) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.socket().poll_read(cx, buffer, $receive)
            }
        }
    };
    (write $type:ty) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let send = |fd: &_| op::send(fd, bytes);
                self.socket().poll_write(cx, bytes.len(), send)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                // How much of the slices one call takes is not known: nothing is learnt from less.
                let send = |fd: &_| op::send_vectored(fd, slices);
                self.socket().poll_write(cx, 0, send)
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
                Poll::Ready(self.get_mut().end_writing())
            }
        }
    };
}
pub(crate) use stream_traits;

/// Descriptors, auto traits and the way from the standard library's type.
macro_rules! descriptors {
    ($type:ty, $std:ty $(, $peer_addr:ident)?) => {
        impl TryFrom<$std> for $type {
            type Error = io::Error;

            /// As `from_std`.
            #[track_caller]
            fn try_from(socket: $std) -> io::Result<$type> {
                <$type>::from_std(socket)
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.fd().as_raw_fd()
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.fd().as_fd()
            }
        }

        impl AsSharedFd for $type {
            fn shared_fd(&self) -> &SharedFd {
                self.socket.fd()
            }
        }

        // A panic in a waker leaves the locks' states whole: wakers are called outside of them.
        impl UnwindSafe for $type {}
        impl RefUnwindSafe for $type {}

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut debug = f.debug_struct(stringify!($type));
                if let Ok(address) = self.local_addr() {
                    debug.field("addr", &address);
                }
                $(if let Ok(address) = self.$peer_addr() {
                    debug.field("peer", &address);
                })?
                debug.field("fd", &self.as_raw_fd()).finish()
            }
        }
    };
}
pub(crate) use descriptors;

/// Pairs of functions that set and tell one option of the socket, which the type's `options` lends.
macro_rules! options {
    ($(
        $set:ident, $get:ident, $type:ty, $inner_set:ident, $inner_get:ident,
        $set_doc:literal, $get_doc:literal;
    )*) => {$(
        #[doc = $set_doc]
        ///
        /// # Errors
        ///
        /// Those of setsockopt(2).
        pub fn $set(&self, value: $type) -> io::Result<()> {
            self.options().$inner_set(value)
        }

        #[doc = $get_doc]
        ///
        /// # Errors
        ///
        /// Those of getsockopt(2).
        pub fn $get(&self) -> io::Result<$type> {
            self.options().$inner_get()
        }
    )*};
}
pub(crate) use options;
