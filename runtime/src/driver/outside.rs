//! A ring from outside: what can be done with its descriptor where the kernel does not let it be entered.
//!
//! A thread waits for answers, and for the doorbell, by poll(2), and operations are cancelled by a register call.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use io_uring::{IoUring, types};

/// Waits until the bell is rung, the ring has answers, if there is one that may come to have some, or the time is up.
pub(super) fn wait(ring: Option<&IoUring>, mut bell: &File, timeout: Option<Duration>) {
    let ring = ring.map_or(NOTHING, AsRawFd::as_raw_fd);
    let fds = [ring, bell.as_raw_fd()];
    poll_readable(fds, timeout);
    // Nothing is there if something else has woken us.
    let _ = bell.read(&mut [0; size_of::<u64>()]);
}

/// Has the kernel cancel everything in the ring, as far as it lets us.
pub(super) fn cancel_everything(ring: &IoUring) {
    let any = types::CancelBuilder::any();
    let at_once = Some(types::Timespec::new());
    // Refused, nothing is cancelled, and what does not end by itself is given up at the deadline.
    let _ = ring.submitter().register_sync_cancel(at_once, any);
}

/// In place of a descriptor that poll(2) is not to look at.
const NOTHING: libc::c_int = -1;

/// Waits until one of the descriptors is readable, a signal comes, or the time is up.
fn poll_readable(fds: [libc::c_int; 2], timeout: Option<Duration>) {
    let mut fds = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let count = fds.len() as libc::nfds_t;
    // SAFETY: the array, of that length, and the timeout live through the call.
    unsafe { libc::ppoll(fds.as_mut_ptr(), count, timeout, ptr::null()) };
}
