//! Names of Unix sockets: paths, abstract names with zero bytes in them, none, and those that cannot be; and zeros in the names
//! of pipes and hosts. What std says of the same name is what ours say.

mod net_support;

use std::ffi::OsStr;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::{Path, PathBuf};

use net_support::*;
use ringway::net::unix::SocketAddr;
use ringway::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};

/// A path has 107 bytes at most, as has an abstract name without its leading zero.
const LONGEST: usize = 107;

/// The address of a name as std makes it, by the function that fits.
fn of_std(name: &Path) -> io::Result<net::SocketAddr> {
    match name.as_os_str().as_bytes() {
        [0, rest @ ..] => net::SocketAddr::from_abstract_name(rest),
        _ => net::SocketAddr::from_pathname(name),
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// `start`, as long as it may be.
fn filled(mut start: Vec<u8>, length: usize) -> PathBuf {
    assert!(
        start.len() <= length,
        "a folder for temporary files with a shorter name"
    );
    start.resize(length, b'x');
    path(&start)
}

/// What an address says of itself.
fn said(address: &SocketAddr) -> (Option<PathBuf>, Option<Vec<u8>>, bool) {
    let path = address.as_pathname().map(Path::to_path_buf);
    let name = address.as_abstract_name().map(<[u8]>::to_vec);
    (path, name, address.is_unnamed())
}

#[track_caller]
fn is_that_of_std(address: &SocketAddr, std: &net::SocketAddr) {
    assert_eq!(said(address), said(&SocketAddr::from(std.clone())));
    assert_eq!(format!("{address:?}"), format!("{std:?}"));
    let back = net::SocketAddr::from(address.clone());
    assert_eq!(back.as_pathname(), std.as_pathname());
    assert_eq!(back.as_abstract_name(), std.as_abstract_name());
}

/// Names that are good, in and below `folder`.
fn good_names(folder: &Path) -> Vec<PathBuf> {
    let of_process = |tail: &[u8]| {
        let mut name = format!("\0names of {}", std::process::id()).into_bytes();
        name.extend_from_slice(tail);
        name
    };
    let mut leading = vec![0];
    leading.extend(of_process(b""));
    let mut folder = folder.as_os_str().as_bytes().to_vec();
    folder.push(b'/');
    vec![
        path(&[&folder[..], b"short"].concat()),
        path(&[&folder[..], b"\xff no text"].concat()),
        filled(folder, LONGEST),
        path(&of_process(b"")),
        path(&of_process(b"\0within\0")),
        path(&of_process(b"\xff\xfe")),
        path(&leading),
        filled(of_process(b"\0"), 1 + LONGEST),
    ]
}

/// Mutants: a name ends at its first zero, or its last one; the leading zero is counted twice.
#[test]
fn every_good_name_is_bound_connected_and_told_as_by_std() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        for name in good_names(folder.path()) {
            let std = of_std(&name).expect("a good name");
            stream_by(&name, &std).await;
            if std.as_pathname().is_some() {
                std::fs::remove_file(&name).expect("the listener's");
            }
            datagram_by(&name, &std).await;
        }
    });
}

async fn stream_by(name: &Path, std: &net::SocketAddr) {
    let listener = UnixListener::bind(name).unwrap();
    is_that_of_std(&listener.local_addr().unwrap(), std);
    // Who looks from outside sees the same name.
    let same = net::UnixListener::from(listener.as_fd().try_clone_to_owned().unwrap());
    is_that_of_std(&listener.local_addr().unwrap(), &same.local_addr().unwrap());
    let clients = [
        UnixStream::connect(name).await.unwrap(),
        UnixStream::connect_addr(&SocketAddr::from(std.clone()))
            .await
            .unwrap(),
        UnixSocket::new_stream()
            .unwrap()
            .connect(name)
            .await
            .unwrap(),
    ];
    net::UnixStream::connect_addr(std).unwrap();
    for client in clients {
        is_that_of_std(&client.peer_addr().unwrap(), std);
        let (server, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed());
        is_that_of_std(&server.local_addr().unwrap(), std);
    }
    let (_, peer) = listener.accept().await.unwrap();
    assert!(peer.is_unnamed());
}

async fn datagram_by(name: &Path, std: &net::SocketAddr) {
    let server = UnixDatagram::bind(name).unwrap();
    is_that_of_std(&server.local_addr().unwrap(), std);
    let client = UnixDatagram::unbound().unwrap();
    assert_eq!(client.send_to(b"1", name).await.unwrap(), 1);
    assert_eq!(client.try_send_to(b"2", name).unwrap(), 1);
    assert_eq!(
        poll_fn(|cx| client.poll_send_to(cx, b"3", name))
            .await
            .unwrap(),
        1
    );
    client.connect(name).unwrap();
    is_that_of_std(&client.peer_addr().unwrap(), std);
    assert_eq!(client.send(b"4").await.unwrap(), 1);
    server.connect(name).unwrap();
    assert_eq!(server.send(b"5").await.unwrap(), 1);
    let mut byte = [0];
    for number in b'1'..=b'5' {
        let (length, sender) = server.recv_from(&mut byte).await.unwrap();
        assert_eq!((length, byte), (1, [number]));
        match number {
            b'5' => is_that_of_std(&sender, std),
            _ => assert!(sender.is_unnamed()),
        }
    }
}

