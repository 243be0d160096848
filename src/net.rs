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

#[doc(inline)]
pub use ringway_net::{
    TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener,
    UnixSocket, UnixStream, lookup_host, tcp,
};

/// What belongs to Unix sockets: addresses, credentials, and the halves of a stream.
pub mod unix {
    #[doc(inline)]
    pub use ringway_net::unix::{
        OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, SocketAddr, UCred, WriteHalf, gid_t,
        pid_t, pipe, uid_t,
    };
}
