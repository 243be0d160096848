//! What a TCP connection does: bytes, directions, readiness, ends.

mod net_support;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::TcpStream;

#[test]
fn an_echo_returns_every_byte() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let echo = ringway::spawn(async move {
            let mut buffer = [0; 1024];
            loop {
                let count = server.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                server.write_all(&buffer[..count]).await.unwrap();
            }
        });
        let mut answer = [0; 64];
        for round in 0..200 {
            let question = pattern_from(round, 0, 64);
            client.write_all(&question).await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[..], question[..]);
        }
        drop(client);
        echo.await.unwrap();
    });
}

/// Both ends send and receive 8 MiB at once, so that both send buffers fill up and both sides wait for room.
#[test]
fn a_large_transfer_both_ways_keeps_every_byte_in_its_place() {
    const TOTAL: u64 = 8 << 20;

    async fn send(mut half: ringway::net::tcp::OwnedWriteHalf, salt: u64) {
        let mut numbers = Numbers::new(salt);
        let mut sent = 0;
        while sent < TOTAL {
            let count = (1 + numbers.below(200_000)).min((TOTAL - sent) as usize);
            half.write_all(&pattern_from(salt, sent, count))
                .await
                .unwrap();
            sent += count as u64;
        }
        half.shutdown().await.unwrap();
    }

    async fn receive(mut half: ringway::net::tcp::OwnedReadHalf, salt: u64) {
        let mut numbers = Numbers::new(salt + 7);
        let mut buffer = vec![0; 100_000];
        let mut received = 0;
        loop {
            let room = 1 + numbers.below(buffer.len());
            let count = half.read(&mut buffer[..room]).await.unwrap();
            if count == 0 {
                break;
            }
            check_pattern(salt, received, &buffer[..count]);
            received += count as u64;
        }
        assert_eq!(received, TOTAL);
    }

    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        let tasks = [
            ringway::spawn(send(client_write, 1)),
            ringway::spawn(send(server_write, 2)),
            ringway::spawn(receive(server_read, 1)),
            ringway::spawn(receive(client_read, 2)),
        ];
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn slices_are_sent_and_received_in_order() {
    on_both_flavours(|| async {
        let (mut client, server) = pair().await;
        let sent = client
            .write_vectored(&[IoSlice::new(b"one "), IoSlice::new(b"two ")])
            .await
            .unwrap();
        assert_eq!(sent, 8);
        assert_eq!(
            client
                .try_write_vectored(&[IoSlice::new(b"three")])
                .unwrap(),
            5
        );
        until("thirteen bytes have arrived", || peeked(&server) == 13).await;
        let (mut first, mut second) = ([0; 6], [0; 9]);
        let mut slices = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.try_read_vectored(&mut slices).unwrap(), 13);
        assert_eq!((&first, &second[..7]), (b"one tw", &b"o three"[..]));
    });
}

/// How many bytes wait in the kernel for `stream`.
fn peeked(stream: &TcpStream) -> usize {
    let mut memory = [std::mem::MaybeUninit::uninit(); 4096];
    socket2::SockRef::from(stream)
        .peek(&mut memory)
        .unwrap_or(0)
}

#[test]
fn a_peek_leaves_the_bytes_for_the_next_read() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let mut buffer = [0; 8];
        let peek = ringway::time::timeout(Duration::from_millis(5), server.peek(&mut buffer)).await;
        assert!(peek.is_err(), "nothing has been sent");
        client.write_all(b"hello").await.unwrap();
        for _ in 0..3 {
            assert_eq!(server.peek(&mut buffer).await.unwrap(), 5);
            assert_eq!(&buffer[..5], b"hello");
        }
        assert_eq!(server.peek(&mut buffer[..2]).await.unwrap(), 2);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
    });
}

