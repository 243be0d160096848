//! Opening files, optionally with the restrictions of openat2(2).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use ringway_runtime::driver::{Completion, Operation, opcode, squeue, types};

use super::location::Location;
use super::{answer, descriptor};

/// Opens a path and gives a descriptor that closes itself.
#[derive(Debug)]
pub(crate) struct Open {
    at: Location,
    flags: libc::c_int,
    mode: libc::mode_t,
    resolve: u64,
    how: types::OpenHow,
}

/// openat2(2) refuses a mode where no file can be made.
const MAKES_A_FILE: libc::c_int = libc::O_CREAT | libc::O_TMPFILE;

/// What changes a file system may have to wait for a disk.
const CHANGES: libc::c_int = libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);

/// The kernel looks up what is in memory, and does not wait for a disk or a server. Linux 5.12.
const RESOLVE_CACHED: u64 = 0x20;

/// Whether openat2(2) is to be had. Once it is not, it stays so; relaxed, for it says nothing about anything else.
static HAS_OPENAT2: AtomicBool = AtomicBool::new(true);

impl Open {
    /// Opens `at` with the `O_*` flags; `mode` counts only when a file is made.
    pub(crate) fn new(at: Location, flags: libc::c_int, mode: libc::mode_t) -> Self {
        Self {
            at,
            flags: flags | libc::O_CLOEXEC,
            mode,
            resolve: 0,
            how: types::OpenHow::new(),
        }
    }

    /// Restricts the way to the file by `RESOLVE_*` flags.
    pub(crate) fn resolve(self, resolve: u64) -> Self {
        Self { resolve, ..self }
    }

    /// Opens at once what can be opened without waiting: names and inodes on the way are in memory, nothing is made
    /// or emptied, no lease has to be broken and nobody waited for at the other end of a FIFO. `None` if it cannot, or
    /// if the ring is to say why it fails.
    pub(crate) fn now(&self) -> Option<io::Result<OwnedFd>> {
        let opened = self.now_not_waiting()?;
        let asked = self.flags & (libc::O_NONBLOCK | libc::O_PATH);
        Some(opened.and_then(|fd| {
            if asked == 0 {
                descriptor::set_open_flags(fd.as_fd(), self.flags)?;
            }
            Ok(fd)
        }))
    }

    /// As [`Self::now`], but what was opened still has O_NONBLOCK. Good for calls that do not wait anyway.
    fn now_not_waiting(&self) -> Option<io::Result<OwnedFd>> {
        open_not_waiting(self.at.raw_dir(), self.at.path(), self.flags, self.resolve)
    }
}

/// Opens at once what can be opened for reading without waiting. The descriptor has O_NONBLOCK still.
pub(crate) fn open_to_read_now(path: &CStr) -> Option<io::Result<OwnedFd>> {
    open_not_waiting(libc::AT_FDCWD, path, libc::O_RDONLY | libc::O_CLOEXEC, 0)
}

/// What [`Open::now`] and its kin do.
fn open_not_waiting(
    dir: RawFd,
    path: &CStr,
    flags: libc::c_int,
    resolve: u64,
) -> Option<io::Result<OwnedFd>> {
    if flags & CHANGES != 0 || !HAS_OPENAT2.load(Ordering::Relaxed) {
        return None;
    }
    // With O_PATH nothing is opened that could wait, and other flags are refused.
    let flags = match flags & libc::O_PATH {
        0 => flags | libc::O_NONBLOCK,
        _ => flags,
    };
    let how = types::OpenHow::new()
        .flags(flags as u32 as u64)
        .resolve(resolve | RESOLVE_CACHED);
    // SAFETY: the path ends with a NUL byte, and both live for the call, which is told the structure's size.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            dir,
            path.as_ptr(),
            &raw const how,
            size_of::<types::OpenHow>(),
        )
    };
    match answer(fd) {
        // SAFETY: the kernel has just opened this descriptor, and nobody else has it.
        Ok(fd) => Some(Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
        Err(error) => match error.raw_os_error() {
            // Not in memory; or such flags are not for openat2(2), which is stricter than open(2); or a sandbox
            // forbids it.
            Some(libc::EAGAIN | libc::EINVAL | libc::EINTR | libc::EPERM) => None,
            Some(libc::ENOSYS) => {
                HAS_OPENAT2.store(false, Ordering::Relaxed);
                None
            }
            _ => Some(Err(error)),
        },
    }
}

/// For the blocking pool.
impl Open {
    /// Whether the ring would hand it to a thread of the kernel anyway.
    pub(crate) fn is_for_the_pool(&self) -> bool {
        self.flags & CHANGES != 0 && self.resolve == 0
    }

    /// Opens, and waits for the disk; but for nobody at the other end of a FIFO, as the ring does not.
    pub(crate) fn run(&self) -> io::Result<OwnedFd> {
        if self.flags & (libc::O_NONBLOCK | libc::O_PATH) != 0 {
            return self.call(self.flags);
        }
        match self.call(self.flags | libc::O_NONBLOCK) {
            Ok(fd) => {
                descriptor::set_open_flags(fd.as_fd(), self.flags)?;
                Ok(fd)
            }
            // Somebody has a lease on the file, and is given his time.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.call(self.flags),
            Err(error) => Err(error),
        }
    }

    fn call(&self, flags: libc::c_int) -> io::Result<OwnedFd> {
        loop {
            let (dir, path) = (self.at.raw_dir(), self.at.as_ptr());
            // SAFETY: the path ends with a NUL byte and lives for the call.
            match answer(unsafe { libc::openat64(dir, path, flags, self.mode) }.into()) {
                // SAFETY: the kernel has just opened this descriptor, and nobody else has it.
                Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

// SAFETY: the path is on the heap and `how` in self; both are left alone until `complete`. The directory is
// held by self; AT_FDCWD needs no holding.
unsafe impl Operation for Open {
    type Output = io::Result<OwnedFd>;

    const ENDS_BY_ITSELF: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        let dir = self.at.dir();
        if self.resolve == 0 {
            return opcode::OpenAt::new(dir, self.at.as_ptr())
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
        opcode::OpenAt2::new(dir, self.at.as_ptr(), &self.how).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: the kernel opened this descriptor for this operation alone, and says so once.
        completion
            .result
            .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}
