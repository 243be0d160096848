//! A task that keeps one of two workers busy delays nobody's echo and nobody's sleep.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::Runtime;
use ringway::time::sleep;

use support::{Waits, count, within, workers};

/// How long the task keeps its worker.
const STUCK: Duration = Duration::from_millis(400);
/// What others are delayed by at most.
const DELAY_MAX: Duration = Duration::from_millis(10);
/// A thread waits this long at most on a machine that has a processor for it.
const CALM: Duration = Duration::from_millis(1);
/// A machine that disturbs this many trials will not become calm.
const DISTURBED_MAX: usize = 10;
/// A delay goes through this many threads that the machine may keep waiting: those of an echo, and the monitor.
const HOPS: u32 = 4;
/// Pairs that exchange bytes, and tasks that sleep, all the while.
const OTHERS: usize = 16;

/// What happened while a worker was stuck.
#[derive(Debug, Default)]
struct Seen {
    worst: Duration,
    echoes: usize,
    sleeps: usize,
}

/// Mutants: the monitor does not look (400 ms); rings that only their owner may reap (the same).
#[test]
fn a_task_that_spins_for_400_ms_delays_no_echo_and_no_sleep_by_10_ms() {
    let trials = count("RINGWAY_TEST_STUCK", 3);
    within(Duration::from_secs(300), move || {
        let runtime = workers(2);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let measure = Arc::new(AtomicBool::new(false));
        runtime.block_on(start_others(&seen, &measure));
        let mut by_worker = HashMap::<ThreadId, Vec<Duration>>::new();
        let mut disturbed = 0;
        while by_worker.len() < 2 || by_worker.values().any(|found| found.len() < trials) {
            let (worker, noise) = spin_once(&runtime, &measure);
            let seen = std::mem::take(&mut *seen.lock().expect("nobody panics with it"));
            assert!(seen.echoes > 0 && seen.sleeps > 0, "{seen:?}");
            if seen.worst > DELAY_MAX {
                // The machine is to blame as far as it kept threads waiting.
                disturbed += 1;
                assert!(
                    noise > CALM && seen.worst <= DELAY_MAX + HOPS * noise,
                    "{seen:?}, and the machine {noise:?}"
                );
                if disturbed < DISTURBED_MAX {
                    continue;
                }
            }
            by_worker.entry(worker).or_default().push(seen.worst);
        }
        println!("{by_worker:?}");
    });
}

async fn start_others(seen: &Arc<Mutex<Seen>>, measure: &Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    for _ in 0..OTHERS {
        let client = TcpStream::connect(address).await.expect("a connection");
        let (server, _) = listener.accept().await.expect("a connection");
        ringway::spawn(echo(server));
        let (seen, measure) = (Arc::clone(seen), Arc::clone(measure));
        ringway::spawn(ask(client, seen, measure));
    }
    for _ in 0..OTHERS {
        let (seen, measure) = (Arc::clone(seen), Arc::clone(measure));
        ringway::spawn(nap(seen, measure));
    }
}

async fn echo(mut stream: TcpStream) {
    let mut bytes = [0; 64];
    while let Ok(len @ 1..) = stream.read(&mut bytes).await {
        if stream.write_all(&bytes[..len]).await.is_err() {
            return;
        }
    }
}

async fn ask(mut stream: TcpStream, seen: Arc<Mutex<Seen>>, measure: Arc<AtomicBool>) {
    let mut bytes = [7; 64];
    loop {
        let start = Instant::now();
        let asked = async {
            stream.write_all(&bytes).await?;
            stream.read_exact(&mut bytes).await
        };
        if asked.await.is_err() {
            return;
        }
        note(&seen, &measure, start.elapsed(), |seen| seen.echoes += 1);
        sleep(Duration::from_millis(1)).await;
    }
}

async fn nap(seen: Arc<Mutex<Seen>>, measure: Arc<AtomicBool>) {
    const NAP: Duration = Duration::from_millis(1);
    loop {
        let start = Instant::now();
        sleep(NAP).await;
        note(&seen, &measure, start.elapsed() - NAP, |seen| {
            seen.sleeps += 1
        });
    }
}

fn note(seen: &Mutex<Seen>, measure: &AtomicBool, delay: Duration, count: fn(&mut Seen)) {
    if measure.load(Ordering::Relaxed) {
        let mut seen = seen.lock().expect("nobody panics with it");
        seen.worst = seen.worst.max(delay);
        count(&mut seen);
    }
}

/// Has one worker spin. Which one it was, and how late an ordinary thread woke from its sleeps meanwhile.
fn spin_once(runtime: &Runtime, measure: &Arc<AtomicBool>) -> (ThreadId, Duration) {
    let spinning = Arc::clone(measure);
    let spinner = runtime.spawn(async move {
        spinning.store(true, Ordering::Relaxed);
        let start = Instant::now();
        while start.elapsed() < STUCK {}
        thread::current().id()
    });
    let waits = Waits::now();
    let worker = runtime.block_on(spinner).expect("the spinner");
    // Whoever was delayed has told by now.
    thread::sleep(Duration::from_millis(20));
    measure.store(false, Ordering::Relaxed);
    (worker, waits.worst_since(STUCK / 2))
}
