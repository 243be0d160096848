//! The one lock of a shard: the ring's two queues and the table of operations behind it.
//!
//! Generic over the ring, so that the same code runs against a model of the kernel.
//!
//! # Rules
//!
//! 1. A submission moves the operation into the table and its SQE into the ring, or behind the others in the
//!    backlog if the ring is full, in one critical section: the kernel never knows an operation that the table
//!    does not.
//! 2. Reaping moves CQEs out of the ring and their operations on, in one critical section: two reapers (owner
//!    and helper) never see the same CQE.
//! 3. The cancel of an abandoned operation is queued behind the operation itself, in the same ring.
//! 4. Nothing of the user's runs inside: wakers, outputs and what is to be told leave by [`Settled`] and [`Abandoned`].
//! 5. Who is to submit says so here first ([`Outgoing`]). So what the kernel has not taken can be taken back
//!    ([`Operations::give_up`]) when nobody is in the kernel to submit it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::Waker;
use std::time::Instant;

use io_uring::{opcode, squeue};

use super::bounds::Bounds;
use super::elsewhere::Elsewhere;
use super::ledger::Ledger;
use super::op::Operation;
use super::refusal::Closed;
use super::slots::{
    Abandoned, Answer, CANCEL, DOORBELL, Key, MESSAGE, Next, Polled, Settled, Slots,
};
use super::sweep::{Sweep, is_mark};
use super::tally::Reaped;
use crate::loom::Mutex;
use crate::loom::atomic::AtomicUsize;
use crate::offer::Offer;

/// The two queues shared with the kernel.
pub trait Ring: fmt::Debug {
    /// Appends an SQE; `false` if the queue is full.
    fn push(&mut self, entry: &squeue::Entry) -> bool;

    /// Takes the CQEs that are there, `left` of them at most: user data and answer of each. Takes from `left` what it took.
    fn reap(&mut self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer));

    /// SQEs that the kernel has not taken yet.
    fn unsubmitted(&mut self) -> usize;

    /// The kernel does not let the ring be entered, and nobody is there to submit: takes the operations back that it has
    /// not taken, as far as it can, and names them. If that `lasts`, the ring takes nothing more.
    /// A device that is never refused has none.
    fn retract(&mut self, lasts: bool, visit: &mut dyn FnMut(u64)) {
        let _ = (lasts, visit);
    }

    /// Whether the kernel has answers that only an enter makes visible: work that waits for the task that
    /// submitted, or answers for which the completion queue had no room.
    fn wants_enter(&mut self) -> bool {
        false
    }

    /// Whether an enter is worth while because nobody has looked for answers since the last call, though nothing says
    /// that there are any.
    fn may_have_more(&mut self) -> bool {
        self.wants_enter()
    }

    /// Whether answers are there to be reaped.
    fn has_answers(&mut self) -> bool {
        false
    }

    /// Whether answers wait for room in the completion queue. An enter by any thread moves them there.
    fn has_overflowed(&mut self) -> bool {
        false
    }

    /// Times that answers were found to wait for room in the completion queue.
    fn overflows(&self) -> u64 {
        0
    }

    /// Whether a request is done elsewhere than in the kernel's ring.
    fn has_aside(&mut self, _user_data: u64) -> bool {
        false
    }

    /// Answers that the kernel has dropped so far, because it had no memory to keep them. The number wraps.
    fn dropped(&mut self) -> u32 {
        0
    }
}

/// The operations of one shard and the ring that they are in.
#[derive(Debug)]
pub struct Operations<R> {
    inner: Mutex<Inner<R>>,
    /// Those that end by themselves, and for which somebody waits.
    awaited: AtomicUsize,
    /// Threads that are in the kernel to submit, or about to be. Counted up under the lock only.
    submitters: AtomicUsize,
}

#[derive(Debug)]
struct Inner<R> {
    ring: R,
    slots: Slots,
    backlog: VecDeque<squeue::Entry>,
    closed: bool,
    /// What of the answers that want an enter waits for another thread than the owner's.
    elsewhere: Elsewhere,
    /// The kernel does not let the ring be entered, and what is queued stays where it is or is given up.
    is_shut_out: bool,
    doorbell_down: bool,
    /// Answers that had been dropped when we last looked, and the search for whose they were.
    dropped: u32,
    sweep: Option<Sweep>,
    reaped: Reaped,
}

