//! In a storm of tasks that are always ready, whoever comes from outside has a turn soon.
//!
//! A delay is counted without what the machine is to blame for: the longest that any thread of this process waited for a
//! processor meanwhile, as the kernel says.

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ringway::io::AsyncReadExt;
use ringway::net::TcpListener;
use ringway::runtime::Runtime;
use ringway::sync::Notify;
use ringway::task::yield_now;
use ringway::time::sleep_until;

use support::{Storm, Waits, count, within, workers};

/// Worker threads.
const WORKERS: usize = 2;

/// Tasks of the storm: a hundred for each worker.
const TASKS: usize = 100 * WORKERS;

/// All but one of a thousand have their turn within this time.
const DELAY_MAX: Duration = Duration::from_millis(10);

/// Nobody waits longer.
const WORST_MAX: Duration = Duration::from_millis(100);

/// Events between two questions to the kernel.
const CHUNK: usize = 10;

/// A stall is seen after this time.
const STALL: Duration = Duration::from_secs(300);

/// Mutant: the injector is looked at only when the local queue is empty.
#[test]
fn spawns_from_outside_have_their_turn_in_a_storm() {
    claim_soon("spawns", |runtime| {
        let handle = runtime.handle().clone();
        Box::new(move |tell| {
            let start = Instant::now();
            drop(handle.spawn(async move { tell.send(start.elapsed()) }));
        })
    });
}

/// Mutant: as above.
#[test]
fn wakes_from_outside_have_their_turn_in_a_storm() {
    claim_soon("wakes", |runtime| {
        let handle = runtime.handle().clone();
        Box::new(move |tell| {
            let notify = Arc::new(Notify::new());
            let (ready, is_ready) = mpsc::channel();
            let (sleeper, start_of) = (Arc::clone(&notify), mpsc::channel());
            let (start_is, start) = start_of;
            drop(handle.spawn(async move {
                let notified = sleeper.notified();
                let _ = ready.send(());
                notified.await;
                let woken = Instant::now();
                // Told right after the wake.
                let start: Instant = start.recv().expect("the waker tells");
                tell.send(woken.saturating_duration_since(start))
            }));
            is_ready.recv().expect("the task waits");
            let now = Instant::now();
            notify.notify_one();
            start_is.send(now).expect("the task lives");
        })
    });
}

/// Mutant: the shard is looked at only when nothing else is to do.
#[test]
fn timers_have_their_turn_in_a_storm() {
    claim_soon("timers", |runtime| {
        let handle = runtime.handle().clone();
        Box::new(move |tell| {
            let due = Instant::now() + Duration::from_millis(1);
            drop(handle.spawn(async move {
                sleep_until(due.into()).await;
                tell.send(due.elapsed())
            }));
        })
    });
}

/// Mutant: as above.
#[test]
fn completions_have_their_turn_in_a_storm() {
    claim_soon("completions", |runtime| {
        let mut writer = reader(runtime);
        Box::new(move |tell| {
            let (sent, start) = (writer.1.clone(), Instant::now());
            sent.send((start, tell)).expect("the reader lives");
            writer.0.write_all(b".").expect("a byte");
        })
    });
}

/// One worker, one task on it that is always ready, and ten thousand tasks from outside at once: until they are done, the
/// one has no more turns than a few for each of them. Counted in turns, whatever the machine does.
///
/// Mutant: each look at the injector takes one task (61 turns for each).
#[test]
fn a_flood_from_outside_shares_the_worker_with_a_task_that_is_always_ready() {
    const FLOOD: usize = 10_000;
    const TURNS_EACH_MAX: usize = 2;
    let turns = within(STALL, || {
        let runtime = workers(1);
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let (counted, stopped) = (Arc::clone(&turns), Arc::clone(&stop));
        runtime.spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        let (gate, flood) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        // Nothing runs until all are there.
        let held = Arc::clone(&gate);
        runtime.spawn(async move { held.wait() });
        let before = Arc::clone(&turns);
        let (tell, told) = mpsc::channel();
        for _ in 0..FLOOD {
            let (flood, turns, tell) = (Arc::clone(&flood), Arc::clone(&turns), tell.clone());
            runtime.spawn(async move {
                if flood.fetch_add(1, Ordering::Relaxed) + 1 == FLOOD {
                    let _ = tell.send(turns.load(Ordering::Relaxed));
                }
            });
        }
        // While the worker waits at the gate, the one has no turn.
        while has_turns(&before) {}
        let first = before.load(Ordering::Relaxed);
        gate.wait();
        let last = told.recv().expect("the last of the flood tells");
        stop.store(true, Ordering::Relaxed);
        last - first
    });
    println!("{turns} turns beside a flood of {FLOOD}");
    assert!(turns <= FLOOD * TURNS_EACH_MAX, "{turns}");
}

