//! Options of sockets: what was set here is what the kernel has, asked for by other means, and the other way round. A function
//! that sets the wrong option and tells the same wrong one would pass a test of its own answer.

mod net_support;

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use net_support::*;
use ringway::net::{TcpSocket, UdpSocket};
use socket2::SockRef;

/// A function that sets an option of a socket, and one that asks for it.
type Set<S, T> = fn(&S, T) -> io::Result<()>;
type Ask<S, T> = fn(&S) -> io::Result<T>;

/// Sets each of `values` here and asks socket2, and then sets each by socket2 and asks here.
fn agree<'a, S, T>(
    what: &str,
    socket: &'a S,
    values: [T; 2],
    (set, ask): (Set<S, T>, Ask<S, T>),
    (other_set, other_ask): (Set<SockRef<'a>, T>, Ask<SockRef<'a>, T>),
) where
    SockRef<'a>: From<&'a S>,
    T: Copy + Debug + PartialEq,
{
    let other = SockRef::from(socket);
    for value in values {
        set(socket, value).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(other_ask(&other).unwrap(), value, "{what}, set here");
        assert_eq!(ask(socket).unwrap(), value, "{what}, set and asked here");
    }
    for value in values {
        other_set(&other, value).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(ask(socket).unwrap(), value, "{what}, asked here");
    }
}

macro_rules! agree {
    ($kind:ident $socket:ident $values:expr; $set:ident $ask:ident ~ $other_set:ident $other_ask:ident) => {
        agree(
            stringify!($kind::$set),
            $socket,
            $values,
            ($kind::$set, $kind::$ask),
            (
                |socket, value| socket.$other_set(value),
                |socket| socket.$other_ask(),
            ),
        )
    };
}

/// Mutant: two rows of the options in `net/src/tcp/socket.rs` name each other's functions of socket2.
#[test]
#[expect(deprecated, reason = "what is not advised must work all the same")]
fn options_of_a_tcp_socket_are_those_of_the_kernel() {
    for socket in [TcpSocket::new_v4(), TcpSocket::new_v6()] {
        // A machine without IPv6 has no such socket, and says so.
        let Ok(socket) = &socket else { continue };
        let flags = [true, false];
        agree!(TcpSocket socket flags; set_keepalive keepalive ~ set_keepalive keepalive);
        agree!(TcpSocket socket flags; set_reuseaddr reuseaddr ~ set_reuse_address reuse_address);
        agree!(TcpSocket socket flags; set_reuseport reuseport ~ set_reuse_port reuse_port);
        agree!(TcpSocket socket flags; set_nodelay nodelay ~ set_tcp_nodelay tcp_nodelay);
        let lingers = [Some(Duration::from_secs(3)), None];
        agree!(TcpSocket socket lingers; set_linger linger ~ set_linger linger);
        agree!(TcpSocket socket [0x10, 0x08]; set_tos_v4 tos_v4 ~ set_tos_v4 tos_v4);
        if socket.tclass_v6().is_ok() {
            agree!(TcpSocket socket [0x20, 0x88]; set_tclass_v6 tclass_v6 ~ set_tclass_v6 tclass_v6);
        }
        socket.set_zero_linger().unwrap();
        assert_eq!(
            SockRef::from(socket).linger().unwrap(),
            Some(Duration::ZERO)
        );
        socket.set_send_buffer_size(40_000).unwrap();
        socket.set_recv_buffer_size(20_000).unwrap();
        // The kernel doubles what it is asked for.
        assert_eq!(SockRef::from(socket).send_buffer_size().unwrap(), 80_000);
        assert_eq!(SockRef::from(socket).recv_buffer_size().unwrap(), 40_000);
        assert_eq!(socket.send_buffer_size().unwrap(), 80_000);
        assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);
    }
}

/// Mutant: two rows of the options in `net/src/udp/options.rs` name each other's functions of socket2.
#[test]
fn options_of_a_udp_socket_are_those_of_the_kernel() {
    on_both_flavours(|| async {
        let socket = &UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let flags = [true, false];
        agree!(UdpSocket socket flags; set_broadcast broadcast ~ set_broadcast broadcast);
        agree!(UdpSocket socket flags; set_multicast_loop_v4 multicast_loop_v4 ~ set_multicast_loop_v4 multicast_loop_v4);
        agree!(UdpSocket socket [3, 7]; set_multicast_ttl_v4 multicast_ttl_v4 ~ set_multicast_ttl_v4 multicast_ttl_v4);
        agree!(UdpSocket socket [5, 9]; set_ttl ttl ~ set_ttl_v4 ttl_v4);
        agree!(UdpSocket socket [0x10, 0x08]; set_tos_v4 tos_v4 ~ set_tos_v4 tos_v4);
        if let Ok(socket) = &UdpSocket::bind("[::]:0").await {
            agree!(UdpSocket socket flags; set_multicast_loop_v6 multicast_loop_v6 ~ set_multicast_loop_v6 multicast_loop_v6);
            agree!(UdpSocket socket [0x20, 0x88]; set_tclass_v6 tclass_v6 ~ set_tclass_v6 tclass_v6);
        }
    });
}

/// The former names do what the new ones do.
#[test]
#[expect(deprecated, reason = "they are there for old programs")]
fn former_names_of_options_still_set_them() {
    on_both_flavours(|| async {
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.set_tos(0x10).unwrap();
        assert_eq!((tcp.tos().unwrap(), tcp.tos_v4().unwrap()), (0x10, 0x10));
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.set_tos(0x08).unwrap();
        assert_eq!((udp.tos().unwrap(), udp.tos_v4().unwrap()), (0x08, 0x08));
    });
}

/// Where a privilege is needed for it, it is refused for want of that, and nothing else.
#[test]
fn a_socket_is_bound_to_a_device_and_freed_again() {
    on_both_flavours(|| async {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        let missing = [
            udp.bind_device(Some(b"nosuch0")),
            tcp.bind_device(Some(b"nosuch0")),
        ];
        for error in missing {
            let errno = error.unwrap_err().raw_os_error();
            assert!(
                matches!(errno, Some(libc::ENODEV | libc::EPERM)),
                "{errno:?}"
            );
        }
        if let Err(error) = udp.bind_device(Some(b"lo")) {
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
            return;
        }
        tcp.bind_device(Some(b"lo")).unwrap();
        assert_eq!(udp.device().unwrap().as_deref(), Some(&b"lo"[..]));
        assert_eq!(tcp.device().unwrap().as_deref(), Some(&b"lo"[..]));
        udp.bind_device(None).unwrap();
        tcp.bind_device(None).unwrap();
        assert_eq!((udp.device().unwrap(), tcp.device().unwrap()), (None, None));
    });
}

/// Mutant: `leave_multicast_v6` joins.
#[test]
fn a_group_of_ipv6_is_joined_once_and_left_once() {
    on_both_flavours(|| async {
        // A machine without IPv6 cannot make this claim false.
        let Ok(socket) = UdpSocket::bind("[::1]:0").await else {
            return;
        };
        let group: Ipv6Addr = "ff02::fb".parse().unwrap();
        // The loopback device is always the first.
        let device = 1;
        socket.join_multicast_v6(&group, device).unwrap();
        let again = socket.join_multicast_v6(&group, device).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EADDRINUSE));
        socket.leave_multicast_v6(&group, device).unwrap();
        let again = socket.leave_multicast_v6(&group, device).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EADDRNOTAVAIL));
        assert_eq!(
            socket.local_addr().unwrap().ip(),
            IpAddr::from(Ipv6Addr::LOCALHOST)
        );
    });
}