/// SQEs that the holder goes to submit. As long as it lives, none is taken back.
#[derive(Debug)]
pub struct Outgoing<'a> {
    count: usize,
    submitters: &'a AtomicUsize,
}

impl Outgoing<'_> {
    /// How many they are, those that have no room yet included.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            // Release: pairs with the Acquire in `give_up`: the kernel has read what it took.
            self.submitters.fetch_sub(1, Release);
        }
    }
}

/// What who goes to sleep in the ring has to know.
#[derive(Debug)]
pub(super) struct Sleep<'a> {
    /// What it submits.
    pub(super) outgoing: Outgoing<'a>,
    /// A sweep is under way.
    pub(super) sweeping: bool,
    /// Answers wait for another thread, which is to be interrupted first.
    pub(super) hastens: bool,
}

/// What became of a submission.
#[derive(Debug)]
#[must_use]
pub enum Submitted<T> {
    /// The SQE is queued; if `full`, the ring has no room for another one.
    Queued {
        /// Where the operation lives now.
        key: Key,
        /// Whether SQEs wait for room.
        full: bool,
    },
    /// The shard is closed; here is the operation again.
    Refused(T),
    /// There are as many operations as can be told apart.
    NoRoom(T),
}

/// Whether what a closed ring had to do was given up.
#[derive(Debug)]
#[must_use]
pub(super) enum GivenUp {
    /// Somebody is in the kernel to submit, and it has to be tried again.
    NotYet,
    All,
    /// All, and some of it the kernel still has.
    Taken,
}

impl<R: Ring> Operations<R> {
    /// An empty table over `ring`.
    pub fn new(ring: R) -> Self {
        Self::within(Bounds::default(), ring)
    }

    /// The same, with a table within `bounds`.
    pub(super) fn within(bounds: Bounds, ring: R) -> Self {
        let inner = Inner {
            ring,
            slots: Slots::within(bounds),
            backlog: VecDeque::new(),
            closed: false,
            elsewhere: Elsewhere::default(),
            is_shut_out: false,
            doorbell_down: true,
            dropped: 0,
            sweep: None,
            reaped: Reaped::default(),
        };
        Self {
            inner: Mutex::new(inner),
            awaited: AtomicUsize::new(0),
            submitters: AtomicUsize::new(0),
        }
    }

