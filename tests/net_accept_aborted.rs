//! Connections that their clients have broken off before they are accepted: `ECONNABORTED`.
//!
//! Linux hands such connections out and lets the first read say it; other systems, and filters such as those of sandboxes,
//! refuse the accept. Here a filter refuses accept4(2), and a script what is asked of the ring. As in tokio the error is the
//! accept's whose turn it is, and nobody else's: the next one tries again at once.

mod net_support;
#[path = "process_support/seccomp.rs"]
mod seccomp;

use std::io::{self, ErrorKind};
use std::net::TcpStream as StdStream;
use std::sync::Arc;

use net_support::*;
use ringway::net::{TcpStream, UnixListener, UnixStream};
use ringway::runtime::{Builder, Runtime};
use ringway::uring;
use ringway_runtime::driver::Script;
use seccomp::Filter;

/// Clients of one listener.
const CLIENTS: usize = 3;
/// Calls to the ring of one scenario, of which each fails once.
const CALLS_MAX: u64 = 32;

fn refuse_accepts() -> Filter {
    Filter::install(&[libc::SYS_accept4], libc::ECONNABORTED, None)
}

#[track_caller]
fn is_told<T>(accepted: io::Result<T>) {
    let error = accepted.err().expect("the accept was refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(error.raw_os_error(), Some(libc::ECONNABORTED));
}

/// Mutants: `Listener::poll_queue` tries again by itself (the accept hangs); it takes the error for an empty queue (the
/// accept hangs).
#[test]
fn a_connection_that_was_broken_off_is_an_error_of_one_accept_each_time() {
    let filter = refuse_accepts();
    on_this_thread(async {
        let listener = listener().await;
        let name = format!("\0broken off, {}", std::process::id());
        let unix = UnixListener::bind(&name).unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [(); CLIENTS].map(|()| StdStream::connect(address).unwrap());
        let unix_client = UnixStream::connect(&name).await.unwrap();
        filter.refuse();
        for _ in 0..CLIENTS {
            is_told(listener.accept().await);
            is_told(std::future::poll_fn(|cx| listener.poll_accept(cx)).await);
            is_told(unix.accept().await);
            is_told(std::future::poll_fn(|cx| unix.poll_accept(cx)).await);
        }
        filter.allow();
        for client in &clients {
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        let (server, _) = unix.accept().await.unwrap();
        assert_eq!(
            server.peer_cred().unwrap(),
            unix_client.peer_cred().unwrap()
        );
    });
}

/// Accepts that wait, in the order of their coming, on one thread: the first is refused, and does not come back. Mutant:
/// `see_to_others` is left out where the accept has failed (nobody takes the connection).
#[test]
fn who_waits_behind_a_refused_accept_gets_the_next_connection() {
    let filter = Arc::new(refuse_accepts());
    on_this_thread(async {
        let listener = Arc::new(listener().await);
        let address = listener.local_addr().unwrap();
        let accepts = [(); 2].map(|()| {
            let (listener, filter) = (Arc::clone(&listener), Arc::clone(&filter));
            ringway::spawn(async move {
                let accepted = listener.accept().await;
                // Before anybody else has a turn.
                filter.allow();
                accepted
            })
        });
        ringway::task::yield_now().await;
        filter.refuse();
        let client = StdStream::connect(address).unwrap();
        let [first, second] = accepts;
        is_told(first.await.unwrap());
        let (_, peer) = second.await.unwrap().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// Every call to the ring is refused once, of accepts one by one, by a stream and by the completion face.
///
/// Mutants: `Incoming::judge` tries again by itself, and the error is never told; the listener takes it for a shortage, and so
/// does the stream.
#[test]
fn accepts_in_the_ring_tell_of_it_once_and_go_on() {
    for way in [one_by_one, by_a_stream, by_requests] {
        for number in 0..CALLS_MAX {
            let script = Script::new(0).fail_call(number, libc::ECONNABORTED);
            let played = script.clone();
            let told = scripted(script).block_on(within(way()));
            assert_eq!(told as u64, played.played().failed, "call {number}");
            if played.played().failed == 0 {
                assert!(number > 0, "nothing was asked of the ring");
                break;
            }
        }
    }
}

fn scripted(script: Script) -> Runtime {
    let mut builder = Builder::new_current_thread();
    let builder = builder.ring_script(script).enable_all();
    builder.build().expect("a runtime")
}

/// Accepts clients of which each connects when the accept waits; how many accepts were refused.
macro_rules! accept_all {
    ($listener:ident, $accept:expr) => {{
        let address = $listener.local_addr().unwrap();
        let (mut told, mut servers) = (0, Vec::new());
        let mut connect = None;
        while servers.len() < CLIENTS {
            // The accept waits by then, for this is one thread.
            connect.get_or_insert_with(|| {
                ringway::spawn(async move { StdStream::connect(address).unwrap() })
            });
            match $accept.await {
                Ok(server) => {
                    let client = connect.take().expect("one").await.unwrap();
                    let peer = TcpStream::peer_addr(&server).unwrap();
                    assert_eq!(peer, client.local_addr().unwrap());
                    servers.push((server, client));
                }
                refused => {
                    is_told(refused);
                    told += 1;
                }
            }
        }
        told
    }};
}

fn one_by_one() -> std::pin::Pin<Box<dyn Future<Output = usize>>> {
    Box::pin(async {
        let listener = listener().await;
        accept_all!(listener, async {
            listener.accept().await.map(|(server, _)| server)
        })
    })
}

fn by_a_stream() -> std::pin::Pin<Box<dyn Future<Output = usize>>> {
    Box::pin(async {
        let listener = listener().await;
        let mut incoming = listener.incoming();
        accept_all!(listener, incoming.next())
    })
}

fn by_requests() -> std::pin::Pin<Box<dyn Future<Output = usize>>> {
    Box::pin(async {
        let listener = listener().await;
        accept_all!(listener, uring::accept(&listener))
    })
}
