//! What a worker counts about itself while it works.
//!
//! Only the holder of the worker's core writes here, except where a field says otherwise, so a count is a load
//! and a store, no read-modify-write; and the lines belong to this worker alone. Readers take each number by
//! itself: they are exact, but not of the same moment.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::histogram::{Histogram, Scale};

/// A number with one writer at a time.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(crate) fn add(&self, number: u64) {
        self.set(self.get().wrapping_add(number));
    }

    // Relaxed, here and below: only the number counts; who hands the core on orders the writers.
    #[inline]
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of one worker.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct WorkerMetrics {
    pub(crate) polls: Count,
    /// What is being polled: see [`Polled`].
    polled: Count,
    poll_began_ms: Count,
    pub(crate) local_schedules: Count,
    /// Polls of the root future of `block_on`.
    root_polls: Count,
    pub(crate) steals: Count,
    pub(crate) steal_operations: Count,
    /// Odd while the worker is parked.
    pub(crate) parks_and_unparks: Count,
    pub(crate) noops: Count,
    /// Times the worker was woken because tasks waited.
    pub(crate) wakes: Count,
    /// While parked, the time in which it was not, in nanoseconds. While it is not: the time since the epoch at
    /// which it would have begun, had it not parked at all, and [`AWAKE`]. So one word says it all.
    busy: Count,
    mean_poll_ns: Count,
    /// Where the mean was last brought up to date: nanoseconds since the epoch, and polls.
    marked_ns: Count,
    marked_polls: Count,
    /// Polls when the worker was last unparked.
    unparked_polls: Count,
    /// Tasks taken out of the next-task slot because the worker was stuck. The monitor's.
    pub(crate) next_slot_rescues: Count,
    pub(crate) histogram: Option<Histogram>,
    epoch: Instant,
    /// The thread that runs the core, or ran it last, and its [`thread_number`].
    thread: Mutex<Option<Thread>>,
    thread_number: AtomicU64,
}

/// In `busy`: the worker is awake. 2^63 nanoseconds are 292 years.
const AWAKE: u64 = 1 << 63;

/// What a worker polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Nothing,
    /// The root future of `block_on`.
    Root,
    /// The task with this id.
    Task(u64),
}

const NOTHING: u64 = 0;
const ROOT: u64 = u64::MAX;

/// One poll, as a reader sees it: as long as two readings are the same, so is the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) polled: Polled,
    polls: u64,
    root_polls: u64,
}

impl WorkerMetrics {
    pub(crate) fn new(scale: Option<Scale>, parked: bool, epoch: Instant) -> Self {
        let metrics = Self {
            polls: Count::default(),
            polled: Count::default(),
            poll_began_ms: Count::default(),
            local_schedules: Count::default(),
            root_polls: Count::default(),
            steals: Count::default(),
            steal_operations: Count::default(),
            parks_and_unparks: Count::default(),
            noops: Count::default(),
            wakes: Count::default(),
            busy: Count::default(),
            mean_poll_ns: Count::default(),
            marked_ns: Count::default(),
            marked_polls: Count::default(),
            unparked_polls: Count::default(),
            next_slot_rescues: Count::default(),
            histogram: scale.map(Histogram::new),
            epoch,
            thread: Mutex::new(None),
            thread_number: AtomicU64::new(0),
        };
        metrics.parks_and_unparks.set(u64::from(parked));
        metrics
    }

    /// A task is about to be polled.
    #[inline]
    pub(crate) fn begin_poll(&self, task: u64, now_ms: u32) {
        self.polled.set(task);
        self.poll_began_ms.set(u64::from(now_ms));
        self.polls.add(1);
    }

    pub(crate) fn begin_root_poll(&self, now_ms: u32) {
        self.polled.set(ROOT);
        self.poll_began_ms.set(u64::from(now_ms));
        self.root_polls.add(1);
    }

    /// How many polls were begun, of tasks and of roots.
    pub(crate) fn all_polls(&self) -> u64 {
        self.polls.get().wrapping_add(self.root_polls.get())
    }

    /// When the last poll began, by the coarse clock.
    #[inline]
    pub(crate) fn poll_began_ms(&self) -> u32 {
        self.poll_began_ms.get() as u32
    }

    /// Nothing is being polled. Not said after each poll: the next one says what it polls, and what lies in between is
    /// short.
    #[inline]
    pub(crate) fn end_poll(&self) {
        self.polled.set(NOTHING);
    }

