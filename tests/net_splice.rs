//! From one socket to another without a copy.

mod net_support;

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ringway::net::unix::pipe;
use ringway::net::{TcpStream, UnixStream, splice, splice_bidirectional};
use ringway::time::sleep;
use socket2::SockRef;

/// Writes the pattern in pieces of random sizes, with pauses, and ends the stream.
async fn send_pattern(mut to: impl AsyncWrite + Unpin, salt: u64, total: usize) {
    let mut numbers = Numbers::new(salt);
    let mut sent = 0;
    while sent < total {
        let count = (1 + numbers.below(90_000)).min(total - sent);
        to.write_all(&pattern_from(salt, sent as u64, count))
            .await
            .unwrap();
        sent += count;
        if numbers.below(6) == 0 {
            sleep(Duration::from_micros(numbers.below(300) as u64)).await;
        }
    }
    to.shutdown().await.unwrap();
}

/// Reads the pattern to its end in pieces of random sizes, with pauses.
async fn receive_pattern(mut from: impl AsyncRead + Unpin, salt: u64) -> usize {
    let mut numbers = Numbers::new(salt + 100);
    let mut buffer = vec![0; 50_000];
    let mut received = 0;
    loop {
        let room = 1 + numbers.below(buffer.len());
        match from.read(&mut buffer[..room]).await.unwrap() {
            0 => return received,
            count => {
                check_pattern(salt, received as u64, &buffer[..count]);
                received += count;
            }
        }
        if numbers.below(40) == 0 {
            sleep(Duration::from_micros(numbers.below(300) as u64)).await;
        }
    }
}

/// Mutants: what a short splice has left in the pipe is forgotten; a full sink is taken for one that is gone.
#[test]
fn all_bytes_of_both_directions_arrive_in_their_order() {
    const THERE: usize = 3 << 20;
    const BACK: usize = 1 << 20;
    on_both_flavours(|| async {
        let (client, mut front) = pair().await;
        let (mut back, server) = pair().await;
        // Less than a pipe holds, so that it is emptied in parts.
        SockRef::from(&back).set_send_buffer_size(8_000).unwrap();
        SockRef::from(&front).set_send_buffer_size(8_000).unwrap();
        let proxy =
            ringway::spawn(
                async move { splice_bidirectional(&mut front, &mut back).await.unwrap() },
            );
        let (client_reads, client_writes) = client.into_split();
        let (server_reads, server_writes) = server.into_split();
        let senders = [
            ringway::spawn(send_pattern(client_writes, 1, THERE)),
            ringway::spawn(send_pattern(server_writes, 2, BACK)),
        ];
        let there = ringway::spawn(receive_pattern(server_reads, 1));
        let back = ringway::spawn(receive_pattern(client_reads, 2));
        assert_eq!((there.await.unwrap(), back.await.unwrap()), (THERE, BACK));
        assert_eq!(proxy.await.unwrap(), (THERE as u64, BACK as u64));
        for sender in senders {
            sender.await.unwrap();
        }
    });
}

/// The end of one direction is passed on while the other goes on. Mutants: no shutdown; a shutdown of both directions; the
/// future is ready with the first end.
#[test]
fn an_end_is_passed_on_and_the_other_direction_goes_on() {
    on_both_flavours(|| async {
        for tcp_first in [true, false] {
            let (mut client, mut front) = pair().await;
            let (mut back, mut server) = UnixStream::pair().unwrap();
            let proxy = ringway::spawn(async move {
                if tcp_first {
                    splice_bidirectional(&mut front, &mut back).await
                } else {
                    let (asked, answered) = splice_bidirectional(&mut back, &mut front).await?;
                    Ok((answered, asked))
                }
            });
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = String::new();
            server.read_to_string(&mut question).await.unwrap();
            assert_eq!(question, "question");
            assert!(!proxy.is_finished());
            server.write_all(b"a longer answer").await.unwrap();
            server.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "a longer answer");
            assert_eq!(proxy.await.unwrap().unwrap(), (8, 15));
        }
    });
}

/// From every kind of source into every kind of sink.
#[test]
fn one_direction_goes_between_all_kinds_of_streams() {
    const TOTAL: usize = 300_000;
    on_both_flavours(|| async {
        for kind in 0..3 {
            let (sender, mut receiver) = pipe::pipe().unwrap();
            let (mut one, two) = UnixStream::pair().unwrap();
            let (client, mut server) = pair().await;
            let sending = ringway::spawn(send_pattern(sender, kind, TOTAL));
            let (unix_reads, _unix_writes) = two.into_split();
            let (mut unix_reads, mut client) = (unix_reads, client);
            let first = ringway::spawn(async move {
                let moved = splice(&mut receiver, &mut one).await.unwrap();
                one.shutdown().await.unwrap();
                moved
            });
            let second = ringway::spawn(async move {
                let moved = {
                    let (_, mut writes) = client.split();
                    splice(&mut unix_reads, &mut writes).await.unwrap()
                };
                client.shutdown().await.unwrap();
                moved
            });
            let (mut last_sender, last_receiver) = pipe::pipe().unwrap();
            let third = ringway::spawn(async move {
                let (mut reads, _) = server.split();
                splice(&mut reads, &mut last_sender).await.unwrap()
            });
            assert_eq!(receive_pattern(last_receiver, kind).await, TOTAL);
            for moved in [first, second, third] {
                assert_eq!(moved.await.unwrap(), TOTAL as u64);
            }
            sending.await.unwrap();
        }
    });
}

