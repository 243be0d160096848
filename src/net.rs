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

//! # Beyond tokio
//!
//! | for | there is |
//! | --- | --- |
//! | accepting by one request that goes on | [`TcpListener::incoming`], [`UnixListener::incoming`]: a `Stream` |
//! | a listener, or a UDP socket, for each worker | [`TcpListener::bind_per_worker`], [`UdpSocket::bind_per_worker`] |
//! | many UDP messages in one call, and segments (GSO, GRO) | [`UdpSocket::recv_many`], [`UdpSocket::send_many`], [`Datagram::cut_into`], [`UdpSocket::set_gro`] |
//! | a proxy that copies nothing | [`splice()`], [`splice_bidirectional`] |
//! | a file to a socket without a copy | `send_file`, with the feature `fs` |
//! | owned buffers, sends from the buffer's own memory | `ringway::uring::SocketExt`, with the feature `uring` |
//!
//! ```
//! # #[ringway::main]
//! # async fn main() -> std::io::Result<()> {
//! use ringway::io::{AsyncReadExt, AsyncWriteExt};
//! use ringway::net::{TcpListener, TcpStream, splice_bidirectional};
//!
//! # let backend = TcpListener::bind("127.0.0.1:0").await?;
//! # let backend_address = backend.local_addr()?;
//! # ringway::spawn(async move {
//! #     let (mut stream, _) = backend.accept().await?;
//! #     let (mut reader, mut writer) = stream.split();
//! #     ringway::io::copy(&mut reader, &mut writer).await
//! # });
//! // A proxy: one listener for each worker, one task for each connection.
//! let listeners = TcpListener::bind_per_worker("127.0.0.1:0").await?;
//! let address = listeners[0].local_addr()?;
//! for listener in listeners {
//!     ringway::spawn(async move {
//!         let mut incoming = listener.incoming();
//!         while let Ok(mut client) = incoming.next().await {
//!             ringway::spawn(async move {
//!                 let mut server = TcpStream::connect(backend_address).await?;
//!                 splice_bidirectional(&mut client, &mut server).await
//!             });
//!         }
//!     });
//! }
//!
//! let mut client = TcpStream::connect(address).await?;
//! client.write_all(b"there and back").await?;
//! client.shutdown().await?;
//! let mut echo = String::new();
//! client.read_to_string(&mut echo).await?;
//! assert_eq!(echo, "there and back");
//! # Ok(())
//! # }
//! ```

#[doc(inline)]
pub use ringway_net::{
    Datagram, Incoming, Received, RecvBatch, Splice, SpliceBidirectional, SpliceSink, SpliceSource,
    TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener,
    UnixSocket, UnixStream, lookup_host, splice, splice_bidirectional, tcp,
};

/// Sends a part of a file to a socket, the bytes never passing through the process: `fs::transfer`, for those who look for
/// it here.
#[cfg(feature = "fs")]
#[doc(inline)]
pub use ringway_fs::transfer as send_file;

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
