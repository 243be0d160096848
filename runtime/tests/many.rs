//! Operations that the kernel answers many times: every answer is an output once, and what nobody takes is disposed of.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringway_runtime::driver::{Many, SharedFd, is_shutdown};
use ringway_runtime::{Handle, task};

use support::ops::{ACCEPTED_MAX, AcceptMany, Readiness, pipe};
use support::{WATCHDOG, current_thread, wait_until, within, workers};

/// One submission, and an event for each write.
#[test]
fn a_multishot_poll_stays_in_the_ring() {
    within(WATCHDOG, || {
        let runtime = current_thread();
        let (events, submitted) = runtime.block_on(async {
            let (read, mut write) = pipe();
            let mut bytes = std::fs::File::from(dup(&read));
            let mut poll = Readiness::of(read);
            let mut events = 0;
            let mut first = None;
            for _ in 0..100 {
                write.write_all(b"x").expect("room");
                let event = poll.next().await.expect("it goes on");
                assert!(event.expect("no error") & libc::POLLIN as u32 != 0);
                bytes.read_exact(&mut [0]).expect("a byte");
                events += 1;
                first.get_or_insert_with(|| submitted(runtime.handle()));
            }
            (events, submitted(runtime.handle()) - first.unwrap_or(0))
        });
        assert_eq!(events, 100);
        // Nothing, or the bell of a kernel that has no messages, which stays in the ring as well.
        assert!(submitted <= 1, "{submitted} after the first event");
    });
}

fn dup(fd: &SharedFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().expect("a descriptor")
}

fn submitted(runtime: &Handle) -> u64 {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.ring(worker).submitted_count())
        .sum()
}

fn answers(runtime: &Handle) -> u64 {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.ring(worker).answer_count())
        .sum()
}

fn in_flight(runtime: &Handle) -> usize {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.ring(worker).operations_in_flight())
        .sum()
}

fn listener() -> (SharedFd, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    (SharedFd::from(OwnedFd::from(listener)), address)
}

/// More connections come than may wait, while nobody takes any and then while somebody does.
///
/// Mutants: `settle` names no operation that is full; `next` does not resume one that has paused.
#[test]
fn every_connection_is_taken_once_though_more_come_than_may_wait() {
    within(WATCHDOG, || {
        let runtime = workers(2);
        runtime.block_on(async {
            let (fd, address) = listener();
            let mut accepts = Many::new(AcceptMany(fd.clone()));
            assert!(poll_now(&mut accepts).is_pending());
            for round in 0..3 {
                let clients: Vec<TcpStream> = (0..5 * ACCEPTED_MAX)
                    .map(|_| TcpStream::connect(address).expect("room in the queue"))
                    .collect();
                if round == 0 {
                    // Too many wait: it was cancelled, and pauses.
                    while in_flight(&Handle::current()) > 0 {
                        task::yield_now().await;
                    }
                }
                let mut ports = Vec::new();
                for _ in &clients {
                    let accepted = match accepts.next().await {
                        Some(accepted) => accepted,
                        // The kernel ends one for whose answer a tiny ring has no room.
                        None => {
                            assert!(rings_are_tiny(), "it goes on");
                            accepts = Many::new(AcceptMany(fd.clone()));
                            accepts.next().await.expect("the first of a new one")
                        }
                    };
                    let stream = TcpStream::from(accepted.expect("a connection"));
                    ports.push(stream.peer_addr().expect("a peer").port());
                    if round == 1 {
                        task::yield_now().await;
                    }
                }
                let expected: Vec<u16> = clients
                    .iter()
                    .map(|client| client.local_addr().expect("an address").port())
                    .collect();
                assert_eq!(ports, expected, "in order, each once");
            }
        });
    });
}

fn rings_are_tiny() -> bool {
    std::env::var_os("RINGWAY_RING_ENTRIES").is_some()
}