#[test]
fn try_read_says_would_block_until_bytes_are_there() {
    on_both_flavours(|| async {
        let (mut client, server) = pair().await;
        let mut buffer = [0; 16];
        assert!(would_block(&server.try_read(&mut buffer)));
        client.write_all(b"now").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut buffer).unwrap(), 3);
        assert!(would_block(&server.try_read(&mut buffer)));
        let mut growing = Vec::new();
        client.write_all(b"then").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_read_buf(&mut growing).unwrap(), 4);
        assert_eq!(growing, b"then");
        drop(client);
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut buffer).unwrap(), 0);
    });
}

/// Mutant: wake only the first of the waiters of a read side.
#[test]
fn every_task_in_readable_is_woken() {
    on_both_flavours(|| async {
        let (mut client, server) = pair().await;
        let server = Arc::new(server);
        assert!(would_block(&server.try_read(&mut [0; 1])));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let server = server.clone();
                ringway::spawn(async move { server.readable().await.unwrap() })
            })
            .collect();
        ringway::time::sleep(Duration::from_millis(5)).await;
        client.write_all(b"x").await.unwrap();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_writer_waits_for_room_and_is_woken_by_it() {
    on_both_flavours(|| async {
        let (client, mut server) = pair().await;
        let chunk = vec![7; 64 * 1024];
        let mut sent = 0;
        client.writable().await.unwrap();
        loop {
            match client.try_write(&chunk) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let early = ringway::time::timeout(Duration::from_millis(5), client.writable()).await;
        assert!(early.is_err(), "the send buffer is full");
        let drain = ringway::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            let mut received = 0;
            while received < sent {
                received += server.read(&mut buffer).await.unwrap();
            }
            server
        });
        client.writable().await.unwrap();
        let mut server = drain.await.unwrap();
        client.try_write(b"!").unwrap();
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn ready_tells_which_direction_has_ended() {
    on_both_flavours(|| async {
        let (mut client, server) = pair().await;
        let ready = server.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.is_writable() && !ready.is_write_closed());
        client.write_all(b"last").await.unwrap();
        client.shutdown().await.unwrap();
        let mut buffer = [0; 8];
        loop {
            let ready = server.ready(Interest::READABLE).await.unwrap();
            if ready.is_read_closed() {
                break;
            }
            ringway::task::yield_now().await;
        }
        assert_eq!(server.try_read(&mut buffer).unwrap(), 4);
        assert_eq!(server.try_read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn both_halves_work_at_once_and_join_again() {
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        let (mut read, mut write) = client.into_split();
        let (other_read, other_write) = server.into_split();
        let reader = ringway::spawn(async move {
            let mut buffer = [0; 5];
            read.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"hello");
            read
        });
        write.write_all(b"there").await.unwrap();
        let mut server = other_read
            .reunite(other_write)
            .expect("halves of one connection");
        server.write_all(b"hello").await.unwrap();
        let read = reader.await.unwrap();
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"there");

        let (stranger_read, _stranger_write) = pair().await.0.into_split();
        let error = stranger_read
            .reunite(write)
            .expect_err("halves of two connections");
        let write = error.1;
        let mut client = write.reunite(read).expect("halves of one connection");
        client.write_all(b"whole").await.unwrap();
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"whole");
    });
}

#[test]
fn borrowed_halves_read_and_write_at_once() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let (mut read, mut write) = client.split();
        let exchange = async {
            let mut buffer = [0; 3];
            server.read_exact(&mut buffer).await.unwrap();
            server.write_all(&buffer).await.unwrap();
        };
        let mut answer = [0; 3];
        let (_, received, sent) = ringway::join!(
            exchange,
            read.read_exact(&mut answer),
            write.write_all(b"abc")
        );
        received.unwrap();
        sent.unwrap();
        assert_eq!(&answer, b"abc");
    });
}

/// Mutant: receive more than the read has room for, and keep the rest.
#[test]
fn what_a_read_has_no_room_for_stays_in_the_kernel() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair_with_std().await;
        let mut head = [0; 4];
        let reader = ringway::spawn(async move {
            server.read_exact(&mut head).await.unwrap();
            (server, head)
        });
        ringway::time::sleep(Duration::from_millis(5)).await;
        client.write_all(b"HEADbody").unwrap();
        let (server, head) = reader.await.unwrap();
        assert_eq!(&head, b"HEAD");
        let mut server = server.into_std().unwrap();
        server.set_nonblocking(false).unwrap();
        let mut body = [0; 4];
        server.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"body");
    });
}

