//! The second device, for machines without io_uring: readiness through a poller, files on the blocking pool.
//!
//! It is a ring for those who use it. SQEs are pushed under the shard's lock and wait in memory; entering takes them over,
//! and does what they ask for by [plain system calls](super::plain): at once, or when the poller says that a
//! descriptor is ready, or in a job of the runtime's blocking pool. Answers are left at the [`gate`], from where they
//! are reaped.
//!
//! # Who does what
//!
//! - Whoever *enters* (the owner; a helper; both at once) begins what was pushed, and looks into the poller, or sleeps in
//!   it. Both are done under the lock of the [`table`](Table), but for the sleep.
//! - A *thread of the pool* makes its call without any lock, and leaves the answer at the gate, which calls the sleeper.
//! - Whoever *reaps* holds the shard's lock and takes answers from the gate.
//!
//! Locks are taken in this order, each for moments: the shard's, then one of pushed SQEs, table, gate.
//!
//! # What the kernel does and this does not
//!
//! Nobody interrupts a call that a thread of the pool is in the middle of: it answers when it is done, as a read of a disk
//! does in the ring. Opening a FIFO that nobody else has open, or a network file system that does not answer, can
//! so keep a runtime from shutting down until its deadline.

mod claim;
mod gate;
mod job;
mod registry;
#[cfg(feature = "models")]
mod specimen;
mod table;
mod watch;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use io_uring::{opcode, squeue, types};

pub use self::claim::Claim;
pub use self::gate::{Bell, Gate, Turn};
use self::job::Errand;
#[cfg(feature = "models")]
pub use self::specimen::PollMachine;
use self::table::{Outcome, Table};
use self::watch::{Lookout, Watch};
use super::device::{Device, Wait};
use super::error::SetupError;
use super::features::{Feature, Features};
use super::operations::Ring;
use super::plain::{self, Request};
use super::slots::Answer;
use crate::loom::Mutex;
use crate::loom::atomic::AtomicBool;

/// Takes a job to the runtime's blocking pool. A job that is dropped is cancelled.
pub(crate) type Offload = Box<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// SQEs that wait to be taken over. A full queue is entered, so that this bounds a batch and not the load; as many as a
/// ring has.
const PUSHED_MAX: usize = 256;
/// IORING_CQE_F_MORE: not the last answer.
const F_MORE: u32 = 1 << 1;

/// The half that is used without a lock.
pub(crate) struct PollDevice<W = Watch> {
    core: Arc<Core<W>>,
}

/// The half behind the shard's lock.
pub(crate) struct PollQueues<W = Watch> {
    core: Arc<Core<W>>,
}

/// What both halves and the jobs share.
struct Core<W> {
    pushed: Mutex<VecDeque<squeue::Entry>>,
    desk: Mutex<Desk>,
    /// Somebody waits: it is worth while to look.
    has_waiters: AtomicBool,
    gate: Gate,
    watch: W,
    offload: OnceLock<Offload>,
}

/// The table, and room for what comes of changing it.
#[derive(Debug, Default)]
struct Desk {
    table: Table,
    out: Outcome,
}

impl PollDevice {
    /// Makes a poller.
    pub(super) fn open() -> Result<(Self, PollQueues), SetupError> {
        let watch = Watch::new().map_err(|source| SetupError::new("create a poller", source))?;
        Ok(Self::over(watch))
    }
}

impl<W: Lookout> PollDevice<W> {
    fn over(watch: W) -> (Self, PollQueues<W>) {
        let core = Arc::new(Core {
            pushed: Mutex::default(),
            desk: Mutex::default(),
            has_waiters: AtomicBool::new(false),
            gate: Gate::new(),
            watch,
            offload: OnceLock::new(),
        });
        let queues = PollQueues {
            core: Arc::clone(&core),
        };
        (Self { core }, queues)
    }

    /// Says where calls are made that may wait. Until then they are answered as cancelled.
    pub(super) fn set_offload(&self, offload: Offload) {
        let first = self.core.offload.set(offload).is_ok();
        debug_assert!(first, "a device has one pool");
    }
}

impl<W: Lookout> Device for PollDevice<W> {
    /// Never fails but if the poller does. What was taken over is begun all the same.
    fn enter(&self, to_submit: usize, wait: Wait) -> io::Result<usize> {
        let taken = self.core.begin(to_submit);
        let (sleeps, timeout) = match wait {
            // As with a ring: who was told to take more than was there has more to come, and does not wait.
            Wait::ForAnswer(timeout) if taken >= to_submit => (true, timeout),
            Wait::ForAnswer(_) | Wait::No => (false, None),
        };
        let looked = match self.core.gate.enter(sleeps, &self.core.watch) {
            Turn::Away => Ok(()),
            Turn::Look => self.core.look(Some(Duration::ZERO)),
            Turn::Sleep => self.core.look(timeout),
        };
        match looked {
            Err(error) if taken == 0 => Err(error),
            _ => Ok(taken),
        }
    }

