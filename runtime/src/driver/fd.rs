//! A file descriptor that operations and their owner share, closed when the last of them is gone.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

/// A shared file descriptor: every operation in flight holds one, so its number cannot be recycled under it.
///
/// The descriptor is closed, by close(2) and on whichever thread it happens, when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct SharedFd(Arc<OwnedFd>);

impl SharedFd {
    /// Gives the descriptor back if nobody else holds it, in particular no operation in flight.
    ///
    /// # Errors
    ///
    /// The shared descriptor itself, if it is still shared.
    pub fn try_into_owned(self) -> Result<OwnedFd, Self> {
        Arc::try_unwrap(self.0).map_err(Self)
    }
}

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl AsRawFd for SharedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What has a [`SharedFd`]: sockets and files, for operations that join one to the other.
pub trait AsSharedFd {
    /// The shared descriptor.
    fn shared_fd(&self) -> &SharedFd;
}

impl AsSharedFd for SharedFd {
    fn shared_fd(&self) -> &SharedFd {
        self
    }
}
