//! Opening: openat(2), and openat2(2) where the way to the file is restricted.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

/// Opens a path and gives a descriptor that closes itself.
#[derive(Debug)]
pub(crate) struct Open {
    dir: Option<SharedFd>,
    path: CString,
    flags: libc::c_int,
    mode: libc::mode_t,
    resolve: u64,
    how: types::OpenHow,
}

impl Open {
    /// Opens `path` with the `O_*` flags; `mode` counts only when a file is made.
    pub(crate) fn new(path: CString, flags: libc::c_int, mode: libc::mode_t) -> Self {
        let flags = flags | libc::O_CLOEXEC;
        Self {
            dir: None,
            path,
            flags,
            mode,
            resolve: 0,
            how: types::OpenHow::new(),
        }
    }

    /// Restricts the way to the file by `RESOLVE_*` flags.
    pub(crate) fn resolve(self, resolve: u64) -> Self {
        Self { resolve, ..self }
    }

    /// Starts a relative path at `dir`.
    pub(crate) fn starting_at(self, dir: SharedFd) -> Self {
        Self {
            dir: Some(dir),
            ..self
        }
    }
}

/// openat2(2) refuses a mode where no file can be made.
const MAKES_A_FILE: libc::c_int = libc::O_CREAT | libc::O_TMPFILE;

// SAFETY: the path is on the heap and `how` in self; both are left alone until `complete`. The directory is
// held by self; AT_FDCWD needs no holding.
unsafe impl Operation for Open {
    type Output = io::Result<OwnedFd>;

    const ENDS_BY_ITSELF: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        let dir = types::Fd(self.dir.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd));
        if self.resolve == 0 {
            return opcode::OpenAt::new(dir, self.path.as_ptr())
                .flags(self.flags)
                .mode(self.mode)
                .build();
        }
        let mode = if self.flags & MAKES_A_FILE == 0 {
            0
        } else {
            self.mode
        };
        self.how = types::OpenHow::new()
            .flags(self.flags as u32 as u64)
            .mode(mode.into())
            .resolve(self.resolve);
        opcode::OpenAt2::new(dir, self.path.as_ptr(), &self.how).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: the kernel opened this descriptor for this operation alone, and says so once.
        completion
            .result
            .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}