/// Whether the turns still change: the worker has not come to the gate.
fn has_turns(turns: &AtomicUsize) -> bool {
    let before = turns.load(Ordering::Relaxed);
    thread::sleep(Duration::from_millis(20));
    turns.load(Ordering::Relaxed) != before
}

/// Who is told how late an event was.
type Tell = mpsc::Sender<Duration>;

/// Makes an event happen, by a thread that is no worker.
type Event = Box<dyn FnMut(Tell) + Send>;

/// A task that reads bytes one by one, the way to write them, and to tell it when each was written.
fn reader(runtime: &Runtime) -> (std::net::TcpStream, mpsc::Sender<(Instant, Tell)>) {
    let (sender, sent) = mpsc::channel::<(Instant, Tell)>();
    let writer = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let writer = std::net::TcpStream::connect(address).expect("a connection");
        writer.set_nodelay(true).expect("an option");
        let (mut stream, _) = listener.accept().await.expect("a connection");
        ringway::spawn(async move {
            while stream.read_u8().await.is_ok() {
                let read = Instant::now();
                let (start, tell) = sent.recv().expect("each byte is announced");
                let _ = tell.send(read.saturating_duration_since(start));
            }
        });
        writer
    });
    (writer, sender)
}

/// Makes events happen in a storm, and looks how late they are.
fn claim_soon(what: &str, prepare: impl FnOnce(&Runtime) -> Event + Send + 'static) {
    let events = count("RINGWAY_TEST_STORM_EVENTS", 2_000);
    let (mut raw, mut delays) = within(STALL, move || {
        let runtime = workers(WORKERS);
        let event = prepare(&runtime);
        let storm = Storm::begin(runtime.handle(), TASKS);
        let delays = measure(events, event);
        drop(storm);
        delays
    });
    raw.sort_unstable();
    delays.sort_unstable();
    println!("{what}: {}", summary(&raw));
    println!("{what}, without the machine's part: {}", summary(&delays));
    assert!(
        at(&delays, 999) <= DELAY_MAX,
        "{what}: {}",
        summary(&delays)
    );
    assert!(
        at(&delays, 1_000) <= WORST_MAX,
        "{what}: {}",
        summary(&delays)
    );
}

/// What so many of a thousand do not exceed.
fn at(delays: &[Duration], part: usize) -> Duration {
    delays[(delays.len() * part / 1_000).min(delays.len() - 1)]
}

fn summary(delays: &[Duration]) -> String {
    let [median, p99, p999, worst] = [500, 990, 999, 1_000].map(|part| at(delays, part));
    format!("median {median:?}, p99 {p99:?}, p99.9 {p999:?}, worst {worst:?}")
}

/// The delays of so many events, and the same without what the machine is to blame for.
fn measure(events: usize, mut event: Event) -> (Vec<Duration>, Vec<Duration>) {
    let (mut raw, mut delays) = (Vec::new(), Vec::new());
    while delays.len() < events {
        let machine = Waits::now();
        let (tell, told) = mpsc::channel();
        for _ in 0..CHUNK {
            event(tell.clone());
            thread::sleep(Duration::from_micros(50));
        }
        drop(tell);
        let late: Vec<_> = told.iter().collect();
        let excuse = machine.worst_since(Duration::MAX);
        delays.extend(late.iter().map(|late| late.saturating_sub(excuse)));
        raw.extend(late);
    }
    (raw, delays)
}
