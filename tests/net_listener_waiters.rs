//! Several who wait for connections at one listener.

use std::net::TcpStream as Client;
use std::sync::Arc;
use std::time::Duration;

use ringway::net::TcpListener;
use ringway::runtime::Builder;
use ringway::task::yield_now;
use ringway::time::timeout;

/// How long anything here may take.
const BOUND: Duration = Duration::from_secs(10);
/// Waits after which a listener keeps its poll armed, and some more.
const WARM_UP: usize = 4;

async fn let_them_wait() {
    for _ in 0..10 {
        yield_now().await;
    }
}

/// Two connections arrive between two looks at the ring, which tells of them at once: each of two accepts that wait gets
/// one.
///
/// Mutant: an accept that has succeeded relies on a poll that stays armed, and tells only of what is new, to wake the
/// next one.
#[test]
fn two_who_accept_each_get_one_of_two_connections_that_came_at_once() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let accept = || {
            let listener = Arc::clone(&listener);
            ringway::spawn(async move { listener.accept().await.map(drop) })
        };
        for _ in 0..WARM_UP {
            let waits = accept();
            let_them_wait().await;
            let _client = Client::connect(address).unwrap();
            waits.await.unwrap().unwrap();
        }
        for round in 0..8 {
            let (one, two) = (accept(), accept());
            let_them_wait().await;
            let _clients = [(); 2].map(|()| Client::connect(address).unwrap());
            for waits in [one, two] {
                let accepted = timeout(BOUND, waits).await;
                let accepted = accepted.unwrap_or_else(|_| panic!("round {round}: no wake"));
                accepted.unwrap().unwrap();
            }
        }
    });
}
