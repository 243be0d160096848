//! Unix datagram sockets: messages, waiting for room, cancelled receives, errors and closing.

mod net_support;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use net_support::*;
use ringway::io::{Interest, ReadBuf};
use ringway::net::{UnixDatagram, UnixSocket};

/// An abstract name that nothing else has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("\0ringway datagram {} {number}", std::process::id())
}

#[test]
fn messages_keep_their_bounds_and_tell_their_sender() {
    on_both_flavours(|| async {
        let directory = tempfile::tempdir().unwrap();
        let (one_path, two_path) = (directory.path().join("1"), directory.path().join("2"));
        let one = UnixDatagram::bind(&one_path).unwrap();
        let two = UnixDatagram::bind(&two_path).unwrap();
        one.send_to(b"first", &two_path).await.unwrap();
        assert_eq!(one.try_send_to(b"", &two_path).unwrap(), 0);
        poll_fn(|cx| one.poll_send_to(cx, b"third", &two_path))
            .await
            .unwrap();
        let mut buffer = [0; 16];
        for message in [&b"first"[..], b"", b"third"] {
            let (length, sender) = two.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], message);
            assert_eq!(sender.as_pathname(), Some(one_path.as_path()));
        }
        two.connect(&one_path).unwrap();
        two.send(b"answer").await.unwrap();
        let mut bytes = Vec::with_capacity(16);
        let (length, sender) = one.recv_buf_from(&mut bytes).await.unwrap();
        assert_eq!((length, &bytes[..]), (6, &b"answer"[..]));
        assert_eq!(sender.as_pathname(), Some(two_path.as_path()));
        assert_eq!(
            two.peer_addr().unwrap().as_pathname(),
            Some(one_path.as_path())
        );
    });
}

#[test]
fn every_way_of_receiving_takes_one_message() {
    on_both_flavours(|| async {
        let (one, two) = UnixDatagram::pair().unwrap();
        let mut buffer = [0; 16];
        for way in 0..8 {
            one.send(b"hello").await.unwrap();
            let mut bytes = Vec::with_capacity(16);
            let mut room = ReadBuf::new(&mut buffer);
            let length = match way {
                0 => two.recv(room.initialize_unfilled()).await.unwrap(),
                1 => two.try_recv(room.initialize_unfilled()).unwrap(),
                2 => {
                    poll_fn(|cx| two.poll_recv(cx, &mut room)).await.unwrap();
                    room.filled().len()
                }
                3 => two.try_recv_from(room.initialize_unfilled()).unwrap().0,
                4 => {
                    let sender = poll_fn(|cx| two.poll_recv_from(cx, &mut room)).await;
                    assert!(sender.unwrap().is_unnamed());
                    room.filled().len()
                }
                5 => two.recv_buf(&mut bytes).await.unwrap(),
                6 => two.try_recv_buf(&mut bytes).unwrap(),
                _ => two.try_recv_buf_from(&mut bytes).unwrap().0,
            };
            assert_eq!(length, 5, "way {way}");
            let got = if bytes.is_empty() {
                &buffer[..5]
            } else {
                &bytes[..]
            };
            assert_eq!(got, b"hello", "way {way}");
            assert!(would_block(&two.try_recv(&mut buffer)), "way {way}");
        }
    });
}

/// A full receiver makes its sender wait, whether that is connected to it or not; the worker sleeps meanwhile.
/// Mutant: `send_to` waits for this socket to be writable, in place of `room_at`.
#[test]
fn a_sender_waits_for_room_without_spinning() {
    for is_connected in [true, false] {
        on_this_thread(async move {
            let name = name();
            let receiver = UnixDatagram::bind(&name).unwrap();
            let sender = Arc::new(UnixDatagram::unbound().unwrap());
            if is_connected {
                sender.connect(&name).unwrap();
            }
            let mut queued = 0_u32;
            while sender.try_send_to(&queued.to_le_bytes(), &name).is_ok() {
                queued += 1;
            }
            let waits = ringway::spawn({
                let (sender, name) = (sender.clone(), name.clone());
                async move {
                    let last = queued.to_le_bytes();
                    if is_connected {
                        sender.send(&last).await
                    } else {
                        sender.send_to(&last, &name).await
                    }
                }
            });
            ringway::time::sleep(Duration::from_millis(20)).await;
            let before = thread_time();
            ringway::time::sleep(Duration::from_millis(200)).await;
            let used = thread_time() - before;
            assert!(used < Duration::from_millis(40), "used {used:?} of 200 ms");
            assert!(!waits.is_finished(), "there was no room");
            for number in 0..=queued {
                let mut bytes = [0; 4];
                assert_eq!(receiver.recv(&mut bytes).await.unwrap(), 4);
                assert_eq!(u32::from_le_bytes(bytes), number);
            }
            assert_eq!(waits.await.unwrap().unwrap(), 4);
        });
    }
}

