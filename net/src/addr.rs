//! From names to addresses.

use std::future::{self, Future};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{option, vec};

use ringway_runtime::spawn_blocking;
use ringway_runtime::task::JoinHandle;

/// What names the address of a socket: an address, several of them, or a host and a port.
///
/// Implemented for [`SocketAddr`] and its two kinds, for an IP address with a port, for slices of addresses,
/// and for strings (`"host:port"`, or a host with a port). A string that is an address costs nothing; another
/// one is looked up by getaddrinfo(3) on the blocking pool.
///
/// Nobody else can implement it, so that it may grow.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut addresses = ringway_net::lookup_host(("127.0.0.1", 80)).await?;
/// assert_eq!(addresses.next(), Some("127.0.0.1:80".parse().unwrap()));
/// # Ok(())
/// # })
/// # }
/// ```
pub trait ToSocketAddrs: sealed::Resolve {}

/// Finds the addresses of `host`.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let addresses = ringway_net::lookup_host("localhost:80").await?;
/// for address in addresses {
///     assert!(address.ip().is_loopback());
///     assert_eq!(address.port(), 80);
/// }
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of getaddrinfo(3), and an unreadable port.
///
/// # Panics
///
/// Outside a runtime, if a name must be looked up.
///
/// # Cancel safety
///
/// Safe. A look-up that has begun goes on, on the blocking pool, and its result is dropped.
pub async fn lookup_host<T: ToSocketAddrs>(
    host: T,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    resolve(host).await
}

/// The future of `name`'s addresses. It does not borrow `name`.
pub(crate) fn resolve<T: ToSocketAddrs>(name: T) -> T::Future {
    name.resolve()
}

/// The error of a name that names no address.
pub(crate) fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "could not resolve to any address",
    )
}

pub(crate) mod sealed {
    use std::future::Future;
    use std::io;
    use std::net::SocketAddr;

    /// The hidden part of [`ToSocketAddrs`](super::ToSocketAddrs).
    #[doc(hidden)]
    pub trait Resolve {
        type Addresses: Iterator<Item = SocketAddr> + Send + 'static;
        type Future: Future<Output = io::Result<Self::Addresses>> + Send + 'static;

        fn resolve(&self) -> Self::Future;
    }
}

use sealed::Resolve;

/// A future that has its result already.
type Now<I> = future::Ready<io::Result<I>>;

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}

impl<T: Resolve + ?Sized> Resolve for &T {
    type Addresses = T::Addresses;
    type Future = T::Future;

    fn resolve(&self) -> T::Future {
        (**self).resolve()
    }
}

/// The types that are one address.
macro_rules! one_address {
    ($($name:ty),*) => {$(
        impl ToSocketAddrs for $name {}

        impl Resolve for $name {
            type Addresses = option::IntoIter<SocketAddr>;
            type Future = Now<Self::Addresses>;

            fn resolve(&self) -> Self::Future {
                future::ready(Ok(Some(SocketAddr::from(*self)).into_iter()))
            }
        }
    )*};
}

one_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for &[SocketAddr] {}

impl Resolve for &[SocketAddr] {
    type Addresses = vec::IntoIter<SocketAddr>;
    type Future = Now<Self::Addresses>;

    fn resolve(&self) -> Self::Future {
        future::ready(Ok(Vec::from(*self).into_iter()))
    }
}

impl ToSocketAddrs for str {}

impl Resolve for str {
    type Addresses = Addresses;
    type Future = Lookup;

    fn resolve(&self) -> Lookup {
        match self.parse() {
            Ok(address) => Lookup::known(address),
            Err(_) => {
                let name = self.to_owned();
                Lookup::start(move || std::net::ToSocketAddrs::to_socket_addrs(&name))
            }
        }
    }
}

impl ToSocketAddrs for String {}

impl Resolve for String {
    type Addresses = Addresses;
    type Future = Lookup;

    fn resolve(&self) -> Lookup {
        self.as_str().resolve()
    }
}

impl ToSocketAddrs for (&str, u16) {}

impl Resolve for (&str, u16) {
    type Addresses = Addresses;
    type Future = Lookup;

    fn resolve(&self) -> Lookup {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Lookup::known(SocketAddr::new(ip, port)),
            Err(_) => {
                let host = host.to_owned();
                Lookup::start(move || {
                    std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))
                })
            }
        }
    }
}

impl ToSocketAddrs for (String, u16) {}

impl Resolve for (String, u16) {
    type Addresses = Addresses;
    type Future = Lookup;

    fn resolve(&self) -> Lookup {
        (self.0.as_str(), self.1).resolve()
    }
}

/// The future of a name's addresses.
#[derive(Debug)]
pub struct Lookup(Answer);

#[derive(Debug)]
enum Answer {
    Known(Option<SocketAddr>),
    Asked(JoinHandle<io::Result<vec::IntoIter<SocketAddr>>>),
}

impl Lookup {
    fn known(address: SocketAddr) -> Lookup {
        Lookup(Answer::Known(Some(address)))
    }

    fn start(
        ask: impl FnOnce() -> io::Result<vec::IntoIter<SocketAddr>> + Send + 'static,
    ) -> Lookup {
        Lookup(Answer::Asked(spawn_blocking(ask)))
    }
}

impl Future for Lookup {
    type Output = io::Result<Addresses>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Known(address) => Poll::Ready(Ok(Addresses::One(address.take().into_iter()))),
            Answer::Asked(handle) => Pin::new(handle).poll(cx).map(|joined| match joined {
                Ok(answer) => answer.map(Addresses::Many),
                Err(error) => Err(io::Error::from(error)),
            }),
        }
    }
}

/// The addresses of a name.
#[derive(Debug)]
pub enum Addresses {
    /// The name was an address.
    One(option::IntoIter<SocketAddr>),
    /// The name was looked up.
    Many(vec::IntoIter<SocketAddr>),
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Addresses::One(address) => address.next(),
            Addresses::Many(addresses) => addresses.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Addresses::One(address) => address.size_hint(),
            Addresses::Many(addresses) => addresses.size_hint(),
        }
    }
}
