//! A shard: one ring, its operations, its timers, and the place where its worker sleeps.
//!
//! *The owner* is the thread that runs the worker's core: it flushes, reaps and sleeps here. *A helper* does
//! the owner's service when that is stuck in user code. *A guest* queues operations from outside and wakes the
//! owner. All functions may be called from any thread, except [`Shard::sleep`], which is the owner's.

mod closed;
mod drain;
mod standing;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::thread::Thread;
use std::time::Duration;

use ringway_timer::wheel::Progress;

use super::bounds::Bounds;
use super::choice::Opened;
use super::current::with_owner;
use super::debts::Debts;
use super::device::{AnyDevice, AnyQueues, Device, Wait};
use super::error::SetupError;
use super::features::Features;
use super::knobs;
use super::ledger::Ledger;
use super::op::{Operation, Unsubmitted, completion};
use super::operations::{Operations, Submitted};
use super::park::{Absence, ParkWord, ThreadInRing, Unparked};
use super::poll::Offload;
use super::provided::{Pool, Pools, Use};
use super::refusal::Refusal;
use super::scratch::{Scratch, tell_all, wake_all};
use super::slots::{Abandoned, Key, Next, Orphan, Polled};
use super::tally::{Counted, Descriptors, Reaped, RingMetrics, Tally};
use super::timers::{Now, Timers};
use crate::config::Config;
use crate::contain::contain;
use crate::fork::{self, OfProcess};
use crate::loom::atomic::AtomicBool;

/// One worker's ring with all that belongs to it.
pub(crate) struct Shard {
    runtime: u32,
    index: u32,
    operations: OfProcess<Operations<AnyQueues>>,
    timers: Timers,
    debts: Debts,
    word: ParkWord,
    thread: OnceLock<Thread>,
    /// The worker's own thread is inside [`Self::sleep_as_thread`], though another may run the core.
    thread_in_ring: ThreadInRing,
    /// The worker's own thread cannot be called now: [`Self::substitute`] calls another.
    absence: Absence,
    substitute: OnceLock<Substitute>,
    /// Something was queued since the last flush.
    unflushed: AtomicBool,
    closed: AtomicBool,
    /// The runtime was made for sockets and the like.
    io_enabled: bool,
    tally: Tally,
    descriptors: Arc<Descriptors>,
    device: OfProcess<AnyDevice>,
    ledger: Ledger,
    /// Whether the kernel lets the device be entered.
    refusal: Refusal,
    /// Buffers that were lent to the device, if it takes any. Behind the device, so that it is closed first.
    provided: Pools,
}

/// Calls a thread to the core in place of the worker's own.
pub(crate) type Substitute = Box<dyn Fn() + Send + Sync>;

/// Operations that were still with the kernel when their runtime's time to shut down had run out.
static LEAKED_OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// Answers that one rescue takes beyond those that the completion queue holds: as many as an ordinary ring has room for.
const RESCUED_MAX: usize = 1024;
/// How often in a row a flush that a signal interrupts is begun again before it is left to the next service: no signals
/// come that fast.
const INTERRUPTIONS_MAX: u32 = 16;

/// How long who sleeps waits for a sweep to go on, before it cancels again what a cancel may have missed.
const SWEEP_RETRY: Duration = Duration::from_millis(2);
/// How long a thread waits that the kernel did not let wait: some wakes of a scheduler that has to free memory. Who is
/// woken meanwhile is late by as much.
const REFUSED_PAUSE: Duration = Duration::from_millis(1);

impl Shard {
    /// A shard that stands on `opened`.
    pub(crate) fn new(
        runtime: u32,
        index: u32,
        config: &Config,
        opened: Opened,
    ) -> Result<Arc<Self>, SetupError> {
        let bounds = Bounds::generations_from(knobs::first_generation()?);
        #[cfg(feature = "scripted-ring")]
        let opened = AnyDevice::with_script(opened, config.ring_script.as_ref(), index);
        let (device, queues) = opened;
        let operations = Operations::within(bounds, queues);
        Ok(Self::over(
            device,
            operations,
            runtime,
            index,
            config.io_enabled,
        ))
    }

