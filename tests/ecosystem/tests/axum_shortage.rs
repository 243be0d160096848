//! An axum server's listener without descriptors. Alone in its process, because the limit is the process's.

#[path = "../../support/descriptors.rs"]
mod descriptors;

use std::time::Duration;

use descriptors::{fill_table, make_room};
use ringway::axum::Listener;
use ringway::net::TcpListener;
use ringway::time::{Instant, sleep, timeout};
use ringway_ecosystem_tests::within;
use socket2::{Domain, Socket, Type};

/// How long the shortage lasts: not a whole number of seconds, or a pause of one would find its end.
const SHORTAGE: Duration = Duration::from_millis(500);
/// Twice what the listener waits between two tries.
const LATE_MAX: Duration = Duration::from_millis(100);

/// Mutant: `back_off` pauses after a shortage as well, which the listener itself waits for.
#[ringway::test(flavor = "current_thread", start_paused = true)]
async fn who_waits_for_a_descriptor_is_accepted_soon_after_there_is_one() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It has begun to watch, which takes a descriptor with one of the drivers.
    let early = timeout(Duration::from_millis(5), Listener::accept(&mut listener)).await;
    assert!(early.is_err(), "nobody has connected");
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let former = fill_table();
    client.connect(&address.into()).unwrap();

    let accepting = async {
        let (_stream, _peer) = Listener::accept(&mut listener).await;
        Instant::now()
    };
    let shortage = async {
        sleep(SHORTAGE).await;
        make_room(former);
        Instant::now()
    };
    let (accepted, room) = within(async { ringway::join!(accepting, shortage) }).await;
    assert!(accepted >= room, "there was no shortage");
    assert!(accepted - room <= LATE_MAX, "{:?}", accepted - room);
}
