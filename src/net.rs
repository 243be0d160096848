//! TCP, UDP and Unix sockets.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::io::{AsyncReadExt, AsyncWriteExt};
//! use ringway::net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let (client, server) =
//!     ringway::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
//! let (mut client, (mut server, peer)) = (client?, server?);
//! assert_eq!(peer, client.local_addr()?);
//!
//! client.write_all(b"ping").await?;
//! let mut bytes = [0; 4];
//! server.read_exact(&mut bytes).await?;
//! assert_eq!(&bytes, b"ping");
//! # Ok(())
//! # }
//! ```
//!
//! Messages instead of streams:
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::net::UdpSocket;
//!
//! let server = UdpSocket::bind("127.0.0.1:0").await?;
//! let client = UdpSocket::bind("127.0.0.1:0").await?;
//! client.send_to(b"ping", server.local_addr()?).await?;
//!
//! let mut buffer = [0; 16];
//! let (length, sender) = server.recv_from(&mut buffer).await?;
//! assert_eq!(&buffer[..length], b"ping");
//! assert_eq!(sender, client.local_addr()?);
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ringway_net::{
    Datagram, Incoming, Received, RecvBatch, Splice, SpliceBidirectional, SpliceSink, SpliceSource,
    TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener,
    UnixSocket, UnixStream, lookup_host, splice, splice_bidirectional, tcp,
};

/// What belongs to Unix sockets: addresses, credentials, and the halves of a stream; and pipes.
///
/// ```
/// # #[ringway::main]
/// # async fn main() -> std::io::Result<()> {
/// use ringway::io::{AsyncReadExt, AsyncWriteExt};
/// use ringway::net::UnixStream;
///
/// let (ours, theirs) = UnixStream::pair()?;
/// let (_, mut writer) = ours.into_split();
/// let (mut reader, _) = theirs.into_split();
/// let writing = ringway::spawn(async move { writer.write_all(b"one way").await });
/// let mut heard = String::new();
/// reader.read_to_string(&mut heard).await?;
/// assert_eq!(heard, "one way");
/// writing.await.unwrap()?;
/// # Ok(())
/// # }
/// ```
pub mod unix {
    #[doc(inline)]
    pub use ringway_net::unix::{
        OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, SocketAddr, UCred, WriteHalf, gid_t,
        pid_t, pipe, uid_t,
    };
}
