//! The doorbell: how a thread that sleeps in its ring is woken from any other.
//!
//! Where the kernel can post a completion into a ring on behalf of a thread that has no ring (6.13), that is the
//! doorbell: the sleeper is woken by the caller's own system call. Elsewhere, and where a filter that was installed in
//! mid-life refuses that call, it is an eventfd with a multishot poll in the ring, which the sleeper arms before it first
//! sleeps: write(2) is the one call that nobody refuses.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};

use io_uring::{IoUring, opcode, squeue, types};

use super::error::SetupError;
use super::features::{Feature, Features};
use super::slots::MESSAGE;

#[derive(Debug)]
pub(super) struct Doorbell {
    /// The kernel posts the completion.
    by_message: bool,
    /// A poll on this eventfd completes: each write triggers it, whatever the counter says. Only who waits outside of the
    /// ring reads that.
    event: File,
}

impl Doorbell {
    pub(super) fn new(features: Features) -> Result<Self, SetupError> {
        Ok(Self {
            by_message: features.has(Feature::RinglessMessage),
            event: make_event()?,
        })
    }

    /// What must be in the ring while its thread sleeps.
    pub(super) fn entry(&self) -> squeue::Entry {
        let poll = opcode::PollAdd::new(types::Fd(self.event.as_raw_fd()), libc::POLLIN as u32);
        poll.multi(true).build()
    }

    /// The descriptor that is rung where messages are not to be had.
    pub(super) fn event(&self) -> &File {
        &self.event
    }

    pub(super) fn ring(&self, ring: &IoUring) {
        // What a message fails by is a lack of memory, or a kernel that has come to refuse it.
        if self.by_message && send_message(ring).is_ok() {
            return;
        }
        self.ring_outside();
    }

    /// Calls who waits outside of the ring, and hears no message behind an answer for which it had no room.
    pub(super) fn ring_outside(&self) {
        // The counter would be full after 2^64 writes.
        let _ = (&self.event).write(&1u64.to_ne_bytes());
    }
}

/// IORING_REGISTER_SEND_MSG_RING, and the opcode in its SQE.
const REGISTER_SEND_MSG_RING: libc::c_uint = 31;
const OP_MSG_RING: u8 = 40;

/// Posts a completion into `ring` from this thread, which need not have a ring.
pub(super) fn send_message(ring: &IoUring) -> io::Result<()> {
    #[repr(C)]
    struct Message {
        opcode: u8,
        flags: u8,
        ioprio: u16,
        fd: i32,
        user_data: u64,
        address: u64,
        len: u32,
        rest: [u32; 9],
    }
    const _: () = assert!(size_of::<Message>() == 64, "an SQE has 64 bytes");
    let message = Message {
        opcode: OP_MSG_RING,
        flags: 0,
        ioprio: 0,
        fd: ring.as_raw_fd(),
        user_data: MESSAGE,
        address: 0,
        len: 0,
        rest: [0; 9],
    };
    // SAFETY: the kernel reads one SQE from the pointer during the call and keeps nothing of it.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            -1,
            REGISTER_SEND_MSG_RING,
            &raw const message,
            1,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn make_event() -> Result<File, SetupError> {
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(SetupError::new(
            "create an eventfd",
            io::Error::last_os_error(),
        ));
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}
