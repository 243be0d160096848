//! A ring whose kernel is one more thread of the model: it takes SQEs, writes into the memory that they name, posts
//! CQEs and honours cancels.
//!
//! The two queues lie behind a lock, as the real ones are ordered by the kernel's own barriers, which are not what
//! the models check.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex, MutexGuard};
use ringway_runtime::driver::{Completion, Operation, opcode, squeue, types};
use ringway_runtime::internals::{Answer, Orphan, Ring};

/// Flag of a CQE that is not the last of its operation.
pub const MORE: u32 = 1 << 1;
/// User data of what wakes a sleeper: of an event, and of a message.
pub const DOORBELL: u64 = u64::MAX;
pub(crate) const MESSAGE: u64 = u64::MAX - 3;
/// User data of cancels.
pub(crate) const CANCEL: u64 = u64::MAX - 1;

/// The queues that the kernel and the driver share.
#[derive(Debug)]
pub struct Queues {
    inner: Mutex<Inner>,
    posted: Condvar,
    pushed: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Inner {
    submissions: VecDeque<Sqe>,
    completions: VecDeque<(u64, Answer)>,
    /// How many CQEs were ever posted, and reaped.
    posted: usize,
    reaped: usize,
}

/// What the model's kernel reads of an SQE.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sqe {
    pub(crate) opcode: u8,
    /// It is not begun before all that came earlier has ended.
    pub(crate) drains: bool,
    cancel_flags: u32,
    pub(crate) address: u64,
    pub(crate) user_data: u64,
}

pub(crate) const OP_NOP: u8 = 0;
pub(crate) const OP_ASYNC_CANCEL: u8 = 14;
const IO_DRAIN: u8 = 1 << 1;
const CANCEL_ANY: u32 = 1 << 2;

impl Sqe {
    /// Whether this one cancels the other.
    pub(crate) fn cancels(&self, other: &Self) -> bool {
        self.cancel_flags & CANCEL_ANY != 0 || other.user_data == self.address
    }

    pub(crate) fn decode(entry: &squeue::Entry) -> Self {
        const _: () = assert!(size_of::<squeue::Entry>() == 64, "an SQE has 64 bytes");
        // SAFETY: an SQE is 64 bytes of plain data, aligned for words.
        let words: &[u64; 8] = unsafe { &*(&raw const *entry).cast() };
        Self {
            // Where io_uring.h has them: the first two bytes, and 4 bytes at 28, 8 at 16 and 8 at 32.
            opcode: words[0] as u8,
            drains: (words[0] >> 8) as u8 & IO_DRAIN != 0,
            cancel_flags: (words[3] >> 32) as u32,
            address: words[2],
            user_data: words[4],
        }
    }
}

impl Queues {
    /// Queues of an idle ring with room for `capacity` SQEs.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner::default()),
            posted: Condvar::new(),
            pushed: Condvar::new(),
            capacity,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic inside")
    }

    /// Posts a CQE, from any thread, as a message from another ring does.
    pub fn post(&self, user_data: u64, result: i32, flags: u32) {
        let mut inner = self.lock();
        inner
            .completions
            .push_back((user_data, Answer { result, flags }));
        inner.posted += 1;
        self.posted.notify_all();
    }

    /// Rings the doorbell of whoever sleeps here.
    pub fn ring_doorbell(&self) {
        self.post(DOORBELL, 0, 0);
    }

    /// Sleeps as in `io_uring_enter`: until a CQE that is not there yet for others to reap, or was at the start.
    pub fn sleep(&self) {
        let mut inner = self.lock();
        let reaped = inner.reaped;
        while inner.posted <= reaped {
            inner = self.posted.wait(inner).expect("no panic inside");
        }
    }
}

/// The driver's end.
#[derive(Debug)]
pub struct ModelRing(pub Arc<Queues>);

impl Ring for ModelRing {
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        let mut inner = self.0.lock();
        let room = inner.submissions.len() < self.0.capacity;
        if room {
            inner.submissions.push_back(Sqe::decode(entry));
            self.0.pushed.notify_all();
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
        self.0.lock().submissions.len()
    }
}

/// The kernel's end.
#[derive(Debug)]
pub struct Kernel {
    queues: Arc<Queues>,
    in_flight: VecDeque<Sqe>,
    /// Cancels that were taken and not yet carried out.
    cancels: VecDeque<Sqe>,
    /// The buffers of operations that a cancel hit.
    pub cancelled: Vec<u64>,
}

impl Kernel {
    /// A kernel with nothing to do.
    pub fn new(queues: &Arc<Queues>) -> Self {
        Self {
            queues: Arc::clone(queues),
            in_flight: VecDeque::new(),
            cancels: VecDeque::new(),
            cancelled: Vec::new(),
        }
    }

    /// Takes what is submitted; returns how much.
    pub fn take(&mut self) -> usize {
        let submissions = std::mem::take(&mut self.queues.lock().submissions);
        let taken = submissions.len();
        self.accept(submissions);
        taken
    }

