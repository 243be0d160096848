//! A flood of timers that are due at once, or that the wheel has to move at once, holds nobody else up.
//!
//! A delay is counted without what the machine is to blame for: the time for which the threads of this process waited for a
//! processor meanwhile, as the kernel says, one after the other. A host that takes the processor away from the whole machine
//! is seen by no kernel: the best of several floods counts, and what holds others up does so in each.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ringway::io::AsyncReadExt;
use ringway::net::UnixStream;
use ringway::runtime::Runtime;
use ringway::sync::Notify;
use ringway::task::yield_now;
use ringway::time::sleep_until;

use support::{count, current_thread, wait_until, within, workers};

/// What others are delayed by at most: 5 ms where the compiler optimizes. Without that, a task takes several times as long,
/// and as many of them run before others.
const DELAY_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 12 } else { 5 });
/// Timers, unless the environment says otherwise.
const TIMERS: usize = 100_000;
/// The time that is allowed for making so many timers.
const LEAD: Duration = Duration::from_micros(8 * TIMERS as u64);
/// Floods of which one must hold nobody up.
const TRIES: usize = 6;
/// One flood at a time.
static ALONE: Mutex<()> = Mutex::new(());
/// A stall is seen after this time.
const STALL: Duration = Duration::from_secs(300);
/// Between two bytes from outside.
const PAUSE: Duration = Duration::from_micros(500);

/// Mutant: each look fires timers, though the tasks of those before have not run (a quarter of its turns was enough).
#[test]
fn timers_that_are_due_in_one_tick_hold_up_neither_tasks_nor_the_kernel() {
    for runtime in [workers(1), workers(2)] {
        flood(runtime, |_| 0);
    }
}

/// All lie in one slot of a higher level, from which they are moved before the first is due, and fire by and by.
///
/// Mutant: as above; a monitor that fires as many timers as it can for a worker that has lost its processor.
#[test]
fn timers_that_are_moved_at_once_hold_up_neither_tasks_nor_the_kernel() {
    for runtime in [workers(1), workers(2)] {
        flood(runtime, |timer| timer as u64 % 60_000_000);
    }
}

/// On one thread the root is one of those that wait.
#[test]
fn timers_that_are_due_in_one_tick_do_not_hold_up_the_root_of_one_thread() {
    best_of_floods(current_thread(), |runtime, timers| {
        let fired = Arc::new(AtomicUsize::new(0));
        let due = spawn_sleepers(runtime, timers, |_| 0, &fired);
        let worst = runtime.block_on(async {
            let mut clocks = Clocks::new();
            while fired.load(Ordering::Relaxed) < timers {
                yield_now().await;
                clocks.turn();
            }
            clocks.worst
        });
        println!("{timers} timers took {:?}", due.elapsed());
        vec![("the root", worst)]
    });
}

/// Makes timers that are due at about the same time, and looks how long others wait until all have fired.
fn flood(runtime: Runtime, after_ns: impl Fn(usize) -> u64 + Send + Copy + 'static) {
    best_of_floods(runtime, move |runtime, timers| {
        let fired = Arc::new(AtomicUsize::new(0));
        let due = spawn_sleepers(runtime, timers, after_ns, &fired);
        let ends = Arc::new(AtomicBool::new(false));
        let others = [
            ("turns", spawn_turns(runtime, &ends)),
            ("wakes", spawn_wakes(runtime, &ends)),
            ("bytes", spawn_bytes(runtime, &ends)),
        ];
        wait_until("all have fired", || fired.load(Ordering::Relaxed) == timers);
        println!("{timers} timers took {:?}", due.elapsed());
        ends.store(true, Ordering::Relaxed);
        let worst = |worst: mpsc::Receiver<_>| worst.recv().expect("it looked until the end");
        others.map(|(what, told)| (what, worst(told))).into()
    });
}

/// Floods until one has held nobody up, which says who waited how long.
fn best_of_floods(
    runtime: Runtime,
    flood: impl Fn(&Runtime, usize) -> Vec<(&'static str, Duration)> + Send + 'static,
) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    within(STALL, move || {
        let timers = count("RINGWAY_TEST_FLOOD", TIMERS);
        let held_up = |_| {
            let waited = flood(&runtime, timers);
            println!("{waited:?}");
            waited.iter().any(|&(_, worst)| worst > DELAY_MAX)
        };
        assert!(
            !(0..TRIES).all(held_up),
            "each flood held others up for more than {DELAY_MAX:?}"
        );
    });
}

/// Tasks that all sleep when this returns; returns when the first is due.
fn spawn_sleepers(
    runtime: &Runtime,
    timers: usize,
    after_ns: impl Fn(usize) -> u64 + Send + Copy + 'static,
    fired: &Arc<AtomicUsize>,
) -> Instant {
    let lead = LEAD * timers.div_ceil(TIMERS) as u32;
    for tries in 0..5 {
        let due = Instant::now() + lead * 3u32.pow(tries);
        runtime.block_on(spawn_all(
            timers,
            move |timer| due + after(after_ns(timer)),
            fired,
        ));
        if Instant::now() < due {
            return due;
        }
        // The machine has other things to do. Once more, with more time.
        runtime.block_on(until(|| fired.load(Ordering::Relaxed) == timers));
        fired.store(0, Ordering::Relaxed);
    }
    panic!("the flood came before all was ready")
}

fn after(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}

