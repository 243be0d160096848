//! Reads that are dropped before they return lose nothing.

mod net_support;

use std::io::{ErrorKind, Read};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt, Interest};
use ringway::net::TcpStream;

/// Polls a read of `room` bytes once and drops it; the read must find nothing.
async fn drop_a_read(stream: &mut TcpStream, room: usize) {
    let mut buffer = vec![0; room];
    {
        let mut read = pin!(stream.read(&mut buffer));
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx)));
        assert!(once.await.is_pending(), "nothing has been sent");
    }
    // What the read has asked of the kernel reaches it when the worker next turns to its ring.
    ringway::time::sleep(Duration::from_millis(2)).await;
}

/// A sender at random intervals, a reader whose reads time out at random. Mutant: the operation that waits reads
/// a byte, in place of polling (`PollOnce::entry`).
#[test]
fn reads_that_time_out_lose_no_byte() {
    const TOTAL: u64 = 200_000;
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let sender = ringway::spawn(async move {
            let mut numbers = Numbers::new(3);
            let mut sent = 0;
            while sent < TOTAL {
                let count = (1 + numbers.below(900)).min((TOTAL - sent) as usize);
                client
                    .write_all(&pattern_from(9, sent, count))
                    .await
                    .unwrap();
                sent += count as u64;
                if numbers.below(3) == 0 {
                    ringway::time::sleep(Duration::from_micros(numbers.below(800) as u64)).await;
                }
            }
        });
        let mut numbers = Numbers::new(4);
        let mut buffer = vec![0; 2000];
        let (mut received, mut dropped) = (0, 0);
        while received < TOTAL {
            let room = 1 + numbers.below(buffer.len());
            let patience = Duration::from_micros(numbers.below(300) as u64);
            let read = server.read(&mut buffer[..room]);
            match ringway::time::timeout(patience, read).await {
                Ok(count) => {
                    let count = count.unwrap();
                    assert!(count > 0, "the stream ended at {received}");
                    check_pattern(9, received, &buffer[..count]);
                    received += count as u64;
                }
                Err(_) => dropped += 1,
            }
        }
        sender.await.unwrap();
        assert!(dropped > 0, "no read was ever dropped");
    });
}

#[test]
fn reads_that_lose_a_select_lose_no_byte() {
    const TOTAL: u64 = 20_000;
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let sender = ringway::spawn(async move {
            let mut sent = 0;
            while sent < TOTAL {
                client.write_all(&pattern_from(5, sent, 10)).await.unwrap();
                sent += 10;
                ringway::task::yield_now().await;
            }
        });
        let mut received = 0;
        let mut buffer = [0; 7];
        while received < TOTAL {
            ringway::select! {
                count = server.read(&mut buffer) => {
                    let count = count.unwrap();
                    assert!(count > 0, "the stream ended at {received}");
                    check_pattern(5, received, &buffer[..count]);
                    received += count as u64;
                }
                () = ringway::task::yield_now() => {}
            }
        }
        sender.await.unwrap();
    });
}

/// Each way of reading is tried on bytes that came after a read had been dropped.
#[test]
fn every_way_of_reading_finds_what_a_dropped_read_had_waited_for() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        drop_a_read(&mut server, 64).await;
        client.write_all(&pattern_from(1, 0, 40)).await.unwrap();
        server.readable().await.unwrap();

        let mut buffer = [0; 10];
        assert_eq!(server.peek(&mut buffer).await.unwrap(), 10);
        check_pattern(1, 0, &buffer);
        assert_eq!(server.read(&mut buffer[..3]).await.unwrap(), 3);
        check_pattern(1, 0, &buffer[..3]);
        assert_eq!(server.try_read(&mut buffer[..4]).unwrap(), 4);
        check_pattern(1, 3, &buffer[..4]);
        let mut growing = Vec::with_capacity(8);
        assert_eq!(server.try_read_buf(&mut growing).unwrap(), 8);
        check_pattern(1, 7, &growing);
        assert!(
            server
                .ready(Interest::READABLE)
                .await
                .unwrap()
                .is_readable()
        );
        let (mut one, mut two) = ([0; 5], [0; 6]);
        let mut slices = [
            std::io::IoSliceMut::new(&mut one),
            std::io::IoSliceMut::new(&mut two),
        ];
        assert_eq!(server.try_read_vectored(&mut slices).unwrap(), 11);
        check_pattern(1, 15, &one);
        check_pattern(1, 20, &two);
        let mut rest = [0; 14];
        server.read_exact(&mut rest).await.unwrap();
        check_pattern(1, 26, &rest);
        assert!(would_block(&server.try_read(&mut buffer)));
    });
}

#[test]
fn an_error_that_a_dropped_read_had_waited_for_is_told_to_the_next_read() {
    on_both_flavours(|| async {
        let (client, mut server) = pair_with_std().await;
        drop_a_read(&mut server, 8).await;
        socket2::SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        server.readable().await.unwrap();
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

/// A read that was dropped leaves nothing of the stream outside of the kernel. Mutant: wait with a receive.
#[test]
fn raw_access_finds_what_a_dropped_read_had_waited_for() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        drop_a_read(&mut server, 8).await;
        client.write_all(b"raw").await.unwrap();
        server.readable().await.unwrap();
        let received = server.try_io(Interest::READABLE, || {
            let mut memory = [std::mem::MaybeUninit::uninit(); 16];
            socket2::SockRef::from(&server).recv(&mut memory)
        });
        assert_eq!(received.unwrap(), 3);
    });
}

#[test]
fn a_connection_given_to_the_standard_library_has_what_a_dropped_read_had_waited_for() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        drop_a_read(&mut server, 8).await;
        let mut server = server.into_std().unwrap();
        server.set_nonblocking(false).unwrap();
        client.write_all(b"kept").await.unwrap();
        let mut buffer = [0; 4];
        Read::read_exact(&mut server, &mut buffer).unwrap();
        assert_eq!(&buffer, b"kept");
        drop(server);
        assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
    });
}

/// One task waits in a read while others look at the same connection: they must not take its wake away.
#[test]
fn looking_at_a_connection_does_not_disturb_the_task_that_reads_it() {
    on_both_flavours(|| async {
        let (mut client, server) = pair().await;
        let (mut read, write) = server.into_split();
        let write = Arc::new(write);
        let reader = ringway::spawn(async move {
            let mut buffer = [0; 2];
            read.read_exact(&mut buffer).await.unwrap();
            buffer
        });
        ringway::time::sleep(Duration::from_millis(2)).await;
        for _ in 0..10 {
            let stream: &TcpStream = (*write).as_ref();
            assert!(would_block(&stream.try_read(&mut [0; 1])));
            let mut cx = Context::from_waker(Waker::noop());
            let mut buffer = [0; 1];
            let mut look = pin!(stream.peek(&mut buffer));
            assert!(look.as_mut().poll(&mut cx).is_pending());
        }
        client.write_all(b"ok").await.unwrap();
        assert_eq!(&reader.await.unwrap(), b"ok");
    });
}