/// A stop delivers what is held, shuts nothing down, and leaves the rest to whoever reads next. Mutants: `stop` leaves
/// what the pipe holds; it ends as an end does.
#[test]
fn a_stop_loses_nothing_and_leaves_both_streams_as_they_are() {
    const TOTAL: usize = 4 << 20;
    /// So that they cannot hold everything.
    const SOCKET_BYTES: usize = 1 << 17;
    on_both_flavours(|| async {
        let (client, mut front) = pair().await;
        let (mut back, mut server) = pair().await;
        SockRef::from(&back)
            .set_send_buffer_size(SOCKET_BYTES)
            .unwrap();
        SockRef::from(&server)
            .set_recv_buffer_size(SOCKET_BYTES)
            .unwrap();
        let (_client_reads, client_writes) = client.into_split();
        let sending = ringway::spawn(send_pattern(client_writes, 3, TOTAL));
        // Nobody reads at the server, so the flow comes to a halt with bytes in its pipe.
        let mut proxy = splice_bidirectional(&mut front, &mut back);
        while proxy.held().0 == 0 {
            ringway::time::timeout(Duration::from_millis(5), &mut proxy)
                .await
                .expect_err("the server does not read");
        }
        let reader = ringway::spawn(async move {
            let mut buffer = vec![0; 60_000];
            let mut at = 0;
            while at < TOTAL {
                let count = server.read(&mut buffer).await.unwrap();
                assert_ne!(count, 0, "it was shut down at {at}");
                check_pattern(3, at as u64, &buffer[..count]);
                at += count;
            }
        });
        proxy.stop();
        let (moved, back_again) = (&mut proxy).await.unwrap();
        assert_eq!((back_again, proxy.held()), (0, (0, 0)));
        assert!(0 < moved && moved < TOTAL as u64);
        drop(proxy);
        // By hand, from where it stopped.
        let copied = ringway::io::copy(&mut front, &mut back).await.unwrap();
        assert_eq!(moved + copied, TOTAL as u64);
        reader.await.unwrap();
        sending.await.unwrap();
    });
}

/// In a `select!` by reference it loses nothing: it is the pipe that keeps the bytes.
#[test]
fn a_splice_that_is_polled_now_and_then_loses_nothing() {
    const TOTAL: usize = 1 << 20;
    on_both_flavours(|| async {
        let (client, mut front) = UnixStream::pair().unwrap();
        let (mut back, server) = pair().await;
        let sending = ringway::spawn(send_pattern(client, 4, TOTAL));
        let receiving = ringway::spawn(receive_pattern(server, 4));
        let mut moving = splice(&mut front, &mut back);
        let moved = loop {
            ringway::select! {
                moved = &mut moving => break moved.unwrap(),
                () = sleep(Duration::from_micros(200)) => {}
            }
        };
        assert_eq!(
            (moved, moving.moved(), moving.held()),
            (TOTAL as u64, TOTAL as u64, 0)
        );
        drop(moving);
        back.shutdown().await.unwrap();
        assert_eq!(receiving.await.unwrap(), TOTAL);
        sending.await.unwrap();
    });
}

/// A sink that is gone is an error, not a signal that ends the process and not a wait for ever.
#[test]
fn a_sink_that_is_gone_is_an_error() {
    on_both_flavours(|| async {
        let (mut client, mut front) = pair().await;
        let (mut back, server) = UnixStream::pair().unwrap();
        drop(server);
        client.write_all(b"to nobody").await.unwrap();
        let error = splice_bidirectional(&mut front, &mut back)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

/// A source that is reset is an error.
#[test]
fn a_source_that_is_reset_is_an_error() {
    on_both_flavours(|| async {
        let (client, mut front) = pair_with_std().await;
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        let (mut back, _server) = UnixStream::pair().unwrap();
        drop(client);
        let error = splice(&mut front, &mut back).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

/// While both ends are idle it waits: no turns of its task. (And no pipe: `tests/net_descriptor_leaks.rs`.)
#[test]
fn an_idle_proxy_takes_no_turn() {
    on_this_thread(async {
        let (mut client, mut front) = pair().await;
        let (mut back, _server) = pair().await;
        let moving = ringway::spawn(async move {
            let mut polls = 0_u32;
            let mut moving = pin!(splice(&mut front, &mut back));
            std::future::poll_fn(|cx| {
                polls += 1;
                moving.as_mut().poll(cx)
            })
            .await
            .unwrap();
            polls
        });
        sleep(Duration::from_millis(50)).await;
        client.shutdown().await.unwrap();
        let polls = moving.await.unwrap();
        assert!(polls <= 4, "{polls} polls");
    });
}

fn sendable<F: Future + Send + Sync + Unpin>(_: &F) {}

#[test]
fn the_futures_can_be_sent_and_shared() {
    on_this_thread(async {
        let (mut one, mut two): (TcpStream, TcpStream) = pair().await;
        sendable(&splice(&mut one, &mut two));
        sendable(&splice_bidirectional(&mut one, &mut two));
    });
}