#[test]
fn try_io_and_async_io_reach_the_socket_itself() {
    on_both_flavours(|| async {
        let (mut client, server) = pair().await;
        let receive = || {
            let mut memory = [std::mem::MaybeUninit::uninit(); 16];
            socket2::SockRef::from(&server).recv(&mut memory)
        };
        assert!(would_block(&server.try_io(Interest::READABLE, receive)));
        client.write_all(b"raw").await.unwrap();
        assert_eq!(
            server.async_io(Interest::READABLE, receive).await.unwrap(),
            3
        );
        let send = || socket2::SockRef::from(&server).send(b"back");
        assert_eq!(server.async_io(Interest::WRITABLE, send).await.unwrap(), 4);
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"back");
    });
}

#[test]
fn options_are_set_and_told() {
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_ttl(42).unwrap();
        assert_eq!(client.ttl().unwrap(), 42);
        client.set_quickack(false).unwrap();
        assert!(!client.quickack().unwrap());
        assert_eq!(client.linger().unwrap(), None);
        client.set_zero_linger().unwrap();
        assert_eq!(client.linger().unwrap(), Some(Duration::ZERO));
        assert!(client.take_error().unwrap().is_none());
        let text = format!("{client:?}");
        assert!(text.contains("addr") && text.contains("peer"), "{text}");
    });
}

#[test]
fn a_thousand_waiting_readers_leave_room_for_an_active_one_and_all_get_their_bytes() {
    const READERS: usize = 1000;
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let client = TcpStream::connect(address).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            clients.push(client);
            readers.push(ringway::spawn(async move {
                let mut buffer = [0; 4];
                server.read_exact(&mut buffer).await.unwrap();
                assert_eq!(&buffer, b"wake");
            }));
        }
        let (mut client, mut server) = pair().await;
        for _ in 0..50 {
            client.write_all(b"ping").await.unwrap();
            let mut buffer = [0; 4];
            server.read_exact(&mut buffer).await.unwrap();
        }
        for client in &clients {
            assert_eq!(client.try_write(b"wake").unwrap(), 4);
        }
        for reader in readers {
            reader.await.unwrap();
        }
    });
}

/// The sender writes large pieces and the reader takes small ones, so the reader never has to wait. Mutant: leave
/// out the pause after many calls in a row.
#[test]
fn a_connection_that_never_waits_leaves_its_thread_to_others_now_and_then() {
    const TOTAL: usize = 1 << 20;
    let runtime = ringway::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(within(async {
        let (client, mut server) = pair().await;
        let client = client.into_std().unwrap();
        client.set_nonblocking(false).unwrap();
        let flood = std::thread::spawn(move || {
            let mut client = client;
            client.write_all(&vec![1; TOTAL]).unwrap();
        });
        // Relaxed: a count to look at, nothing is read because of it.
        let received = Arc::new(AtomicUsize::new(0));
        let count = received.clone();
        let reader = ringway::spawn(async move {
            let mut buffer = [0; 16];
            loop {
                match server.read(&mut buffer).await.unwrap() {
                    0 => return,
                    more => count.fetch_add(more, Ordering::Relaxed),
                };
            }
        });
        let other = ringway::spawn(async move {
            let (mut turns, mut last) = (0, 0);
            while !reader.is_finished() {
                ringway::task::yield_now().await;
                let now = received.load(Ordering::Relaxed);
                turns += usize::from(last < now && now < TOTAL);
                last = now;
            }
            reader.await.unwrap();
            turns
        });
        let turns = other.await.unwrap();
        flood.join().unwrap();
        assert!(turns > 100, "the reader let others run {turns} times");
    }));
}
