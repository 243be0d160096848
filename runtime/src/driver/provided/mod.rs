//! The provided buffers of a shard: memory into which the kernel receives, chosen by it when bytes arrive.
//!
//! A receive that waits holds no buffer, however many connections wait: the kernel takes one when there are bytes. A
//! shard has a [`Pool`] of them for [each kind](Use) of receive, made when the first operation asks for it. The kernel
//! takes buffers from the head of a ring in memory ([`lane`]); we put them back at its tail, under a lock of the pool's own,
//! because a [`ProvidedBuf`] may be dropped on any thread, and after the runtime has ended: the memory lives as long as the
//! shard, every operation that names it and every buffer that is out.
//!
//! # Whose a buffer is
//!
//! 1. *In the ring*, from the store of the tail that publishes it: the kernel's.
//! 2. *Taken*, from an answer of the kernel: that answer's, which waits in the table of operations. Nobody puts it back
//!    before [`Pool::adopt`].
//! 3. *Lent*, from `adopt`: of the [`ProvidedBufs`] that it returned, and then of the [`ProvidedBuf`] that was taken out
//!    of them. Their drop puts it back, which is 1.
//!
//! # Bundles
//!
//! An answer names one buffer and a number of bytes. If there are more than the buffer has room for, the kernel went on with
//! those behind it in the ring, which [`order`] remembers. All that it took for one answer it took at once: a request is
//! made so that an answer is never gone on with ([`receive`]), for that can lose buffers, and their bytes.
//!
//! # When there are none
//!
//! A pool that is empty, a kernel without buffer rings (before 5.19), a second driver: whoever receives then waits for
//! readiness and receives into memory of its own, which is a [`ProvidedBuf`] as well. So nobody waits for a buffer that
//! somebody else holds. Buffers whose answer the kernel had to drop, for want of memory, are lost until the shard ends: nobody
//! can say which they were.
//!
//! # In a forked child
//!
//! The child has a copy of the buffers that were lent and may read it. It puts nothing back and takes no lock.

mod buf;
mod lane;
mod order;
mod receive;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

use io_uring::{cqueue, squeue, types};

use super::device::Device;
use super::features::Feature;
use super::knobs;
use super::ledger::Birth;
use crate::fork::{self, Process};
use crate::loom::{Arc, Mutex};

pub use buf::{ProvidedBuf, ProvidedBufs};
pub use lane::Lane;
pub use receive::receive_now;

pub(super) use receive::takes_bounded_bundles;

use lane::{AnyLane, KernelLane};
use order::Order;

/// Bytes of one buffer: a page, so that what is not used takes no memory. What is larger comes in several.
pub const PROVIDED_BYTES: usize = 4096;
/// Buffers of a pool, a power of two: 1 MiB of address space, of which only touched pages become memory.
const BUFFERS: u16 = 256;

/// What the buffers of a pool are for. Those of bundles are a pool of their own, for some kernels shorten the room of a buffer
/// that they have looked at and not used, which would cut the message that comes into it next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// One buffer for each answer.
    Single,
    /// As many as an answer needs; where the kernel has [`Feature::Bundles`].
    Bundles,
}

impl Use {
    const ALL: [Self; 2] = [Self::Single, Self::Bundles];

    /// The buffer group in each ring.
    fn group(self) -> u16 {
        self as u16
    }

    fn name(self) -> &'static str {
        match self {
            Self::Single => "of a pool for one at a time",
            Self::Bundles => "of a pool for bundles",
        }
    }

    fn needs(self) -> Feature {
        match self {
            Self::Single => Feature::BufferRings,
            Self::Bundles => Feature::Bundles,
        }
    }
}

/// The pools of a shard.
#[derive(Debug, Default)]
pub(super) struct Pools([OnceLock<Option<Pool>>; Use::ALL.len()]);

impl Pools {
    /// The pool for that use, made when it is first asked for; none if the device takes none.
    pub(super) fn of(&self, purpose: Use, device: &impl Device) -> Option<&Pool> {
        let pool = &self.0[purpose as usize];
        pool.get_or_init(|| Pool::of_device(device, purpose))
            .as_ref()
    }

    /// Answers of the device were lost, and the buffers with them that they named.
    pub(super) fn excuse(&self) {
        for pool in self.0.iter().filter_map(|pool| pool.get()?.as_ref()) {
            pool.shared.order.lock().excuse();
        }
    }
}

