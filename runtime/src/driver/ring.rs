//! The kernel's ring: how it is made and entered, and its two queues as a [`Ring`].

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use io_uring::{CompletionQueue, IoUring, SubmissionQueue, opcode, squeue, types};

use super::device::{Device, Wait};
use super::doorbell::Doorbell;
use super::error::SetupError;
use super::features::{Feature, Features};
use super::kick;
use super::operations::Ring;
use super::outside::Outside;
use super::poll::Offload;
use super::setup::make_ring;
use super::slots::Answer;
use super::twins::Twins;

/// What is refused where a ring can be made and not entered.
pub(super) const ENTER: &str = "enter an io_uring";

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_NO_IOWAIT: u32 = 1 << 7;

/// A ring, and the way to call a thread out of it.
pub(crate) struct RingDevice {
    ring: Arc<IoUring>,
    caller: Arc<Caller>,
    features: Features,
    twins: Arc<Twins>,
}

/// The way to call a thread out of a ring.
struct Caller {
    ring: Arc<IoUring>,
    doorbell: Doorbell,
    outside: Outside,
}

impl Caller {
    fn call(&self) {
        if !self.doorbell.ring(&self.ring) {
            self.outside.note_deaf();
        }
    }
}

impl RingDevice {
    /// Makes a ring.
    pub(super) fn open() -> Result<(Self, KernelRing), SetupError> {
        let features = Features::of_kernel()?;
        let ring = Arc::new(make_ring(features)?);
        let caller = Arc::new(Caller {
            ring: Arc::clone(&ring),
            doorbell: Doorbell::new(features)?,
            outside: Outside::default(),
        });
        let call = Arc::clone(&caller);
        let device = Self {
            ring: Arc::clone(&ring),
            caller,
            features,
            twins: Twins::new(features, Box::new(move || call.call())),
        };
        let queues = KernelRing::new(ring, Arc::clone(&device.twins));
        Ok((device, queues))
    }
}

impl Device for RingDevice {
    fn enter(&self, to_submit: usize, wait: Wait) -> io::Result<usize> {
        let taken = self.twins.begin(to_submit);
        let rest = to_submit - taken;
        let entered = match wait {
            Wait::ForAnswer(timeout) if !self.twins.has_answers() => {
                enter_and_wait(&self.ring, rest, self.wait_flags(), timeout)
            }
            Wait::ForAnswer(_) | Wait::No => enter_now(&self.ring, rest),
        };
        match entered {
            Ok(submitted) => Ok(submitted + taken),
            Err(_) if taken > 0 => Ok(taken),
            Err(error) => Err(error),
        }
    }

    fn ring_doorbell(&self) {
        self.caller.call();
    }

    fn doorbell_entry(&self) -> Option<squeue::Entry> {
        self.caller.doorbell.entry()
    }

    /// Completions wait for the owner to pass through the kernel, which it does at the latest with the scheduler's tick,
    /// some milliseconds from now. An interrupt on its processor is enough.
    fn hasten(&self) {
        kick::interrupt_all();
    }

    fn cancel_everything(&self) -> Option<squeue::Entry> {
        let any = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
        self.features.has(Feature::CancelAny).then_some(any)
    }

    fn cancel_again(&self) {
        self.caller.outside.cancel_everything(&self.ring);
    }

    fn features(&self) -> Features {
        self.features
    }

    fn batch_max(&self) -> usize {
        self.ring.params().sq_entries() as usize
    }

    unsafe fn lend_buffers(&self, address: u64, count: u16, group: u16) -> io::Result<()> {
        let submitter = self.ring.submitter();
        // SAFETY: the caller gives the same promise.
        unsafe { submitter.register_buf_ring_with_flags(address, count, group, 0) }
    }
}

impl RingDevice {
    /// Says where calls are made that may wait, which this kernel's ring has no opcode for.
    pub(super) fn set_offload(&self, offload: Offload) {
        self.twins.set_offload(offload);
    }

    /// Whether the doorbell has failed: then somebody has to submit something that ends at once.
    pub(super) fn is_deaf(&self) -> bool {
        self.caller.outside.is_deaf()
    }

    /// As [`Device::enter`], where that is refused: waits and submits nothing.
    pub(super) fn wait_outside(&self, timeout: Option<Duration>) {
        let Caller {
            doorbell, outside, ..
        } = &*self.caller;
        outside.wait(&self.ring, doorbell.event(), timeout);
    }

    fn wait_flags(&self) -> u32 {
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
        if self.features.has(Feature::NoIowait) {
            flags | ENTER_NO_IOWAIT
        } else {
            flags
        }
    }
}

impl fmt::Debug for RingDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingDevice")
            .field("fd", &self.ring.as_raw_fd())
            .field("doorbell", &self.caller.doorbell)
            .field("twins", &self.twins)
            .finish()
    }
}

