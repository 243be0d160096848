//! What this kernel's ring has no opcode for, done by plain system calls beside the ring.
//!
//! An entry with such an opcode never gets into the ring. It waits here until the ring is entered; then what it asks for
//! is done by its [plain twin](super::plain), at once, or, where a disk may have to be waited for, in a job of the
//! blocking pool. The answer is left here, and whoever reaps the ring takes it. An opcode without such a twin is answered
//! as the kernel would.
//!
//! # Who does what
//!
//! - Who pushes, or reaps, holds the shard's lock.
//! - Who enters begins what was pushed, and does not sleep if an answer came of that at once.
//! - A thread of the pool leaves its answer here and then calls the sleeper, who has looked here before he slept.
//!
//! Ordinary kernels have all opcodes that ordinary operations use: a load of a count is what all this costs them.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use io_uring::{opcode, squeue};
use parking_lot::Mutex;

use super::features::Features;
use super::plain::{Place, Request, Step};
use super::poll::Offload;
use super::slots::Answer;

/// The opcodes that are younger than the oldest kernel and have a twin that does not wait for a descriptor.
const WITH_TWIN: [u8; 4] = [
    opcode::Socket::CODE,
    opcode::Ftruncate::CODE,
    opcode::Bind::CODE,
    opcode::Listen::CODE,
];

/// Requests beside one ring.
pub(super) struct Twins {
    features: Features,
    inner: Mutex<Inner>,
    /// Entries and answers that are here.
    count: AtomicUsize,
    offload: OnceLock<Offload>,
    /// Calls who sleeps in the ring.
    call: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Inner {
    pushed: VecDeque<squeue::Entry>,
    answers: VecDeque<(u64, Answer)>,
    /// The user data of all that was pushed and not reaped.
    all: HashSet<u64>,
}

impl Twins {
    pub(super) fn new(features: Features, call: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            features,
            inner: Mutex::default(),
            count: AtomicUsize::new(0),
            offload: OnceLock::new(),
            call,
        })
    }

    /// Says where calls are made that may wait. Until then they are answered as cancelled.
    pub(super) fn set_offload(&self, offload: Offload) {
        let first = self.offload.set(offload).is_ok();
        debug_assert!(first, "a device has one pool");
    }

    /// Takes an entry that the ring has no opcode for; `false` if it has.
    #[inline]
    pub(super) fn push(&self, entry: &squeue::Entry) -> bool {
        let code = entry.get_opcode() as u8;
        if self.features.has_opcode(code) {
            return false;
        }
        self.push_missing(entry);
        true
    }

    #[cold]
    fn push_missing(&self, entry: &squeue::Entry) {
        let mut inner = self.inner.lock();
        inner.all.insert(entry.get_user_data());
        inner.pushed.push_back(entry.clone());
        // Relaxed: who enters after a push took the shard's lock after who pushed.
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release in `post`.
        self.count.load(Ordering::Acquire) == 0
    }

    /// Entries that no enter has taken over.
    #[inline]
    pub(super) fn unsubmitted(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.inner.lock().pushed.len()
    }

    #[inline]
    pub(super) fn has_answers(&self) -> bool {
        !self.is_empty() && !self.inner.lock().answers.is_empty()
    }

    /// Whether a request was taken here and not answered.
    pub(super) fn has(&self, user_data: u64) -> bool {
        self.inner.lock().all.contains(&user_data)
    }

    /// Hands out `left` answers at most, and takes from `left` what it handed out.
    #[inline]
    pub(super) fn reap(&self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        if !self.is_empty() {
            self.reap_some(left, visit);
        }
    }

    #[cold]
    fn reap_some(&self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        let mut inner = self.inner.lock();
        let count = inner.answers.len().min(*left);
        let answers: Vec<_> = inner.answers.drain(..count).collect();
        for (user_data, _) in &answers {
            inner.all.remove(user_data);
        }
        drop(inner);
        *left -= count;
        self.count.fetch_sub(count, Ordering::Relaxed);
        for (user_data, answer) in answers {
            visit(user_data, answer);
        }
    }

    /// Gives back what no enter has taken over, and never will.
    pub(super) fn retract(&self, visit: &mut dyn FnMut(u64)) {
        let mut inner = self.inner.lock();
        let pushed = std::mem::take(&mut inner.pushed);
        for entry in &pushed {
            inner.all.remove(&entry.get_user_data());
        }
        drop(inner);
        self.count.fetch_sub(pushed.len(), Ordering::Relaxed);
        for entry in pushed {
            visit(entry.get_user_data());
        }
    }

    /// Begins what was pushed, `count` at most; returns how many that was.
    #[inline]
    pub(super) fn begin(self: &Arc<Self>, count: usize) -> usize {
        if count == 0 || self.is_empty() {
            return 0;
        }
        self.begin_some(count)
    }

    #[cold]
    fn begin_some(self: &Arc<Self>, count: usize) -> usize {
        let mut taken = 0;
        while taken < count {
            let Some(entry) = self.inner.lock().pushed.pop_front() else {
                break;
            };
            taken += 1;
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.begin_one(&entry);
        }
        taken
    }

    fn begin_one(self: &Arc<Self>, entry: &squeue::Entry) {
        let user_data = entry.get_user_data();
        if !WITH_TWIN.contains(&(entry.get_opcode() as u8)) {
            return self.post(user_data, -libc::EINVAL);
        }
        // SAFETY: the entry comes from an operation that the table of slots keeps in place until its last answer is
        // reaped (`Operation`'s contract).
        let mut request = unsafe { Request::new(entry) };
        if let Err(refused) = request.kind() {
            return self.post(user_data, refused);
        }
        match request.step(Place::Worker) {
            Step::Done(result) => self.post(user_data, result),
            Step::Elsewhere => self.send_elsewhere(request),
            Step::More(_) | Step::Wait(..) => unreachable!("these opcodes wait for no descriptor"),
        }
    }

    fn send_elsewhere(self: &Arc<Self>, request: Request) {
        let job = Job {
            request: Some(request),
            twins: Arc::clone(self),
        };
        if let Some(offload) = self.offload.get() {
            offload(Box::new(|| job.run()));
        }
    }

    fn post(&self, user_data: u64, result: i32) {
        let answer = Answer { result, flags: 0 };
        self.inner.lock().answers.push_back((user_data, answer));
        // Release: pairs with the Acquire in `is_empty`, whose caller then finds the answer.
        self.count.fetch_add(1, Ordering::Release);
    }
}

