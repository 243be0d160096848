//! UDP sockets: messages, cancelled receives, readiness, errors and closing.

mod net_support;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use net_support::*;
use ringway::io::{Interest, ReadBuf};
use ringway::net::UdpSocket;

/// A socket on a free port of this machine, and its address.
async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// Two sockets that are connected to each other.
async fn connected() -> (UdpSocket, UdpSocket) {
    let (one, one_address) = bound().await;
    let (two, two_address) = bound().await;
    one.connect(two_address)
        .await
        .expect("an address to connect to");
    two.connect(one_address)
        .await
        .expect("an address to connect to");
    (one, two)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let (_, address) = bound().await;
    address
}

#[test]
fn messages_keep_their_bounds_and_tell_their_sender() {
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let (client, client_address) = bound().await;
        for message in [&b"one"[..], b"", b"three"] {
            assert_eq!(
                client.send_to(message, address).await.unwrap(),
                message.len()
            );
        }
        let mut buffer = [0; 16];
        for message in [&b"one"[..], b"", b"three"] {
            let (length, sender) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], message);
            assert_eq!(sender, client_address);
        }
    });
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    on_both_flavours(|| async {
        let (one, two) = connected().await;
        let (stranger, _) = bound().await;
        assert_eq!(one.peer_addr().unwrap(), two.local_addr().unwrap());
        let sent = stranger.send_to(b"no", one.local_addr().unwrap()).await;
        assert_eq!(sent.unwrap(), 2);
        assert_eq!(two.send(b"yes").await.unwrap(), 3);
        let mut buffer = [0; 16];
        assert_eq!(one.recv(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer[..3], b"yes");
        assert!(would_block(&one.try_recv(&mut buffer)));
    });
}

#[test]
fn what_there_is_no_room_for_is_lost_with_its_message_only() {
    on_both_flavours(|| async {
        let (one, two) = connected().await;
        one.send(b"long message").await.unwrap();
        one.send(b"next").await.unwrap();
        let mut small = [0; 4];
        assert_eq!(two.recv(&mut small).await.unwrap(), 4);
        assert_eq!(&small, b"long");
        assert_eq!(two.recv(&mut small).await.unwrap(), 4);
        assert_eq!(&small, b"next");
    });
}

/// Each way of receiving and of looking gets the same message. Mutant: a peek that takes.
#[test]
fn every_way_of_looking_leaves_the_message_and_every_way_of_receiving_takes_it() {
    on_both_flavours(|| async {
        let (one, two) = connected().await;
        let sender = one.local_addr().unwrap();
        let mut buffer = [0; 16];
        for way in 0..9 {
            one.send(b"hello").await.unwrap();
            two.readable().await.unwrap();
            assert_eq!(two.peek(&mut buffer).await.unwrap(), 5);
            assert_eq!(two.try_peek(&mut buffer).unwrap(), 5);
            assert_eq!(two.peek_from(&mut buffer).await.unwrap(), (5, sender));
            assert_eq!(two.try_peek_from(&mut buffer).unwrap(), (5, sender));
            assert_eq!(two.peek_sender().await.unwrap(), sender);
            assert_eq!(two.try_peek_sender().unwrap(), sender);
            assert_eq!(
                poll_fn(|cx| two.poll_peek_sender(cx)).await.unwrap(),
                sender
            );
            let mut room = ReadBuf::new(&mut buffer);
            poll_fn(|cx| two.poll_peek(cx, &mut room)).await.unwrap();
            assert_eq!(room.filled(), b"hello");
            room.clear();
            let peeked = poll_fn(|cx| two.poll_peek_from(cx, &mut room)).await;
            assert_eq!((peeked.unwrap(), room.filled()), (sender, &b"hello"[..]));

            let mut room = ReadBuf::new(&mut buffer);
            let mut bytes = Vec::with_capacity(16);
            let mut spare = [0; 16];
            match way {
                0 => {
                    let length = two.recv(&mut spare).await.unwrap();
                    bytes.extend(&spare[..length]);
                }
                1 => {
                    let length = two.try_recv(&mut spare).unwrap();
                    bytes.extend(&spare[..length]);
                }
                2 => {
                    poll_fn(|cx| two.poll_recv(cx, &mut room)).await.unwrap();
                    bytes.extend(room.filled());
                }
                3 => {
                    let (length, from) = two.recv_from(&mut spare).await.unwrap();
                    assert_eq!(from, sender);
                    bytes.extend(&spare[..length]);
                }
                4 => {
                    let (length, from) = two.try_recv_from(&mut spare).unwrap();
                    assert_eq!(from, sender);
                    bytes.extend(&spare[..length]);
                }
                5 => {
                    let from = poll_fn(|cx| two.poll_recv_from(cx, &mut room)).await;
                    assert_eq!(from.unwrap(), sender);
                    bytes.extend(room.filled());
                }
                6 => assert_eq!(two.recv_buf(&mut bytes).await.unwrap(), 5),
                7 => assert_eq!(two.try_recv_buf(&mut bytes).unwrap(), 5),
                _ => assert_eq!(two.recv_buf_from(&mut bytes).await.unwrap(), (5, sender)),
            }
            assert_eq!(bytes, b"hello", "way {way}");
            assert!(would_block(&two.try_recv_buf_from(&mut bytes)), "way {way}");
        }
    });
}

