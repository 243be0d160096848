//! What the metrics read of the scheduler.

use std::sync::atomic::Ordering::Relaxed;

use super::shared::Shared;
use crate::metrics::WorkerMetrics;

impl Shared {
    /// The workers of the configuration, and after them the spare one.
    pub(crate) fn workers_and_spares(&self) -> usize {
        self.workers.len()
    }

    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub(crate) fn worker_metrics(&self, worker: usize) -> &WorkerMetrics {
        &self.workers[worker].metrics
    }

    /// Tasks in a worker's queue, without the one in its next-task slot.
    #[track_caller]
    pub(crate) fn queue_depth(&self, worker: usize) -> usize {
        self.workers[worker].stealer.len()
    }

    /// Whether a task lies in a worker's next-task slot.
    #[track_caller]
    pub(crate) fn has_next_task(&self, worker: usize) -> bool {
        !self.workers[worker].next.is_empty()
    }

    /// Tasks that wait for any worker.
    pub(crate) fn inject_depth(&self) -> usize {
        self.inject.len()
    }

    /// Tasks that were queued from outside the workers so far.
    pub(crate) fn scheduled_outside(&self) -> u64 {
        self.scheduled_outside.load(Relaxed)
    }

    pub(crate) fn tasks_alive(&self) -> usize {
        self.owned.len()
    }

    pub(crate) fn tasks_entered(&self) -> u64 {
        self.owned.entered()
    }
}
