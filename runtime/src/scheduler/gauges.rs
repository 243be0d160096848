//! What the metrics read of the scheduler.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::shared::Shared;
use crate::metrics::WorkerMetrics;
use crate::runtime::RuntimeFlavor;
use crate::task::Kept;

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

    /// When a task is born, by the coarse clock, which stands still while nobody works.
    #[inline]
    pub(super) fn birth_ms(&self, on_worker: bool) -> u32 {
        let has_monitor = self.config.flavor == RuntimeFlavor::MultiThread;
        if !on_worker && (!has_monitor || self.monitor.is_asleep()) {
            self.coarse.set(Instant::now());
        }
        self.coarse.ms()
    }

    /// Calls `visit` with the live tasks, a few at a time. See [`OwnedSet::walk`](crate::task::OwnedSet::walk).
    pub(crate) fn walk_tasks(&self, visit: impl FnMut(&Kept) -> ControlFlow<()>) {
        self.owned.walk(visit);
    }

    pub(crate) fn tasks_entered(&self) -> u64 {
        self.owned.entered()
    }
}
