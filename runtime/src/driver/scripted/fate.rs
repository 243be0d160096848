//! What becomes of one SQE.

use io_uring::squeue;

use super::script::{Dice, Script, tick};
use super::sqe::{Sqe, opcode};
use crate::driver::slots::{CANCEL, DOORBELL};

/// What becomes of an SQE.
#[derive(Debug)]
pub(super) enum Fate {
    /// It goes to the ring below, perhaps changed.
    Passed(squeue::Entry),
    /// It goes to the ring below, and what that answers is replaced.
    Masked(squeue::Entry, i32),
    /// It goes nowhere, and fails.
    Failed(i32),
}

/// Direct I/O is in blocks, which are this large at least; what asks for whole ones goes on doing so.
const BLOCK_BYTES: u32 = 4096;

impl Fate {
    pub(super) fn of(entry: &squeue::Entry, script: &Script, dice: &mut Dice) -> Self {
        let mut sqe = Sqe::of(entry);
        if is_cancel(&sqe) || sqe.is_ordered() {
            return Self::Passed(entry.clone());
        }
        let chances = script.chances();
        if dice.says(chances.end_multishot) && sqe.make_single() {
            tick(&script.counts().ended);
        }
        if sqe.user_data() == DOORBELL {
            return Self::Passed(sqe.into_entry());
        }
        match script.next_call(dice) {
            Some(errno) if acts_anyway(&sqe) && errno != libc::ECANCELED => {
                return Self::Masked(sqe.into_entry(), errno);
            }
            Some(errno) => return Self::Failed(errno),
            None => {}
        }
        if dice.says(chances.shorten) && shorten(&mut sqe, dice) {
            tick(&script.counts().shortened);
        }
        Self::Passed(sqe.into_entry())
    }
}

/// Nobody waits for a cancel, and without it an operation stays for ever.
fn is_cancel(sqe: &Sqe) -> bool {
    let removes = [
        opcode::ASYNC_CANCEL,
        opcode::POLL_REMOVE,
        opcode::TIMEOUT_REMOVE,
    ];
    sqe.user_data() == CANCEL || removes.contains(&sqe.opcode())
}

/// A close gives the descriptor up whatever it answers, but when it was given up itself; the others may as well fail when they have done what they do.
fn acts_anyway(sqe: &Sqe) -> bool {
    [opcode::CLOSE, opcode::NOP, opcode::FSYNC].contains(&sqe.opcode())
}

/// Asks for less, but for something; `false` where that cannot be, or would mean something else.
fn shorten(sqe: &mut Sqe, dice: &mut Dice) -> bool {
    let len = sqe.len();
    let transfers = [
        opcode::READ,
        opcode::WRITE,
        opcode::SEND,
        opcode::RECV,
        opcode::SPLICE,
        opcode::SEND_ZC,
    ];
    if !transfers.contains(&sqe.opcode()) || len < 2 || !sqe.fd().is_some_and(is_stream) {
        return false;
    }
    let unit = if len.is_multiple_of(BLOCK_BYTES) {
        BLOCK_BYTES
    } else {
        1
    };
    if len == unit {
        return false;
    }
    let units = 1 + dice.below((len / unit - 1) as usize) as u32;
    sqe.set_len(units * unit);
    true
}

/// Whether a part of a transfer is a transfer: anything but a socket that keeps messages apart.
fn is_stream(fd: i32) -> bool {
    let mut kind: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes an int, whose length it is told, to the pointer during the call.
    let asked = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &raw mut len,
        )
    };
    asked != 0 || kind == libc::SOCK_STREAM
}
