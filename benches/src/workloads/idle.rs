//! A runtime with nothing to do, or nearly nothing.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{rt, runtime};
use crate::calls::Calls;
use crate::gauges::{Figure, Promise, noise};
use crate::meter::Meter;
use rt::io::AsyncReadExt;
use rt::net::{TcpListener, TcpStream};

/// How long an idle runtime is watched.
const WATCH: Duration = Duration::from_secs(5);

/// A runtime that has worked calms down within this time.
const SETTLE: Duration = Duration::from_millis(300);

/// Spawns that are measured.
const SPAWNS: u64 = 1_000;

/// Between two spawns: long enough that all workers fall asleep.
const PAUSE: Duration = Duration::from_millis(1);

const FOREVER: Duration = Duration::from_secs(3_600);

/// Tasks wait for a connection, for bytes and for a timer.
pub fn idle() -> Vec<Figure> {
    let counts = Counts::start();
    let runtime = runtime();
    let (listener, stream, _peer) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (listener, stream, peer)
    });
    runtime.spawn(async move { listener.accept().await.map(drop) });
    runtime.spawn(read(stream));
    runtime.spawn(async { rt::time::sleep(FOREVER).await });
    thread::sleep(SETTLE);
    counts.figures(WATCH.as_secs_f64(), Promise::Value(0.0), || {
        thread::sleep(WATCH)
    })
}

async fn read(mut stream: TcpStream) -> io::Result<()> {
    stream.read_u8().await.map(drop)
}

/// A thread that is no worker spawns an empty task now and then.
pub fn spawn() -> Vec<Figure> {
    static RAN: AtomicU64 = AtomicU64::new(0);
    let counts = Counts::start();
    let runtime = runtime();
    thread::sleep(SETTLE);
    let figures = counts.figures(SPAWNS as f64, Promise::Ratio(1.0), || {
        for _ in 0..SPAWNS {
            thread::sleep(PAUSE);
            runtime.spawn(async { RAN.fetch_add(1, Ordering::Relaxed) });
        }
        thread::sleep(PAUSE);
    });
    assert_eq!(RAN.load(Ordering::Relaxed), SPAWNS);
    figures
}

/// What the kernel counts of the runtime's threads, where it lets us.
struct Counts(Option<(Calls, Calls)>);

impl Counts {
    /// Before the runtime is built.
    fn start() -> Counts {
        let calls = Calls::of_this_and_new_threads();
        Counts(
            calls
                .and_then(|all| Ok((all, Calls::of_this_thread()?)))
                .ok(),
        )
    }

    /// Calls of all threads but this one.
    fn calls(&self) -> Option<u64> {
        let (all, own) = self.0.as_ref()?;
        // The own ones first, so that the difference is never below 0; it has the second reading in it.
        let own = own.count();
        Some(all.count() - own)
    }

    /// The figures of so many events, which `watch` waits for.
    fn figures(self, events: f64, calls_promise: Promise, watch: impl FnOnce()) -> Vec<Figure> {
        let before = self.calls();
        let (process, this_thread) = (Meter::start(), Meter::start_of_this_thread());
        watch();
        let mut figures = noise(&process, &this_thread, events).to_vec();
        if let (Some(before), Some(after)) = (before, self.calls()) {
            let calls = (after - before) as f64 / events;
            figures.push(Figure::new("system calls", "", calls).promised(calls_promise));
        }
        figures
    }
}
