//! How many workers are woken, and that a worker which is held up on its way to work does not keep others asleep.

mod support;

use std::future::poll_fn;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringway::net::{TcpListener, TcpStream};
use ringway::runtime::{Builder, Runtime};

use support::{WATCHDOG, Waits, count, wait_until, within, workers};

/// A spawn on an idle runtime wakes one worker.
///
/// Mutants: a worker that was woken does not count as searching (`pop_sleeper`); who finds work wakes the next though
/// nothing is left; each spawn wakes all.
#[test]
fn a_spawn_on_an_idle_runtime_wakes_one_worker() {
    let spawns = count("RINGWAY_TEST_IDLE_SPAWNS", 1_000);
    for workers in [2, 4].map(support::workers) {
        let wakes = within(WATCHDOG, move || {
            settle(&workers);
            let before = wakes(&workers);
            for _ in 0..spawns {
                let task = workers.spawn(async {});
                wait_until("the task ran", || task.is_finished());
                settle(&workers);
            }
            wakes(&workers) - before
        });
        let each = wakes as f64 / spawns as f64;
        println!("{each} wakes for each spawn");
        assert!(each <= 1.05, "{each} wakes for each spawn");
        assert!(each > 0.9, "the count means something: {each}");
    }
}

fn wakes(runtime: &Runtime) -> u64 {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_wake_count(worker))
        .sum()
}

/// Waits until all workers sleep.
fn settle(runtime: &Runtime) {
    let metrics = runtime.metrics();
    let sleeps = |worker| metrics.worker_park_unpark_count(worker) % 2 == 1;
    wait_until("all workers sleep", || {
        (0..metrics.num_workers()).all(sleeps)
    });
}

/// How long a waker blocks, unless the task that it holds up runs.
const BLOCKED: Duration = Duration::from_millis(400);

/// What a blocked worker may delay others by.
const DELAY_MAX: Duration = Duration::from_millis(50);

/// A worker is woken for a task, and finds a completion too whose waker blocks: the task must not wait for that. Bytes and
/// task come at the same time, again and again, until it was so often enough.
///
/// Mutant: the monitor leaves a stuck worker its search.
#[test]
fn a_waker_that_blocks_a_woken_worker_keeps_no_other_asleep() {
    let rounds = count("RINGWAY_TEST_BLOCKED_WAKERS", 40);
    within(WATCHDOG, move || {
        let runtime = workers(2);
        let (mut writer, stream) = connection(&runtime);
        let stream = Arc::new(stream);
        for _ in 0..rounds {
            let blocker = Arc::new(Blocker::default());
            arm(&runtime, &stream, &blocker);
            settle(&runtime);
            let machine = Waits::now();
            let start = Instant::now();
            writer.write_all(b".").expect("a byte");
            let released = Arc::clone(&blocker);
            let task = runtime.spawn(async move {
                let late = start.elapsed();
                released.release();
                late
            });
            let late = runtime.block_on(task).expect("the task");
            wait_until("the waker was called", || blocker.is_done());
            let excuse = machine.worst_since(Duration::MAX);
            assert!(late < DELAY_MAX + excuse, "{late:?}, of which {excuse:?}");
        }
    });
}

/// A worker is called for a task and does not come, as one that is given no processor: its thread is held up in the hook
/// that it calls first. The task is run by the other worker, which sleeps; also after a calm, in which the monitor
/// has gone to sleep.
///
/// Mutants: `pop_sleeper` does not lend the search to the worker that it takes; who calls a worker does not wake the
/// monitor.
#[test]
fn a_worker_that_is_called_and_does_not_come_keeps_no_other_asleep() {
    let rounds = count("RINGWAY_TEST_BLOCKED_WAKERS", 40);
    within(WATCHDOG, move || {
        let gate = Arc::new(Gate::default());
        let hook = Arc::clone(&gate);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_unpark(move || hook.pass())
            .build()
            .expect("a runtime");
        for round in 0..rounds {
            settle(&runtime);
            if round % 8 == 0 {
                thread::sleep(CALM);
            }
            gate.close();
            let machine = Waits::now();
            let start = Instant::now();
            let task = runtime.spawn(async move { start.elapsed() });
            wait_until("the task ran", || task.is_finished());
            gate.open();
            wait_until("nobody is held up", || !gate.is_in_use());
            let late = runtime.block_on(task).expect("the task");
            let excuse = machine.worst_since(Duration::MAX);
            assert!(late < DELAY_MAX + excuse, "{late:?}, of which {excuse:?}");
        }
        let held = gate.held.load(Ordering::Relaxed);
        assert!(held > rounds / 2, "{held} times of {rounds}");
    });
}

/// So long after the last task the monitor sleeps too.
const CALM: Duration = Duration::from_millis(60);

/// Holds up the first thread that comes after it was closed, until it is opened.
#[derive(Debug, Default)]
struct Gate {
    closed: AtomicBool,
    opened: AtomicBool,
    held: AtomicUsize,
    left: AtomicUsize,
}

impl Gate {
    fn close(&self) {
        self.opened.store(false, Ordering::Relaxed);
        self.closed.store(true, Ordering::Release);
    }

    fn open(&self) {
        self.opened.store(true, Ordering::Release);
    }

    fn is_in_use(&self) -> bool {
        self.left.load(Ordering::Acquire) < self.held.load(Ordering::Acquire)
    }

    fn pass(&self) {
        if !self.closed.swap(false, Ordering::AcqRel) {
            return;
        }
        self.held.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        while !self.opened.load(Ordering::Acquire) && start.elapsed() < BLOCKED {
            thread::sleep(Duration::from_micros(100));
        }
        self.left.fetch_add(1, Ordering::AcqRel);
    }
}

/// A connection whose one end is the kernel's only.
fn connection(runtime: &Runtime) -> (std::net::TcpStream, TcpStream) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let writer = std::net::TcpStream::connect(address).expect("a connection");
        writer.set_nodelay(true).expect("an option");
        let (stream, _) = listener.accept().await.expect("a connection");
        (writer, stream)
    })
}

/// Has the blocker woken when the stream is readable, by the worker that runs this task.
fn arm(runtime: &Runtime, stream: &Arc<TcpStream>, blocker: &Arc<Blocker>) {
    let (stream, blocker) = (Arc::clone(stream), Arc::clone(blocker));
    let armed = runtime.spawn(poll_fn(move |_| {
        let waker = Waker::from(Arc::clone(&blocker));
        let mut bytes = [0; 64];
        // What is left to read, and readiness that was believed in too long, go away.
        while stream
            .poll_read_ready(&mut Context::from_waker(&waker))
            .is_ready()
        {
            while stream.try_read(&mut bytes).is_ok() {}
        }
        Poll::Ready(())
    }));
    runtime.block_on(armed).expect("the task");
}

/// A waker that blocks its thread until it is released.
#[derive(Debug, Default)]
struct Blocker {
    released: AtomicBool,
    calls: AtomicUsize,
}

impl Blocker {
    fn release(&self) {
        self.released.store(true, Ordering::Release);
    }

    fn is_done(&self) -> bool {
        self.calls.load(Ordering::Acquire) > 0
    }
}

impl Wake for Blocker {
    fn wake(self: Arc<Self>) {
        let start = Instant::now();
        while !self.released.load(Ordering::Acquire) && start.elapsed() < BLOCKED {
            thread::sleep(Duration::from_micros(100));
        }
        self.calls.fetch_add(1, Ordering::Release);
    }
}
