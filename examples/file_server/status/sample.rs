//! One reading of everything that the status page shows, as JSON.
//!
//! Counts are since the start, so whoever has two readings has rates over any time between them; only the latencies of
//! the last second are of that second alone.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use ringway::runtime::{Driver, Handle, RuntimeMetrics};
use serde_json::{Value, json};

use super::blocked::Blocked;
use super::gauges::{CLASSES, Gauges, histogram};
use crate::server::Server;

/// What is read.
#[derive(Debug)]
pub(super) struct Subject {
    /// Of the runtime that serves the files.
    pub(super) handle: Handle,
    pub(super) server: Arc<Server>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) blocked: Arc<Blocked>,
    /// The directory and the address, as they are shown to people.
    pub(super) directory: String,
    pub(super) address: String,
}

/// Reads, and remembers what has to be gathered over time.
#[derive(Debug)]
pub(super) struct Sampler {
    subject: Subject,
    begin: Instant,
    /// Of the time between the last two ticks, and of all time before the last one.
    last: Histogram<u64>,
    all: Histogram<u64>,
}

impl Sampler {
    pub(super) fn new(subject: Subject) -> Sampler {
        Sampler {
            subject,
            begin: Instant::now(),
            last: histogram(),
            all: histogram(),
        }
    }

    /// Begins a new second.
    pub(super) fn tick(&mut self) {
        self.last.reset();
        self.subject.gauges.take_latencies(&mut self.last);
        self.all.add(&self.last).expect("both have the same bounds");
    }

    /// A reading, in one line.
    pub(super) fn read(&self) -> String {
        let metrics = self.subject.handle.metrics();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let time_ms = since_epoch.map_or(0, |time| time.as_millis() as u64);
        let sample = json!({
            "time_ms": time_ms,
            "uptime_s": self.begin.elapsed().as_secs_f64(),
            "server": self.server(&metrics),
            "connections": self.connections(),
            "requests": self.requests(),
            "latency_us": {
                "last_second": percentiles(&self.last),
                "since_start": percentiles(&self.all),
            },
            "tasks": {
                "alive": metrics.num_alive_tasks(),
                "spawned": metrics.spawned_tasks_count(),
            },
            "queues": {
                "global": metrics.global_queue_depth(),
                "blocking": metrics.blocking_queue_depth(),
                "blocking_threads": metrics.num_blocking_threads(),
                "blocking_threads_idle": metrics.num_idle_blocking_threads(),
            },
            "workers": (0..metrics.num_workers())
                .map(|worker| read_worker(&metrics, worker))
                .collect::<Vec<_>>(),
            "blocked": self.subject.blocked.list(&self.subject.handle),
        });
        sample.to_string()
    }

    fn server(&self, metrics: &RuntimeMetrics) -> Value {
        let driver = match metrics.driver() {
            Driver::IoUring => "io_uring",
            Driver::Poll => "poll",
            _ => "another",
        };
        json!({
            "directory": self.subject.directory,
            "address": self.subject.address,
            "driver": driver,
            "version": env!("CARGO_PKG_VERSION"),
            "is_stopping": self.subject.server.stops(),
        })
    }

    fn connections(&self) -> Value {
        let connections = self.subject.gauges.connections();
        json!({
            "open": connections.open,
            "max": self.subject.server.limits().connections,
            "accepted": connections.accepted,
            "turned_away": connections.turned_away,
        })
    }

    fn requests(&self) -> Value {
        let requests = self.subject.gauges.requests();
        const NAMES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let by_class = NAMES.iter().zip(requests.by_class);
        json!({
            "total": requests.total(),
            "by_class": by_class.map(|(name, count)| (name.to_string(), count.into()))
                .collect::<serde_json::Map<_, Value>>(),
            "body_bytes": requests.body_bytes,
            "from_cache": requests.from_cache,
            "aborted": requests.aborted,
        })
    }
}

fn read_worker(metrics: &RuntimeMetrics, worker: usize) -> Value {
    let ring = metrics.ring(worker);
    json!({
        "busy_s": metrics.worker_total_busy_duration(worker).as_secs_f64(),
        "queue": metrics.worker_local_queue_depth(worker)
            + usize::from(metrics.worker_has_next_task(worker)),
        "polls": metrics.worker_poll_count(worker),
        "mean_poll_us": metrics.worker_mean_poll_time(worker).as_secs_f64() * 1e6,
        "steals": metrics.worker_steal_count(worker),
        "parks": metrics.worker_park_count(worker),
        "ring": {
            "enters": ring.enter_count(),
            "submitted": ring.submitted_count(),
            "submit_batches": ring.submit_batch_count(),
            "completed": ring.completed_count(),
            "completion_batches": ring.completion_batch_count(),
            "in_flight": ring.operations_in_flight(),
            "overflows": ring.overflow_count(),
            "rescues": ring.rescue_count(),
        },
    })
}

/// Microseconds.
fn percentiles(latency: &Histogram<u64>) -> Value {
    let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let at = |quantile| micros(latency.value_at_quantile(quantile));
    json!({
        "count": latency.len(),
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p999": at(0.999),
        "max": at(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest time that a histogram knows of is not 0 when it was emptied.
    ///
    /// Mutants: ask the histogram for its longest time; ask for less than all.
    #[test]
    fn where_nothing_was_answered_no_time_was_the_longest() {
        let mut latency = histogram();
        for nanoseconds in [1_000; 999].into_iter().chain([5_000]) {
            latency.record(nanoseconds).expect("within the bounds");
        }
        assert!(percentiles(&latency)["max"].as_f64() >= Some(5.0));
        latency.reset();
        assert_eq!(percentiles(&latency)["max"], 0.0);
    }
}
