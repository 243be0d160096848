//! Connections that an accept in the ring has been given for nobody, between the listener's next accepts and its drop.
#![cfg(loom)]

use std::future::poll_fn;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll};

use ringway_loom_models::{Count, block_on_bell, check, spawn};
use ringway_net::internals::{Deserted, Stash, Taker};

/// A connection, and the client's end, which tells whether it was closed.
fn connection() -> (OwnedFd, UnixStream) {
    let (server, client) = UnixStream::pair().expect("a connection");
    client.set_nonblocking(true).expect("an option");
    (OwnedFd::from(server), client)
}

fn is_closed(mut client: &UnixStream) -> bool {
    match client.read(&mut [0]) {
        Ok(0) => true,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        other => panic!("nobody writes: {other:?}"),
    }
}

/// As the end of an abandoned accept in the ring.
fn leaves(stash: Stash, connection: OwnedFd) -> loom::thread::JoinHandle<()> {
    spawn(move || stash.put(connection))
}

fn take(taker: &mut Taker) -> OwnedFd {
    block_on_bell(poll_fn(|cx| {
        let taken = taker.poll_take(cx);
        taken.map_or(Poll::Pending, Poll::Ready)
    }))
}

/// A connection is left while the next accept begins to wait: it gets the connection.
///
/// Mutants in `net/src/socket/stash.rs`: `put` does not say that it has put something, or wakes before it has.
#[test]
fn a_connection_that_was_left_goes_to_the_next_accept() {
    check(|| {
        let listener = Deserted::default();
        let (connection, client) = connection();
        let leaving = leaves(listener.stash(), connection);
        let accepted = block_on_bell(listener.accept());
        leaving.join().expect("no panic");
        assert!(!is_closed(&client));
        drop(accepted);
        assert!(is_closed(&client), "there was one of it");
    });
}

/// Two connections are left, one after the other, while an accept of the listener's own and one in the ring begin to wait:
/// each gets one.
///
/// Mutants in `net/src/socket/stash.rs`: `put` wakes none of the takers; `poll_take` does not leave its waker.
#[test]
fn an_accept_and_one_in_the_ring_get_one_connection_each() {
    check(|| {
        let listener = Arc::new(Deserted::default());
        let (connections, clients): (Vec<_>, Vec<_>) = (0..2).map(|_| connection()).unzip();
        let mut taker = listener.stash().taker();
        let taking = spawn(move || take(&mut taker));
        let stash = listener.stash();
        let leaving = spawn(move || connections.into_iter().for_each(|fd| stash.put(fd)));
        let accepted = block_on_bell(listener.accept());
        let taken = taking.join().expect("no panic");
        leaving.join().expect("no panic");
        assert!(!clients.iter().any(is_closed));
        drop((accepted, taken));
        assert!(clients.iter().all(is_closed));
    });
}

/// A listener is dropped while a connection is left for it: that is closed, also while somebody still knows the waker of
/// the listener's operations.
///
/// Mutants: in `net/src/socket/stash.rs`, `put` does not ask whether the listener is open; in `net/src/socket/side.rs`, the
/// drop of a side leaves its state where it is.
#[test]
fn a_connection_that_is_left_for_a_listener_that_goes_is_closed() {
    check(|| {
        let listener = Deserted::default();
        let waker = listener.waker();
        let (connection, client) = connection();
        let leaving = leaves(listener.stash(), connection);
        drop(listener);
        leaving.join().expect("no panic");
        assert!(is_closed(&client));
        drop(waker);
    });
}

/// One who looks into the stash beside the ring goes while a connection is left there: its waker goes with it, and the
/// connection stays.
///
/// Mutant in `net/src/socket/stash.rs`: the drop of a `Taker` leaves its waker.
#[test]
fn a_taker_that_goes_leaves_the_connection_and_no_waker() {
    check(|| {
        let listener = Deserted::default();
        let (connection, client) = connection();
        let (count, waker) = Count::new();
        let mut taker = listener.stash().taker();
        let leaving = leaves(listener.stash(), connection);
        let taken = taker.poll_take(&mut Context::from_waker(&waker));
        drop(taker);
        leaving.join().expect("no panic");
        assert!(!is_closed(&client));
        let mut next = listener.stash().taker();
        let mut cx = Context::from_waker(&waker);
        assert_eq!(next.poll_take(&mut cx).is_some(), taken.is_none());
        assert!(next.poll_take(&mut cx).is_none());
        drop(next);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "the waker is kept");
    });
}