/// Pushes are counted from here on, so that every program sees the count wrap.
const FIRST_PUSH: usize = usize::MAX - 7;

/// The queues of a ring. There is one of these for each ring, behind the shard's lock.
pub(crate) struct KernelRing {
    ring: Arc<IoUring>,
    twins: Arc<Twins>,
    /// The user data of the SQEs that were pushed last, as many as the queue has room for.
    pushed: Box<[u64]>,
    pushes: usize,
    /// Nothing is pushed any more.
    retracted: bool,
    /// The completion queue had run over when we last looked, and how often that began.
    is_over: bool,
    overflows: u64,
}

impl KernelRing {
    fn new(ring: Arc<IoUring>, twins: Arc<Twins>) -> Self {
        let room = ring.params().sq_entries() as usize;
        Self {
            ring,
            twins,
            pushed: vec![0; room].into(),
            pushes: FIRST_PUSH,
            retracted: false,
            is_over: false,
            overflows: 0,
        }
    }
}

impl fmt::Debug for KernelRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelRing")
            .field("fd", &self.ring.as_raw_fd())
            .finish()
    }
}

impl KernelRing {
    /// The submission queue. Without the lock even a look would be wrong: the view writes the tail back.
    fn submission(&mut self) -> SubmissionQueue<'_> {
        // SAFETY: this is the only `KernelRing` of its ring and we hold it mutably, so nobody else touches
        // the submission queue from user space.
        unsafe { self.ring.submission_shared() }
    }

    fn completion(&mut self) -> CompletionQueue<'_> {
        // SAFETY: as in `submission`, for the completion queue.
        unsafe { self.ring.completion_shared() }
    }
}

impl Ring for KernelRing {
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        if self.retracted {
            return false;
        }
        if self.twins.push(entry) {
            return true;
        }
        // SAFETY: the SQE comes from an operation that the table of slots keeps in place until its last CQE
        // (`Operation`'s contract), or names no memory at all.
        let is_pushed = unsafe { self.submission().push(entry) }.is_ok();
        if is_pushed {
            // The size of a queue is a power of two.
            self.pushed[self.pushes & (self.pushed.len() - 1)] = entry.get_user_data();
            self.pushes = self.pushes.wrapping_add(1);
        }
        is_pushed
    }

    fn retract(&mut self, visit: &mut dyn FnMut(u64)) {
        if std::mem::replace(&mut self.retracted, true) {
            return;
        }
        self.twins.retract(visit);
        let left = self.submission().len();
        for back in (1..=left).rev() {
            visit(self.pushed[self.pushes.wrapping_sub(back) & (self.pushed.len() - 1)]);
        }
    }

    fn reap(&mut self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        self.twins.reap(left, visit);
        for cqe in self.completion().take(*left) {
            *left -= 1;
            visit(
                cqe.user_data(),
                Answer {
                    result: cqe.result(),
                    flags: cqe.flags(),
                },
            );
        }
    }

    fn unsubmitted(&mut self) -> usize {
        if self.retracted {
            return 0;
        }
        let aside = self.twins.unsubmitted();
        self.submission().len() + aside
    }

    fn wants_enter(&mut self) -> bool {
        self.has_overflowed() || self.submission().taskrun()
    }

    fn has_answers(&mut self) -> bool {
        !self.completion().is_empty() || self.twins.has_answers()
    }

    fn has_aside(&mut self, user_data: u64) -> bool {
        self.twins.has(user_data)
    }

    fn has_overflowed(&mut self) -> bool {
        let is_over = self.submission().cq_overflow();
        self.overflows += u64::from(is_over && !self.is_over);
        self.is_over = is_over;
        is_over
    }

    fn overflows(&self) -> u64 {
        self.overflows
    }

    fn dropped(&mut self) -> u32 {
        self.completion().overflow()
    }
}

/// Enters the kernel: submits `to_submit` SQEs and, without waiting, lets completions be posted.
fn enter_now(ring: &IoUring, to_submit: usize) -> io::Result<usize> {
    // SAFETY: no argument is passed, so there is nothing for the kernel to misread.
    unsafe {
        ring.submitter()
            .enter::<libc::sigset_t>(to_submit as u32, 0, ENTER_GETEVENTS, None)
    }
}

/// Enters the kernel: submits `to_submit` SQEs and waits for one completion, for at most `timeout`.
fn enter_and_wait(
    ring: &IoUring,
    to_submit: usize,
    flags: u32,
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let timeout = timeout.map(types::Timespec::from);
    let args = match &timeout {
        Some(timeout) => types::SubmitArgs::new().timespec(timeout),
        None => types::SubmitArgs::new(),
    };
    // SAFETY: with EXT_ARG the argument is a `SubmitArgs`, which borrows the timespec for the call.
    unsafe {
        ring.submitter()
            .enter(to_submit as u32, 1, flags, Some(&args))
    }
}
