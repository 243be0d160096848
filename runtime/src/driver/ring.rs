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
use super::operations::{Ring, names_operation};
use super::outside;
use super::poll::Offload;
use super::setup::make_ring;
use super::slots::{Answer, CANCEL};
use super::twins::Twins;
use super::withdrawal::Withdrawal;

/// What is refused where a ring can be made and not entered.
pub(super) const ENTER: &str = "enter an io_uring";

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_NO_IOWAIT: u32 = 1 << 7;

/// A ring, and the way to call a thread out of it.
pub(crate) struct RingDevice {
    ring: Arc<IoUring>,
    doorbell: Arc<Doorbell>,
    features: Features,
    twins: Arc<Twins>,
}

impl RingDevice {
    /// Makes a ring.
    pub(super) fn open() -> Result<(Self, KernelRing), SetupError> {
        let features = Features::of_kernel()?;
        let ring = Arc::new(make_ring(features)?);
        let doorbell = Arc::new(Doorbell::new(features)?);
        let (called, bell) = (Arc::clone(&ring), Arc::clone(&doorbell));
        let device = Self {
            ring: Arc::clone(&ring),
            doorbell,
            features,
            twins: Twins::new(features, Box::new(move || bell.ring(&called))),
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
        self.doorbell.ring(&self.ring);
    }

    fn doorbell_entry(&self) -> Option<squeue::Entry> {
        Some(self.doorbell.entry())
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
        outside::cancel_everything(&self.ring);
    }

    fn may_be_refused(&self) -> bool {
        true
    }

    fn wait_outside(&self, answers: bool, timeout: Option<Duration>) {
        let ring = answers.then_some(&*self.ring);
        outside::wait(ring, self.doorbell.event(), timeout);
    }

    fn ring_outside(&self) {
        self.doorbell.ring_outside();
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
            .field("doorbell", &self.doorbell)
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
    /// What SQEs are withdrawn by, made when it is first needed.
    withdrawal: Option<Withdrawal>,
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
            withdrawal: None,
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

    /// Where the push of this number is, in a queue whose size is a power of two.
    fn place(&self, push: usize) -> usize {
        push.wrapping_sub(FIRST_PUSH) & (self.pushed.len() - 1)
    }

    /// Makes an SQE that the kernel has not taken one without effect; `false` without memory for it.
    #[cold]
    fn withdraw(&mut self, push: usize) -> bool {
        let place = self.place(push);
        if self.withdrawal.is_none() {
            self.withdrawal = Withdrawal::new(&self.ring).ok();
        }
        let Some(withdrawal) = &mut self.withdrawal else {
            return false;
        };
        withdrawal.withdraw(place);
        true
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
            let place = self.place(self.pushes);
            self.pushed[place] = entry.get_user_data();
            self.pushes = self.pushes.wrapping_add(1);
        }
        is_pushed
    }

    fn retract(&mut self, lasts: bool, visit: &mut dyn FnMut(u64)) {
        if self.retracted {
            return;
        }
        self.retracted = lasts;
        self.twins.retract(visit);
        let left = self.submission().len();
        for back in (1..=left).rev() {
            let push = self.pushes.wrapping_sub(back);
            let user_data = self.pushed[self.place(push)];
            // What is not withdrawn for want of memory is left where it is, to be tried again.
            if names_operation(user_data) && (lasts || self.withdraw(push)) {
                let place = self.place(push);
                self.pushed[place] = CANCEL;
                visit(user_data);
            }
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
