//! The doorbell: how a thread that sleeps in its ring is woken from any other.
//!
//! Where the kernel can post a completion into a ring on behalf of a thread that has no ring (6.13), that is
//! the doorbell: nothing is armed, and the sleeper is woken by the caller's own system call. Elsewhere it is
//! an eventfd with a multishot poll in the ring, armed by the sleeper before it sleeps.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};

use io_uring::{IoUring, opcode, squeue, types};

use super::error::SetupError;
use super::features::{Feature, Features};
use super::slots::DOORBELL;

#[derive(Debug)]
pub(super) enum Doorbell {
    /// The kernel posts the completion.
    Message,
    /// A poll on this eventfd completes. The counter is never read: each write triggers the poll.
    Event(File),
}

impl Doorbell {
    pub(super) fn new(features: Features) -> Result<Self, SetupError> {
        if features.has(Feature::RinglessMessage) {
            Ok(Self::Message)
        } else {
            make_event().map(Self::Event)
        }
    }

    /// What must be in the ring while its thread sleeps.
    pub(super) fn entry(&self) -> Option<squeue::Entry> {
        match self {
            Self::Message => None,
            Self::Event(event) => {
                let poll = opcode::PollAdd::new(types::Fd(event.as_raw_fd()), libc::POLLIN as u32);
                Some(poll.multi(true).build())
            }
        }
    }

    /// The descriptor that is rung, if it is one.
    pub(super) fn event(&self) -> Option<&File> {
        match self {
            Self::Message => None,
            Self::Event(event) => Some(event),
        }
    }

    /// Rings; whether it did.
    #[must_use]
    pub(super) fn ring(&self, ring: &IoUring) -> bool {
        let rung = match self {
            Self::Message => send_message(ring),
            Self::Event(event) => (&mut &*event).write(&1u64.to_ne_bytes()).map(drop),
        };
        // The counter overflows after 2^64 writes only, and a full completion queue takes messages into its
        // overflow list; what is left is a lack of memory in the kernel, or one that has come to refuse messages.
        rung.is_ok()
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
        user_data: DOORBELL,
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

pub(super) fn make_event() -> Result<File, SetupError> {
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
