//! What is counted of requests for the status page: by each worker for itself, so that no two share a line of cache.
//!
//! A request takes the lock of its worker's counts once. Nobody else wants that lock but the page, once a second for some
//! microseconds. Nothing is allocated: a histogram has all its buckets from the start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use ringway::runtime::worker_index;

use crate::limits::{LATENCY_DIGITS, LATENCY_MAX, LATENCY_MIN};
use crate::reply::Status;

/// The counts of all workers.
#[derive(Debug)]
pub(crate) struct Gauges {
    by_worker: Box<[CachePadded<Mutex<Counts>>]>,
    // Relaxed, all of them: only the numbers count. They are counted once for a connection.
    accepted: AtomicU64,
    ended: AtomicU64,
    turned_away: AtomicU64,
}

/// Connections so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) open: u64,
    pub(super) accepted: u64,
    /// Of those, because their address had too many.
    pub(super) turned_away: u64,
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub(crate) struct Open<'g>(&'g Gauges);

/// What one worker has counted.
#[derive(Debug)]
struct Counts {
    /// Nanoseconds, since it was last gathered.
    latency: Histogram<u64>,
    requests: Requests,
}

/// Requests since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    /// By the first digit of their status, from 1 on.
    pub(super) by_class: [u64; CLASSES],
    pub(super) body_bytes: u64,
    /// Answered with what was kept of a file, without a look for it.
    pub(super) from_cache: u64,
    /// Responses that were cut off.
    pub(super) aborted: u64,
}

/// The five classes of statuses.
pub(super) const CLASSES: usize = 5;

/// One request that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) status: Status,
    pub(crate) body_bytes: u64,
    /// From its whole head to the moment when the kernel had all of the response, or all but the last small part.
    pub(crate) duration: Duration,
    pub(crate) aborted: bool,
}

impl Gauges {
    pub(crate) fn new(workers: usize) -> Gauges {
        let counts = || CachePadded::new(Mutex::new(Counts::default()));
        Gauges {
            by_worker: (0..workers.max(1)).map(|_| counts()).collect(),
            accepted: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        }
    }

    pub(crate) fn note_answer(&self, answered: &Answered) {
        let mut counts = self.of_this_worker();
        let nanoseconds = u64::try_from(answered.duration.as_nanos()).unwrap_or(u64::MAX);
        counts.latency.saturating_record(nanoseconds);
        let requests = &mut counts.requests;
        requests.by_class[answered.status.class() - 1] += 1;
        requests.body_bytes += answered.body_bytes;
        requests.aborted += u64::from(answered.aborted);
    }

    pub(crate) fn note_from_cache(&self) {
        self.of_this_worker().requests.from_cache += 1;
    }

    pub(crate) fn note_connection(&self) -> Open<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    pub(crate) fn note_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connections(&self) -> Connections {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        // What has ended is read first, so that it is no more than what was accepted.
        let ended = load(&self.ended);
        let accepted = load(&self.accepted);
        Connections {
            open: accepted.saturating_sub(ended),
            accepted,
            turned_away: load(&self.turned_away),
        }
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Requests {
        let mut all = Requests::default();
        for counts in &self.by_worker {
            all.add(&lock(counts).requests);
        }
        all
    }

    /// Moves the latencies that were noted since the last time into `latency`.
    pub(super) fn take_latencies(&self, latency: &mut Histogram<u64>) {
        for counts in &self.by_worker {
            let mut counts = lock(counts);
            let added = latency.add(&counts.latency);
            added.expect("both have the same bounds");
            counts.latency.reset();
        }
    }

    /// Tasks that run on no worker count with the first.
    fn of_this_worker(&self) -> MutexGuard<'_, Counts> {
        let worker = worker_index().unwrap_or(0);
        lock(self.by_worker.get(worker).unwrap_or(&self.by_worker[0]))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            latency: histogram(),
            requests: Requests::default(),
        }
    }
}

impl Requests {
    fn add(&mut self, other: &Requests) {
        for (sum, count) in self.by_class.iter_mut().zip(other.by_class) {
            *sum += count;
        }
        self.body_bytes += other.body_bytes;
        self.from_cache += other.from_cache;
        self.aborted += other.aborted;
    }

    pub(super) fn total(&self) -> u64 {
        self.by_class.iter().sum()
    }
}

/// An empty histogram with the bounds that all of ours have.
pub(super) fn histogram() -> Histogram<u64> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (min, max) = (nanoseconds(LATENCY_MIN), nanoseconds(LATENCY_MAX));
    Histogram::new_with_bounds(min, max, LATENCY_DIGITS).expect("constants that fit together")
}

/// A thread that panicked while it held the lock left nothing half done.
fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: Status, micros: u64) -> Answered {
        Answered {
            status,
            body_bytes: 10,
            duration: Duration::from_micros(micros),
            aborted: false,
        }
    }

    /// Mutants: take the latencies and leave them; drop what is longer than the greatest that is told apart.
    #[test]
    fn what_every_worker_noted_is_there_once() {
        let gauges = Gauges::new(2);
        gauges.note_answer(&answered(Status::Ok, 5));
        gauges.note_answer(&answered(Status::NotFound, u64::MAX / 1_000));
        gauges.note_from_cache();
        let _open = gauges.note_connection();
        drop(gauges.note_connection());
        let requests = gauges.requests();
        assert_eq!(requests.by_class, [0, 1, 0, 1, 0]);
        assert_eq!((requests.total(), requests.body_bytes), (2, 20));
        assert_eq!(requests.from_cache, 1);
        let connections = gauges.connections();
        assert_eq!((connections.open, connections.accepted), (1, 2));
        let mut latency = histogram();
        gauges.take_latencies(&mut latency);
        gauges.take_latencies(&mut latency);
        assert_eq!(latency.len(), 2);
        assert!(latency.min() <= 5_100 && latency.max() >= LATENCY_MAX.as_nanos() as u64);
    }
}
