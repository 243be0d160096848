//! Workers that are no more than their sleep: the idle counters, a park word and a doorbell each, and one queue.
//!
//! The functions are those of `scheduler/park.rs`, `scheduler/shared.rs` and `scheduler/worker.rs` with everything
//! taken out that is not part of the protocol. The queue is the stand-in of the facade, whose looks may be stale.

use loom::sync::{Condvar, Mutex};
use ringway_runtime::internals::{Idle, ParkWord, Unparked};
use ringway_runtime::loom::deque::{Injector, Steal};

/// What wakes a thread that sleeps in its ring: a CQE that is posted once and stays until it is taken.
#[derive(Debug)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// A bell that has not been rung.
    pub fn new() -> Self {
        Self {
            rung: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    /// Rings.
    pub fn ring(&self) {
        *self.rung.lock().expect("no panic inside") = true;
        self.changed.notify_all();
    }

    /// Waits until it is rung, and takes that.
    pub fn wait(&self) {
        let mut rung = self.rung.lock().expect("no panic inside");
        while !*rung {
            rung = self.changed.wait(rung).expect("no panic inside");
        }
        *rung = false;
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a worker sleeps.
#[derive(Debug)]
pub struct Bed {
    /// Its park word.
    pub word: ParkWord,
    /// Its doorbell.
    pub bell: Bell,
}

impl Bed {
    /// The bed of a worker that is up.
    pub fn new() -> Self {
        let word = ParkWord::new_vacant();
        word.wake();
        Self {
            word,
            bell: Bell::new(),
        }
    }

    /// Wakes whoever sleeps here.
    pub fn unpark(&self) {
        match self.word.unpark() {
            Unparked::Noted => {}
            Unparked::RingDoorbell => self.bell.ring(),
            Unparked::StartThread => unreachable!("the core is not given up in this model"),
        }
    }
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

/// The workers of a runtime.
#[derive(Debug)]
pub struct Crew {
    /// The counters.
    pub idle: Idle,
    /// A bed for each worker.
    pub beds: Vec<Bed>,
    /// The queue that all take tasks from.
    pub queue: Injector<u32>,
}

impl Crew {
    /// `workers` that are up and do not search.
    pub fn new(workers: usize) -> Self {
        Self {
            idle: Idle::new(workers, std::iter::empty()),
            beds: (0..workers).map(|_| Bed::new()).collect(),
            queue: Injector::new(),
        }
    }

    /// Queues a task and tells a sleeper.
    pub fn push(&self, task: u32) {
        self.queue.push(task);
        self.notify();
    }

    /// As `Shared::notify`.
    pub fn notify(&self) {
        if let Some(worker) = self.idle.notify() {
            self.beds[worker].unpark();
        }
    }

    /// Takes a task.
    pub fn take(&self) -> Option<u32> {
        match self.queue.steal() {
            Steal::Success(task) => Some(task),
            Steal::Empty | Steal::Retry => None,
        }
    }

    /// As `WorkerContext::stop_searching`.
    pub fn stop_searching(&self) {
        if self.idle.end_search() && !self.queue.is_empty() {
            self.notify();
        }
    }

    /// As `WorkerContext::fall_asleep` and the park word's part of going to sleep; `false`: must not sleep.
    pub fn begin_sleep(&self, worker: usize, searching: bool) -> bool {
        if self.idle.fall_asleep(worker, searching) && !self.queue.is_empty() {
            self.notify();
        }
        self.beds[worker].word.park()
    }

    /// As `WorkerContext::wake`; `true`: counts as searching.
    pub fn end_sleep(&self, worker: usize) -> bool {
        self.beds[worker].word.wake();
        !self.idle.wake_up(worker) && self.idle.take_search(worker)
    }

    /// As `Shared::relieve_of_search`: the monitor has found that the worker does not come.
    pub fn relieve(&self, worker: usize) {
        if self.idle.take_search(worker) {
            self.stop_searching();
        }
    }

    /// A worker's loop until it has a task, which it then runs for ever.
    pub fn work_once(&self, worker: usize, mut searching: bool) -> u32 {
        loop {
            if !searching {
                searching = self.idle.begin_search();
            }
            if let Some(task) = self.take() {
                if searching {
                    self.stop_searching();
                }
                return task;
            }
            if self.begin_sleep(worker, searching) {
                self.beds[worker].bell.wait();
            }
            searching = self.end_sleep(worker);
        }
    }
}
