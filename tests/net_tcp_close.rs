//! How a TCP connection ends: in one direction, in both, by a reset, by a drop.

mod net_support;

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn an_end_of_one_direction_leaves_the_other_open() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = Vec::new();
        server.read_to_end(&mut question).await.unwrap();
        assert_eq!(question, b"question");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
        client
            .shutdown()
            .await
            .expect("a second shutdown is no error");
    });
}

#[test]
fn a_reset_is_an_error_of_the_read_that_waits_and_then_the_end() {
    on_both_flavours(|| async {
        let (client, mut server) = pair().await;
        let reader = ringway::spawn(async move {
            let first = server.read(&mut [0; 8]).await;
            let second = server.read(&mut [0; 8]).await;
            let written = server.write(b"x").await;
            (first, second, written)
        });
        ringway::time::sleep(Duration::from_millis(5)).await;
        client.set_zero_linger().unwrap();
        drop(client);
        let (first, second, written) = reader.await.unwrap();
        assert_eq!(first.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(second.unwrap(), 0);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// The read is armed on a worker that then has nothing to do; the drop happens beside it. Mutant: let the
/// operation of a dropped socket run on instead of cancelling it.
#[test]
fn a_dropped_stream_ends_for_its_peer_though_a_read_was_waiting() {
    on_both_flavours(|| async {
        for _ in 0..20 {
            let (mut client, server) = pair_with_std().await;
            client.set_read_timeout(Some(WATCHDOG)).unwrap();
            let reader = ringway::spawn(async move {
                let mut server = server;
                let mut buffer = [0; 8];
                let read = server.read(&mut buffer);
                let early = ringway::time::timeout(Duration::from_millis(2), read).await;
                assert!(early.is_err(), "nothing has been sent");
                server
            });
            let server = reader.await.unwrap();
            ringway::time::sleep(Duration::from_millis(1)).await;
            let peer = ringway::task::spawn_blocking(move || {
                let begin = Instant::now();
                assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
                begin.elapsed()
            });
            drop(server);
            let waited = peer.await.unwrap();
            assert!(
                waited < Duration::from_millis(500),
                "the peer waited {waited:?} for the end"
            );
        }
    });
}

#[test]
fn an_aborted_reader_ends_the_connection_for_its_peer() {
    on_both_flavours(|| async {
        let (mut client, mut server) = pair().await;
        let reader = ringway::spawn(async move { server.read(&mut [0; 8]).await.map(drop) });
        ringway::time::sleep(Duration::from_millis(2)).await;
        reader.abort();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_dropped_write_half_ends_the_direction_and_a_forgotten_one_does_not() {
    on_both_flavours(|| async {
        let (client, mut server) = pair().await;
        let (mut read, write) = client.into_split();
        write.forget();
        let early =
            ringway::time::timeout(Duration::from_millis(5), server.read(&mut [0; 1])).await;
        assert!(early.is_err(), "the connection is whole");
        server.write_all(b"a").await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 1);
        drop(read);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);

        let (client, mut server) = pair().await;
        let (mut read, write) = client.into_split();
        drop(write);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        server.write_all(b"b").await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 1);
    });
}
