//! Accepts that are dropped, among them such as a connection was there for. Alone in its process, because it counts the
//! process's descriptors.

mod net_support;
mod support;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use net_support::{Wakes, listener};
use ringway::io::AsyncReadExt;
use ringway::net::{TcpListener, TcpStream};
use support::{count, descriptors, within, workers};

/// Clients that connect, are greeted and connect again, all the while.
const CLIENTS: usize = 4;
/// Accepts that wait at once: one connection wakes them one after the other, as each is dropped.
const ACCEPTS: usize = 16;
/// A wait for a connection that does not come lasts this long at most; on two workers one comes within microseconds.
const PATIENCE: Duration = Duration::from_micros(200);
/// One in this many accepts that are dropped must have been woken for a connection.
const WON_AMONG: usize = 10;
/// A client that is not greeted for this long was lost.
const GREETING_MAX: Duration = Duration::from_secs(30);

type Accepted = std::io::Result<(TcpStream, SocketAddr)>;

/// An accept that was polled once and waits.
struct Waiting<'a> {
    accept: Pin<Box<dyn Future<Output = Accepted> + Send + 'a>>,
    wakes: Arc<Wakes>,
}

impl<'a> Waiting<'a> {
    fn begin(listener: &'a TcpListener) -> Result<Self, Accepted> {
        let mut waiting = Self {
            accept: Box::pin(listener.accept()),
            wakes: Arc::default(),
        };
        match waiting.poll() {
            Poll::Pending => Ok(waiting),
            Poll::Ready(accepted) => Err(accepted),
        }
    }

    fn poll(&mut self) -> Poll<Accepted> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.accept.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Woken, and not polled since: a connection is there for it.
    fn has_won(&self) -> bool {
        self.wakes.count() > 0
    }
}

#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    cancelled: usize,
    won: usize,
}

/// Every client is greeted, and no descriptor is left behind, though nearly all accepts are dropped, and many of them
/// when the connection had already come for them. `RINGWAY_TEST_CANCELLED_ACCEPTS` asks for more.
///
/// Mutants: no hand-on when a woken accept is dropped (a client waits for ever); the connection is taken in an operation
/// of the future and dropped with it (a client finds the end of the stream).
#[test]
fn accepts_that_are_dropped_when_they_had_won_lose_no_connection() {
    let wanted = count("RINGWAY_TEST_CANCELLED_ACCEPTS", 100_000);
    within(Duration::from_secs(3600), move || {
        let runtime = workers(2);
        // The standard library opens files of its own with the first socket and the first thread.
        runtime.block_on(storm(1000));
        let before = descriptors();
        let start = Instant::now();
        let tally = runtime.block_on(storm(wanted));
        println!("{tally:?} in {:?}", start.elapsed());
        assert!(tally.won >= tally.cancelled / WON_AMONG, "{tally:?}");
        support::wait_until("descriptors are as many as before", || {
            descriptors() <= before
        });
    });
}

async fn storm(wanted: usize) -> Tally {
    let listener = Arc::new(listener().await);
    let address = listener.local_addr().expect("an address");
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| ringway::spawn(connect_again_and_again(address, Arc::clone(&stop))))
        .collect();
    let acceptor = {
        let (listener, stop) = (Arc::clone(&listener), Arc::clone(&stop));
        ringway::spawn(async move {
            let mut tally = Tally::default();
            while tally.cancelled < wanted {
                cancel_some(&listener, &mut tally).await;
            }
            stop.store(true, Ordering::Relaxed);
            tally
        })
    };
    let mut tally = acceptor.await.expect("the acceptor");
    // Whoever is still on the way is greeted too.
    let mut greeted = 0;
    for mut client in clients {
        greeted += loop {
            ringway::select! {
                biased;
                done = &mut client => break done.expect("a client"),
                accepted = listener.accept() => greet(accepted, &mut tally),
            }
        };
    }
    assert_eq!(greeted, tally.accepted, "each connection is accepted once");
    tally
}

/// Has accepts wait, lets connections come, and drops them all; those that find a connection at once are kept.
async fn cancel_some(listener: &TcpListener, tally: &mut Tally) {
    // With a whole budget: an accept that finds none wakes its task at once, whether anybody has connected or not.
    ringway::task::yield_now().await;
    let mut waiting = Vec::with_capacity(ACCEPTS);
    while waiting.len() < ACCEPTS {
        match Waiting::begin(listener) {
            Ok(accept) => waiting.push(accept),
            Err(accepted) => greet(accepted, tally),
        }
    }
    let start = Instant::now();
    while !waiting[0].has_won() && start.elapsed() < PATIENCE {
        ringway::task::yield_now().await;
    }
    for accept in waiting {
        tally.won += usize::from(accept.has_won());
        tally.cancelled += 1;
        drop(accept);
    }
}

#[track_caller]
fn greet(accepted: Accepted, tally: &mut Tally) {
    let (server, _) = accepted.expect("a connection");
    assert_eq!(server.try_write(b"!").expect("room for a byte"), 1);
    tally.accepted += 1;
}

/// How often it was greeted.
async fn connect_again_and_again(address: SocketAddr, stop: Arc<AtomicBool>) -> usize {
    let mut greeted = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let mut greeting = [0; 1];
        let read = ringway::time::timeout(GREETING_MAX, client.read_exact(&mut greeting));
        read.await
            .expect("a client waits for ever: its connection was lost")
            .expect("a greeting");
        // A reset leaves no port waiting behind.
        client.set_zero_linger().expect("an option");
        greeted += 1;
    }
    greeted
}
