//! Connecting, naming addresses, and setting a socket up before.

mod net_support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// An address at which nobody listens.
async fn deserted() -> SocketAddr {
    listener().await.local_addr().unwrap()
}

#[test]
fn a_refused_connection_is_an_error() {
    on_both_flavours(|| async {
        let error = TcpStream::connect(deserted().await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connect_tries_one_address_after_the_other() {
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let addresses = [deserted().await, address, deserted().await];
        let client = TcpStream::connect(&addresses[..]).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);

        let error = TcpStream::connect(&addresses[..1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "could not resolve to any address");
    });
}

#[test]
fn a_name_is_looked_up() {
    on_both_flavours(|| async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut found = false;
        for address in lookup_host(("localhost", port)).await.unwrap() {
            assert!(address.ip().is_loopback());
            found |= address == listener.local_addr().unwrap();
        }
        assert!(found, "localhost is where localhost was bound");
        TcpStream::connect(format!("localhost:{port}"))
            .await
            .unwrap();
        TcpStream::connect((String::from("localhost"), port))
            .await
            .unwrap();
        assert!(lookup_host("no port").await.is_err());
    });
}

/// The listener's queue is full, so the connection cannot stand; the attempt must go when its future goes.
#[test]
fn a_dropped_connect_closes_its_socket() {
    on_two_workers(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut standing = Vec::new();
        let pending = loop {
            let connect = TcpStream::connect(address);
            match ringway::time::timeout(Duration::from_millis(50), connect).await {
                Ok(stream) => standing.push(stream.unwrap()),
                Err(_) => break attempts(address),
            }
            assert!(standing.len() < 100, "the queue never fills up");
        };
        until("no attempt is left", || attempts(address) == 0).await;
        assert!(pending <= 1);
    });
}

/// How many sockets of this machine try to connect to `address` (state 2, SYN_SENT, in the kernel's table).
fn attempts(address: SocketAddr) -> usize {
    let port = format!("{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    let matches = |row: &Vec<&str>| row[2].ends_with(&port) && row[3] == "02";
    rows.by_ref().filter(matches).count()
}

#[test]
fn a_socket_keeps_the_options_that_were_set_before_it_connects() {
    on_both_flavours(|| async {
        let server = TcpSocket::new_v4().unwrap();
        server.set_reuseaddr(true).unwrap();
        server.set_reuseport(true).unwrap();
        assert!(server.reuseaddr().unwrap() && server.reuseport().unwrap());
        server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.local_addr().unwrap();
        let listener = server.listen(u32::MAX).unwrap();

        let client = TcpSocket::new_v4().unwrap();
        client.set_nodelay(true).unwrap();
        client.set_keepalive(true).unwrap();
        client.set_send_buffer_size(40_000).unwrap();
        client.set_recv_buffer_size(50_000).unwrap();
        client.set_tos_v4(16).unwrap();
        client.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let from = client.local_addr().unwrap();
        assert!(client.send_buffer_size().unwrap() >= 40_000);
        assert!(client.recv_buffer_size().unwrap() >= 50_000);
        assert!(client.nodelay().unwrap() && client.keepalive().unwrap());
        assert_eq!(client.tos_v4().unwrap(), 16);
        assert!(client.take_error().unwrap().is_none());

        let mut client = client.connect(address).await.unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, from);
        assert!(client.nodelay().unwrap());
        client.write_all(b"up").await.unwrap();
        let mut buffer = [0; 2];
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"up");
    });
}

#[test]
fn a_connection_over_ipv6_works_where_there_is_ipv6() {
    on_both_flavours(|| async {
        // A machine without IPv6 cannot make this claim false.
        let Ok(listener) = TcpListener::bind("[::1]:0").await else {
            return;
        };
        let address = listener.local_addr().unwrap();
        let (client, server) =
            ringway::try_join!(TcpStream::connect(address), listener.accept()).unwrap();
        assert_eq!(client.local_addr().unwrap(), server.1);
        assert!(TcpSocket::new_v6().unwrap().local_addr().unwrap().is_ipv6());
    });
}

#[test]
fn a_connection_of_the_standard_library_is_taken_over() {
    on_both_flavours(|| async {
        let (std_client, mut server) = pair_with_std().await;
        std_client.set_nonblocking(true).unwrap();
        let mut client = TcpStream::from_std(std_client).unwrap();
        server.write_all(b"std").await.unwrap();
        let mut buffer = [0; 3];
        client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"std");
    });
}
