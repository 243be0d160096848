//! What a shard stands on: the kernel's ring, or what takes its place.
//!
//! A device has two halves. Its *queues* ([`Ring`]) lie behind the shard's lock: SQEs are pushed there and answers taken,
//! in memory, without a system call. The [`Device`] itself is used without a lock and from any thread: entering it takes
//! the pushed SQEs over and lets answers be posted, ringing its doorbell calls a thread out of it.
//!
//! [`AnyDevice`] is the one that a shard holds. It is an enum and not a trait object, so that the ring, which is what
//! nearly everybody runs on, costs a branch that is always taken the same way.

use std::fmt;
use std::io;
use std::time::Duration;

use io_uring::squeue;

use super::error::SetupError;
use super::features::Features;
use super::operations::Ring;
use super::poll::{Offload, PollDevice, PollQueues};
use super::ring::{KernelRing, RingDevice};
#[cfg(feature = "scripted-ring")]
use super::scripted::{self, Script, ScriptedDevice, ScriptedQueues};
use super::slots::Answer;

/// The half of a device that is used without a lock.
pub trait Device: fmt::Debug {
    /// Takes over `to_submit` of the SQEs that were pushed, lets answers be posted, and waits if told to. Returns how
    /// many SQEs it took.
    ///
    /// # Errors
    ///
    /// Those of io_uring_enter(2). None of them loses an SQE: what was not taken is still in the queue.
    fn enter(&self, to_submit: usize, wait: Wait) -> io::Result<usize>;

    /// Calls the thread that waits in [`Self::enter`], or the next one that will, out of it.
    fn ring_doorbell(&self);

    /// What must be in the device for its doorbell to be heard, if anything: a multishot operation.
    fn doorbell_entry(&self) -> Option<squeue::Entry>;

    /// Another thread than the owner's wants the answers that only an enter by the owner would post.
    fn hasten(&self);

    /// An SQE that cancels everything in the device; none if each operation has to be cancelled by itself.
    fn cancel_everything(&self) -> Option<squeue::Entry>;

    /// Cancels everything in the device, past its queues, as far as it can.
    fn cancel_again(&self) {}

    /// Whether it may come to be refused to enter it. Then [`Self::wait_outside`] is there.
    fn may_be_refused(&self) -> bool {
        false
    }

    /// As [`Self::enter`], where that is refused: waits for the doorbell, and for an answer if one may come (`answers`),
    /// and submits nothing.
    fn wait_outside(&self, _answers: bool, _timeout: Option<Duration>) {}

    /// Calls the threads that wait in [`Self::wait_outside`], or the next one that will, out of it.
    fn ring_outside(&self) {}

    /// What the device can do.
    fn features(&self) -> Features;

    /// How many SQEs one [`Self::enter`] takes at most.
    fn batch_max(&self) -> usize {
        usize::MAX
    }

    /// Lends it a ring of `count` provided buffers, as group `group`.
    ///
    /// # Errors
    ///
    /// Those of io_uring_register(2); `Unsupported` if the device has no use for buffers.
    ///
    /// # Safety
    ///
    /// At `address` are so many entries, at the beginning of a page, and they stay there as long as the device is open.
    unsafe fn lend_buffers(&self, _address: u64, _count: u16, _group: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether an enter waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until an answer is there, for as long as this at most; `None` for ever.
    ForAnswer(Option<Duration>),
}

/// The device of a shard.
#[derive(Debug)]
pub(crate) enum AnyDevice {
    /// The kernel's ring.
    Ring(RingDevice),
    /// A poller, and system calls.
    Poll(PollDevice),
    /// One that plays a script on top of another, for tests.
    #[cfg(feature = "scripted-ring")]
    Scripted(std::sync::Arc<ScriptedDevice>),
    /// A model of one.
    #[cfg(feature = "models")]
    Model(Box<dyn Device + Send + Sync>),
}

/// The queues of an [`AnyDevice`].
#[derive(Debug)]
pub(crate) enum AnyQueues {
    /// Those of the kernel's ring.
    Ring(KernelRing),
    /// Those of a poller.
    Poll(PollQueues),
    /// Those of one that plays a script.
    #[cfg(feature = "scripted-ring")]
    Scripted(ScriptedQueues),
    /// Those of a model.
    #[cfg(feature = "models")]
    Model(Box<dyn Ring + Send>),
}

/// The same call of whichever device or queues it is.
macro_rules! whichever {
    ($any:ident, $inner:ident => $call:expr) => {
        match $any {
            Self::Ring($inner) => $call,
            Self::Poll($inner) => $call,
            #[cfg(feature = "scripted-ring")]
            Self::Scripted($inner) => $call,
            #[cfg(feature = "models")]
            Self::Model($inner) => $call,
        }
    };
}

impl AnyDevice {
    /// Makes a ring, and its queues, of which there is one.
    pub(crate) fn open_ring() -> Result<(Self, AnyQueues), SetupError> {
        let (device, queues) = RingDevice::open()?;
        Ok((Self::Ring(device), AnyQueues::Ring(queues)))
    }

