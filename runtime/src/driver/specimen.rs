//! A shard over a model of a device, for models and tests: the very shard, with those of its functions that they call.

use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::current::{enter_guest, enter_owner};
use super::device::{AnyDevice, AnyQueues, Device};
use super::op::Operation;
use super::operations::{Operations, Ring};
use super::scratch::Scratch;
use super::shard::Shard;
use super::slots::{Key, Polled};
use super::timers::{Now, Timers};

/// A shard without a runtime and without a worker's thread.
#[derive(Clone, Debug)]
pub struct Specimen(Arc<Shard>);

/// More timers than a model has.
const TIMERS_MAX: usize = 64;
/// The number of its runtime, which there is not.
const RUNTIME: u32 = 1;

impl Specimen {
    /// A shard whose core somebody runs.
    pub fn new(device: Box<dyn Device + Send + Sync>, queues: Box<dyn Ring + Send>) -> Self {
        let (device, queues) = (AnyDevice::Model(device), AnyQueues::Model(queues));
        let shard = Shard::over(device, Operations::new(queues), RUNTIME, 0, true);
        shard.word().wake();
        // The worker's thread parks nowhere else than in the device.
        shard.set_thread(thread::current(), Box::new(|| {}));
        Self(shard)
    }

    /// Calls `f` as on the thread that runs the core.
    pub fn as_owner<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the shard's handle is borrowed for longer than the guard lives.
        let _entered = unsafe { enter_owner(&self.0) };
        f()
    }

    /// Calls `f` as on a thread that has entered the runtime from outside.
    pub fn as_guest<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: as above.
        let _entered = unsafe { enter_guest(&self.0) };
        f()
    }

    /// As the first poll of an operation's future; `None` if the shard is closed.
    pub fn submit<T: Operation>(&self, operation: T, waker: &Waker) -> Option<Key> {
        self.0.submit(operation, Some(waker.clone())).ok()
    }

    /// As a later poll.
    pub fn poll<T: Operation>(&self, key: Key, waker: &Waker) -> Polled<T> {
        self.0.poll(key, waker)
    }

    /// As the drop of the future.
    pub fn abandon(&self, key: Key) {
        self.0.abandon(key);
    }

    /// One look of the worker: submits, reaps all, fires, wakes.
    pub fn service(&self, now: Now) {
        let all = (usize::MAX, TIMERS_MAX);
        self.0.service(now, all, &mut Scratch::default());
    }

    /// One look of a helper.
    pub fn rescue(&self, now: Now) {
        let mut scratch = Scratch::default();
        self.0.rescue(now, true, TIMERS_MAX, &mut scratch);
    }

    /// The worker's sleep, for ever or until the next timer; returns whether it was notified, before or meanwhile.
    pub fn sleep(&self) -> bool {
        if !self.0.word().park() {
            return true;
        }
        let next = self.0.timers().begin_sleep();
        let timeout = next.map(|next| Duration::from_nanos(next.sleep_until_ns));
        self.0.sleep(timeout);
        self.0.word().wake()
    }

    /// The sleep of the worker's own thread, which has put its core where another thread may take it.
    pub fn sleep_as_thread(&self) {
        self.0.sleep_as_thread(None);
    }

    /// Another thread has taken the core.
    pub fn take_core(&self) {
        self.0.word().wake();
    }

    /// The other thread gives the core back to the worker's own.
    pub fn give_core_back(&self) {
        let _ = self.0.word().unpark();
        self.0.start_thread();
    }

    /// Says that the worker is about to sleep; `false` if it was notified.
    pub fn park(&self) -> bool {
        self.0.word().park()
    }

    /// Wakes the worker.
    pub fn unpark(&self) {
        self.0.unpark();
    }

    /// Whether something waits to be submitted, as the worker sees it.
    pub fn has_unflushed(&self) -> bool {
        self.0.has_unflushed()
    }

    /// Whether there is nothing to be done here.
    pub fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    /// Answers that came to nobody, so far.
    pub fn strays(&self) -> u64 {
        self.0.ring_metrics().stray_count()
    }

    /// The end, as of a runtime.
    pub fn drain(&self, deadline: Instant) -> bool {
        self.0.drain(deadline, &mut Scratch::default())
    }

    /// Its timers.
    pub fn timers(&self) -> &Timers {
        self.0.timers()
    }
}