/// Receives that lose a race against a timer all the while. Mutant: `Duplex::receive` yields between taking a message
/// and returning it.
#[test]
fn receives_that_are_dropped_lose_no_message() {
    const MESSAGES: u32 = 3_000;
    on_both_flavours(|| async {
        let (one, two) = connected().await;
        let one = Arc::new(one);
        let sender = ringway::spawn({
            let one = one.clone();
            async move {
                let mut numbers = Numbers::new(5);
                for number in 0..MESSAGES {
                    one.send(&number.to_le_bytes()).await.unwrap();
                    // The receiver answers each, so that none is dropped for want of room.
                    one.recv(&mut [0; 4]).await.unwrap();
                    if numbers.below(4) == 0 {
                        let pause = Duration::from_micros(numbers.below(200) as u64);
                        ringway::time::sleep(pause).await;
                    }
                }
            }
        });
        let mut numbers = Numbers::new(6);
        let (mut expected, mut dropped) = (0, 0);
        let mut buffer = [0; 4];
        while expected < MESSAGES {
            let patience = Duration::from_micros(numbers.below(100) as u64);
            ringway::select! {
                biased;
                () = ringway::time::sleep(patience) => dropped += 1,
                received = two.recv(&mut buffer) => {
                    assert_eq!(received.unwrap(), 4);
                    assert_eq!(u32::from_le_bytes(buffer), expected);
                    expected += 1;
                    two.send(&buffer).await.unwrap();
                }
            }
        }
        sender.await.unwrap();
        assert!(dropped > 0, "no receive was dropped");
    });
}

#[test]
fn many_tasks_that_receive_share_the_messages() {
    const MESSAGES: usize = 400;
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let (client, _) = bound().await;
        let server = Arc::new(server);
        let (told, mut heard) = ringway::sync::mpsc::unbounded_channel();
        for _ in 0..8 {
            let (server, told) = (server.clone(), told.clone());
            ringway::spawn(async move {
                let mut buffer = [0; 8];
                loop {
                    let (length, _) = server.recv_from(&mut buffer).await.unwrap();
                    let bytes = buffer[..length].try_into().unwrap();
                    told.send(usize::from_le_bytes(bytes)).unwrap();
                }
            });
        }
        let mut seen = vec![false; MESSAGES];
        for number in 0..MESSAGES {
            client
                .send_to(&number.to_le_bytes(), address)
                .await
                .unwrap();
            let heard = heard.recv().await.unwrap();
            assert!(
                !std::mem::replace(&mut seen[heard], true),
                "{heard} came twice"
            );
        }
        assert!(seen.iter().all(|seen| *seen));
    });
}

