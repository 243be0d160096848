//! A listener without descriptors or memory for those who have connected.
//!
//! The connection stays in the kernel's queue, so that the next accept would fail at once as well, and a server that
//! tries again would do nothing else. So one accept is told, as soon as the shortage begins and once in a while as long
//! as it lasts; in between, accepts wait, try now and then, and take the connection soon after there is room.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ringway_runtime::Pause;
use ringway_runtime::driver::Home;

/// Between two tries. What a server gives back is used after half of it in the mean; twenty tries in a second cost some
/// 100 µs.
const RETRY: Duration = Duration::from_millis(50);
/// Between two errors: as many as a log can take.
const TELL: Duration = Duration::from_secs(1);

/// Whether an accept failed for want of something that others may give back.
pub(crate) fn is_one(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// What a listener knows of it.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    told: Option<Instant>,
    pause: Option<Pause>,
}

impl Shortage {
    /// Whether it is time for a try.
    pub(super) fn poll(&mut self, operations: &Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.poll(operations));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// A try has failed. Ready: the caller is to be told.
    pub(super) fn note(&mut self, home: Option<Home>, operations: &Context<'_>) -> Poll<()> {
        let is_told = self.told.is_some_and(|told| told.elapsed() < TELL);
        let Some(home) = home.or_else(Home::here).filter(|_| is_told) else {
            self.told = Some(Instant::now());
            return Poll::Ready(());
        };
        self.pause = Some(Pause::begin(RETRY, home));
        self.poll(operations)
    }

    /// There is room again.
    pub(super) fn end(&mut self) {
        self.told = None;
    }
}
