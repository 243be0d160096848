//! A simulated ring, for tests: it plays a [`Script`] on top of another device.
//!
//! # What it does
//!
//! Between the driver and the device below stands a *stage*. An SQE that is pushed meets its fate there: it goes on, or
//! goes on changed, or fails without the device below having heard of it. Answers from below may wait on the stage for
//! some enters, change places, or come twice. An enter may be refused or take less than it was told to.
//!
//! Nothing is done that a kernel might not do, and nothing that would make memory unsafe: answers of one operation keep
//! their order, an operation is answered for the last time only if the device below has let go of it or never had it,
//! and cancels reach it.
//!
//! # Who waits where
//!
//! Threads sleep in the device below. One that finds answers on the stage does not, as it would not find the completion
//! queue of a kernel empty; and who leaves answers on the stage while another thread sleeps rings the doorbell.

mod fate;
mod queues;
mod script;
mod sqe;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue;
use parking_lot::Mutex;

pub use script::{Played, Script};

pub(crate) use queues::ScriptedQueues;
use queues::Stage;
use script::tick;

use super::device::{AnyDevice, AnyQueues, Device, Wait};
use super::features::Features;

/// A device that plays a script.
#[derive(Debug)]
pub(crate) struct ScriptedDevice {
    below: Box<AnyDevice>,
    script: Script,
    stage: Mutex<Stage>,
}

/// Puts a stage for `script` between the driver and a device. `ring` is the device's number in its runtime.
pub(super) fn play(
    script: &Script,
    ring: u32,
    (below, queues): (AnyDevice, AnyQueues),
) -> (Arc<ScriptedDevice>, ScriptedQueues) {
    let device = Arc::new(ScriptedDevice {
        below: Box::new(below),
        script: script.clone(),
        stage: Mutex::new(Stage::new(script.dice(ring))),
    });
    let queues = ScriptedQueues::new(queues, Arc::clone(&device));
    (device, queues)
}

impl ScriptedDevice {
    /// What the script is played on top of.
    pub(super) fn below(&self) -> &AnyDevice {
        &self.below
    }

    /// An enter: how many of the failing SQEs it takes, how many of the others it is to take, and whether it waits.
    fn begin(&self, to_submit: usize, wait: Wait) -> io::Result<(usize, usize, Wait)> {
        let mut stage = self.stage.lock();
        // What is held back comes out in time even if every enter is refused.
        stage.enters += 1;
        if let Some(errno) = self.script.next_enter(&mut stage.dice) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let failed = stage.failed.len().min(to_submit);
        stage.post_failed(failed);
        let mut rest = to_submit;
        let is_short = rest - failed > 1 && stage.dice.says(self.script.chances().short_submit);
        if is_short {
            tick(&self.script.counts().short_submits);
            rest = 1 + stage.dice.below(rest - failed - 1);
        }
        if is_short || failed > 0 || stage.has_answers() {
            return Ok((failed, rest, Wait::No));
        }
        stage.sleepers += usize::from(wait != Wait::No);
        Ok((failed, rest, wait))
    }
}

impl Drop for ScriptedDevice {
    /// Says what was played, so that a test that fails can be repeated.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a ring has played {:?}", self.script);
        }
    }
}

impl Device for Arc<ScriptedDevice> {
    fn enter(&self, to_submit: usize, wait: Wait) -> io::Result<usize> {
        let (failed, rest, wait) = self.begin(to_submit, wait)?;
        let entered = self.below.enter(rest, wait);
        self.stage.lock().sleepers -= usize::from(wait != Wait::No);
        match entered {
            Ok(taken) => Ok((taken + failed).min(to_submit)),
            Err(_) if failed > 0 => Ok(failed),
            Err(error) => Err(error),
        }
    }

    fn ring_doorbell(&self) {
        self.below.ring_doorbell();
    }

    fn doorbell_entry(&self) -> Option<squeue::Entry> {
        self.below.doorbell_entry()
    }

    fn hasten(&self) {
        // What is held back for enters comes out when it is asked for, as what waits for an owner's does.
        self.stage.lock().enters += 1;
        self.below.hasten();
    }

    fn cancel_everything(&self) -> Option<squeue::Entry> {
        self.below.cancel_everything()
    }

    fn cancel_again(&self) {
        self.below.cancel_again();
    }

    fn may_be_refused(&self) -> bool {
        self.below.may_be_refused()
    }

    fn wait_outside(&self, answers: bool, timeout: Option<Duration>) {
        self.below.wait_outside(answers, timeout);
    }

    fn ring_outside(&self) {
        self.below.ring_outside();
    }

    fn features(&self) -> Features {
        self.below.features()
    }

    fn batch_max(&self) -> usize {
        self.below.batch_max()
    }

    unsafe fn lend_buffers(&self, address: u64, count: u16, group: u16) -> io::Result<()> {
        // SAFETY: the caller gives the same promise.
        unsafe { self.below.lend_buffers(address, count, group) }
    }
}
