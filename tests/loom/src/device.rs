//! A device whose kernel takes SQEs when somebody enters it, and at no other time, so that one that is never submitted
//! shows.
//!
//! Cancels and polls of the doorbell are carried out by who enters; operations are ended by a thread of the model. The
//! whole lies behind one lock, as the real queues are ordered by the kernel's own barriers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use loom::sync::{Condvar, Mutex, MutexGuard};
use ringway_runtime::driver::{Features, Operation, opcode, squeue, types};
use ringway_runtime::internals::{Answer, Device, Key, Now, Polled, Ring, Specimen, Wait};

use crate::kernel::{
    Buffer, CANCEL, DOORBELL, MESSAGE, MORE, OP_ASYNC_CANCEL, OP_NOP, Outcome, Read, Sqe,
    completion,
};

/// How a thread is called out of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bells {
    /// By an answer that is posted from outside.
    Message,
    /// By an event that a multishot poll waits for, which must be there.
    Event,
    /// By a message, and where the kernel refuses that by an event. It may refuse to be entered, too.
    Both,
}

/// The device, as the model's kernel sees it.
#[derive(Debug)]
pub struct Machine {
    inner: Mutex<Inner>,
    posted: Condvar,
    taken: Condvar,
    bells: Bells,
    submissions_max: usize,
    answers_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    submissions: VecDeque<Sqe>,
    in_flight: VecDeque<Sqe>,
    /// What waits for the end of all that came earlier, and what came after it.
    behind: VecDeque<Sqe>,
    completions: VecDeque<(u64, Answer)>,
    /// Answers for which there was no room.
    kept: VecDeque<(u64, Answer)>,
    /// How many answers were ever posted, and reaped.
    posted: usize,
    reaped: usize,
    /// Errors with which the next enters are refused; 0 for one that is not.
    refusals: VecDeque<i32>,
    /// The error with which every call is refused for the time being; 0 for none.
    shut: i32,
    /// Threads that are in the kernel to submit.
    submitters: usize,
    /// Operations end as soon as they are begun.
    is_prompt: bool,
    /// What comes is held back until all that came earlier has ended.
    is_draining: bool,
    /// Cancels that are to miss.
    misses: usize,
    /// Answers that were dropped.
    dropped: u32,
    is_polled: bool,
    events: usize,
    /// Those that were seen outside of the device.
    events_seen: usize,
}

/// A wait as long as this has no end in a model; a shorter one is over at once.
const LONG: Duration = Duration::from_secs(1);

impl Machine {
    /// A shard over a machine with room for so many SQEs and answers.
    pub fn new(bells: Bells, submissions_max: usize, answers_max: usize) -> (Specimen, Arc<Self>) {
        let machine = Arc::new(Self {
            inner: Mutex::new(Inner::default()),
            posted: Condvar::new(),
            taken: Condvar::new(),
            bells,
            submissions_max,
            answers_max,
        });
        let device = Box::new(Front(Arc::clone(&machine)));
        let queues = Box::new(Queues(Arc::clone(&machine)));
        (Specimen::new(device, queues), machine)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic inside")
    }

    fn post(&self, inner: &mut Inner, user_data: u64, result: i32, flags: u32) {
        inner.kept.push_back((user_data, Answer { result, flags }));
        self.make_room(inner);
    }

    /// Posts what there is room for.
    fn make_room(&self, inner: &mut Inner) {
        while inner.completions.len() < self.answers_max {
            let Some(answer) = inner.kept.pop_front() else {
                break;
            };
            inner.completions.push_back(answer);
            inner.posted += 1;
        }
        self.posted.notify_all();
    }

    fn has_posted(&self) -> bool {
        !self.lock().completions.is_empty()
    }

    /// How many SQEs wait to be taken.
    pub fn unsubmitted(&self) -> usize {
        self.lock().submissions.len()
    }

