//! One listener, or one UDP socket, for each worker, at one address.

mod net_support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream, UdpSocket};
use ringway::runtime::Builder;

fn workers(count: usize) -> ringway::runtime::Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).enable_all().build().unwrap()
}

/// Answers each connection with the number of its listener.
fn serve(listeners: Vec<TcpListener>) {
    for (number, listener) in listeners.into_iter().enumerate() {
        ringway::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                ringway::spawn(async move { stream.write_all(&[number as u8]).await });
            }
        });
    }
}

async fn ask(address: std::net::SocketAddr) -> u8 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut number = [0];
    stream.read_exact(&mut number).await.unwrap();
    number[0]
}

/// Mutants: one listener less; the second port is another one; without `SO_REUSEPORT` (the bind fails).
#[test]
fn there_are_as_many_listeners_as_workers_and_each_has_a_share() {
    const CLIENTS: usize = 200;
    for count in [1, 3] {
        workers(count).block_on(within(async {
            let listeners = TcpListener::bind_per_worker("127.0.0.1:0").await.unwrap();
            assert_eq!(listeners.len(), count);
            let address = listeners[0].local_addr().unwrap();
            for listener in &listeners {
                assert_eq!(listener.local_addr().unwrap(), address);
            }
            serve(listeners);
            let mut shares = HashMap::new();
            for _ in 0..CLIENTS {
                *shares.entry(ask(address).await).or_insert(0) += 1;
            }
            // By chance alone none of 3 gets less than a tenth of 200 once in 10^12 runs.
            assert_eq!(shares.len(), count);
            assert!(
                shares.values().all(|share| *share >= CLIENTS / 10 / count),
                "{shares:?}"
            );
        }));
    }
}

/// A worker that does not return from its task does not hold up the connections that the kernel gives to "its" listener:
/// the task that accepts is run by another. Mutant: none, it is the scheduler's and the monitor's promise; with tasks that
/// stay on their worker, half of these would wait.
#[test]
fn a_worker_that_is_stuck_holds_up_no_connection() {
    const CLIENTS: usize = 64;
    workers(2).block_on(within(async {
        let listeners = TcpListener::bind_per_worker("127.0.0.1:0").await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        serve(listeners);
        for _ in 0..CLIENTS {
            ask(address).await;
        }
        let (begun, end) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let stuck = ringway::spawn({
            let (begun, end) = (Arc::clone(&begun), Arc::clone(&end));
            async move {
                begun.store(true, Ordering::Relaxed);
                while !end.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        until("a worker is stuck", || begun.load(Ordering::Relaxed)).await;
        let mut shares = [0; 2];
        for _ in 0..CLIENTS {
            shares[usize::from(ask(address).await)] += 1;
        }
        assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
        end.store(true, Ordering::Relaxed);
        stuck.await.unwrap();
    }));
}

#[test]
fn messages_are_spread_by_their_senders_and_answered_from_the_one_address() {
    const CLIENTS: usize = 100;
    workers(2).block_on(within(async {
        let sockets = UdpSocket::bind_per_worker("127.0.0.1:0").await.unwrap();
        assert_eq!(sockets.len(), 2);
        let address = sockets[0].local_addr().unwrap();
        for (number, socket) in sockets.into_iter().enumerate() {
            ringway::spawn(async move {
                loop {
                    let (_, sender) = socket.recv_from(&mut [0; 16]).await.unwrap();
                    socket.send_to(&[number as u8], sender).await.unwrap();
                }
            });
        }
        let mut shares = [0; 2];
        for _ in 0..CLIENTS {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.connect(address).await.unwrap();
            let mut number = [0];
            client.send(b"?").await.unwrap();
            client.recv(&mut number).await.unwrap();
            shares[usize::from(number[0])] += 1;
        }
        assert!(
            shares.iter().all(|share| *share >= CLIENTS / 10),
            "{shares:?}"
        );
    }));
}

/// An address that is taken by somebody who does not share it.
#[test]
fn an_address_that_is_taken_is_an_error() {
    workers(2).block_on(within(async {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = TcpListener::bind_per_worker(address).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    }));
}