    /// Queues `operation`; without a waker nobody waits for it.
    pub fn submit<T: Operation>(&self, operation: T, waker: Option<Waker>) -> Submitted<T> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Submitted::Refused(operation);
        }
        match inner.slots.insert(operation, waker) {
            Ok((key, entry)) => {
                let full = !inner.queue(entry);
                Submitted::Queued { key, full }
            }
            Err(operation) => Submitted::NoRoom(operation),
        }
    }

    /// Takes the answer of an operation, or stores the waker.
    pub fn poll<T: Operation>(&self, key: Key, waker: &Waker) -> Polled<T> {
        Offer::until_served(waker, |offer| self.inner.lock().slots.poll(key, offer))
    }

    /// The future wants an end: queues a cancel, unless the answer has come or one was queued before; says whether it
    /// did.
    pub fn cancel(&self, key: Key) -> bool {
        let mut inner = self.inner.lock();
        let cancel = inner.slots.expect_cancel(key);
        if cancel {
            inner.queue(cancel_entry(key));
        }
        cancel
    }

    /// Takes an answer of an operation with many, or stores the waker. Puts the operation back into the ring if it has
    /// paused and everything is taken.
    pub fn next<T: Operation>(&self, key: Key, waker: &Waker) -> Next<T> {
        Offer::until_served(waker, |offer| {
            let mut resumed = None;
            let mut inner = self.inner.lock();
            let closed = inner.closed;
            let next = inner.slots.next(key, offer, closed, &mut resumed)?;
            Ok(match resumed {
                None => next,
                Some(entry) => Next::Resumed {
                    full: !inner.queue(entry),
                },
            })
        })
    }

    /// The future is gone: queues a cancel, unless the answer has come.
    pub fn abandon(&self, key: Key) -> Abandoned {
        let mut inner = self.inner.lock();
        let abandoned = inner.slots.abandon(key);
        if matches!(abandoned, Abandoned::Cancel(_)) {
            inner.queue(cancel_entry(key));
        }
        abandoned
    }

    /// The future is gone, and the operation goes on.
    pub fn detach(&self, key: Key) -> Abandoned {
        self.inner.lock().slots.abandon(key)
    }

    /// Moves the answers that the kernel has posted out of the ring, `left` of them at most, from which it takes their
    /// number; `true` if more wait for an enter.
    pub fn reap(&self, left: &mut usize, out: &mut Settled) -> bool {
        let mut inner = self.inner.lock();
        inner.reap(left, out);
        inner.ring.may_have_more()
    }

    /// As [`Self::reap`], by the owner after an enter: `true` if more wait for room in the completion queue.
    pub fn reap_entered(&self, left: &mut usize, out: &mut Settled) -> bool {
        let mut inner = self.inner.lock();
        inner.reap(left, out);
        let is_over = inner.ring.has_overflowed();
        let is_wanted = inner.ring.wants_enter();
        inner.elsewhere.note_entered(is_wanted && !is_over);
        is_over
    }

    /// As [`Self::reap`], of all answers and if nobody else holds the lock; says whether it did.
    pub fn try_reap(&self, out: &mut Settled) -> bool {
        match self.inner.try_lock() {
            Some(mut inner) => {
                inner.reap(&mut { usize::MAX }, out);
                true
            }
            None => false,
        }
    }

    /// Whether answers wait for an enter.
    pub(super) fn may_have_more(&self) -> bool {
        self.inner.lock().ring.may_have_more()
    }

    /// Whether answers wait for room in the completion queue.
    pub(super) fn has_overflowed(&self) -> bool {
        self.inner.lock().ring.has_overflowed()
    }

    /// Whether answers are there or wait for an enter by the caller; no if somebody else is looking after them.
    pub(super) fn has_news(&self) -> bool {
        self.inner
            .try_lock()
            .is_some_and(|mut inner| inner.has_answers_for_owner())
    }

    /// How many that end by themselves somebody waits for.
    pub(super) fn awaited(&self) -> usize {
        // Relaxed: who asks, asks on behalf of a runtime in which nothing runs, and has been woken by whoever ran last.
        self.awaited.load(Relaxed)
    }

    /// Somebody waits for one that ends by itself.
    pub(super) fn begin_wait(&self) {
        self.awaited.fetch_add(1, Relaxed);
    }

    /// Somebody waits no longer.
    pub(super) fn end_wait(&self) {
        self.awaited.fetch_sub(1, Relaxed);
    }

    /// Whether answers wait to be reaped; waits for the lock to know.
    pub(super) fn has_answers(&self) -> bool {
        self.inner.lock().has_answers()
    }

    /// SQEs that wait to be submitted, those in the backlog included.
    pub fn unsubmitted(&self) -> usize {
        self.inner.lock().unsubmitted()
    }

    /// The same, to be submitted by the caller.
    pub fn outgoing(&self) -> Outgoing<'_> {
        self.count_submitter(&mut self.inner.lock())
    }

    /// The same for who goes to sleep in the ring: what lets him hear the doorbell is among them.
    pub(super) fn begin_sleep(
        &self,
        doorbell: impl FnOnce() -> Option<squeue::Entry>,
    ) -> Sleep<'_> {
        let mut inner = self.inner.lock();
        inner.arm_doorbell(doorbell);
        let Inner {
            ring, elsewhere, ..
        } = &mut *inner;
        Sleep {
            hastens: elsewhere.take_call(|| ring.wants_enter()),
            sweeping: inner.sweep.is_some(),
            outgoing: self.count_submitter(&mut inner),
        }
    }

    /// Called under the lock.
    fn count_submitter(&self, inner: &mut Inner<R>) -> Outgoing<'_> {
        let count = inner.unsubmitted();
        if count > 0 {
            // Relaxed: `give_up` looks under the lock that we hold.
            self.submitters.fetch_add(1, Relaxed);
        }
        Outgoing {
            count,
            submitters: &self.submitters,
        }
    }

    /// Queues the doorbell's poll if it is not armed; says whether it did.
    pub(super) fn arm_doorbell(&self, entry: impl FnOnce() -> Option<squeue::Entry>) -> bool {
        self.inner.lock().arm_doorbell(entry)
    }

    /// While the ring is closed, takes the operations back that the kernel has not taken, and ends them. Cancels and the
    /// like stay, for they will be wanted if it is opened again. If it is closed for good and had no room for an answer, none
    /// comes any more, and what waits for events ends too.
    pub(super) fn give_up(
        &self,
        closed: impl FnOnce() -> Option<Closed>,
        out: &mut Settled,
    ) -> GivenUp {
        let mut inner = self.inner.lock();
        // Asked under the lock: not any more if `open` was called meanwhile.
        let Some(Closed { errno, lasts }) = closed() else {
            return GivenUp::All;
        };
        inner.is_shut_out = true;
        // Acquire: pairs with the Release in the drop of `Outgoing`. None begins while we hold the lock.
        if self.submitters.load(Acquire) > 0 {
            return GivenUp::NotYet;
        }
        let is_deaf = lasts && inner.ring.has_overflowed();
        if is_deaf {
            inner.reap(&mut { usize::MAX }, out);
        }
        let Inner {
            ring,
            slots,
            backlog,
            ..
        } = &mut *inner;
        let polls = match is_deaf {
            true => slots.keys_of_polls(),
            false => Vec::new(),
        };
        let mut end = |user_data| {
            slots.settle(user_data, Answer::refused(errno), out);
        };
        ring.retract(lasts, &mut end);
        backlog.retain(|entry| {
            let is_operation = names_operation(entry.get_user_data());
            if is_operation {
                end(entry.get_user_data());
            }
            !is_operation
        });
        // Those that the kernel had not taken have ended by now.
        let has_taken = !polls.is_empty();
        polls.into_iter().map(Key::to_user_data).for_each(end);
        match has_taken {
            true => GivenUp::Taken,
            false => GivenUp::All,
        }
    }

    /// The kernel lets the ring be entered again. `open` says so to all others.
    pub(super) fn open(&self, open: impl FnOnce()) {
        let mut inner = self.inner.lock();
        open();
        inner.is_shut_out = false;
    }

    /// Whether a sweep is under way.
    pub(super) fn is_sweeping(&self) -> bool {
        self.inner.lock().sweep.is_some()
    }

    /// Operations whose last CQE has not come.
    pub fn in_flight(&self) -> usize {
        self.inner.lock().slots.in_flight()
    }

    /// What was reaped so far, and how many operations are in flight.
    pub(super) fn tally(&self) -> (Reaped, usize) {
        let inner = self.inner.lock();
        let reaped = Reaped {
            overflows: inner.ring.overflows(),
            ..inner.reaped
        };
        (reaped, inner.slots.in_flight())
    }

    /// What was handed out of the table.
    pub(super) fn ledger(&self) -> Ledger {
        self.inner.lock().slots.ledger().clone()
    }

    /// Gives up the memory of everything in flight, for the kernel may still use it.
    pub(super) fn leak(&self) {
        std::mem::forget(std::mem::take(&mut self.inner.lock().slots));
    }

    /// Refuses new operations and cancels all that are in flight: with `cancel_all`, or one by one. Those for whose
    /// cancels there was no room the last time are not told twice.
    pub fn close(&self, cancel_all: impl FnOnce() -> Option<squeue::Entry>) {
        let mut inner = self.inner.lock();
        let was_closed = std::mem::replace(&mut inner.closed, true);
        inner.slots.expect_cancel_of_all();
        if was_closed && !inner.backlog.is_empty() {
            return;
        }
        if let Some(entry) = cancel_all() {
            inner.queue(entry.user_data(CANCEL));
            return;
        }
        for key in inner.slots.keys_in_flight() {
            inner.queue(cancel_entry(key));
        }
    }
}

