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
        pub async fn readable(&self) -> io::Result<()> {
            self.socket.readiness(Interest::READABLE).await.map(drop)
        }

        /// Polls for something to receive. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// If the runtime is shutting down.
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
        pub fn try_read_vectored(&self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.socket.try_read(|fd| op::recv_vectored(fd, slices))
        }

        /// As [`try_read`](Self::try_read), to the end of a buffer that grows.
        ///
        /// # Errors
        ///
        /// As [`try_read`](Self::try_read).
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
        pub async fn recv(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
            self.recv_buf(&mut buffer).await
        }

        /// Polls for a message. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// As [`recv`](Self::recv).
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
        pub fn try_recv(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
            self.try_recv_buf(&mut buffer)
        }

        /// As [`try_recv`](Self::try_recv), to the end of a buffer, as far as that has room without growing.
        ///
        /// # Errors
        ///
        /// As [`try_recv`](Self::try_recv).
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
        pub async fn recv_from(&self, mut buffer: &mut [u8]) -> io::Result<(usize, $sender)> {
            self.recv_buf_from(&mut buffer).await
        }

        /// Polls for a message and who sent it. Of several callers, only the last one's task is woken.
        ///
        /// # Errors
        ///
        /// As [`recv_from`](Self::recv_from).
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
        pub fn try_recv_from(&self, mut buffer: &mut [u8]) -> io::Result<(usize, $sender)> {
            self.try_recv_buf_from(&mut buffer)
        }

        /// As [`try_recv_from`](Self::try_recv_from), to the end of a buffer, as far as that has room without
        /// growing.
        ///
        /// # Errors
        ///
        /// As [`try_recv_from`](Self::try_recv_from).
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
        pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
            self.socket.try_write(|fd| op::send(fd, bytes))
        }
    };
}
pub(crate) use messages;

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
