//! What a file is: statx(2), by path or by descriptor.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

/// Everything that stat(2) knows, and the time of birth.
const WANTED: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME;

/// Asks for the status of a file.
#[derive(Debug)]
pub(crate) struct Statx {
    fd: Option<SharedFd>,
    path: CString,
    flags: libc::c_int,
    answer: Box<MaybeUninit<libc::statx>>,
}

impl Statx {
    /// Of the file at `path`, or of the link itself if the last part of `path` is one and `follow` is not set.
    pub(crate) fn of_path(path: CString, follow: bool) -> Self {
        let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
        Self {
            fd: None,
            path,
            flags,
            answer: Box::new(MaybeUninit::zeroed()),
        }
    }

    /// Of an open file.
    pub(crate) fn of_fd(fd: SharedFd) -> Self {
        let answer = Box::new(MaybeUninit::zeroed());
        Self {
            fd: Some(fd),
            path: CString::default(),
            flags: libc::AT_EMPTY_PATH,
            answer,
        }
    }
}

// SAFETY: path and answer are on the heap, owned by self and left alone until `complete`; the descriptor, if
// there is one, is held by self.
unsafe impl Operation for Statx {
    type Output = io::Result<Box<libc::statx>>;

    const ENDS_BY_ITSELF: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        let dir = types::Fd(self.fd.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd));
        let answer = self.answer.as_mut_ptr().cast::<types::statx>();
        opcode::Statx::new(dir, self.path.as_ptr(), answer)
            .flags(self.flags)
            .mask(WANTED)
            .build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: plain numbers, zeroed when made, so initialised whether or not the kernel filled them all.
        completion
            .result
            .map(|_| unsafe { self.answer.assume_init() })
    }
}
