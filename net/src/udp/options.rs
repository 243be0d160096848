//! The options of a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::SockRef;

use super::UdpSocket;
use crate::socket::options;

/// Options of the socket: each is set by one function, and told by another.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use ringway_net::UdpSocket;
///
/// let socket = UdpSocket::bind("0.0.0.0:0").await?;
/// socket.set_broadcast(true)?;
/// socket.set_ttl(10)?;
/// socket.set_tos_v4(0x10)?;
/// assert_eq!((socket.broadcast()?, socket.ttl()?, socket.tos_v4()?), (true, 10, 0x10));
///
/// // Messages to groups: no further than this network, and not to this machine.
/// socket.set_multicast_ttl_v4(1)?;
/// socket.set_multicast_loop_v4(false)?;
/// assert_eq!((socket.multicast_ttl_v4()?, socket.multicast_loop_v4()?), (1, false));
///
/// // The same of IPv6, on a machine that has it.
/// if let Ok(socket) = UdpSocket::bind("[::]:0").await {
///     socket.set_tclass_v6(0x10)?;
///     socket.set_multicast_loop_v6(false)?;
///     assert_eq!((socket.tclass_v6()?, socket.multicast_loop_v6()?), (0x10, false));
/// }
/// # Ok(())
/// # })
/// # }
/// ```
impl UdpSocket {
    options! {
        set_broadcast, broadcast, bool, set_broadcast, broadcast,
        "Lets the socket send to broadcast addresses, or not (`SO_BROADCAST`).",
        "Whether the socket may send to broadcast addresses (`SO_BROADCAST`).";

        set_multicast_loop_v4, multicast_loop_v4, bool, set_multicast_loop_v4, multicast_loop_v4,
        "Gives IPv4 multicast messages that this machine sends to its own sockets too (`IP_MULTICAST_LOOP`).",
        "Whether IPv4 multicast messages that this machine sends go to its own sockets too (`IP_MULTICAST_LOOP`).";

        set_multicast_ttl_v4, multicast_ttl_v4, u32, set_multicast_ttl_v4, multicast_ttl_v4,
        "Sets the time to live (in hops) of IPv4 multicast messages (`IP_MULTICAST_TTL`).",
        "The time to live (in hops) of IPv4 multicast messages (`IP_MULTICAST_TTL`).";

        set_multicast_loop_v6, multicast_loop_v6, bool, set_multicast_loop_v6, multicast_loop_v6,
        "Gives IPv6 multicast messages that this machine sends to its own sockets too (`IPV6_MULTICAST_LOOP`).",
        "Whether IPv6 multicast messages that this machine sends go to its own sockets too (`IPV6_MULTICAST_LOOP`).";

        set_tclass_v6, tclass_v6, u32, set_tclass_v6, tclass_v6,
        "Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).",
        "The traffic class of IPv6 packets (`IPV6_TCLASS`).";

        set_ttl, ttl, u32, set_ttl_v4, ttl_v4,
        "Sets the time to live (in hops) of IPv4 packets (`IP_TTL`).",
        "The time to live (in hops) of IPv4 packets (`IP_TTL`).";

        set_tos_v4, tos_v4, u32, set_tos_v4, tos_v4,
        "Sets the type of service of IPv4 packets (`IP_TOS`).",
        "The type of service of IPv4 packets (`IP_TOS`).";
    }

    fn options(&self) -> SockRef<'_> {
        self.socket.options()
    }

    /// As [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[deprecated = "it is of IPv4 only, and is called `tos_v4` now"]
    #[doc(hidden)]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// As [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[deprecated = "it is of IPv4 only, and is called `set_tos_v4` now"]
    #[doc(hidden)]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The network device that the socket is bound to, if any (`SO_BINDTODEVICE`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("0.0.0.0:0").await?;
    /// assert_eq!(socket.device()?, None, "any interface will do");
    /// // Some kernels ask for a privilege.
    /// if socket.bind_device(Some(b"lo")).is_ok() {
    ///     assert_eq!(socket.device()?.as_deref(), Some(&b"lo"[..]));
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.options().device()
    }

    /// Binds the socket to a network device, or with `None` to none: it sends and receives through that one only.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `ENODEV` if there is no such device.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.options().bind_device(interface)
    }

    /// Receives what is sent to the group `multiaddr` through the interface that has the address `interface`;
    /// `0.0.0.0` lets the kernel choose (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): no group's address, no such interface, or a group that was joined before.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::net::Ipv4Addr;
    /// use ringway_net::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("0.0.0.0:0").await?;
    /// let group = Ipv4Addr::new(224, 0, 0, 251);
    /// socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    /// socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    /// assert!(socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.options().join_multicast_v4(&multiaddr, &interface)
    }

    /// Receives what is sent to the group `multiaddr` through the interface with the index `interface`; 0 lets the
    /// kernel choose (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use ringway_net::UdpSocket;
    ///
    /// // A machine without IPv6 says so.
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0").await {
    ///     let group = "ff02::fb".parse().unwrap();
    ///     assert!(socket.leave_multicast_v6(&group, 1).is_err(), "it has not joined");
    ///     if socket.join_multicast_v6(&group, 1).is_ok() {
    ///         socket.leave_multicast_v6(&group, 1)?;
    ///     }
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.options().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group that was joined with the same arguments (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): `AddrNotAvailable` if it had not been joined.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.options().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves a group that was joined with the same arguments (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.options().leave_multicast_v6(multiaddr, interface)
    }
}