fn poll_now<T: ringway_runtime::driver::Operation>(many: &mut Many<T>) -> Poll<Option<T::Output>> {
    many.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Connections that were accepted and never taken are closed when the operation is dropped.
///
/// Mutant: `finish_of` in `driver/payload.rs` makes nothing of the earlier answers.
#[test]
fn connections_that_nobody_took_are_closed_with_the_operation() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        let (fd, address) = listener();
        let mut clients: Vec<TcpStream> = runtime.block_on(async {
            let mut accepts = Many::new(AcceptMany(fd));
            assert!(poll_now(&mut accepts).is_pending());
            let clients: Vec<TcpStream> = (0..ACCEPTED_MAX / 2)
                .map(|_| TcpStream::connect(address).expect("room in the queue"))
                .collect();
            let first = accepts.next().await.expect("it goes on");
            drop(first.expect("a connection"));
            clients
        });
        for client in &mut clients {
            client
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a socket takes the option");
            match client.read(&mut [0]) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => panic!("still open: {other:?}"),
            }
        }
        wait_until("nothing is in flight", || in_flight(runtime.handle()) == 0);
    });
}

/// What was accepted before the cancel is handed out, then comes an error, then nothing; also if it had paused.
///
/// Mutant: `expect_cancel` in `driver/slots.rs` leaves one that has paused as it is.
#[test]
fn a_multishot_that_is_cancelled_hands_out_what_it_has_and_ends() {
    within(WATCHDOG, || {
        let runtime = workers(1);
        for connections in [ACCEPTED_MAX / 2, 3 * ACCEPTED_MAX] {
            runtime.block_on(async {
                let (fd, address) = listener();
                let mut accepts = Many::new(AcceptMany(fd));
                let before = answers(&Handle::current());
                assert!(poll_now(&mut accepts).is_pending());
                let _clients: Vec<TcpStream> = (0..connections)
                    .map(|_| TcpStream::connect(address).expect("room in the queue"))
                    .collect();
                let expected = connections.min(ACCEPTED_MAX);
                let answered = || answers(&Handle::current()) >= before + u64::from(expected);
                let pauses = || in_flight(&Handle::current()) == 0;
                while !pauses() && (connections > ACCEPTED_MAX || !answered()) {
                    task::yield_now().await;
                }
                accepts.cancel();
                accepts.cancel();
                let mut outputs = Vec::new();
                while let Some(output) = accepts.next().await {
                    outputs.push(output);
                }
                let last = outputs.pop().expect("a last output");
                if rings_are_tiny() {
                    // It may have ended before, because there was no room for an answer.
                    assert!(outputs.iter().all(|output| output.is_ok()));
                } else {
                    let error = last.expect_err("cancelled");
                    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                    let accepted = outputs.into_iter().filter(|output| output.is_ok());
                    assert!(accepted.count() >= expected as usize);
                }
            });
        }
    });
}

/// A runtime that ends is the last that a multishot hears of.
#[test]
fn the_end_of_the_runtime_is_the_last_output() {
    within(WATCHDOG, || {
        for taken in [false, true] {
            let runtime = workers(1);
            let (fd, address) = listener();
            let mut accepts = Many::new(AcceptMany(fd));
            let client = runtime.block_on(async {
                assert!(poll_now(&mut accepts).is_pending());
                let client = TcpStream::connect(address).expect("room in the queue");
                if taken {
                    accepts
                        .next()
                        .await
                        .expect("it goes on")
                        .expect("a connection");
                } else {
                    while answers(&Handle::current()) == 0 {
                        task::yield_now().await;
                    }
                }
                client
            });
            drop(runtime);
            let mut outputs = Vec::new();
            while let Poll::Ready(Some(output)) = poll_now(&mut accepts) {
                outputs.push(output);
            }
            let last = outputs.pop().expect("a last output").expect_err("an error");
            assert!(is_shutdown(&last), "{last}");
            assert!(outputs.into_iter().all(|output| output.is_ok()));
            assert!(matches!(poll_now(&mut accepts), Poll::Ready(None)));
            drop(client);
        }
    });
}
