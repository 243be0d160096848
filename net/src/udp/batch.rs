//! Several messages in one call.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::task::{Context, Poll};

use super::UdpSocket;
use crate::op::{self, Arrived, MESSAGES_MAX, Outgoing, Rooms};

/// Room for the messages of one [`UdpSocket::recv_many`], and those that have come.
///
/// It is made once and used again and again; nothing is allocated for a receive.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use ringway_net::{Datagram, RecvBatch, UdpSocket};
///
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// let target = server.local_addr()?;
/// client.send_many(&[Datagram::to(b"one", target), Datagram::to(b"too long", target)]).await?;
///
/// let mut batch = RecvBatch::new(64, 4);
/// assert!(batch.is_empty());
/// server.recv_many(&mut batch).await?;
/// let first = batch.iter().next().expect("there is one at least");
/// assert_eq!((first.bytes(), first.sender()), (&b"one"[..], client.local_addr()?));
/// assert!(batch.len() < 2 || batch.iter().nth(1).unwrap().is_truncated());
/// # Ok(())
/// # })
/// # }
/// ```
pub struct RecvBatch {
    rooms: Rooms,
}

impl RecvBatch {
    /// Room for `messages` messages of `bytes` bytes each. What of a message there is no room for is lost.
    ///
    /// One receive brings 64 messages at most, so more room than that stays empty. With
    /// [`set_gro`](UdpSocket::set_gro) a message may have up to 65,535 bytes.
    pub fn new(messages: usize, bytes: usize) -> RecvBatch {
        RecvBatch {
            rooms: Rooms::new(messages.min(MESSAGES_MAX), bytes),
        }
    }

    /// How many messages have come.
    pub fn len(&self) -> usize {
        self.rooms.count()
    }

    /// Whether none has come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The messages that have come, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let arrived = self.rooms.arrived();
        arrived.map(|(arrived, bytes)| Received { arrived, bytes })
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A message of a [`RecvBatch`].
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    arrived: Arrived,
    bytes: &'a [u8],
}

impl<'a> Received<'a> {
    /// Its bytes, as many as there was room for.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Who sent it.
    pub fn sender(&self) -> SocketAddr {
        self.arrived.sender
    }

    /// Whether there was too little room for it, so that its end is lost.
    pub fn is_truncated(&self) -> bool {
        self.arrived.is_truncated
    }

    /// The messages of which the kernel has joined it ([`UdpSocket::set_gro`]): itself, if there was nothing to join.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> {
        let size = self.segment_size().unwrap_or(usize::MAX);
        // A message may be empty, and is one all the same.
        let empty = self.bytes.is_empty().then_some(self.bytes);
        empty.into_iter().chain(self.bytes.chunks(size))
    }

    /// How many bytes each of the messages had that the kernel has joined, but for the last one, which may have had
    /// fewer; none if it is one message.
    pub fn segment_size(&self) -> Option<usize> {
        self.arrived.segment.filter(|size| *size > 0)
    }
}

/// A message for [`UdpSocket::send_many`].
///
/// ```
/// use std::num::NonZeroU16;
/// use ringway_net::Datagram;
///
/// let target = "127.0.0.1:53".parse().unwrap();
/// let two = Datagram::to(&[0; 2400], target).cut_into(NonZeroU16::new(1200).unwrap());
/// assert_eq!((two.bytes().len(), two.target()), (2400, Some(target)));
/// ```
#[derive(Clone)]
pub struct Datagram<'a>(Outgoing<'a>);

impl<'a> Datagram<'a> {
    /// A message to the address that the socket is connected to.
    pub fn new(bytes: &'a [u8]) -> Datagram<'a> {
        Datagram(Outgoing::new(bytes, None))
    }

    /// A message to `target`.
    pub fn to(bytes: &'a [u8], target: SocketAddr) -> Datagram<'a> {
        Datagram(Outgoing::new(bytes, Some(target)))
    }

    /// Has the kernel, or the network card, cut it into messages of `size` bytes, of which the last one may have
    /// fewer (`UDP_SEGMENT`): for the price of one, up to 128 messages that have 65,507 bytes together.
    pub fn cut_into(mut self, size: NonZeroU16) -> Datagram<'a> {
        self.0.cut(size.get());
        self
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.0.bytes
    }

    /// Where it goes, if not to the socket's peer.
    pub fn target(&self) -> Option<SocketAddr> {
        self.0.target()
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("length", &self.0.bytes.len())
            .field("target", &self.target())
            .field("segment_size", &self.0.segment())
            .finish()
    }
}

impl UdpSocket {
    /// Waits for messages and takes those that are there, as many as `batch` has room for and at most 64, by one system
    /// call. Returns how many: at least one. Those that were in the batch before are gone.
    ///
    /// Not in tokio.
    ///
    /// ```
    /// use ringway_net::{Datagram, RecvBatch, UdpSocket};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// let words = [Datagram::new(b"one"), Datagram::new(b"two")];
    /// assert_eq!(client.send_many(&words).await?, 2);
    ///
    /// let mut batch = RecvBatch::new(32, 1500);
    /// assert_eq!(server.recv_many(&mut batch).await?, 2);
    /// for (received, sent) in batch.iter().zip(&words) {
    ///     assert_eq!(received.bytes(), sent.bytes());
    ///     assert_eq!(received.sender(), client.local_addr()?);
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from); the batch is empty then. `InvalidInput` if it has room for no message.
    ///
    /// # Cancel safety
    ///
    /// Safe: messages that this future does not return wait for the next receive.
    pub async fn recv_many(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let rooms = checked(batch)?;
        self.socket.read_with(|fd| rooms.receive(fd)).await
    }

