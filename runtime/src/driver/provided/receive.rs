//! Receives into provided buffers, and without one.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, squeue, types};

use super::{PROVIDED_BYTES, ProvidedBuf};

/// Where an SQE has the most bytes that one answer of a multishot receive brings: `len`, the seventh of its sixteen words.
const LEN_WORD: usize = 6;
/// The same for those of all its answers: `optlen`, the twelfth. The io-uring crate has no names for either.
const OPTLEN_WORD: usize = 11;
const _: () = assert!(size_of::<squeue::Entry>() == 64, "an SQE has 64 bytes");
const _: () = assert!(align_of::<squeue::Entry>() >= align_of::<u32>());

/// A receive that goes on and takes one buffer for each answer.
pub(super) fn many(fd: types::Fd, group: u16) -> squeue::Entry {
    opcode::RecvMulti::new(fd, group).build()
}

/// A receive that goes on until `bytes_max` have come, and takes as many buffers for each answer as there are bytes for.
///
/// One answer may bring all of them, and it matters that this is said. To a request that does not say it the kernel gives
/// room for the bytes that it has just counted, and when they have filled it and more have come, it goes on with the same
/// answer. If somebody else has taken those from the socket by then, it waits with the answer begun, and forgets meanwhile
/// which buffer was the first: the answer names none, so that its bytes are lost, and the buffers. With room for all that the
/// request may bring, an answer that fills its room is the last.
pub(super) fn bundles(fd: types::Fd, group: u16, bytes_max: u32) -> squeue::Entry {
    let mut entry = opcode::RecvMultiBundle::new(fd, group).build();
    let words = (&raw mut entry).cast::<u32>();
    for word in [LEN_WORD, OPTLEN_WORD] {
        // SAFETY: an entry is the kernel's structure of plain numbers, sixteen words of them and aligned as such, as is
        // checked above.
        let word = unsafe { words.add(word) };
        // SAFETY: as above, and the entry is ours alone.
        unsafe { word.write(bytes_max) };
    }
    entry
}

/// Whether the kernel takes bounds on a bundle's bytes, which came long after bundles: one that does not says so before it
/// looks at the descriptor, which is none here. Those without them we do not ask for bundles: nothing would keep one socket
/// from taking all buffers, and some of them go on with a bundle after they have filled a buffer in part, which the answer
/// does not show.
pub(in crate::driver) fn takes_bounded_bundles(ring: &IoUring) -> bool {
    const ASKED: u64 = 1;
    let entry = bundles(types::Fd(-1), 0, 1).user_data(ASKED);
    // SAFETY: the ring is in nobody else's hands while features are asked for.
    let mut submission = unsafe { ring.submission_shared() };
    // SAFETY: the SQE names no memory.
    let is_pushed = unsafe { submission.push(&entry) }.is_ok();
    drop(submission);
    if !is_pushed || ring.submit_and_wait(1).is_err() {
        return false;
    }
    // SAFETY: as above.
    let mut completion = unsafe { ring.completion_shared() };
    completion.any(|answer| answer.user_data() == ASKED && answer.result() == -libc::EBADF)
}

/// As many bytes as there are in a datagram or a stream, as far as a provided buffer has room, received now into memory of
/// their own.
///
/// # Errors
///
/// Those of recv(2): `WouldBlock` if there are none.
pub fn receive_now(fd: &impl AsRawFd) -> io::Result<ProvidedBuf> {
    let mut bytes = Vec::<u8>::with_capacity(PROVIDED_BYTES);
    let target = bytes.as_mut_ptr().cast();
    // SAFETY: the vector has room for so many bytes.
    let count = unsafe { libc::recv(fd.as_raw_fd(), target, PROVIDED_BYTES, libc::MSG_DONTWAIT) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has just written `count` bytes there.
    unsafe { bytes.set_len(count) };
    Ok(ProvidedBuf::from_vec(bytes))
}
