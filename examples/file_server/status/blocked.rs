//! Polls that hold a worker for too long: what the runtime's watchdog reports, and whether it is still so.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringway::runtime::dump::{Dump, Holder};
use ringway::runtime::{BlockedWorker, Handle};
use serde_json::{Value, json};

use crate::limits::BLOCKED_REPORTS_MAX;

/// The last reports.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    reports: Mutex<VecDeque<Report>>,
}

/// One poll that took too long.
#[derive(Debug)]
struct Report {
    worker: usize,
    thread: String,
    /// The task's id; `None` is the root future.
    task: Option<String>,
    name: Option<String>,
    location: Option<String>,
    began: Instant,
    /// For as long as it was seen.
    held_for: Duration,
    is_over: bool,
}

impl Blocked {
    /// Takes a report of the watchdog.
    pub(crate) fn note(&self, blocked: &BlockedWorker) {
        let now = Instant::now();
        let report = Report {
            worker: blocked.worker(),
            thread: blocked.thread_name().unwrap_or_default().to_owned(),
            task: blocked.task_id().map(|id| id.to_string()),
            name: blocked.name().map(str::to_owned),
            location: blocked.location().map(ToString::to_string),
            began: now.checked_sub(blocked.held_for()).unwrap_or(now),
            held_for: blocked.held_for(),
            is_over: false,
        };
        let mut reports = self.lock();
        if reports.len() == BLOCKED_REPORTS_MAX {
            reports.pop_front();
        }
        reports.push_back(report);
    }

    /// The reports, the latest first. Whoever is still held is looked for in the runtime's dump.
    pub(super) fn list(&self, handle: &Handle) -> Vec<Value> {
        if self.lock().iter().any(|report| !report.is_over) {
            // It takes the runtime's locks, so ours is not held meanwhile.
            let dump = handle.dump();
            let mut reports = self.lock();
            reports.iter_mut().for_each(|report| report.update(&dump));
        }
        self.lock().iter().rev().map(Report::to_json).collect()
    }

    /// A thread that panicked while it held the lock left nothing half done.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// A poll that goes on gets longer and longer; another one of the same task begins from nothing.
    fn update(&mut self, dump: &Dump) {
        let worker = dump.workers().get(self.worker);
        let goes_on = worker.filter(|worker| {
            let is_held = match (worker.holder(), &self.task) {
                (Holder::Task(id), Some(task)) => id.to_string() == *task,
                (Holder::Root, None) => true,
                _ => false,
            };
            is_held && worker.polled_for() >= self.held_for
        });
        match goes_on {
            Some(worker) if !self.is_over => self.held_for = worker.polled_for(),
            _ => self.is_over = true,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "worker": self.worker,
            "thread": self.thread,
            "task": self.task,
            "name": self.name,
            "location": self.location,
            "began_s_ago": self.began.elapsed().as_secs_f64(),
            "held_ms": u64::try_from(self.held_for.as_millis()).unwrap_or(u64::MAX),
            "is_over": self.is_over,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringway::runtime::Builder;
    use ringway::task;

    use super::*;

    /// Mutants: never look whether a poll goes on; take a longer poll for another one.
    #[test]
    fn a_blocked_worker_is_listed_with_its_tasks_name_until_it_is_free_and_after() {
        let blocked = Arc::new(Blocked::default());
        let noted = Arc::clone(&blocked);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_blocked_worker(Duration::from_millis(20), move |report| noted.note(report))
            .build()
            .expect("a runtime");
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let stuck = async move { ended.recv().is_err() };
        let name = task::Builder::new().name("a stuck task");
        let stuck = name
            .spawn_on(stuck, runtime.handle())
            .expect("it is spawned");
        let wait_for = |is_over: bool, at_least: u64| {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let list = blocked.list(runtime.handle());
                let found = list.iter().find(|report| report["name"] == "a stuck task");
                if let Some(report) = found
                    && report["is_over"] == is_over
                    && report["held_ms"].as_u64() >= Some(at_least)
                {
                    let location = report["location"].as_str().expect("it was spawned");
                    assert!(location.contains("blocked.rs"), "{location}");
                    return;
                }
                assert!(Instant::now() < deadline, "{list:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        wait_for(false, 20);
        wait_for(false, 100);
        drop(end);
        runtime.block_on(stuck).expect("it ends");
        wait_for(true, 100);
    }
}