    /// Polls for messages. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`recv_many`](Self::recv_many).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_net::{Datagram, RecvBatch, UdpSocket};
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// let ping = [Datagram::new(b"ping")];
    /// assert_eq!(poll_fn(|cx| client.poll_send_many(cx, &ping)).await?, 1);
    /// let mut batch = RecvBatch::new(64, 1500);
    /// assert_eq!(poll_fn(|cx| server.poll_recv_many(cx, &mut batch)).await?, 1);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_recv_many(
        &self,
        cx: &mut Context<'_>,
        batch: &mut RecvBatch,
    ) -> Poll<io::Result<usize>> {
        let rooms = checked(batch)?;
        self.socket.poll_read_with(cx, |fd| rooms.receive(fd))
    }

    /// Takes the messages that are there now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none, and as [`recv_many`](Self::recv_many).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_net::{Datagram, RecvBatch, UdpSocket};
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// let mut batch = RecvBatch::new(64, 1500);
    /// let nothing = server.try_recv_many(&mut batch).unwrap_err();
    /// assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    ///
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// client.writable().await?;
    /// assert_eq!(client.try_send_many(&[Datagram::new(b"ping")])?, 1);
    /// server.readable().await?;
    /// assert_eq!(server.try_recv_many(&mut batch)?, 1);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn try_recv_many(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let rooms = checked(batch)?;
        self.socket.try_read(|fd| rooms.receive(fd))
    }

    /// Waits for room and sends messages, the first one first, as many as there is room for and at most 64, by one
    /// system call. Returns how many: at least one, if there is one. Call it again with the others.
    ///
    /// Not in tokio.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), of the first message: if a later one fails, those before it are counted, and
    /// the next call, which begins with it, tells. A message that is [cut](Datagram::cut_into) may fail with
    /// `EINVAL` (too many pieces, or pieces too large for the way) or `EIO` (a network card without checksums).
    ///
    /// # Cancel safety
    ///
    /// Safe: dropped before it returns, it has sent nothing.
    pub async fn send_many(&self, messages: &[Datagram<'_>]) -> io::Result<usize> {
        if messages.is_empty() {
            return Ok(0);
        }
        self.socket
            .send(|fd| op::send_batch(fd, all(messages)))
            .await
    }

    /// Polls to send messages. Of several callers, only the last one's task is woken.
    ///
    /// # Errors
    ///
    /// As [`send_many`](Self::send_many).
    pub fn poll_send_many(
        &self,
        cx: &mut Context<'_>,
        messages: &[Datagram<'_>],
    ) -> Poll<io::Result<usize>> {
        if messages.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.socket
            .poll_write(cx, 0, |fd| op::send_batch(fd, all(messages)))
    }

    /// Sends the messages that there is room for now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is room for none, and as [`send_many`](Self::send_many).
    pub fn try_send_many(&self, messages: &[Datagram<'_>]) -> io::Result<usize> {
        if messages.is_empty() {
            return Ok(0);
        }
        self.socket
            .try_write(|fd| op::send_batch(fd, all(messages)))
    }

    /// Lets the kernel join messages of one sender that come in a row and have one size (`UDP_GRO`): then one receive
    /// brings them all, and [`Received::segments`] parts them. For [`recv_many`](Self::recv_many), with room for
    /// 65,535 bytes; other receives do not say where one message ends.
    ///
    /// Not in tokio.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `ENOPROTOOPT` before Linux 5.0.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::num::NonZeroU16;
    /// use ringway_net::{Datagram, RecvBatch, UdpSocket};
    ///
    /// let server = UdpSocket::bind("127.0.0.1:0").await?;
    /// server.set_gro(true)?;
    /// let client = UdpSocket::bind("127.0.0.1:0").await?;
    /// client.connect(server.local_addr()?).await?;
    /// // One call and one pass through the kernel, three messages.
    /// let three = Datagram::new(&[7; 3000]).cut_into(NonZeroU16::new(1000).unwrap());
    /// client.send_many(&[three]).await?;
    ///
    /// let mut batch = RecvBatch::new(64, 65_535);
    /// let mut messages = 0;
    /// while messages < 3 {
    ///     server.recv_many(&mut batch).await?;
    ///     for received in batch.iter() {
    ///         assert!(received.segments().all(|segment| segment.len() == 1000));
    ///         messages += received.segments().count();
    ///     }
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_gro(&self, joins: bool) -> io::Result<()> {
        op::set_gro(self, joins)
    }
}

fn all<'a>(messages: &'a [Datagram<'a>]) -> impl Iterator<Item = &'a Outgoing<'a>> {
    messages.iter().map(|message| &message.0)
}

fn checked(batch: &mut RecvBatch) -> io::Result<&mut Rooms> {
    let rooms = &mut batch.rooms;
    rooms.clear();
    if rooms.has_room() {
        Ok(rooms)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the batch has room for no message",
        ))
    }
}