/// Mutants: `Duplex::receive` yields between taking a message and returning it; `Duplex::send` yields after sending.
#[test]
fn receives_and_sends_that_are_dropped_lose_no_message() {
    const MESSAGES: u32 = 5_000;
    on_both_flavours(|| async {
        let (one, two) = UnixDatagram::pair().unwrap();
        let sender = ringway::spawn(async move {
            let mut numbers = Numbers::new(31);
            let mut sent = 0;
            while sent < MESSAGES {
                let patience = Duration::from_micros(numbers.below(50) as u64);
                let bytes = sent.to_le_bytes();
                if let Ok(done) = ringway::time::timeout(patience, one.send(&bytes)).await {
                    done.unwrap();
                    sent += 1;
                }
            }
        });
        let mut numbers = Numbers::new(32);
        let mut expected = 0;
        while expected < MESSAGES {
            let mut bytes = [0; 4];
            let patience = Duration::from_micros(numbers.below(50) as u64);
            if let Ok(length) = ringway::time::timeout(patience, two.recv(&mut bytes)).await {
                assert_eq!(length.unwrap(), 4);
                assert_eq!(u32::from_le_bytes(bytes), expected);
                expected += 1;
            } else if numbers.below(8) == 0 {
                ringway::time::sleep(Duration::from_micros(200)).await;
            }
        }
        sender.await.unwrap();
    });
}

#[test]
fn errors_tell_what_is_wrong() {
    on_both_flavours(|| async {
        let socket = UnixDatagram::unbound().unwrap();
        assert!(socket.local_addr().unwrap().is_unnamed());
        assert_eq!(
            socket.send(b"x").await.unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        assert_eq!(
            socket.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        let nobody = socket.send_to(b"x", name()).await.unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::ConnectionRefused);
        let no_file = socket.send_to(b"x", "/nowhere/at/all").await.unwrap_err();
        assert_eq!(no_file.kind(), ErrorKind::NotFound);
        let name = name();
        let _bound = UnixDatagram::bind(&name).unwrap();
        assert_eq!(
            UnixDatagram::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        let long = vec![0; 10_000_000];
        let refused = socket.send_to(&long, &name).await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn a_shut_direction_is_refused() {
    on_both_flavours(|| async {
        let (one, two) = UnixDatagram::pair().unwrap();
        one.send(b"last").await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(
            one.send(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        let mut buffer = [0; 8];
        assert_eq!(two.recv(&mut buffer).await.unwrap(), 4);
        two.shutdown(Shutdown::Both).unwrap();
        drop(two);
        assert!(one.send(b"x").await.is_err());
    });
}

/// Mutant: `Way::Direct` for datagrams.
#[test]
fn a_dropped_socket_frees_its_abstract_name_at_once() {
    on_both_flavours(|| async {
        let name = name();
        for _ in 0..50 {
            let socket = UnixSocket::new_datagram().unwrap();
            socket.bind(&name).expect("the name is free");
            let socket = socket.datagram().unwrap();
            {
                let mut buffer = [0; 4];
                let receive = pin!(socket.recv(&mut buffer));
                assert!(poll_future(receive).await.is_pending());
            }
            ringway::task::yield_now().await;
        }
    });
}

#[test]
fn readiness_comes_with_a_message_and_goes_when_it_is_taken() {
    on_both_flavours(|| async {
        let (one, two) = UnixDatagram::pair().unwrap();
        assert!(poll_once(|cx| two.poll_send_ready(cx)).is_ready());
        assert!(poll_once(|cx| two.poll_recv_ready(cx)).is_pending());
        one.send(b"x").await.unwrap();
        two.readable().await.unwrap();
        assert!(two.ready(Interest::READABLE).await.unwrap().is_readable());
        let std = two.into_std().unwrap();
        assert_eq!(std.recv(&mut [0; 4]).unwrap(), 1);
        let two = UnixDatagram::from_std(std).unwrap();
        assert!(poll_once(|cx| two.poll_recv_ready(cx)).is_pending());
    });
}