    /// Waits until something is submitted, and takes it.
    pub fn wait(&mut self) {
        let mut inner = self.queues.lock();
        while inner.submissions.is_empty() {
            inner = self.queues.pushed.wait(inner).expect("no panic inside");
        }
        let submissions = std::mem::take(&mut inner.submissions);
        drop(inner);
        self.accept(submissions);
    }

    fn accept(&mut self, submissions: VecDeque<Sqe>) {
        for sqe in submissions {
            match sqe.opcode {
                OP_ASYNC_CANCEL => self.cancels.push_back(sqe),
                _ => self.in_flight.push_back(sqe),
            }
        }
    }

    /// How many operations it has.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Carries out the cancels that it has taken, as late as it likes.
    pub fn cancel(&mut self) {
        while let Some(cancel) = self.cancels.pop_front() {
            let (hit, left) = self
                .in_flight
                .drain(..)
                .partition(|sqe| cancel.cancels(sqe));
            self.in_flight = left;
            let hit: VecDeque<Sqe> = hit;
            for sqe in hit {
                self.cancelled.push(sqe.address);
                self.queues.post(sqe.user_data, -libc::ECANCELED, 0);
            }
            self.queues.post(cancel.user_data, 0, 0);
        }
    }

    /// Completes the oldest operation: writes into its buffer, and posts `result`.
    pub fn complete(&mut self, result: i32) -> bool {
        let Some(sqe) = self.in_flight.pop_front() else {
            return false;
        };
        Buffer::fill(sqe.address);
        self.queues.post(sqe.user_data, result, 0);
        true
    }

    /// Posts a first CQE of the oldest operation; another will follow, and the memory is the kernel's until then.
    pub fn post_first(&self, result: i32) {
        let sqe = self.in_flight.front().expect("an operation is in flight");
        self.queues.post(sqe.user_data, result, MORE);
    }
}

/// Memory that the kernel writes into. It outlives its operation, to tell when that freed it.
#[derive(Debug)]
pub struct Buffer {
    freed: UnsafeCell<bool>,
}

// SAFETY: loom watches every access, and a model in which two are not ordered fails.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// The kernel's write.
    pub(crate) fn fill(address: u64) {
        // SAFETY: the model keeps every buffer to its end (`Read::new`).
        let buffer = unsafe { &*(address as *const Self) };
        buffer.freed.with_mut(|freed| {
            // SAFETY: loom checks that nobody else has access.
            assert!(!unsafe { *freed }, "the kernel wrote into freed memory");
        });
    }

    /// The end of the operation that owns it.
    fn free(&self) {
        self.freed.with_mut(|freed| {
            // SAFETY: as above.
            let was_free = unsafe { std::mem::replace(&mut *freed, true) };
            assert!(!was_free, "an operation was dropped twice");
        });
    }

    /// Whether the operation is gone.
    pub fn is_free(&self) -> bool {
        // SAFETY: as above.
        self.freed.with(|freed| unsafe { *freed })
    }

    /// As the kernel names it.
    pub fn address(&self) -> u64 {
        (&raw const *self) as u64
    }
}

/// An operation that reads into a buffer. Dropping it frees the buffer, as far as the kernel goes.
#[derive(Debug)]
pub struct Read {
    buffer: Arc<Buffer>,
    _leak: loom::alloc::Track<()>,
}

impl Read {
    /// The operation, and its buffer, which the model keeps to its end.
    pub fn new() -> (Self, Arc<Buffer>) {
        let buffer = Arc::new(Buffer {
            freed: UnsafeCell::new(false),
        });
        let this = Self {
            buffer: Arc::clone(&buffer),
            _leak: loom::alloc::Track::new(()),
        };
        (this, buffer)
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.buffer.free();
    }
}

// SAFETY: the buffer is on the heap, and the operation's share of it keeps it.
unsafe impl Operation for Read {
    type Output = Outcome;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Read::new(types::Fd(-1), self.buffer.address() as *mut u8, 1).build()
    }

    fn complete(self, completion: Completion) -> Outcome {
        Outcome {
            result: completion.result,
            _read: self,
        }
    }
}

/// What a [`Read`] makes: it owns the buffer.
#[derive(Debug)]
pub struct Outcome {
    /// The kernel's answer.
    pub result: io::Result<u32>,
    _read: Read,
}

/// Turns an answer into a completion, as the shard does.
pub fn completion(answer: Answer) -> Completion {
    Completion {
        result: if answer.result < 0 {
            Err(io::Error::from_raw_os_error(-answer.result))
        } else {
            Ok(answer.result as u32)
        },
        flags: answer.flags,
    }
}

/// Finishes an operation whose future is gone, as the shard does.
pub fn finish(orphan: Orphan) {
    let completion = completion(orphan.answer());
    orphan.finish(completion);
}
