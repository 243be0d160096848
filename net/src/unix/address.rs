//! The address of a Unix socket.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

use socket2::SockAddr;

/// The address of a Unix socket: a path, an abstract name, or none.
///
/// A path of 108 bytes, which the kernel lets a program have that leaves out the zero behind it, is told as none.
///
/// ```
/// use ringway_net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (one, _two) = UnixStream::pair()?;
/// assert!(one.local_addr()?.is_unnamed());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct SocketAddr(net::SocketAddr);

impl SocketAddr {
    /// Whether the socket has no address.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if the address is one.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The abstract name, without its leading zero, if the address is one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_name()
    }

    /// The address that `path` names. One that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is too long (108 bytes), or has a zero byte within.
    pub(super) fn of_path(path: &Path) -> io::Result<SocketAddr> {
        match path.as_os_str().as_bytes() {
            [0, name @ ..] => net::SocketAddr::from_abstract_name(name),
            _ => net::SocketAddr::from_pathname(path),
        }
        .map(SocketAddr)
    }

    /// The address as the kernel takes it.
    pub(super) fn to_kernel(&self) -> io::Result<SockAddr> {
        match (self.as_pathname(), self.as_abstract_name()) {
            (Some(path), _) => SockAddr::unix(path),
            (None, Some(name)) => SockAddr::unix(OsStr::from_bytes(&[&[0], name].concat())),
            (None, None) => SockAddr::unix(""),
        }
    }

    /// The address that the kernel gave.
    ///
    /// One whose path fills it to the last byte is taken for none: the standard library makes no such address, and a
    /// message or a connection is not to be lost with its sender's name.
    pub(super) fn from_kernel(address: &SockAddr) -> io::Result<SocketAddr> {
        let unnamed = || net::SocketAddr::from_pathname("");
        match (address.as_pathname(), address.as_abstract_namespace()) {
            (Some(path), _) => net::SocketAddr::from_pathname(path).or_else(|_| unnamed()),
            (None, Some(name)) => net::SocketAddr::from_abstract_name(name),
            (None, None) => unnamed(),
        }
        .map(SocketAddr)
    }
}

/// The address that `path` names, as the kernel takes it.
pub(super) fn kernel_address(path: impl AsRef<Path>) -> io::Result<SockAddr> {
    SocketAddr::of_path(path.as_ref())?.to_kernel()
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(address: net::SocketAddr) -> SocketAddr {
        SocketAddr(address)
    }
}

impl From<SocketAddr> for net::SocketAddr {
    fn from(address: SocketAddr) -> net::SocketAddr {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::ErrorKind;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::SocketAddr;

    fn there_and_back(path: &[u8]) -> SocketAddr {
        let path = Path::new(OsStr::from_bytes(path));
        let address = SocketAddr::of_path(path).expect("a good path");
        let kernel = address.to_kernel().expect("a good address");
        SocketAddr::from_kernel(&kernel).expect("the kernel's address")
    }

    #[test]
    fn each_kind_of_address_goes_to_the_kernel_and_comes_back() {
        let path = there_and_back(b"/run/a socket");
        assert_eq!(path.as_pathname(), Some(Path::new("/run/a socket")));
        assert_eq!(path.as_abstract_name(), None);
        let name = there_and_back(b"\0a\0name");
        assert_eq!(name.as_abstract_name(), Some(&b"a\0name"[..]));
        assert_eq!(name.as_pathname(), None);
        let unnamed = there_and_back(b"");
        assert!(unnamed.is_unnamed() && !name.is_unnamed() && !path.is_unnamed());
    }

    #[test]
    fn the_longest_path_has_107_bytes_and_no_zero_within() {
        let longest = there_and_back(&[b'x'; 107]);
        assert_eq!(
            longest.as_pathname().map(|path| path.as_os_str().len()),
            Some(107)
        );
        for bad in [&[b'x'; 108][..], b"a\0b", &[0; 109]] {
            let refused = SocketAddr::of_path(Path::new(OsStr::from_bytes(bad)));
            assert_eq!(
                refused.expect_err("a bad path").kind(),
                ErrorKind::InvalidInput
            );
        }
    }
}
