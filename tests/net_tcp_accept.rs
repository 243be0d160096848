//! What a listener does: every connection is accepted once, whoever waits and whoever gives up.

mod net_support;

use std::future::poll_fn;
use std::net::TcpListener as StdListener;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};

/// How many connections the storm of cancelled accepts makes; `RINGWAY_TEST_ACCEPTS` asks for more.
fn storm_size() -> usize {
    let wanted = std::env::var("RINGWAY_TEST_ACCEPTS").ok();
    wanted.map_or(10_000, |number| {
        number.parse().expect("RINGWAY_TEST_ACCEPTS is a number")
    })
}

/// Every client is greeted, though the accepts are dropped again and again. Mutant: take the connection in an
/// operation of the future and drop it with the future.
#[test]
fn cancelled_accepts_lose_no_connection() {
    /// Clients at work at once, well below the listener's queue.
    const CLIENTS: usize = 50;
    let total = storm_size();
    let body = async move {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let share = total / CLIENTS + usize::from(index < total % CLIENTS);
                ringway::spawn(async move {
                    for _ in 0..share {
                        let mut client = TcpStream::connect(address).await.unwrap();
                        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 1);
                        // A reset leaves no port waiting behind.
                        client.set_zero_linger().unwrap();
                    }
                })
            })
            .collect();
        let (mut accepted, mut cancelled) = (0, 0);
        while accepted < total {
            ringway::select! {
                result = listener.accept() => {
                    let (server, _) = result.unwrap();
                    assert_eq!(server.try_write(b"!").unwrap(), 1);
                    accepted += 1;
                }
                () = ringway::task::yield_now() => cancelled += 1,
            }
        }
        for client in clients {
            client.await.unwrap();
        }
        assert!(cancelled > 0, "no accept was ever dropped");
    };
    let runtime = ringway::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(body);
}

#[test]
fn several_tasks_accept_from_one_listener() {
    const TASKS: usize = 8;
    const CLIENTS: usize = 400;
    on_both_flavours(|| async {
        let listener = Arc::new(listener().await);
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (listener, accepted) = (listener.clone(), accepted.clone());
                ringway::spawn(async move {
                    loop {
                        let (mut server, _) = listener.accept().await.unwrap();
                        server.write_all(b"!").await.unwrap();
                        // Relaxed: a count that is read after the tasks' last answers have come.
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for _ in 0..CLIENTS {
            let mut client = TcpStream::connect(address).await.unwrap();
            assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 1);
        }
        until("every connection is counted", || {
            accepted.load(Ordering::Relaxed) == CLIENTS
        })
        .await;
        for task in tasks {
            task.abort();
        }
    });
}

/// Mutant: leave out the hand-on when a woken accept is dropped.
#[test]
fn an_accept_that_is_woken_and_dropped_wakes_the_next() {
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let wakes: Vec<Arc<Wakes>> = (0..3).map(|_| Arc::default()).collect();
        let mut accepts: Vec<_> = wakes.iter().map(|_| Box::pin(listener.accept())).collect();
        for (accept, wakes) in accepts.iter_mut().zip(&wakes) {
            let waker = Waker::from(wakes.clone());
            assert!(
                accept
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        let _client = TcpStream::connect(address).await.unwrap();
        until("the first is woken", || wakes[0].count() == 1).await;
        assert_eq!(
            (wakes[1].count(), wakes[2].count()),
            (0, 0),
            "one connection, one wake"
        );
        drop(accepts.remove(0));
        assert_eq!((wakes[1].count(), wakes[2].count()), (1, 0));
        drop(accepts.remove(0));
        assert_eq!(wakes[2].count(), 1);
        let _server = accepts.remove(0).await.unwrap();
    });
}

#[test]
fn an_accept_that_waits_behind_others_gets_the_next_connection() {
    on_both_flavours(|| async {
        let listener = Arc::new(listener().await);
        let address = listener.local_addr().unwrap();
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let listener = listener.clone();
                ringway::spawn(async move { listener.accept().await.unwrap() })
            })
            .collect();
        ringway::time::sleep(Duration::from_millis(5)).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn poll_accept_wakes_its_last_caller() {
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let stranger = listener.poll_accept(&mut Context::from_waker(Waker::noop()));
        assert!(stranger.is_pending());
        let connect = ringway::spawn(TcpStream::connect(address));
        let (server, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let client = connect.await.unwrap().unwrap();
        assert_eq!(client.local_addr().unwrap(), peer);
        assert_eq!(server.peer_addr().unwrap(), peer);
    });
}

/// Mutant: wait with an operation on the listener itself.
#[test]
fn a_dropped_listener_frees_its_address_at_once() {
    on_both_flavours(|| async {
        let mut address = "127.0.0.1:0".parse().unwrap();
        for _ in 0..50 {
            let listener = TcpListener::bind(address).await.unwrap();
            address = listener.local_addr().unwrap();
            let mut accept = pin!(listener.accept());
            let once = poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx).is_pending())).await;
            assert!(once, "nobody has connected");
            ringway::task::yield_now().await;
        }
        StdListener::bind(address).expect("the address is free");
    });
}

#[test]
fn connections_that_nobody_accepted_end_with_the_listener() {
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        drop(listener);
        let end = client.read(&mut [0; 1]).await;
        assert!(matches!(end, Ok(0) | Err(_)), "the connection lives on");
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_listener_moves_to_the_standard_library_and_back() {
    on_both_flavours(|| async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        listener.set_ttl(33).unwrap();
        assert_eq!(listener.ttl().unwrap(), 33);
        let mut accept = Box::pin(listener.accept());
        let waiting = poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx).is_pending())).await;
        assert!(waiting, "nobody has connected");
        drop(accept);
        let listener = listener.into_std().unwrap();
        let listener = TcpListener::try_from(listener).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let connect = ringway::spawn(TcpStream::connect(address));
        listener.accept().await.unwrap();
        connect.await.unwrap().unwrap();
    });
}

#[test]
fn accepted_sockets_are_closed_on_exec_and_do_not_block() {
    on_both_flavours(|| async {
        let (client, server) = pair().await;
        for stream in [&client, &server] {
            let info = format!("/proc/self/fdinfo/{}", stream.as_raw_fd());
            let info = std::fs::read_to_string(info).unwrap();
            let flags = info
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap();
            let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
            assert_eq!(flags & libc::O_CLOEXEC, libc::O_CLOEXEC);
            assert_eq!(flags & libc::O_NONBLOCK, libc::O_NONBLOCK);
        }
    });
}
