//! Descriptors from and to numbers.

use std::fs::File as StdFile;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, RawFd};

use crate::File;

/// Lends an open descriptor to `call` as a file of std, for what only std's type can do.
pub(crate) fn with_std<R>(fd: BorrowedFd<'_>, call: impl FnOnce(&StdFile) -> R) -> R {
    // SAFETY: the descriptor is borrowed, so it stays open for the time of the call, and the file made of it
    // is never dropped, so it is not closed here.
    let file = ManuallyDrop::new(unsafe { StdFile::from_raw_fd(fd.as_raw_fd()) });
    call(&file)
}

impl FromRawFd for File {
    /// Takes a descriptor over.
    ///
    /// # Safety
    ///
    /// The descriptor is open and owned by the caller, who no longer uses or closes it, as for
    /// [`std::fs::File`].
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller gives the same promise that std's function asks for.
        Self::from_std(unsafe { StdFile::from_raw_fd(fd) })
    }
}