/// Memory that a shard lends to the kernel. A clone is the same pool.
pub struct Pool {
    shared: Arc<Shared>,
    /// Where the operation was made that has it.
    birth: Birth,
}

struct Shared {
    lane: AnyLane,
    order: Mutex<Order>,
    purpose: Use,
    process: Process,
}

impl Pool {
    /// Lends buffers to a device; none if it cannot take them.
    fn of_device(device: &impl Device, purpose: Use) -> Option<Self> {
        if !device.features().has(purpose.needs()) {
            return None;
        }
        let count = knobs::provided_buffers().unwrap_or(BUFFERS);
        let lane = KernelLane::new(count);
        let address = lane.address();
        let pool = Self::over(AnyLane::Kernel(lane), count, purpose);
        // SAFETY: the entries begin a page and are as many as is said. The kernel reads them as long as the device is
        // open: the shard keeps the pool longer than its device.
        unsafe { device.lend_buffers(address, count, purpose.group()) }.ok()?;
        Some(pool)
    }

    /// A pool whose buffers are a model's.
    ///
    /// # Safety
    ///
    /// Nobody but the pool, and who plays the kernel, touches the lane.
    #[cfg(feature = "models")]
    pub unsafe fn of_model(lane: Box<dyn Lane>, count: u16) -> Self {
        Self::over(AnyLane::Model(lane), count, Use::Bundles)
    }

    fn over(lane: AnyLane, count: u16, purpose: Use) -> Self {
        let mut order = Order::new(count, purpose.name());
        for id in 0..count {
            order.put(&lane, id);
        }
        Self {
            shared: Arc::new(Shared {
                lane,
                order: Mutex::new(order),
                purpose,
                process: Process::current(),
            }),
            birth: Birth::here(),
        }
    }

    /// The same, for an operation that was made there.
    pub(super) fn born(&self, birth: Birth) -> Self {
        Self {
            birth,
            ..self.clone()
        }
    }

    /// The SQE of a receive that goes on and takes these buffers. With [`Use::Bundles`] the kernel ends it when `bytes_max`
    /// have been received, which is the hard bound of what one socket can have of the pool before anybody has seen an answer.
    pub fn receive(&self, fd: types::Fd, bytes_max: u32) -> squeue::Entry {
        let group = self.shared.purpose.group();
        match self.shared.purpose {
            Use::Single => receive::many(fd, group),
            Use::Bundles => receive::bundles(fd, group, bytes_max),
        }
    }

    /// Whether some are not out, as far as is known: the kernel may have taken more.
    pub fn has_free(&self) -> bool {
        self.shared.order.lock().has_free()
    }

    /// Takes over the buffers that an answer of the kernel names, if it names any, with the bytes in them.
    ///
    /// # Safety
    ///
    /// The answer is that of an operation in the shard whose pool this is, and it is handed in once.
    pub unsafe fn adopt(&self, result: i32, flags: u32) -> ProvidedBufs {
        let Some(first) = cqueue::buffer_select(flags) else {
            return ProvidedBufs::default();
        };
        let bytes = u32::try_from(result).unwrap_or(0);
        let mut order = self.shared.order.lock();
        order.lend(&self.shared.lane, first, bytes, self.birth);
        drop(order);
        ProvidedBufs::new(self.clone(), first, bytes)
    }

    /// How many bytes the kernel had room for in a buffer that is lent, and which buffer came next in the ring.
    fn piece(&self, id: u16) -> (u32, u16) {
        self.assert_is_here();
        self.shared.order.lock().piece(&self.shared.lane, id)
    }

    /// Puts a buffer back that was lent.
    fn give_back(&self, id: u16) {
        if self.is_here() {
            self.shared.order.lock().put(&self.shared.lane, id);
        }
    }

    /// Puts those back that were lent from `first` on, into which `bytes` have come.
    fn give_back_bundle(&self, first: u16, bytes: u32) {
        if self.is_here() {
            let mut order = self.shared.order.lock();
            order.put_bundle(&self.shared.lane, first, bytes);
        }
    }

    /// Whether this is the process that made it, whose locks may be taken.
    fn is_here(&self) -> bool {
        self.shared.process.is_current()
    }

    fn assert_is_here(&self) {
        if !self.is_here() {
            fork::refuse();
        }
    }
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            birth: self.birth,
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // No operation is left, for each holds the pool, and no buffer is out: what is missing now was lost.
        if self.process.is_current() {
            self.order.lock().end();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("purpose", &self.shared.purpose)
            .field("lane", &self.shared.lane)
            .finish_non_exhaustive()
    }
}
