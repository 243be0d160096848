//! The connections of a listener as a stream. That a stream that is dropped loses none is in `tests/uring_many.rs`.

mod net_support;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt};
use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpStream, UnixListener, UnixStream};

/// Adapters take it as the stream that it is, and each client comes once.
#[test]
fn every_client_comes_once_through_the_adapters_of_streams() {
    const CLIENTS: usize = 300;
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let clients = ringway::spawn(async move {
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                clients.push(TcpStream::connect(address).await.unwrap());
            }
            clients
        });
        let incoming = listener
            .incoming()
            .map_ok(|server| server.peer_addr().unwrap());
        let peers: HashSet<_> = incoming.take(CLIENTS).try_collect().await.unwrap();
        let clients = clients.await.unwrap();
        let theirs: HashSet<_> = clients
            .iter()
            .map(|client| client.local_addr().unwrap())
            .collect();
        assert_eq!(peers, theirs);
    });
}

#[test]
fn a_unix_listener_has_its_stream_too() {
    on_both_flavours(|| async {
        let name = format!("\0ringway incoming {}", std::process::id());
        let listener = UnixListener::bind(&name).unwrap();
        let mut incoming = listener.incoming();
        for _ in 0..20 {
            let mut client = UnixStream::connect(&name).await.unwrap();
            let mut server = incoming.next().await.unwrap();
            client.write_all(b"word").await.unwrap();
            let mut word = [0; 4];
            server.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"word");
        }
    });
}

/// It waits without a turn of its own in between, and hears of the next one however long that takes.
#[test]
fn a_stream_that_waits_hears_of_each_connection() {
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let (told, mut heard) = ringway::sync::mpsc::unbounded_channel();
        let server = ringway::spawn(async move {
            let mut incoming = listener.incoming();
            while let Ok(stream) = incoming.next().await {
                told.send(stream.peer_addr().unwrap()).unwrap();
            }
        });
        for pause in [0, 5, 0, 20, 1, 1] {
            ringway::time::sleep(Duration::from_millis(pause)).await;
            let client = TcpStream::connect(address).await.unwrap();
            assert_eq!(heard.recv().await, Some(client.local_addr().unwrap()));
        }
        server.abort();
    });
}

/// A stream and accepts of the listener's own wait together: each connection goes to one of them, and none is left.
#[test]
fn a_stream_and_accepts_share_the_connections() {
    const CLIENTS: usize = 200;
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let clients = ringway::spawn(async move {
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                clients.push(TcpStream::connect(address).await.unwrap());
                ringway::task::yield_now().await;
            }
            clients
        });
        let mut incoming = listener.incoming();
        let mut seen = HashSet::new();
        while seen.len() < CLIENTS {
            let server = ringway::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                stream = incoming.next() => stream.unwrap(),
            };
            assert!(seen.insert(server.peer_addr().unwrap()), "one came twice");
        }
        drop(clients.await.unwrap());
    });
}

fn is_stream<S: Stream + Send + Sync + Unpin>(_: &S) {}

#[test]
fn it_can_be_sent_and_shared() {
    on_this_thread(async {
        let listener = listener().await;
        is_stream(&listener.incoming());
    });
}
