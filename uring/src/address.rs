//! [`Address`]: where a message comes from or goes to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::SockAddr;

/// The address of a socket of any family.
///
/// ```
/// use ringway_uring::Address;
///
/// let address = Address::from("127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap());
/// assert_eq!(address.as_inet().unwrap().port(), 80);
/// let address = Address::unix("/run/ringway.sock")?;
/// assert_eq!(address.as_pathname(), Some("/run/ringway.sock".as_ref()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Address(SockAddr);

impl Address {
    /// The address of a Unix socket. A path that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is too long (108 bytes).
    pub fn unix(path: impl AsRef<Path>) -> io::Result<Self> {
        SockAddr::unix(path).map(Self)
    }

    /// The address, if it is one of the Internet.
    pub fn as_inet(&self) -> Option<SocketAddr> {
        self.0.as_socket()
    }

    /// The path, if it is that of a Unix socket.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The abstract name, without its leading zero, if it is that of a Unix socket.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_namespace()
    }

    pub(crate) fn from_kernel(address: SockAddr) -> Self {
        Self(address)
    }

    pub(crate) fn as_kernel(&self) -> &SockAddr {
        &self.0
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(address.into())
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Address {}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.as_inet() {
            return fmt::Debug::fmt(&address, f);
        }
        match (self.as_pathname(), self.as_abstract_name()) {
            (Some(path), _) => write!(f, "{path:?} (pathname)"),
            (None, Some(name)) => write!(f, "\"{}\" (abstract)", name.escape_ascii()),
            (None, None) => f.write_str("(unnamed)"),
        }
    }
}