    fn ring_doorbell(&self) {
        self.core.gate.ring_doorbell(&self.core.watch);
    }

    fn doorbell_entry(&self) -> Option<squeue::Entry> {
        None
    }

    /// The owner has not looked into its poller for a while.
    fn hasten(&self) {
        // An error shows again when the owner looks.
        let _ = self.enter(0, Wait::No);
    }

    fn cancel_everything(&self) -> Option<squeue::Entry> {
        Some(opcode::AsyncCancel2::new(types::CancelBuilder::any()).build())
    }

    fn features(&self) -> Features {
        const NAMED: [Feature; 5] = [
            Feature::CancelAny,
            Feature::MultishotPoll,
            Feature::MultishotAccept,
            Feature::PollFirst,
            Feature::SkipSuccess,
        ];
        Features::of(&NAMED, &plain::OPCODES)
    }
}

impl<W: Lookout> Core<W> {
    /// Begins what was pushed, `count` at most; returns how many that was.
    fn begin(self: &Arc<Self>, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        let mut taken = 0;
        self.change(|table, out| {
            // One after the other, so that who pushes does not wait for what is begun; and all under the table's lock,
            // so that they are begun in their order whoever else enters.
            while taken < count
                && let Some(entry) = self.take_pushed()
            {
                taken += 1;
                // SAFETY: the entry comes from an operation that the table of slots keeps in place until its last
                // answer is reaped (`Operation`'s contract), or names no memory at all.
                let request = unsafe { Request::new(&entry) };
                table.begin(self.watch.registry(), request, out);
            }
        });
        taken
    }

    fn take_pushed(&self) -> Option<squeue::Entry> {
        self.pushed.lock().pop_front()
    }

    /// Changes the table, and does what follows.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Table, &mut Outcome)) {
        let mut desk = self.desk.lock();
        let Desk { table, out } = &mut *desk;
        change(table, out);
        self.note_waiters(table);
        self.post(&mut out.answers);
        let jobs = std::mem::take(&mut out.jobs);
        // The pool may run a job on this thread, and that takes the lock.
        drop(desk);
        for job in jobs {
            let errand = Errand::new(job, Arc::clone(self));
            if let Some(offload) = self.offload.get() {
                offload(Box::new(|| errand.run()));
            }
        }
    }

    /// Waits for events and deals with them. The caller has the turn, which it gives up here.
    fn look(self: &Arc<Self>, timeout: Option<Duration>) -> io::Result<()> {
        let looked = self.watch.wait(
            timeout,
            || self.gate.wake(),
            |reports| {
                self.change(|table, out| table.settle_all(self.watch.registry(), reports, out));
            },
        );
        self.gate.leave();
        looked
    }

    fn note_waiters(&self, table: &Table) {
        // Relaxed: a hint to look, for who is not told otherwise.
        self.has_waiters.store(!table.is_empty(), Ordering::Relaxed);
    }

    fn post(&self, answers: &mut Vec<(u64, Answer)>) {
        self.gate.post(answers, &self.watch);
    }

    /// The pool is through with a request.
    fn finish(&self, user_data: u64, result: Option<i32>) {
        // First out of the table: the number may be another request's when the answer has been reaped.
        let mut desk = self.desk.lock();
        desk.table.forget(user_data);
        self.note_waiters(&desk.table);
        drop(desk);
        if let Some(result) = result {
            self.post(&mut vec![(user_data, Answer { result, flags: 0 })]);
        }
    }

    /// A request at the pool would wait for a descriptor.
    fn take_back(
        self: &Arc<Self>,
        request: Request,
        wanted: (RawFd, u32),
        is_unwanted: impl FnOnce() -> bool,
    ) {
        self.change(|table, out| {
            if is_unwanted() {
                let user_data = request.user_data();
                table.forget(user_data);
                let result = request.given_up();
                out.answers.push((user_data, Answer { result, flags: 0 }));
            } else {
                table.take_back(self.watch.registry(), request, wanted, out);
            }
        });
    }
}

impl<W: Lookout> Ring for PollQueues<W> {
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        let mut pushed = self.core.pushed.lock();
        let fits = pushed.len() < PUSHED_MAX;
        if fits {
            pushed.push_back(entry.clone());
        }
        fits
    }

    fn reap(&mut self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        self.core.gate.reap(left, visit);
    }

    fn unsubmitted(&mut self) -> usize {
        self.core.pushed.lock().len()
    }

    fn has_answers(&mut self) -> bool {
        self.core.gate.has_news()
    }

    fn may_have_more(&mut self) -> bool {
        !self.core.gate.was_looked_at() && self.core.has_waiters.load(Ordering::Relaxed)
    }
}

impl<W> fmt::Debug for PollDevice<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

impl<W> fmt::Debug for PollQueues<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

impl<W> fmt::Debug for Core<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollDevice")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