    /// How many operations the kernel has.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight.len()
    }

    /// Refuses enters: 0 lets one through.
    pub fn refuse(&self, errors: &[i32]) {
        self.lock().refusals.extend(errors);
    }

    /// Has operations end as soon as they are begun.
    pub fn be_prompt(&self) {
        self.lock().is_prompt = true;
    }

    /// Has the next cancel miss its operation, as one that comes when that is just being begun.
    pub fn miss_a_cancel(&self) {
        self.lock().misses += 1;
    }

    /// Refuses every call from now on, or for 0 none.
    pub fn shut(&self, errno: i32) {
        self.lock().shut = errno;
    }

    /// Waits until an operation is in flight.
    pub fn wait(&self) {
        let mut inner = self.lock();
        while inner.in_flight.is_empty() {
            inner = self.taken.wait(inner).expect("no panic inside");
        }
    }

    /// Completes the oldest operation, if there is one: writes into its buffer, and posts `result`.
    pub fn complete(&self, result: i32) -> bool {
        let mut inner = self.lock();
        let Some(sqe) = inner.in_flight.pop_front() else {
            return false;
        };
        Buffer::fill(sqe.address);
        self.post(&mut inner, sqe.user_data, result, 0);
        self.begin_behind(&mut inner);
        true
    }

    /// Completes the oldest operation, and has no memory for the answer.
    pub fn drop_answer(&self) {
        let mut inner = self.lock();
        let sqe = inner.in_flight.pop_front().expect("one is in flight");
        Buffer::fill(sqe.address);
        inner.dropped += 1;
        self.begin_behind(&mut inner);
    }

    /// Gives the oldest operation up, as the kernel does when the thread exits that had submitted it.
    pub fn give_up(&self) {
        let mut inner = self.lock();
        let sqe = inner.in_flight.pop_front().expect("one is in flight");
        self.post(&mut inner, sqe.user_data, -libc::ECANCELED, 0);
        self.begin_behind(&mut inner);
    }

    /// Ends the doorbell's poll, if there is one.
    pub fn end_poll(&self) {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.is_polled) {
            self.post(&mut inner, DOORBELL, -libc::ECANCELED, 0);
        }
    }

    /// Begins an SQE, unless it has to wait for others. As the kernel since 6.16: once one was to wait, those that come
    /// wait too, until one has come that found nothing else there.
    fn take(&self, inner: &mut Inner, sqe: Sqe) {
        let is_alone = inner.behind.is_empty() && inner.in_flight.is_empty();
        inner.is_draining = sqe.drains || inner.is_draining && !is_alone;
        if inner.is_draining {
            inner.behind.push_back(sqe);
        } else {
            self.begin(inner, sqe);
        }
    }

    fn begin_behind(&self, inner: &mut Inner) {
        let mut is_alone = true;
        while let Some(sqe) = inner.behind.front() {
            is_alone |= sqe.drains;
            if is_alone && !inner.in_flight.is_empty() {
                return;
            }
            is_alone = sqe.drains;
            let sqe = inner.behind.pop_front().expect("it was looked at");
            self.begin(inner, sqe);
        }
    }

    fn begin(&self, inner: &mut Inner, sqe: Sqe) {
        match sqe.opcode {
            OP_ASYNC_CANCEL => self.cancel(inner, sqe),
            OP_NOP => self.post(inner, sqe.user_data, 0, 0),
            _ if sqe.user_data == DOORBELL => {
                inner.is_polled = true;
                if inner.events > 0 {
                    self.post(inner, DOORBELL, 1, MORE);
                }
            }
            _ if inner.is_prompt => {
                Buffer::fill(sqe.address);
                self.post(inner, sqe.user_data, 1, 0);
            }
            _ => {
                inner.in_flight.push_back(sqe);
                self.taken.notify_all();
            }
        }
    }

    /// Somebody who submits is in the kernel, which has not begun to look at the queue.
    fn arrive(&self, to_submit: usize) {
        if self.bells == Bells::Both && to_submit > 0 {
            self.lock().submitters += 1;
        }
    }

    fn leave(&self, inner: &mut Inner, to_submit: usize) {
        if self.bells == Bells::Both && to_submit > 0 {
            inner.submitters -= 1;
        }
    }

    fn cancel(&self, inner: &mut Inner, cancel: Sqe) {
        if inner.misses > 0 && inner.in_flight.iter().any(|sqe| cancel.cancels(sqe)) {
            inner.misses -= 1;
            return self.post(inner, cancel.user_data, -libc::ENOENT, 0);
        }
        let sqes = std::mem::take(&mut inner.in_flight);
        let (hit, left): (VecDeque<_>, _) = sqes.into_iter().partition(|sqe| cancel.cancels(sqe));
        inner.in_flight = left;
        for sqe in hit {
            self.post(inner, sqe.user_data, -libc::ECANCELED, 0);
        }
        self.post(inner, cancel.user_data, 0, 0);
    }
}