/// Names that std refuses are refused by every function that takes one, with the same words. Mutant: `of_path` cuts a name
/// that is too long.
#[test]
fn a_name_that_cannot_be_is_refused_as_by_std() {
    on_both_flavours(|| async {
        let bad = [
            path(b"a\0b"),
            path(b"/a/b\0"),
            filled(Vec::new(), LONGEST + 1),
            filled(vec![0], 1 + LONGEST + 1),
            filled(b"/".to_vec(), 5000),
        ];
        for name in bad {
            let std = of_std(&name).expect_err("a bad name");
            assert_eq!(std.kind(), io::ErrorKind::InvalidInput);
            let stream = || UnixSocket::new_stream().unwrap();
            let datagram = UnixDatagram::unbound().unwrap();
            let refused = [
                UnixListener::bind(&name).err(),
                UnixStream::connect(&name).await.err(),
                UnixDatagram::bind(&name).err(),
                stream().bind(&name).err(),
                stream().connect(&name).await.err(),
                datagram.connect(&name).err(),
                datagram.send_to(b"x", &name).await.err(),
                datagram.try_send_to(b"x", &name).err(),
                poll_fn(|cx| datagram.poll_send_to(cx, b"x", &name))
                    .await
                    .err(),
            ];
            for (number, error) in refused.into_iter().enumerate() {
                let error = error.unwrap_or_else(|| panic!("{number} took {name:?}"));
                assert_eq!(error.kind(), std.kind(), "{number}, {name:?}");
                assert_eq!(error.to_string(), std.to_string(), "{number}, {name:?}");
            }
        }
    });
}

/// The other names that net takes: of pipes and of hosts. Mutant: zeros in the name of a host are left out.
#[test]
fn a_zero_in_the_name_of_a_pipe_or_a_host_is_refused_as_by_std() {
    use std::net::ToSocketAddrs;
    on_both_flavours(|| async {
        let options = ringway::net::unix::pipe::OpenOptions::new();
        let name = path(b"a\0b");
        let std = std::fs::File::open(&name).expect_err("no path");
        let refused = [
            options.open_receiver(&name).err(),
            options.open_sender(&name).err(),
        ];
        for error in refused {
            let error = error.expect("no path");
            assert_eq!(
                (error.kind(), error.to_string()),
                (std.kind(), std.to_string())
            );
        }
        let host = "local\0host:80";
        let std = host.to_socket_addrs().expect_err("no host");
        let refused = [
            ringway::net::lookup_host(host).await.err(),
            ringway::net::TcpStream::connect(host).await.err(),
            ringway::net::TcpListener::bind(host).await.err(),
            ringway::net::UdpSocket::bind(host).await.err(),
        ];
        for error in refused {
            let error = error.expect("no host");
            assert_eq!(
                (error.kind(), error.to_string()),
                (std.kind(), std.to_string())
            );
        }
    });
}

/// Without a name, a socket that is bound is given one by the kernel; and one of a single zero is a name.
#[test]
fn the_shortest_names_are_what_they_are_for_std() {
    on_both_flavours(|| async {
        let chosen = UnixDatagram::bind("").unwrap();
        let name = chosen.local_addr().unwrap();
        assert_eq!(
            name.as_abstract_name().expect("a name").len(),
            5,
            "{name:?}"
        );
        let std = of_std(Path::new("\0")).unwrap();
        assert_eq!(std.as_abstract_name(), Some(&b""[..]));
        match UnixDatagram::bind("\0") {
            Ok(shortest) => is_that_of_std(&shortest.local_addr().unwrap(), &std),
            // There is one such name in the system.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
        let refused = UnixStream::connect("").await.unwrap_err();
        let of_std = net::UnixStream::connect_addr(&of_std(Path::new("")).unwrap());
        assert_eq!(refused.raw_os_error(), of_std.unwrap_err().raw_os_error());
    });
}

/// The kernel lets a path fill the address to its last byte, without a zero behind it. std can be told of such an address by
/// the kernel, and make none, nor can we. Mutant: `from_kernel` passes the refusal on.
#[test]
fn a_path_without_room_for_its_end_costs_no_message_and_no_connection() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mut start = folder.path().as_os_str().as_bytes().to_vec();
        start.push(b'/');
        let name = filled(start, LONGEST + 1);
        let server_name = folder.path().join("server");
        let server = UnixDatagram::bind(&server_name).unwrap();
        let client = net::UnixDatagram::unbound().unwrap();
        bind_to_the_last_byte(&client, &name);
        client.send_to(b"hello", &server_name).unwrap();
        let mut bytes = [0; 8];
        let (length, sender) = server.recv_from(&mut bytes).await.unwrap();
        assert_eq!(&bytes[..length], b"hello");
        assert!(sender.is_unnamed(), "{sender:?}");
        std::fs::remove_file(&name).unwrap();

        let listener = UnixListener::bind(folder.path().join("listener")).unwrap();
        let socket = UnixSocket::new_stream().unwrap();
        bind_to_the_last_byte(&socket, &name);
        let client = socket
            .connect(folder.path().join("listener"))
            .await
            .unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed() && server.peer_addr().unwrap().is_unnamed());
        assert!(client.local_addr().unwrap().is_unnamed());
        assert_eq!(client.try_write(b"hello").unwrap(), 5);
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut bytes).unwrap(), 5);
    });
}

fn bind_to_the_last_byte(socket: &impl std::os::fd::AsRawFd, name: &Path) {
    let mut address = libc::sockaddr_un {
        sun_family: libc::AF_UNIX as libc::sa_family_t,
        sun_path: [0; LONGEST + 1],
    };
    for (place, byte) in address.sun_path.iter_mut().zip(name.as_os_str().as_bytes()) {
        *place = *byte as libc::c_char;
    }
    // SAFETY: the address lives through the call, and its length is its own.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    assert_eq!(bound, 0, "{}", io::Error::last_os_error());
}