/// A request at the blocking pool. One that the pool drops is cancelled.
struct Job {
    request: Option<Request>,
    twins: Arc<Twins>,
}

impl Job {
    fn run(mut self) {
        let Some(mut request) = self.request.take() else {
            return;
        };
        let result = match request.step(Place::Pool) {
            Step::Done(result) => result,
            other => unreachable!("a call that may wait here is done here: {other:?}"),
        };
        self.answer(request.user_data(), result);
    }

    fn answer(&self, user_data: u64, result: i32) {
        self.twins.post(user_data, result);
        (self.twins.call)();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            self.answer(request.user_data(), request.given_up());
        }
    }
}

impl fmt::Debug for Twins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twins")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use io_uring::types;

    use super::*;

    /// Beside a ring that has no opcode at all; who sleeps there is called so often.
    fn twins() -> (Arc<Twins>, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let call = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        (Twins::new(Features::NONE, Box::new(call)), calls)
    }

    /// Gives no file another length: a call that is sent elsewhere.
    fn set_len(user_data: u64) -> squeue::Entry {
        let entry = opcode::Ftruncate::new(types::Fd(-1), 1).build();
        entry.user_data(user_data)
    }

    fn reaped(twins: &Twins) -> Vec<(u64, i32)> {
        let mut reaped = Vec::new();
        twins.reap(&mut { usize::MAX }, &mut |user_data, answer| {
            reaped.push((user_data, answer.result));
        });
        reaped
    }

    /// A receive has a plain form that may wait for its descriptor, which nobody does here.
    ///
    /// Mutant: `begin_one` calls what has no twin.
    #[test]
    fn what_may_wait_for_a_descriptor_is_not_called() {
        let (near, _far) = UnixStream::pair().expect("a pair");
        let mut bytes = [0; 4];
        let receive = opcode::Recv::new(types::Fd(near.as_raw_fd()), bytes.as_mut_ptr(), 4).build();
        let (twins, _) = twins();
        assert!(twins.push(&receive.user_data(7)));
        assert_eq!(twins.begin(1), 1);
        assert_eq!(reaped(&twins), [(7, -libc::EINVAL)]);
        assert!(twins.is_empty() && !twins.has(7));
    }

    /// Mutant: the drop of a job answers nothing.
    #[test]
    fn a_job_that_the_pool_drops_is_cancelled_and_who_sleeps_is_called() {
        let (twins, calls) = twins();
        twins.set_offload(Box::new(drop));
        assert!(twins.push(&set_len(3)));
        assert_eq!(twins.begin(1), 1);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(reaped(&twins), [(3, -libc::ECANCELED)]);
    }

    /// Mutant: `retract` forgets them, or leaves them to be begun.
    #[test]
    fn what_is_retracted_is_named_and_never_begun() {
        let (twins, calls) = twins();
        twins.set_offload(Box::new(|job| job()));
        assert!((1..=3).all(|user_data| twins.push(&set_len(user_data))));
        assert_eq!(twins.begin(1), 1);
        let mut retracted = Vec::new();
        twins.retract(&mut |user_data| retracted.push(user_data));
        assert_eq!(retracted, [2, 3]);
        assert_eq!((twins.unsubmitted(), twins.begin(2)), (0, 0));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(reaped(&twins), [(1, -libc::EBADF)]);
        assert!(twins.is_empty() && !twins.has(2));
    }
}