#[test]
fn a_refused_message_is_told_once() {
    on_both_flavours(|| async {
        let (socket, _) = bound().await;
        socket.connect(nobody().await).await.unwrap();
        socket.send(b"anybody?").await.unwrap();
        let refused = socket.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let mut buffer = [0; 8];
        let mut buffer = ReadBuf::new(&mut buffer);
        assert!(poll_once(|cx| socket.poll_recv(cx, &mut buffer)).is_pending());
    });
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_next_one_goes() {
    on_both_flavours(|| async {
        let (one, two) = connected().await;
        let long = vec![0; 70_000];
        let refused = one.send(&long).await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
        let refused = one.try_send(&long).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
        one.send(b"short").await.unwrap();
        assert_eq!(two.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}

#[test]
fn a_send_without_an_address_is_refused() {
    on_both_flavours(|| async {
        let (socket, _) = bound().await;
        let refused = socket.send(b"whom?").await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EDESTADDRREQ));
        assert_eq!(
            socket.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        let no_addresses: &[SocketAddr] = &[];
        let refused = socket.send_to(b"whom?", no_addresses).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert_eq!(refused.to_string(), "no addresses to send data to");
        let refused = UdpSocket::bind(no_addresses).await.unwrap_err();
        assert_eq!(refused.to_string(), "could not resolve to any address");
    });
}

#[test]
fn readiness_comes_with_a_message_and_goes_when_it_is_taken() {
    on_both_flavours(|| async {
        let (one, two) = connected().await;
        assert!(one.ready(Interest::WRITABLE).await.unwrap().is_writable());
        assert!(poll_once(|cx| two.poll_recv_ready(cx)).is_pending());
        assert!(poll_once(|cx| two.poll_send_ready(cx)).is_ready());
        one.send(b"x").await.unwrap();
        until("readable", || {
            poll_once(|cx| two.poll_recv_ready(cx)).is_ready()
        })
        .await;
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = two.ready(both).await.unwrap();
        assert!(ready.is_readable() && ready.is_writable(), "{ready:?}");
        let mut buffer = [0; 4];
        let received = two.async_io(Interest::READABLE, || two.try_recv(&mut buffer));
        assert_eq!(received.await.unwrap(), 1);
        let tried = two.try_io(Interest::READABLE, || {
            socket2::SockRef::from(&two).recv(&mut [std::mem::MaybeUninit::uninit()])
        });
        assert!(would_block(&tried));
        assert!(poll_once(|cx| two.poll_recv_ready(cx)).is_pending());
    });
}

/// Mutant: `Way::Direct` for messages, which keeps the socket open until the worker has turned.
#[test]
fn a_dropped_socket_frees_its_address_at_once() {
    on_both_flavours(|| async {
        for _ in 0..50 {
            let (socket, address) = bound().await;
            {
                let mut buffer = [0; 4];
                let receive = pin!(socket.recv(&mut buffer));
                assert!(poll_future(receive).await.is_pending());
            }
            ringway::task::yield_now().await;
            drop(socket);
            UdpSocket::bind(address).await.expect("the address is free");
        }
    });
}

#[test]
fn std_sockets_go_in_and_come_out() {
    on_both_flavours(|| async {
        let std = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        std.set_nonblocking(true).unwrap();
        let address = std.local_addr().unwrap();
        let socket = UdpSocket::try_from(std).unwrap();
        let waited = ringway::time::timeout(Duration::from_millis(5), socket.readable()).await;
        assert!(waited.is_err(), "nothing was sent");
        let std = socket.into_std().unwrap();
        let (client, _) = bound().await;
        client.send_to(b"hi", address).await.unwrap();
        std.set_nonblocking(false).unwrap();
        assert_eq!(std.recv(&mut [0; 4]).unwrap(), 2);
    });
}

#[test]
fn options_are_told_as_they_were_set() {
    on_both_flavours(|| async {
        let (socket, _) = bound().await;
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(17).unwrap();
        assert_eq!(socket.ttl().unwrap(), 17);
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        assert_eq!(socket.device().unwrap(), None);
        assert!(socket.take_error().unwrap().is_none());
        let group = std::net::Ipv4Addr::new(224, 0, 0, 251);
        let lo = std::net::Ipv4Addr::LOCALHOST;
        socket.join_multicast_v4(group, lo).unwrap();
        assert!(socket.join_multicast_v4(group, lo).is_err());
        socket.leave_multicast_v4(group, lo).unwrap();
        assert!(socket.leave_multicast_v4(group, lo).is_err());
    });
}

/// A socket with an error in its error queue, which stays reported until somebody reads it, lets the worker
/// sleep. Mutant: leave out the turn to edges in `Readiness::note_block`.
#[test]
fn an_unread_error_queue_neither_spins_nor_deafens() {
    on_this_thread(async {
        let (socket, address) = bound().await;
        let on: libc::c_int = 1;
        // SAFETY: `on` is valid for the read of its size.
        let set = unsafe {
            libc::setsockopt(
                std::os::fd::AsRawFd::as_raw_fd(&socket),
                libc::SOL_IP,
                libc::IP_RECVERR,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
        socket.send_to(b"anybody?", nobody().await).await.unwrap();
        // The first receive takes the error itself, and leaves the queue.
        let refused = socket.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        let socket = Arc::new(socket);
        let receiver = ringway::spawn({
            let socket = socket.clone();
            async move { socket.recv(&mut [0; 8]).await }
        });
        ringway::time::sleep(Duration::from_millis(20)).await;
        let before = thread_time();
        ringway::time::sleep(Duration::from_millis(200)).await;
        let used = thread_time() - before;
        assert!(used < Duration::from_millis(40), "used {used:?} of 200 ms");
        let (client, _) = bound().await;
        client.send_to(b"hello", address).await.unwrap();
        assert_eq!(receiver.await.unwrap().unwrap(), 5);
    });
}
