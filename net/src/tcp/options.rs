//! The addresses and options of a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::TcpStream;
use crate::op::inet_address;

impl TcpStream {
    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet_address(&self.socket().options().local_addr()?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` if the connection is gone.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, from) = listener.accept().await?;
    /// assert_eq!(client.peer_addr()?, server.local_addr()?);
    /// assert_eq!(server.peer_addr()?, from);
    /// assert!(client.take_error()?.is_none());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        inet_address(&self.socket().options().peer_addr()?)
    }

    /// Takes the error that the kernel has noted for this connection, if any (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().options().take_error()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().options().tcp_nodelay()
    }

    /// Sends small writes at once, or lets the kernel gather them while earlier ones are not acknowledged.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// assert!(!client.nodelay()?);
    /// // A question and its answer, over and over: do not wait for more to send.
    /// client.set_nodelay(true)?;
    /// assert!(client.nodelay()?);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().options().set_tcp_nodelay(nodelay)
    }

    /// Whether acknowledgements are sent at once (`TCP_QUICKACK`). The kernel changes this by itself.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn quickack(&self) -> io::Result<bool> {
        self.socket().options().tcp_quickack()
    }

    /// Sends acknowledgements at once, or lets the kernel delay them, until the kernel changes it again.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// client.set_quickack(true)?;
    /// assert!(client.quickack()?);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.socket().options().set_tcp_quickack(quickack)
    }

    /// How long a close waits for unsent bytes (`SO_LINGER`); `None` if it sends them in the background.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(client.linger()?, None, "a close waits for nothing");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket().options().linger()
    }

    /// Sets how long a close waits for unsent bytes, in whole seconds; `None` sends them in the background.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # #![allow(deprecated)]
    /// use std::time::Duration;
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// client.set_linger(Some(Duration::from_secs(2)))?;
    /// assert_eq!(client.linger()?, Some(Duration::from_secs(2)));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[deprecated = "a lingering close blocks the thread that drops the connection; set_zero_linger does not"]
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.socket().options().set_linger(duration)
    }

    /// Makes the close a reset: unsent bytes are thrown away, and the peer gets an error.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_net::{TcpListener, TcpStream};
    /// use tokio::io::AsyncReadExt;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut server, _) = listener.accept().await?;
    /// client.set_zero_linger()?;
    /// drop(client);
    /// let error = server.read(&mut [0; 16]).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket().options().set_linger(Some(Duration::ZERO))
    }

    /// The time to live (in hops) of the packets that it sends.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().options().ttl_v4()
    }

    /// Sets the time to live (in hops) of the packets that it sends.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// client.set_ttl(5)?;
    /// assert_eq!(client.ttl()?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket().options().set_ttl_v4(hops)
    }
}
