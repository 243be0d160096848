//! Accepts of the completion face: no connection is lost, whatever becomes of the request.

mod net_support;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use net_support::*;
use ringway::net::{UnixListener, UnixStream};
use ringway::uring;

#[test]
fn an_accepted_connection_is_a_stream_like_any_other() {
    use ringway::io::{AsyncReadExt, AsyncWriteExt};
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let mut client = ringway::net::TcpStream::connect(address).await.unwrap();
        let mut server = uring::accept(&listener).await.unwrap();
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        client.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");

        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let client = UnixStream::connect(dir.path().join("socket"))
            .await
            .unwrap();
        let server = uring::accept(&listener).await.unwrap();
        uring::send_all(&client, "ping").await.0.unwrap();
        assert_eq!(uring::recv(&server, vec![0; 4]).await.1, b"ping");
    });
}

/// Requests that are dropped or cancelled while clients connect, and one accept of tokio's face after the other for what
/// they leave. Each client has sent its number. Mutants: `Parcel::drop` closes the connection; `Stash::put` wakes nobody.
#[test]
fn connections_that_dropped_accepts_had_won_go_to_the_listeners_next_accept() {
    const CLIENTS: usize = 2000;
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let clients = ringway::spawn(async move {
            let mut clients = Vec::new();
            for number in 0..CLIENTS as u32 {
                let client = ringway::net::TcpStream::connect(address).await.unwrap();
                uring::send_all(&client, number.to_le_bytes().to_vec())
                    .await
                    .0
                    .unwrap();
                clients.push(client);
                if clients.len() >= 200 {
                    clients.remove(0);
                }
            }
        });
        let mut numbers = Numbers::new(8);
        let mut seen = vec![false; CLIENTS];
        let (mut count, mut by_stash) = (0, 0);
        while count < CLIENTS {
            let mut request = uring::accept(&listener);
            let polled = poll_future(pin!(&mut request)).await;
            for _ in 0..numbers.below(4) {
                ringway::task::yield_now().await;
            }
            let stream = match (polled, numbers.below(3)) {
                (Poll::Ready(stream), _) => stream.ok(),
                (Poll::Pending, 0) => request.cancel().await.ok(),
                (Poll::Pending, _) => {
                    drop(request);
                    let next = listener.accept().await.unwrap().0;
                    by_stash += 1;
                    Some(next)
                }
            };
            let Some(stream) = stream else { continue };
            let (result, number) = uring::recv_exact(&stream, vec![0; 4]).await;
            assert_eq!(result.unwrap(), 4);
            let number = u32::from_le_bytes(number.try_into().unwrap()) as usize;
            assert!(
                !std::mem::replace(&mut seen[number], true),
                "{number} came twice"
            );
            count += 1;
        }
        clients.await.unwrap();
        assert!(by_stash > 0);
    });
}

/// One client only, whom the kernel gives to a request that is dropped: every kind of accept finds him. Mutants:
/// `Listener::poll_accept` does not look into the stash; `AcceptOne::poll` does not; `AcceptMulti::poll_next` does not.
#[test]
fn what_a_dropped_accept_had_won_is_found_by_every_kind_of_accept() {
    on_both_flavours(|| async {
        for kind in 0..3 {
            let listener = listener().await;
            let address = listener.local_addr().unwrap();
            let mut request = uring::accept(&listener);
            assert!(poll_future(pin!(&mut request)).await.is_pending());
            // The worker has submitted it when this timer fires, so the client is the request's.
            ringway::time::sleep(Duration::from_millis(2)).await;
            let client = std::net::TcpStream::connect(address).unwrap();
            ringway::time::sleep(Duration::from_millis(5)).await;
            drop(request);
            let server = match kind {
                0 => listener.accept().await.unwrap().0,
                1 => uring::accept(&listener).await.unwrap(),
                _ => uring::accept_multi(&listener).next().await.unwrap(),
            };
            let theirs = client.local_addr().unwrap();
            assert_eq!(server.peer_addr().unwrap(), theirs);
        }
    });
}

/// The listener is gone when the kernel's answer comes.
#[test]
fn a_connection_that_comes_after_its_listener_has_gone_is_closed() {
    on_both_flavours(|| async {
        for _ in 0..50 {
            let listener = listener().await;
            let address = listener.local_addr().unwrap();
            let mut request = uring::accept(&listener);
            assert!(poll_future(pin!(&mut request)).await.is_pending());
            let client = std::net::TcpStream::connect(address).unwrap();
            drop(listener);
            drop(request);
            let client = client_of(client);
            let (result, _) = uring::recv(&client, vec![0; 1]).await;
            // Closed, or reset because it was still in the kernel's queue.
            assert!(matches!(result, Ok(0) | Err(_)), "{result:?}");
        }
    });
}

fn client_of(client: std::net::TcpStream) -> ringway::net::TcpStream {
    client.set_nonblocking(true).unwrap();
    ringway::net::TcpStream::from_std(client).unwrap()
}