/// Spawns tasks that sleep, and waits until each does.
async fn spawn_all(
    timers: usize,
    deadline: impl Fn(usize) -> Instant + Send + 'static,
    fired: &Arc<AtomicUsize>,
) {
    let asleep = Arc::new(AtomicUsize::new(0));
    let (fired, sleeping) = (Arc::clone(fired), Arc::clone(&asleep));
    let spawner = ringway::spawn(async move {
        for timer in 0..timers {
            let (fired, sleeping) = (Arc::clone(&fired), Arc::clone(&sleeping));
            let deadline = deadline(timer);
            ringway::spawn(async move {
                sleeping.fetch_add(1, Ordering::Relaxed);
                sleep_until(deadline.into()).await;
                fired.fetch_add(1, Ordering::Relaxed);
            });
            if timer % 64 == 0 {
                yield_now().await;
            }
        }
    });
    spawner.await.expect("all are spawned");
    until(|| asleep.load(Ordering::Relaxed) == timers).await;
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// A task that is always ready: how long it waits from turn to turn.
fn spawn_turns(runtime: &Runtime, ends: &Arc<AtomicBool>) -> mpsc::Receiver<Duration> {
    let (tell, told) = mpsc::channel();
    let ends = Arc::clone(ends);
    runtime.spawn(async move {
        let mut clocks = Clocks::new();
        while !ends.load(Ordering::Relaxed) {
            yield_now().await;
            clocks.turn();
        }
        tell.send(clocks.worst)
    });
    told
}

/// Two tasks that wake each other in turn.
fn spawn_wakes(runtime: &Runtime, ends: &Arc<AtomicBool>) -> mpsc::Receiver<Duration> {
    let (tell, told) = mpsc::channel();
    let [here, there] = [(); 2].map(|()| Arc::new(Notify::new()));
    let (call, answer) = (Arc::clone(&there), Arc::clone(&here));
    let stops = Arc::clone(ends);
    runtime.spawn(async move {
        while !stops.load(Ordering::Relaxed) {
            call.notified().await;
            answer.notify_one();
        }
    });
    let ends = Arc::clone(ends);
    runtime.spawn(async move {
        let mut clocks = Clocks::new();
        while !ends.load(Ordering::Relaxed) {
            there.notify_one();
            here.notified().await;
            clocks.turn();
        }
        there.notify_one();
        // There and back are two wakes.
        tell.send(clocks.worst / 2)
    });
    told
}

/// A thread that writes and a task that reads.
fn spawn_bytes(runtime: &Runtime, ends: &Arc<AtomicBool>) -> mpsc::Receiver<Duration> {
    let (tell, told) = mpsc::channel();
    let (mut reader, writer) = {
        let _entered = runtime.enter();
        let (here, there) = std::os::unix::net::UnixStream::pair().expect("two sockets");
        here.set_nonblocking(true).expect("a socket");
        (UnixStream::from_std(here).expect("a socket"), there)
    };
    let (read, is_read) = mpsc::channel();
    runtime.spawn(async move {
        let mut byte = [0];
        while reader.read_exact(&mut byte).await.is_ok() {
            if read.send(Instant::now()).is_err() {
                break;
            }
        }
    });
    let ends = Arc::clone(ends);
    thread::spawn(move || {
        let mut writer = writer;
        let mut clocks = Clocks::new();
        while !ends.load(Ordering::Relaxed) {
            thread::sleep(PAUSE);
            clocks.begin();
            writer.write_all(b".").expect("a byte");
            let at = is_read.recv().expect("the reader lives");
            clocks.worst = clocks.worst.max(clocks.excused(at));
        }
        tell.send(clocks.worst)
    });
    told
}

/// Times without what the machine is to blame for.
struct Clocks {
    threads: Vec<File>,
    since: Instant,
    /// What the threads had waited for a processor by then, or shortly before.
    waited: Vec<Duration>,
    asked: Instant,
    worst: Duration,
}

impl Clocks {
    fn new() -> Self {
        let threads = fs::read_dir("/proc/self/task").expect("the kernel lists threads");
        let threads: Vec<_> = threads
            .filter_map(|thread| File::open(thread.ok()?.path().join("schedstat")).ok())
            .collect();
        let mut clocks = Self {
            threads,
            since: Instant::now(),
            waited: Vec::new(),
            asked: Instant::now(),
            worst: Duration::ZERO,
        };
        clocks.ask();
        clocks
    }

    fn ask(&mut self) {
        self.waited = self.threads.iter().map(waited).collect();
        self.asked = Instant::now();
        self.since = self.asked;
    }

    fn begin(&mut self) {
        self.since = Instant::now();
        // To ask takes its time, which others would be late by.
        if self.since - self.asked > DELAY_MAX / 10 {
            self.ask();
        }
    }

    /// The time from the last beginning to `at`.
    fn excused(&self, at: Instant) -> Duration {
        let took = at.saturating_duration_since(self.since);
        let waits = self.threads.iter().map(waited).zip(&self.waited);
        let excuse = waits.map(|(now, &before)| now.saturating_sub(before)).sum();
        took.saturating_sub(excuse)
    }

    /// A turn has come: notes what it took since the last.
    fn turn(&mut self) {
        let now = Instant::now();
        if now - self.since > DELAY_MAX / 2 {
            self.worst = self.worst.max(self.excused(now));
        } else {
            self.worst = self.worst.max(now - self.since);
        }
        self.begin();
    }
}

/// How long a thread has waited for a processor; of one that has ended, nothing.
fn waited(schedstat: &File) -> Duration {
    let mut text = [0; 64];
    let read = schedstat.read_at(&mut text, 0).unwrap_or(0);
    let text = std::str::from_utf8(&text[..read]).unwrap_or("");
    let waited_ns = text.split(' ').nth(1).and_then(|ns| ns.parse().ok());
    waited_ns.map(Duration::from_nanos).unwrap_or_default()
}
