//! Taking back from a ring's queue what the kernel has not taken: an SQE is made one that does nothing.
//!
//! The queue of SQEs cannot be shortened from its end, for the kernel may have read how long it is. But the SQEs themselves
//! are ours until an enter takes them, and the kernel reads them only then. They are written through a mapping of their
//! array that is made for it, as this is hardly ever needed.
//!
//! Whoever writes holds the shard's lock, and has made sure that nobody is in the kernel to submit.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use io_uring::{IoUring, opcode, squeue};

use super::slots::CANCEL;

/// IORING_OFF_SQES: where the array is, in the file that the ring is.
const OFFSET_OF_SQES: libc::off_t = 0x1000_0000;

/// The array of a ring's SQEs, mapped to be written.
#[derive(Debug)]
pub(super) struct Withdrawal {
    entries: NonNull<squeue::Entry>,
    count: usize,
}

// SAFETY: the mapping is this value's own, and is written through `&mut self` only.
unsafe impl Send for Withdrawal {}

impl Withdrawal {
    /// Maps the array.
    pub(super) fn new(ring: &IoUring) -> io::Result<Self> {
        let count = ring.params().sq_entries() as usize;
        // SAFETY: a new mapping, wherever the kernel finds room, of the array that every ring has at this place.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                count * size_of::<squeue::Entry>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                ring.as_raw_fd(),
                OFFSET_OF_SQES,
            )
        };
        match NonNull::new(address.cast()) {
            Some(entries) if address != libc::MAP_FAILED => Ok(Self { entries, count }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes the SQE at `place` one without effect, whose answer nobody needs.
    pub(super) fn withdraw(&mut self, place: usize) {
        assert!(place < self.count, "a place in the queue");
        let nop = opcode::Nop::new().build().user_data(CANCEL);
        // SAFETY: the place is below the number of SQEs that are mapped.
        let entry = unsafe { self.entries.add(place) };
        // SAFETY: an SQE in the queue, which the kernel reads in an enter that submits and at no other time; nobody is in
        // one, and the shard's lock, which the caller holds, keeps others from beginning.
        unsafe { entry.write(nop) };
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        let bytes = self.count * size_of::<squeue::Entry>();
        // SAFETY: the mapping of `new`, of that length, which nobody else knows.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), bytes) };
    }
}