impl<R: Ring> Inner<R> {
    /// Queues an SQE; `false` if it had to wait in the backlog.
    fn queue(&mut self, entry: squeue::Entry) -> bool {
        self.refill();
        if self.sweep.is_none() && self.backlog.is_empty() && self.ring.push(&entry) {
            return true;
        }
        self.backlog.push_back(entry);
        self.reaped.waited += 1;
        false
    }

    fn arm_doorbell(&mut self, entry: impl FnOnce() -> Option<squeue::Entry>) -> bool {
        if !self.doorbell_down || self.closed {
            return false;
        }
        let Some(entry) = entry() else { return false };
        self.doorbell_down = false;
        self.queue(entry.user_data(DOORBELL));
        true
    }

    /// What can be submitted, of which as many as there is room for are moved into the ring.
    fn unsubmitted(&mut self) -> usize {
        if self.is_shut_out {
            return 0;
        }
        self.refill();
        // The backlog counts, so that nobody waits in the kernel over one that did not fit: an enter that submits
        // less than it was told to does not wait.
        self.ring.unsubmitted() + self.waiting()
    }

    /// Whether answers are there, or would be after an enter.
    fn has_answers(&mut self) -> bool {
        self.ring.has_answers() || !self.is_shut_out && self.ring.wants_enter()
    }

