//! Spawning from threads that are no workers, or that block, on a runtime that is idle or busy.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{WORKERS, rt, runtime};
use crate::Run;
use rt::runtime::Handle;

/// Tasks in a batch.
pub const MANY: u64 = 10_000;

/// Tasks in a batch of [`spawn_beside_spawns`], which are slower.
pub const FEWER: u64 = 1_000;

/// What a task of [`spawn_beside_yields`] and [`spawn_beside_spawns`] computes between two awaits.
const STALL: Duration = Duration::from_micros(10);

/// The thread that has built the runtime spawns a batch of empty tasks, and blocks until all have run.
pub fn spawn_while_idle() -> Run {
    let runtime = runtime();
    let (latch, opened) = Latch::leak();
    Box::new(move |batches| {
        for _ in 0..batches {
            latch.spawn(MANY, runtime.handle());
            opened.recv().unwrap();
        }
    })
}

/// The future given to `block_on` spawns a batch of empty tasks, and blocks its thread until all have run.
pub fn spawn_from_blocking_root() -> Run {
    let runtime = runtime();
    let (latch, opened) = Latch::leak();
    Box::new(move |batches| {
        runtime.block_on(async {
            for _ in 0..batches {
                latch.spawn(MANY, &Handle::current());
                opened.recv().unwrap();
            }
        });
    })
}

/// As [`spawn_while_idle`], while twice as many tasks as there are workers compute and yield.
pub fn spawn_beside_yields() -> Run {
    let runtime = runtime();
    let (latch, opened) = Latch::leak();
    Box::new(move |batches| {
        let stop = StopOnDrop::default();
        for _ in 0..2 * WORKERS {
            let stopped = stop.flag();
            runtime.spawn(async move {
                while !stopped.load(Ordering::Relaxed) {
                    rt::task::yield_now().await;
                    stall();
                }
            });
        }
        for _ in 0..batches {
            latch.spawn(MANY, runtime.handle());
            opened.recv().unwrap();
        }
    })
}

/// As [`spawn_while_idle`], while as many tasks as there are workers compute and spawn their successors.
pub fn spawn_beside_spawns() -> Run {
    let runtime = runtime();
    let (latch, opened) = Latch::leak();
    Box::new(move |batches| {
        let stop = StopOnDrop::default();
        for _ in 0..WORKERS {
            let stopped = stop.flag();
            runtime.spawn(async { succeed(stopped) });
        }
        for _ in 0..batches {
            latch.spawn(FEWER, runtime.handle());
            opened.recv().unwrap();
        }
    })
}

fn succeed(stopped: Arc<AtomicBool>) {
    if !stopped.load(Ordering::Relaxed) {
        stall();
        rt::spawn(async { succeed(stopped) });
    }
}

fn stall() {
    let start = Instant::now();
    while start.elapsed() < STALL {
        hint::spin_loop();
    }
}

/// `threads` threads spawn their shares of each batch at the same time.
pub fn spawn_from_threads(threads: u64) -> Run {
    let runtime = runtime();
    let (latch, opened) = Latch::leak();
    let spawners = Spawners::start(runtime.handle(), latch, threads);
    Box::new(move |batches| {
        let _alive = &runtime;
        for _ in 0..batches {
            latch.left.store(MANY, Ordering::Relaxed);
            spawners.go();
            opened.recv().unwrap();
        }
    })
}

/// Threads that wait for each other before each batch.
struct Spawners {
    barrier: Arc<Barrier>,
    stop: StopOnDrop,
    threads: Vec<JoinHandle<()>>,
}

impl Spawners {
    fn start(handle: &Handle, latch: &'static Latch, threads: u64) -> Spawners {
        let barrier = Arc::new(Barrier::new(threads as usize + 1));
        let stop = StopOnDrop::default();
        let spawn_share = |_| {
            let (handle, barrier, stopped) = (handle.clone(), barrier.clone(), stop.flag());
            thread::spawn(move || {
                loop {
                    barrier.wait();
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    for _ in 0..MANY / threads {
                        handle.spawn(async { latch.hit() });
                    }
                }
            })
        };
        let threads = (0..threads).map(spawn_share).collect();
        Spawners {
            barrier,
            stop,
            threads,
        }
    }

    fn go(&self) {
        self.barrier.wait();
    }
}

impl Drop for Spawners {
    fn drop(&mut self) {
        self.stop.stop();
        self.barrier.wait();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Ends what runs beside a workload.
#[derive(Default)]
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Counts a batch of tasks down and unblocks the thread that waits for the last. Leaked, so that tasks share
/// nothing else.
#[derive(Debug)]
struct Latch {
    left: AtomicU64,
    open: SyncSender<()>,
}

impl Latch {
    fn leak() -> (&'static Latch, Receiver<()>) {
        let (open, opened) = sync_channel(1);
        let left = AtomicU64::new(0);
        (Box::leak(Box::new(Latch { left, open })), opened)
    }

    fn spawn(&'static self, tasks: u64, handle: &Handle) {
        self.left.store(tasks, Ordering::Relaxed);
        for _ in 0..tasks {
            handle.spawn(async { self.hit() });
        }
    }

    fn hit(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.open.send(()).unwrap();
        }
    }
}
