//! What connections cost in memory. Alone in its process, because the allocator counts for all threads.

#[path = "support/counting.rs"]
mod counting;
mod net_support;

use counting::{allocations, live_bytes};
use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::TcpStream;
use ringway::runtime::{Driver, Handle};
use turns::Turn;

/// The tests of this file take turns: each would count the other's work.
mod turns {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    pub(crate) struct Turn(
        #[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, ()>,
    );

    static TURN: Mutex<()> = Mutex::new(());

    impl Turn {
        pub(crate) fn take() -> Turn {
            Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

/// A connection whose reader waits holds no buffer. Mutant: give each reader that waits a buffer of its own.
#[test]
fn a_connection_that_waits_costs_less_than_a_buffer() {
    /// Both ends of a connection and the task that reads one of them, without its own variables: the kernel's
    /// memory does not count here.
    const BYTES_AT_MOST: i64 = 1024;
    /// What the second driver has to know of a descriptor, which with the other the kernel knows.
    const BYTES_OF_POLL: i64 = 256;
    const CONNECTIONS: i64 = 1000;
    let _turn = Turn::take();
    on_two_workers(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::with_capacity(CONNECTIONS as usize);
        let mut readers = Vec::with_capacity(CONNECTIONS as usize);
        let before = live_bytes();
        for _ in 0..CONNECTIONS {
            clients.push(TcpStream::connect(address).await.unwrap());
            let (mut server, _) = listener.accept().await.unwrap();
            readers.push(ringway::spawn(
                async move { server.read_u8().await.unwrap() },
            ));
        }
        ringway::time::sleep(std::time::Duration::from_millis(50)).await;
        let at_most = match Handle::current().metrics().driver() {
            Driver::Poll => BYTES_AT_MOST + BYTES_OF_POLL,
            _ => BYTES_AT_MOST,
        };
        let each = (live_bytes() - before) / CONNECTIONS;
        assert!(
            each <= at_most,
            "a connection that waits costs {each} bytes"
        );
        for (client, reader) in clients.iter().zip(readers) {
            assert_eq!(client.try_write(b"!").unwrap(), 1);
            assert_eq!(reader.await.unwrap(), b'!');
        }
    });
}

/// Mutant: box the operation that waits.
#[test]
fn reading_and_writing_allocate_nothing_in_the_long_run() {
    const ROUNDS: u64 = 2000;
    /// The fewest count: a poll that stays is armed anew after 255 events, for which the second driver allocates, once or twice as
    /// it happens.
    const TRIES: usize = 5;
    let _turn = Turn::take();
    on_two_workers(async {
        let (mut client, mut server) = pair().await;
        let echo = ringway::spawn(async move {
            let mut buffer = [0; 64];
            while server.read_exact(&mut buffer).await.is_ok() {
                server.write_all(&buffer).await.unwrap();
            }
        });
        let message = [7; 64];
        let mut answer = [0; 64];
        let mut fewest = u64::MAX;
        // What the first try allocates is no long run.
        for _ in 0..=TRIES {
            let before = allocations();
            for _ in 0..ROUNDS {
                client.write_all(&message).await.unwrap();
                client.read_exact(&mut answer).await.unwrap();
            }
            fewest = fewest.min(allocations() - before);
        }
        assert!(
            fewest < ROUNDS / 100,
            "{fewest} allocations in {ROUNDS} rounds"
        );
        drop(client);
        echo.await.unwrap();
    });
}