/// The half that is used without a lock.
#[derive(Debug)]
struct Front(Arc<Machine>);

impl Device for Front {
    fn enter(&self, to_submit: usize, wait: Wait) -> io::Result<usize> {
        let Self(machine) = self;
        machine.arrive(to_submit);
        if machine.bells == Bells::Both {
            // The kernel takes its time.
            loom::thread::yield_now();
        }
        let mut inner = machine.lock();
        machine.leave(&mut inner, to_submit);
        match (inner.refusals.pop_front(), inner.shut) {
            (None | Some(0), 0) => {}
            (Some(errno), _) | (None, errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
        machine.make_room(&mut inner);
        let taken = to_submit.min(inner.submissions.len());
        for _ in 0..taken {
            let sqe = inner.submissions.pop_front().expect("counted above");
            machine.take(&mut inner, sqe);
        }
        machine.begin_behind(&mut inner);
        // As io_uring_enter(2): who submits less than it was told to does not wait.
        let waits = match wait {
            Wait::No => false,
            Wait::ForAnswer(timeout) => timeout.is_none_or(|timeout| timeout >= LONG),
        };
        if waits && taken == to_submit {
            let reaped = inner.reaped;
            while inner.posted <= reaped {
                inner = machine.posted.wait(inner).expect("no panic inside");
            }
        } else if wait != Wait::No {
            drop(inner);
            loom::thread::yield_now();
            if taken == 0 && to_submit == 0 && !machine.has_posted() {
                return Err(io::Error::from_raw_os_error(libc::ETIME));
            }
        }
        Ok(taken)
    }

    fn ring_doorbell(&self) {
        let Self(machine) = self;
        let mut inner = machine.lock();
        match machine.bells {
            Bells::Message => machine.post(&mut inner, MESSAGE, 0, 0),
            Bells::Both if inner.shut == 0 => machine.post(&mut inner, MESSAGE, 0, 0),
            Bells::Event | Bells::Both => {
                inner.events += 1;
                if inner.is_polled {
                    machine.post(&mut inner, DOORBELL, 1, MORE);
                }
                machine.posted.notify_all();
            }
        }
    }

    fn may_be_refused(&self) -> bool {
        self.0.bells == Bells::Both
    }

    fn wait_outside(&self, _answers: bool, timeout: Option<Duration>) {
        let Self(machine) = self;
        let mut inner = machine.lock();
        if timeout.is_some_and(|timeout| timeout < LONG) {
            drop(inner);
            return loom::thread::yield_now();
        }
        while inner.completions.is_empty() && inner.events == inner.events_seen {
            inner = machine.posted.wait(inner).expect("no panic inside");
        }
        inner.events_seen = inner.events;
    }

    fn doorbell_entry(&self) -> Option<squeue::Entry> {
        let poll = opcode::PollAdd::new(types::Fd(-1), libc::POLLIN as u32).multi(true);
        (self.0.bells != Bells::Message).then(|| poll.build())
    }

    fn hasten(&self) {}

    fn cancel_everything(&self) -> Option<squeue::Entry> {
        Some(opcode::AsyncCancel2::new(types::CancelBuilder::any()).build())
    }

    fn cancel_again(&self) {
        let Self(machine) = self;
        let mut inner = machine.lock();
        for sqe in std::mem::take(&mut inner.in_flight) {
            machine.post(&mut inner, sqe.user_data, -libc::ECANCELED, 0);
        }
        machine.begin_behind(&mut inner);
    }

    fn features(&self) -> Features {
        Features::NONE
    }
}

/// The half that lies behind the shard's lock.
#[derive(Debug)]
struct Queues(Arc<Machine>);

impl Ring for Queues {
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        let mut inner = self.0.lock();
        let room = inner.submissions.len() < self.0.submissions_max;
        if room {
            inner.submissions.push_back(Sqe::decode(entry));
        }
        room
    }

    fn reap(&mut self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        let mut inner = self.0.lock();
        let taken = inner.completions.len().min(*left);
        *left -= taken;
        let completions: Vec<_> = inner.completions.drain(..taken).collect();
        inner.reaped += completions.len();
        drop(inner);
        for (user_data, answer) in completions {
            visit(user_data, answer);
        }
    }

    fn unsubmitted(&mut self) -> usize {
        self.0.unsubmitted()
    }

    fn retract(&mut self, _lasts: bool, visit: &mut dyn FnMut(u64)) {
        loom::thread::yield_now();
        let mut inner = self.0.lock();
        assert_eq!(inner.submitters, 0, "the kernel may be reading the queue");
        let mut taken_back = Vec::new();
        for sqe in &mut inner.submissions {
            let is_ours = sqe.user_data == DOORBELL || sqe.user_data == CANCEL;
            if !is_ours {
                taken_back.push(std::mem::replace(&mut sqe.user_data, CANCEL));
                sqe.opcode = OP_NOP;
            }
        }
        drop(inner);
        taken_back.into_iter().for_each(visit);
    }

    fn dropped(&mut self) -> u32 {
        self.0.lock().dropped
    }

    fn wants_enter(&mut self) -> bool {
        !self.0.lock().kept.is_empty()
    }

    fn has_answers(&mut self) -> bool {
        !self.0.lock().completions.is_empty()
    }
}

/// Wakes that a shard's worker is to learn of, as it does of a task that is woken. The count is nothing that loom sees.
#[derive(Debug)]
pub struct Calls {
    count: AtomicUsize,
    shard: Specimen,
}

impl Calls {
    /// A count, and the waker that counts in it and calls the worker.
    pub fn new(shard: &Specimen) -> (Arc<Self>, Waker) {
        let calls = Arc::new(Self {
            count: AtomicUsize::new(0),
            shard: shard.clone(),
        });
        (Arc::clone(&calls), Waker::from(calls))
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.shard.unpark();
    }
}

/// A clock that stands at this time.
pub fn at(ns: u64) -> Now {
    Now { ns, exact: false }
}

/// Polls an operation as its future does; the outcome if there is one.
pub fn poll(shard: &Specimen, key: Key, waker: &Waker) -> Option<Outcome> {
    match shard.poll::<Read>(key, waker) {
        Polled::Pending(replaced) => {
            drop(replaced);
            None
        }
        Polled::Ready(read, answer) => Some(read.complete(completion(answer))),
    }
}

/// Submits a read; its key, and its buffer.
pub fn submit(shard: &Specimen, waker: &Waker) -> (Key, Arc<Buffer>) {
    let (read, buffer) = Read::new();
    let key = shard.submit(read, waker).expect("the shard is open");
    (key, buffer)
}

/// A worker that has nothing else to do until it was called `times`.
pub fn work_until(shard: &Specimen, calls: &Calls, times: usize) {
    shard.as_owner(|| {
        loop {
            shard.service(at(0));
            if calls.count() >= times {
                return;
            }
            shard.sleep();
        }
    });
}

/// Cancels what is left, and waits for it.
pub fn drain(shard: &Specimen) {
    assert!(shard.drain(Instant::now() + Duration::from_secs(3600)));
}
