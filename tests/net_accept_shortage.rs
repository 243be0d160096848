//! A server without descriptors for those who connect. Alone in its process, because the limit is the process's.

#[path = "support/descriptors.rs"]
mod descriptors;
mod net_support;
mod support;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use descriptors::{fill_table, make_room};
use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};

/// How long the shortage lasts: not a whole number of seconds, or tries of one a second would find its end.
const SHORTAGE: Duration = Duration::from_millis(2300);
/// Clients that wait all the while.
const CLIENTS: usize = 8;
/// From the moment that there are descriptors to the first greeting.
const RECOVERY_MAX: Duration = Duration::from_millis(100);
/// Processor time of a server that has nothing to do but try: a twentieth.
const BUSY_MAX: Duration = SHORTAGE.checked_div(20).expect("not by zero");

fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A server that accepts again as soon as it is told of an error, by an accept for each connection and by a stream of
/// them. Mutants: no pause (a whole processor, and thousands of errors); a pause of a second (the recovery is late); the
/// error is never told; `Incoming::judge` tries again by itself.
#[test]
fn a_server_without_descriptors_is_told_once_a_second_rests_and_recovers_soon() {
    go_through_a_shortage(greet_all);
    go_through_a_shortage(greet_all_incoming);
}

fn go_through_a_shortage<F>(serve: fn(TcpListener, Arc<AtomicUsize>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    on_two_workers(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (mut old_client, mut old_server) = pair().await;
        // With a watch, which takes a descriptor.
        let early = ringway::time::timeout(Duration::from_millis(5), listener.accept()).await;
        early.expect_err("nobody has connected");
        let clients: Vec<_> = (0..CLIENTS).map(|_| std_client(address)).collect();
        let former = fill_table();
        let errors = Arc::new(AtomicUsize::new(0));
        let server = ringway::spawn(serve(listener, Arc::clone(&errors)));
        let before = process_time();
        ringway::time::sleep(SHORTAGE).await;
        let busy = process_time() - before;
        let told = errors.load(Ordering::Relaxed);
        old_client.write_all(b"works").await.expect("room");
        let mut bytes = [0; 5];
        old_server.read_exact(&mut bytes).await.expect("bytes");

        let begin = Instant::now();
        make_room(former);
        for client in clients {
            let greeted = ringway::task::spawn_blocking(|| read_greeting(client)).await;
            greeted.expect("a greeting");
        }
        let recovery = begin.elapsed();
        server.abort();
        println!("{told} errors and {busy:?} of {SHORTAGE:?}; recovery in {recovery:?}");
        assert!((1..=3).contains(&told), "{told} errors");
        assert!(busy < BUSY_MAX, "{busy:?}");
        assert!(recovery < RECOVERY_MAX + machine_noise(), "{recovery:?}");
    });
}

/// How late a thread wakes from its sleeps, which is the machine's fault.
fn machine_noise() -> Duration {
    const NAP: Duration = Duration::from_millis(1);
    let late = (0..20).map(|_| {
        let begin = Instant::now();
        std::thread::sleep(NAP);
        begin.elapsed() - NAP
    });
    2 * late.max().unwrap_or_default()
}

fn std_client(address: std::net::SocketAddr) -> std::net::TcpStream {
    std::net::TcpStream::connect(address).expect("a connection")
}

fn read_greeting(mut client: std::net::TcpStream) {
    std::io::Read::read_exact(&mut client, &mut [0; 1]).expect("a greeting");
}

async fn greet_all(listener: TcpListener, errors: Arc<AtomicUsize>) {
    let mut greeted = Vec::new();
    loop {
        let accepted = listener.accept().await;
        greeted.extend(greet(accepted.map(|(client, _)| client), &errors).await);
    }
}

async fn greet_all_incoming(listener: TcpListener, errors: Arc<AtomicUsize>) {
    let mut incoming = listener.incoming();
    let mut greeted = Vec::new();
    loop {
        let accepted = incoming.next().await;
        greeted.extend(greet(accepted, &errors).await);
    }
}

async fn greet(accepted: io::Result<TcpStream>, errors: &AtomicUsize) -> Option<TcpStream> {
    match accepted {
        Ok(mut client) => {
            client.write_all(b"!").await.expect("room");
            Some(client)
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            errors.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}