    /// Makes a device for where there are no rings, and its queues.
    pub(crate) fn open_poll() -> Result<(Self, AnyQueues), SetupError> {
        let (device, queues) = PollDevice::open()?;
        Ok((Self::Poll(device), AnyQueues::Poll(queues)))
    }

    /// Says where calls are made that may wait, for a device that makes calls.
    pub(crate) fn set_offload(&self, offload: Offload) {
        match self {
            Self::Ring(device) => device.set_offload(offload),
            Self::Poll(device) => device.set_offload(offload),
            #[cfg(feature = "scripted-ring")]
            Self::Scripted(device) => device.below().set_offload(offload),
            #[cfg(feature = "models")]
            Self::Model(_) => {}
        }
    }

    /// Has the device number `index` of its runtime play a script, if there is one.
    #[cfg(feature = "scripted-ring")]
    pub(crate) fn with_script(
        below: (Self, AnyQueues),
        script: Option<&Script>,
        index: u32,
    ) -> (Self, AnyQueues) {
        let Some(script) = script else { return below };
        let (device, queues) = scripted::play(script, index, below);
        (Self::Scripted(device), AnyQueues::Scripted(queues))
    }
}

impl Device for AnyDevice {
    fn enter(&self, to_submit: usize, wait: Wait) -> io::Result<usize> {
        whichever!(self, device => device.enter(to_submit, wait))
    }

    fn ring_doorbell(&self) {
        whichever!(self, device => device.ring_doorbell())
    }

    fn doorbell_entry(&self) -> Option<squeue::Entry> {
        whichever!(self, device => device.doorbell_entry())
    }

    fn hasten(&self) {
        whichever!(self, device => device.hasten())
    }

    fn cancel_again(&self) {
        whichever!(self, device => device.cancel_again())
    }

    fn may_be_refused(&self) -> bool {
        whichever!(self, device => device.may_be_refused())
    }

    fn wait_outside(&self, answers: bool, timeout: Option<Duration>) {
        whichever!(self, device => device.wait_outside(answers, timeout))
    }

    fn ring_outside(&self) {
        whichever!(self, device => device.ring_outside())
    }

    fn cancel_everything(&self) -> Option<squeue::Entry> {
        whichever!(self, device => device.cancel_everything())
    }

    fn features(&self) -> Features {
        whichever!(self, device => device.features())
    }

    fn batch_max(&self) -> usize {
        whichever!(self, device => device.batch_max())
    }

    unsafe fn lend_buffers(&self, address: u64, count: u16, group: u16) -> io::Result<()> {
        // SAFETY: the caller gives the same promise.
        whichever!(self, device => unsafe { device.lend_buffers(address, count, group) })
    }
}

impl Ring for AnyQueues {
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        whichever!(self, queues => queues.push(entry))
    }

    fn reap(&mut self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        whichever!(self, queues => queues.reap(left, visit))
    }

    fn unsubmitted(&mut self) -> usize {
        whichever!(self, queues => queues.unsubmitted())
    }

    fn wants_enter(&mut self) -> bool {
        whichever!(self, queues => queues.wants_enter())
    }

    fn may_have_more(&mut self) -> bool {
        whichever!(self, queues => queues.may_have_more())
    }

    fn has_answers(&mut self) -> bool {
        whichever!(self, queues => queues.has_answers())
    }

    fn retract(&mut self, lasts: bool, visit: &mut dyn FnMut(u64)) {
        whichever!(self, queues => queues.retract(lasts, visit))
    }

    fn has_overflowed(&mut self) -> bool {
        whichever!(self, queues => queues.has_overflowed())
    }

    fn overflows(&self) -> u64 {
        whichever!(self, queues => queues.overflows())
    }

    fn has_aside(&mut self, user_data: u64) -> bool {
        whichever!(self, queues => queues.has_aside(user_data))
    }

    fn dropped(&mut self) -> u32 {
        whichever!(self, queues => queues.dropped())
    }
}