    /// A shard that stands on `device`.
    pub(super) fn over(
        device: AnyDevice,
        operations: Operations<AnyQueues>,
        runtime: u32,
        index: u32,
        io_enabled: bool,
    ) -> Arc<Self> {
        let ledger = operations.ledger();
        ledger.begin_shard();
        Arc::new(Self {
            runtime,
            index,
            operations: OfProcess::new(operations),
            timers: Timers::new(),
            debts: Debts::new(),
            word: ParkWord::new_vacant(),
            thread: OnceLock::new(),
            thread_in_ring: ThreadInRing::new(),
            absence: Absence::new(),
            substitute: OnceLock::new(),
            unflushed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            io_enabled,
            tally: Tally::default(),
            descriptors: Arc::default(),
            device: OfProcess::new(device),
            ledger,
            refusal: Refusal::default(),
            provided: Pools::default(),
        })
    }

    /// What is owed to the shard.
    #[cfg(any(debug_assertions, feature = "ledger"))]
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether this is the process that made the shard, and not a child of it. Asked before any lock is taken.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        self.device.is_here()
    }

    fn assert_is_here(&self) {
        if !self.is_here() {
            fork::refuse();
        }
    }

    pub(crate) fn runtime(&self) -> u32 {
        self.runtime
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn is_io_enabled(&self) -> bool {
        self.io_enabled
    }

    pub(super) fn features(&self) -> Features {
        self.device.features()
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// What its worker owes to other shards.
    pub(crate) fn debts(&self) -> &Debts {
        &self.debts
    }

    pub(crate) fn word(&self) -> &ParkWord {
        &self.word
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `drain`.
        self.closed.load(Ordering::Acquire)
    }

    /// Says where a device that makes system calls makes those that may wait.
    pub(crate) fn set_offload(&self, offload: Offload) {
        self.device.set_offload(offload);
    }

    /// Names the thread to start when the core is vacant, and who calls another while that one is absent.
    pub(crate) fn set_thread(&self, thread: Thread, substitute: Substitute) {
        let first = self.substitute.set(substitute).is_ok() && self.thread.set(thread).is_ok();
        assert!(first, "a shard has one worker thread");
    }

    /// Whether the calling thread is the worker's own.
    pub(crate) fn is_own_thread(&self) -> bool {
        let own = self.thread.get();
        own.is_some_and(|own| own.id() == std::thread::current().id())
    }

    /// Whether the worker's own thread is absent; it says so itself.
    pub(crate) fn absence(&self) -> &Absence {
        &self.absence
    }

    /// The worker's own thread is back, and waits for its core.
    pub(crate) fn return_thread(&self) {
        let owed = self.absence.end(&self.word);
        self.pay(owed);
    }

    /// Has the worker's own thread look up.
    pub(crate) fn unpark_own_thread(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Whether the worker's thread was started.
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.get().is_some()
    }

    /// Wakes whoever serves this shard.
    pub(crate) fn unpark(&self) {
        self.pay(self.word.unpark());
    }

    fn pay(&self, owed: Unparked) {
        match owed {
            Unparked::Noted => {}
            Unparked::RingDoorbell => self.ring_doorbell(),
            Unparked::StartThread => self.start_thread(),
        }
    }

    /// Has the worker's thread look for its core, or another one in its place.
    pub(crate) fn start_thread(&self) {
        if let (true, Some(call)) = (self.absence.is_on(), self.substitute.get()) {
            return call();
        }
        if let Some(thread) = self.thread.get() {
            thread.unpark();
            if self.thread_in_ring.must_be_rung() {
                self.ring_doorbell();
            }
        }
    }

    fn ring_doorbell(&self) {
        self.device.ring_doorbell();
        self.ring_outside();
    }

    /// Queues an operation; gives it back if the shard is closed.
    pub(super) fn submit<T: Operation>(
        &self,
        operation: T,
        waker: Option<Waker>,
    ) -> Result<Key, Unsubmitted<T>> {
        match self.operations.submit(operation, waker) {
            Submitted::Refused(operation) => Err(Unsubmitted::Ended(operation)),
            Submitted::NoRoom(operation) => Err(Unsubmitted::NoRoom(operation)),
            Submitted::Queued { key, full } => {
                let at_once = T::KEEPS_A_DEVICE_BUSY && self.operations.in_flight() > 1;
                self.note_queued(full || at_once);
                Ok(key)
            }
        }
    }

    pub(super) fn poll<T: Operation>(&self, key: Key, waker: &Waker) -> Polled<T> {
        self.assert_is_here();
        self.operations.poll(key, waker)
    }

    /// The provided buffers, made when they are first asked for; none if the device takes none.
    pub(super) fn provided(&self, purpose: Use) -> Option<&Pool> {
        self.provided.of(purpose, &*self.device)
    }

    pub(super) fn cancel(&self, key: Key) {
        if !self.is_here() {
            return;
        }
        if self.operations.cancel(key) {
            self.note_queued(false);
        }
    }

    pub(super) fn next<T: Operation>(&self, key: Key, waker: &Waker) -> Next<T> {
        self.assert_is_here();
        let next = self.operations.next(key, waker);
        if let Next::Resumed { full } = next {
            self.note_queued(full);
        }
        next
    }

    pub(super) fn abandon(self: &Arc<Self>, key: Key) {
        if !self.is_here() {
            return;
        }
        match self.operations.abandon(key) {
            Abandoned::Cancel(waker) => {
                drop(waker);
                self.note_queued(false);
            }
            Abandoned::Finish(orphan) => self.finish(orphan),
        }
    }

    pub(super) fn detach(self: &Arc<Self>, key: Key) {
        if !self.is_here() {
            return;
        }
        match self.operations.detach(key) {
            Abandoned::Cancel(waker) => drop(waker),
            Abandoned::Finish(orphan) => self.finish(orphan),
        }
    }

    /// Sees to it that what was queued gets submitted, by the owner: soon, or at once.
    fn note_queued(&self, at_once: bool) {
        let owned = with_owner(|shard| std::ptr::eq(&**shard, self)).unwrap_or(false);
        self.unflushed.store(true, Ordering::Relaxed);
        if !owned {
            self.unpark();
        } else if at_once {
            self.flush();
        }
    }

    /// Whether there is a reason for the owner to look here: it was notified, or completions wait.
    pub(crate) fn is_wanted(&self) -> bool {
        self.word.is_notified() || self.operations.has_news()
    }

    /// Whether the kernel has answers, as far as can be seen without asking it.
    pub(crate) fn has_news(&self) -> bool {
        self.operations.has_news()
    }

    /// Whether the owner has queued something that the kernel has not been told.
    #[inline]
    pub(crate) fn has_unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed)
    }

    /// Whether the kernel has operations, or is about to be given some.
    pub(crate) fn has_operations(&self) -> bool {
        self.operations.in_flight() > 0
    }

    /// Nothing is in flight, queued or waiting for its time.
    pub(crate) fn is_idle(&self) -> bool {
        self.operations.in_flight() == 0 && self.timers.is_empty() && !self.has_unflushed()
    }

    /// Submits all that is queued and lets the kernel post what it has, without waiting.
    pub(crate) fn flush(&self) {
        self.unflushed.store(false, Ordering::Relaxed);
        let mut interruptions = 0;
        while self.refusal.closed().is_none() {
            let outgoing = self.operations.outgoing();
            let queued = outgoing.count();
            let outcome = self.enter(queued, Wait::No);
            drop(outgoing);
            match outcome {
                outcome if is_interrupted(&outcome) && interruptions < INTERRUPTIONS_MAX => {
                    interruptions += 1;
                }
                // EAGAIN, EBUSY: short of memory, or completions must be reaped first. The next service
                // does so and flushes again.
                Err(_) if queued > 0 => return self.unflushed.store(true, Ordering::Relaxed),
                // What was queued since the look has said so itself.
                Err(_) => return,
                Ok(_) if self.operations.unsubmitted() == 0 => return,
                Ok(0) => return self.unflushed.store(true, Ordering::Relaxed),
                Ok(_) => {}
            }
        }
    }

    fn enter(&self, queued: usize, wait: Wait) -> io::Result<usize> {
        let outcome = self.device.enter(queued, wait);
        let asked = queued.min(self.device.batch_max());
        self.tally.note_enter(asked, &outcome);
        let waited = wait != Wait::No;
        if self.device.may_be_refused() && self.refusal.note(&outcome, waited) {
            // What was queued is ended by the next service.
            self.unpark();
        }
        outcome
    }

    /// A descriptor was made by a thread that submits here.
    pub(super) fn count_descriptor(&self) -> Counted {
        Counted::new(&self.descriptors)
    }

    /// How many descriptors were made by threads that submit here, and how many of those are gone.
    pub(crate) fn descriptors(&self) -> (u64, u64) {
        self.descriptors.counts()
    }

    /// What happened to the ring so far.
    pub(crate) fn ring_metrics(&self) -> RingMetrics {
        if !self.is_here() {
            return self.tally.read(Reaped::default(), 0);
        }
        let (reaped, in_flight) = self.operations.tally();
        self.tally.read(reaped, in_flight)
    }

    /// The owner's service: submits, reaps `answers` of the kernel and fires `timers` at most, and wakes. Returns how
    /// many it woke or told of something.
    pub(crate) fn service(
        self: &Arc<Self>,
        now: Now,
        (answers, timers): (usize, usize),
        scratch: &mut Scratch,
    ) -> usize {
        self.timers.end_sleep();
        if self.has_unflushed() {
            self.flush();
        }
        self.end_refused(scratch);
        let mut left = answers;
        if self.operations.reap(&mut left, &mut scratch.settled) && left > 0 {
            self.flush();
            if self
                .operations
                .reap_entered(&mut left, &mut scratch.settled)
            {
                self.reap_overflow(&mut left, scratch);
            }
        }
        if std::mem::take(&mut scratch.settled.doorbell) && self.thread_in_ring.is_set() {
            self.rearm_doorbell();
        }
        let (wakers, removed) = (&mut scratch.settled.wakers, &mut scratch.removed);
        let progress = self.timers.fire(now, timers, wakers, removed);
        scratch.more_timers = progress == Progress::More;
        self.act(scratch)
    }

    /// Reaps what had no room in the completion queue, batch by batch, `left` answers at most.
    fn reap_overflow(&self, left: &mut usize, scratch: &mut Scratch) {
        while *left > 0 && self.operations.has_overflowed() {
            let before = *left;
            self.flush();
            self.operations.reap(left, &mut scratch.settled);
            if *left == before {
                // The kernel refuses, or somebody else is at it.
                return;
            }
        }
    }

    /// A helper's service of a shard whose owner is stuck, which fires `timers` at most. Does nothing if somebody else is at it.
    pub(crate) fn rescue(
        self: &Arc<Self>,
        now: Now,
        kick: bool,
        timers: usize,
        scratch: &mut Scratch,
    ) -> usize {
        let was_unflushed = self.has_unflushed();
        if was_unflushed {
            self.flush();
        }
        self.end_refused(scratch);
        if kick && self.operations.may_have_more() {
            // What is posted within some microseconds is reaped here, or else at the next rescue.
            self.device.hasten();
        }
        if self.operations.try_reap(&mut scratch.settled) {
            self.reap_overflow(&mut { RESCUED_MAX }, scratch);
        }
        if std::mem::take(&mut scratch.settled.doorbell) {
            self.ring_again();
        }
        let (wakers, removed) = (&mut scratch.settled.wakers, &mut scratch.removed);
        let fired = self.timers.fire_from_afar(now, timers, wakers, removed);
        scratch.more_timers = fired.outcome == Progress::More;
        if fired.before_sleeper {
            self.unpark();
        }
        let settled = &scratch.settled;
        if was_unflushed || settled.has_something() {
            self.tally.note_rescue();
        }
        self.act(scratch)
    }

    /// A helper has taken the doorbell's completion, and the sleeper that it was for may only just be on its way
    /// into the ring: where it would hear no bell if that was the last completion of the doorbell's poll.
    fn ring_again(&self) {
        self.rearm_doorbell();
        if self.word.is_notified() {
            self.ring_doorbell();
        }
    }

    /// Somebody sleeps in the ring, or is about to, who has found the doorbell armed.
    fn rearm_doorbell(&self) {
        if self.arm_doorbell() {
            self.flush();
        }
    }

    /// Sees to it that the doorbell will be heard; `true` if that has to be submitted.
    fn arm_doorbell(&self) -> bool {
        self.operations
            .arm_doorbell(|| self.device.doorbell_entry())
    }

    /// Wakes and finishes what was handed out. User code runs here; no lock is held.
    fn act(self: &Arc<Self>, scratch: &mut Scratch) -> usize {
        let woken = scratch.settled.wakers.len() + scratch.settled.told.len();
        if std::mem::take(&mut scratch.settled.queued) {
            self.note_queued(false);
        }
        for orphan in scratch.settled.orphans.drain(..) {
            contain(|| self.finish(orphan));
        }
        tell_all(&mut scratch.settled.told);
        wake_all(&mut scratch.settled.wakers);
        scratch.settled.stored.clear();
        if !scratch.removed.is_empty() {
            contain(|| scratch.removed.clear());
        }
        woken
    }

    fn finish(self: &Arc<Self>, orphan: Orphan) {
        let completion = completion(self, orphan.answer(), None, super::error::SHUTTING_DOWN);
        orphan.finish(completion);
    }

    /// Sleeps in the ring until a completion, the doorbell or `timeout`; submits what is queued first.
    ///
    /// The owner's, after [`ParkWord::park`] agreed.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        if let Some(closed) = self.refusal.closed() {
            return self.sleep_outside(closed, timeout);
        }
        self.unflushed.store(false, Ordering::Relaxed);
        let sleep = self.operations.begin_sleep(|| self.device.doorbell_entry());
        if sleep.hastens {
            self.device.hasten();
        }
        let (outgoing, sweeping) = (sleep.outgoing, sleep.sweeping);
        let queued = outgoing.count();
        let timeout = match sweeping {
            true => Some(timeout.map_or(SWEEP_RETRY, |timeout| timeout.min(SWEEP_RETRY))),
            false => timeout,
        };
        // Whatever the outcome (a completion, ETIME, EINTR, a refusal), the caller services and looks again.
        let entered = match timeout {
            // A wait of no time is a sleep all the same, of some 15 µs.
            Some(Duration::ZERO) => self.enter(queued, Wait::No),
            _ => self.enter(queued, Wait::ForAnswer(timeout)),
        };
        drop(outgoing);
        if is_interrupted(&entered) {
            // By a signal, or it is refused so: this one, which waits for nothing, tells.
            let _ = self.enter(0, Wait::No);
        }
        if *entered.as_ref().unwrap_or(&0) < queued {
            self.unflushed.store(true, Ordering::Relaxed);
        }
        if let Err(error) = entered {
            self.rest(&error);
            if sweeping {
                self.device.cancel_again();
            }
        }
    }

    /// As [`Self::sleep`], by the worker's own thread with the core in its slot. Another thread may take the core
    /// over and sleep in the ring as well; when it gives the core back, this thread is called out of the ring.
    pub(crate) fn sleep_as_thread(&self, timeout: Option<Duration>) {
        if self.thread_in_ring.enter(&self.word) {
            self.sleep(timeout);
        }
        self.thread_in_ring.leave();
    }
}

fn is_interrupted(entered: &io::Result<usize>) -> bool {
    matches!(entered, Err(error) if error.raw_os_error() == Some(libc::EINTR))
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("runtime", &self.runtime)
            .field("index", &self.index)
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if !self.is_here() {
            return;
        }
        self.ledger.end_shard();
        let (reaped, left) = self.operations.tally();
        if reaped.lost > 0 {
            self.provided.excuse();
        }
        if left > 0 {
            // The kernel may still write there, for closing the ring does not stop it at once: the memory is
            // given up for good.
            self.operations.leak();
            LEAKED_OPERATIONS.fetch_add(left as u64, Ordering::Relaxed);
        }
    }
}
