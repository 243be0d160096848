//! UDP messages many at a time, and in segments.

mod net_support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::pin::pin;

use net_support::*;
use ringway::net::{Datagram, RecvBatch, UdpSocket};

async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// Numbered messages of different lengths.
fn message(number: usize) -> Vec<u8> {
    let mut bytes = (number as u32).to_le_bytes().to_vec();
    bytes.resize(4 + number % 50, number as u8);
    bytes
}

/// Mutants: the bytes of one message start where another's do; a sender that is not the message's; the count of the batch
/// before is left.
#[test]
fn every_message_comes_once_with_its_bytes_and_its_sender() {
    const MESSAGES: usize = 2000;
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let clients = [bound().await, bound().await];
        let mut batch = RecvBatch::new(16, 64);
        let mut next = 0;
        while next < MESSAGES {
            // No more than fit into the receive buffer.
            let count = (1 + next % 37).min(MESSAGES - next);
            let bytes: Vec<Vec<u8>> = (next..next + count).map(message).collect();
            let (client, client_address) = &clients[next % 2];
            let outgoing: Vec<_> = bytes
                .iter()
                .map(|bytes| Datagram::to(bytes, address))
                .collect();
            let mut sent = 0;
            while sent < count {
                sent += client.send_many(&outgoing[sent..]).await.unwrap();
            }
            let mut received = 0;
            while received < count {
                let came = server.recv_many(&mut batch).await.unwrap();
                assert_eq!(came, batch.len());
                for (index, message) in batch.iter().enumerate() {
                    assert_eq!(message.bytes(), bytes[received + index]);
                    assert_eq!(message.sender(), *client_address);
                    assert!(!message.is_truncated());
                    assert_eq!(message.segments().count(), 1);
                }
                received += came;
            }
            next += count;
        }
        assert!(would_block(&server.try_recv_many(&mut batch)));
        assert!(batch.is_empty());
    });
}

#[test]
fn one_call_takes_what_is_there_up_to_sixty_four() {
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let (client, _) = bound().await;
        client.connect(address).await.unwrap();
        let all = vec![Datagram::new(b"word"); 100];
        assert_eq!(client.send_many(&all).await.unwrap(), 64);
        assert_eq!(client.try_send_many(&all[64..]).unwrap(), 36);
        let mut batch = RecvBatch::new(500, 8);
        assert_eq!(server.recv_many(&mut batch).await.unwrap(), 64);
        assert_eq!(server.recv_many(&mut batch).await.unwrap(), 36);
        assert!(batch.iter().all(|message| message.bytes() == b"word"));
        assert_eq!(batch.iter().count(), 36);
    });
}

#[test]
fn what_there_is_no_room_for_is_lost_and_told() {
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let (client, _) = bound().await;
        let messages = [
            Datagram::to(b"long message", address),
            Datagram::to(b"", address),
        ];
        assert_eq!(client.send_many(&messages).await.unwrap(), 2);
        let mut batch = RecvBatch::new(4, 4);
        assert_eq!(server.recv_many(&mut batch).await.unwrap(), 2);
        let told: Vec<_> = batch
            .iter()
            .map(|message| (message.bytes(), message.is_truncated()))
            .collect();
        assert_eq!(told, [(&b"long"[..], true), (&b""[..], false)]);
        // An empty one is a message too.
        assert_eq!(batch.iter().nth(1).unwrap().segments().count(), 1);
    });
}

#[test]
fn nothing_to_send_is_no_wait_and_no_room_is_an_error() {
    on_both_flavours(|| async {
        let (socket, _) = bound().await;
        assert_eq!(socket.send_many(&[]).await.unwrap(), 0);
        let mut none = RecvBatch::new(0, 64);
        let refused = socket.recv_many(&mut none).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    });
}

/// The message that fails is the first of its call, and those before it have been sent.
#[test]
fn a_message_that_is_too_long_is_told_when_its_turn_comes() {
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let (client, _) = bound().await;
        let long = vec![0; 70_000];
        let messages = [Datagram::to(b"one", address), Datagram::to(&long, address)];
        assert_eq!(client.send_many(&messages).await.unwrap(), 1);
        let error = client.send_many(&messages[1..]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        let mut batch = RecvBatch::new(4, 16);
        assert_eq!(server.recv_many(&mut batch).await.unwrap(), 1);
        assert_eq!(batch.iter().next().unwrap().bytes(), b"one");
    });
}

/// Mutant: a receive yields between taking messages and returning them.
#[test]
fn receives_that_are_dropped_lose_no_message() {
    const ROUNDS: usize = 500;
    on_both_flavours(|| async {
        let (server, address) = bound().await;
        let (client, _) = bound().await;
        let mut batch = RecvBatch::new(8, 64);
        let mut expected = 0;
        for round in 0..ROUNDS {
            {
                let waits = pin!(server.recv_many(&mut batch));
                assert!(poll_future(waits).await.is_pending());
            }
            let bytes = [message(2 * round), message(2 * round + 1)];
            let outgoing = [
                Datagram::to(&bytes[0], address),
                Datagram::to(&bytes[1], address),
            ];
            assert_eq!(client.send_many(&outgoing).await.unwrap(), 2);
            while expected < 2 * round + 2 {
                server.recv_many(&mut batch).await.unwrap();
                for received in batch.iter() {
                    assert_eq!(received.bytes(), message(expected));
                    expected += 1;
                }
            }
        }
    });
}

/// Mutants: the size of the segments is not handed to the kernel; it is not read.
#[test]
fn a_message_is_cut_by_the_kernel_and_joined_again_with_the_size_of_its_pieces_told() {
    const SIZE: u16 = 1000;
    on_both_flavours(|| async {
        let bytes = pattern_from(7, 0, 4500);
        let size = NonZeroU16::new(SIZE).unwrap();
        for joins in [false, true] {
            let (server, address) = bound().await;
            let (client, client_address) = bound().await;
            server.set_gro(joins).unwrap();
            let outgoing = [Datagram::to(&bytes, address).cut_into(size)];
            assert_eq!(client.send_many(&outgoing).await.unwrap(), 1);
            let mut batch = RecvBatch::new(8, 65_535);
            let mut pieces = Vec::new();
            let mut messages = 0;
            while pieces.len() < 5 {
                messages += server.recv_many(&mut batch).await.unwrap();
                for message in batch.iter() {
                    assert_eq!(message.sender(), client_address);
                    assert_eq!(message.segment_size(), joins.then_some(SIZE.into()));
                    pieces.extend(message.segments().map(<[u8]>::to_vec));
                }
            }
            assert_eq!(messages, if joins { 1 } else { 5 });
            let lengths: Vec<usize> = pieces.iter().map(Vec::len).collect();
            assert_eq!(lengths, [1000, 1000, 1000, 1000, 500]);
            assert_eq!(pieces.concat(), bytes);
        }
    });
}