    /// As [`Self::has_answers`], for the owner, to whom nothing is news that its own enter does not bring.
    fn has_answers_for_owner(&mut self) -> bool {
        let Self {
            ring, elsewhere, ..
        } = self;
        match elsewhere.waits(|| ring.wants_enter()) {
            true => ring.has_answers() || !self.is_shut_out && ring.has_overflowed(),
            false => self.has_answers(),
        }
    }

    fn refill(&mut self) {
        let waiting = match &mut self.sweep {
            Some(sweep) => &mut sweep.outgoing,
            None => &mut self.backlog,
        };
        while let Some(entry) = waiting.front() {
            if !self.ring.push(entry) {
                return;
            }
            waiting.pop_front();
        }
    }

    /// SQEs that wait for room in the ring, and for nothing else.
    fn waiting(&self) -> usize {
        let waiting = self.sweep.as_ref().map(|sweep| sweep.outgoing.len());
        waiting.unwrap_or(self.backlog.len())
    }

    fn reap(&mut self, left: &mut usize, out: &mut Settled) {
        let Self {
            ring,
            slots,
            doorbell_down,
            sweep,
            reaped,
            ..
        } = self;
        let before = reaped.completions;
        ring.reap(left, &mut |user_data, answer| {
            reaped.completions += 1;
            let last = !io_uring::cqueue::more(answer.flags);
            if let (Some(sweep), true) = (&mut *sweep, last) {
                sweep.hear(user_data);
            }
            match user_data {
                CANCEL => {}
                MESSAGE => out.doorbell = true,
                DOORBELL => {
                    *doorbell_down |= last;
                    out.doorbell = true;
                }
                mark if is_mark(mark) => {}
                operation if slots.settle(operation, answer, out) => reaped.answers += 1,
                _ => reaped.strays += 1,
            }
        });
        reaped.batches += u64::from(reaped.completions > before);
        self.queue_settled(out);
        if self.sweep.is_some() {
            self.go_on_sweeping(out);
        }
        if self.ring.dropped() != self.dropped {
            self.begin_sweep();
            out.queued = true;
        }
    }

    /// Queues what settling asked for.
    fn queue_settled(&mut self, out: &mut Settled) {
        while let Some(entry) = out.again.pop() {
            self.queue(entry);
            out.queued = true;
        }
        while let Some(key) = out.full.pop() {
            self.queue(cancel_entry(key));
            out.queued = true;
        }
    }

    /// Answers were dropped: see [`super::sweep`].
    #[cold]
    fn begin_sweep(&mut self) {
        self.dropped = self.ring.dropped();
        let backlog = self.backlog.iter().map(squeue::Entry::get_user_data);
        let not_in_kernel: HashSet<u64> = backlog.collect();
        let mut in_kernel = self.slots.keys_in_flight();
        in_kernel.retain(|key| {
            let user_data = key.to_user_data();
            !not_in_kernel.contains(&user_data) && !self.ring.has_aside(user_data)
        });
        for key in &in_kernel {
            self.slots.expect_sweep(*key);
        }
        let is_armed = !self.doorbell_down && !not_in_kernel.contains(&DOORBELL);
        let suspects = in_kernel.into_iter().map(Key::to_user_data);
        let suspects = suspects.chain(is_armed.then_some(DOORBELL));
        let before = self.sweep.take();
        self.sweep = Some(Sweep::new(self.dropped, suspects, before));
        self.refill();
    }

    #[cold]
    fn go_on_sweeping(&mut self, out: &mut Settled) {
        let Some(sweep) = &mut self.sweep else { return };
        for user_data in sweep.take_lost() {
            if user_data == DOORBELL {
                self.doorbell_down = true;
                out.doorbell = true;
            } else if self.slots.settle(user_data, Answer::LOST, out) {
                self.reaped.lost += 1;
            }
        }
        if sweep.is_over() {
            self.sweep = None;
        } else {
            sweep.settle(Instant::now());
        }
        self.refill();
        out.queued = true;
    }
}

/// Whether the user data is that of an operation, and not of something that the driver wants for itself.
pub(super) fn names_operation(user_data: u64) -> bool {
    !matches!(user_data, CANCEL | DOORBELL | MESSAGE) && !is_mark(user_data)
}

fn cancel_entry(key: Key) -> squeue::Entry {
    opcode::AsyncCancel::new(key.to_user_data())
        .build()
        .user_data(CANCEL)
}
