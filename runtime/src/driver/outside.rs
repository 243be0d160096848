//! A ring from outside: what can be done with its descriptor when the kernel refuses what is usual.
//!
//! Where entering is refused for good ([`super::refusal`]), a thread waits for answers by poll(2), and operations are
//! cancelled by a register call. Where messages are refused that wake a sleeper, another descriptor is rung, which those
//! who wait by poll(2) hear, and no others.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use io_uring::{IoUring, types};

use super::doorbell;

/// What takes the place of entering the ring and of its doorbell.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Made when it is first needed; without a descriptor left, sleeps end by their timeouts.
    bell: OnceLock<Option<File>>,
    /// The ring's doorbell has failed, and may fail again.
    deaf: AtomicBool,
}

/// Without a bell nobody sleeps longer than this.
const BLIND_SLEEP_MAX: Duration = Duration::from_millis(10);

impl Outside {
    /// The ring's doorbell did not ring.
    #[cold]
    pub(super) fn note_deaf(&self) {
        // Relaxed: whoever sets it looks at it, on the same thread.
        self.deaf.store(true, Relaxed);
        self.ring_bell();
    }

    /// Whether whoever rings must see to it that he is heard.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.load(Relaxed)
    }

    fn bell(&self) -> Option<&File> {
        let made = || doorbell::make_event().ok();
        self.bell.get_or_init(made).as_ref()
    }

    /// Wakes who waits in [`Self::wait`].
    fn ring_bell(&self) {
        if let Some(mut bell) = self.bell() {
            // It is full only if it was rung and nobody has heard, who will.
            let _ = bell.write(&1u64.to_ne_bytes());
        }
    }

    /// Waits until the ring has answers, a bell rings, or the time is up. `rung`: the bell that the ring has anyway.
    pub(super) fn wait(&self, ring: &IoUring, rung: Option<&File>, timeout: Option<Duration>) {
        let own = self.bell();
        let timeout = match own {
            Some(_) => timeout,
            None => Some(timeout.map_or(BLIND_SLEEP_MAX, |timeout| timeout.min(BLIND_SLEEP_MAX))),
        };
        let fds = [Some(ring.as_raw_fd()), fd_of(own), fd_of(rung)];
        poll_readable(fds, timeout);
        for mut bell in own.into_iter().chain(rung) {
            // Nothing is there if something else has woken us.
            let _ = bell.read(&mut [0; size_of::<u64>()]);
        }
    }

    /// Has the kernel cancel everything in the ring, as far as it lets us.
    pub(super) fn cancel_everything(&self, ring: &IoUring) {
        let any = types::CancelBuilder::any();
        let at_once = Some(types::Timespec::new());
        // Refused, nothing is cancelled, and what does not end by itself is given up at the deadline.
        let _ = ring.submitter().register_sync_cancel(at_once, any);
    }
}

fn fd_of(file: Option<&File>) -> Option<RawFd> {
    file.map(AsRawFd::as_raw_fd)
}

/// Waits until one of the descriptors is readable, a signal comes, or the time is up.
fn poll_readable(fds: [Option<RawFd>; 3], timeout: Option<Duration>) {
    let mut fds = fds.map(|fd| libc::pollfd {
        // A negative number is passed over.
        fd: fd.unwrap_or(-1),
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