    /// The worker looks at its shard.
    pub(crate) fn mark(&self, now: Instant) {
        let now_ns = self.ns_of(now);
        let took_ns = now_ns.saturating_sub(self.marked_ns.get());
        let polls = self.polls.get();
        let polled = polls.wrapping_sub(self.marked_polls.get());
        self.marked_ns.set(now_ns);
        if polled == 0 {
            return;
        }
        self.marked_polls.set(polls);
        let mean_ns = (took_ns / polled).max(1);
        self.mean_poll_ns.set(match self.mean_poll_ns.get() {
            0 => mean_ns,
            former => (7 * former + mean_ns) / 8,
        });
    }

    /// The worker is about to park.
    pub(crate) fn park(&self, now: Instant) {
        self.mark(now);
        if self.is_parked() {
            return;
        }
        self.end_poll();
        self.parks_and_unparks.add(1);
        let idled = self.polls.get() == self.unparked_polls.get();
        self.noops.add(u64::from(idled));
        self.busy.set(self.busy_at(self.busy.get(), now));
    }

    /// The worker is awake, on this thread. `for_work`: it was woken because tasks wait.
    pub(crate) fn unpark(&self, now: Instant, for_work: bool) {
        if self.is_parked() {
            self.parks_and_unparks.add(1);
            self.wakes.add(u64::from(for_work));
            self.unparked_polls.set(self.polls.get());
        }
        let now_ns = self.ns_of(now);
        let busy = self.busy.get();
        if busy & AWAKE == 0 {
            self.busy.set(now_ns.saturating_sub(busy) | AWAKE);
            self.marked_ns.set(now_ns);
        }
        self.note_thread();
    }

    /// The worker has ended: it is neither parked nor busy.
    pub(crate) fn end(&self, now: Instant) {
        self.mark(now);
        self.end_poll();
        if self.is_parked() {
            self.parks_and_unparks.add(1);
        }
        self.busy.set(self.busy_at(self.busy.get(), now));
    }

    /// This thread runs the core.
    pub(crate) fn note_thread(&self) {
        let number = thread_number();
        if self.thread_number.load(Relaxed) != number {
            *self.thread.lock() = Some(thread::current());
            self.thread_number.store(number, Relaxed);
        }
    }

    pub(crate) fn thread(&self) -> Option<Thread> {
        self.thread.lock().clone()
    }

    pub(crate) fn sighting(&self) -> Sighting {
        let polled = match self.polled.get() {
            NOTHING => Polled::Nothing,
            ROOT => Polled::Root,
            task => Polled::Task(task),
        };
        Sighting {
            polled,
            polls: self.polls.get(),
            root_polls: self.root_polls.get(),
        }
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parks_and_unparks.get() % 2 == 1
    }

    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_at(self.busy.get(), Instant::now()))
    }

    pub(crate) fn mean_poll_time(&self) -> Duration {
        Duration::from_nanos(self.mean_poll_ns.get())
    }

    fn busy_at(&self, busy: u64, now: Instant) -> u64 {
        if busy & AWAKE == 0 {
            busy
        } else {
            self.ns_of(now).saturating_sub(busy & !AWAKE)
        }
    }

    fn ns_of(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.epoch).as_nanos() as u64
    }
}

/// A number for each thread; never 0.
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static MINE: u64 = NEXT.fetch_add(1, Relaxed);
    }
    MINE.try_with(|mine| *mine).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: `park` does not look whether the worker is parked already; `unpark` forgets the time before.
    #[test]
    fn a_worker_is_busy_while_it_is_awake_and_at_no_other_time() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let metrics = WorkerMetrics::new(None, true, epoch);
        assert!(metrics.is_parked());
        metrics.unpark(at(10), true);
        metrics.unpark(at(11), true);
        metrics.park(at(15));
        metrics.park(at(20));
        assert_eq!(metrics.busy(), Duration::from_millis(5));
        metrics.unpark(at(100), false);
        metrics.end(at(101));
        assert_eq!(metrics.busy(), Duration::from_millis(6));
        assert_eq!(metrics.parks_and_unparks.get(), 4);
        assert_eq!(metrics.wakes.get(), 1);
    }

    #[test]
    fn the_mean_poll_time_leaves_out_the_time_asleep() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let metrics = WorkerMetrics::new(None, true, epoch);
        for round in 0..100 {
            metrics.unpark(at(1000 * round), true);
            metrics.begin_poll(1, 0);
            metrics.begin_poll(2, 0);
            metrics.park(at(1000 * round + 6));
        }
        assert_eq!(metrics.mean_poll_time(), Duration::from_millis(3));
    }
}
