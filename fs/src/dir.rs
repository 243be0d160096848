//! [`Dir`]: a directory as the root of a tree that paths may not leave.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use ringway_runtime::driver::SharedFd;

use crate::limits::BENEATH_TRIES_MAX;
use crate::op::{Open, c_path};
use crate::open::open;

/// A handle of a directory: files beneath it are opened by
/// [`OpenOptions::open_beneath`](crate::OpenOptions::open_beneath), however the directory is renamed meanwhile.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: SharedFd,
}

/// The directory itself, not its entries, is of interest.
const HANDLE: libc::c_int = libc::O_PATH | libc::O_DIRECTORY;

impl Dir {
    /// Opens the directory at `path`, through whatever links lead there: the path is the caller's own.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, `PermissionDenied` and the other errors of open(2); `InvalidInput` if `path`
    /// has a NUL byte.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing remains of it.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Dir> {
        let path = path.as_ref();
        let fd = open(|| Ok(Open::new(c_path(path)?, HANDLE, 0))).await?;
        Ok(Dir::from(fd))
    }

    /// Opens a directory that must lie beneath this one.
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open_beneath`](crate::OpenOptions::open_beneath).
    ///
    /// # Cancel safety
    ///
    /// Nothing remains of it.
    pub async fn open_beneath(&self, path: impl AsRef<Path>) -> io::Result<Dir> {
        open_beneath(self, path.as_ref(), HANDLE, 0, false)
            .await
            .map(Dir::from)
    }
}

impl From<OwnedFd> for Dir {
    /// Takes over a descriptor of a directory.
    fn from(fd: OwnedFd) -> Self {
        Self {
            fd: SharedFd::from(fd),
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Dir {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Opens `path` beneath `dir`.
pub(crate) async fn open_beneath(
    dir: &Dir,
    path: &Path,
    flags: libc::c_int,
    mode: libc::mode_t,
    no_symlinks: bool,
) -> io::Result<OwnedFd> {
    let no_symlinks = if no_symlinks {
        libc::RESOLVE_NO_SYMLINKS
    } else {
        0
    };
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS | no_symlinks;
    let operation = || {
        Ok(Open::new(c_path(path)?, flags, mode)
            .resolve(resolve)
            .starting_at(dir.fd.clone()))
    };
    let mut tries = 1;
    loop {
        match open(operation).await {
            // The kernel could not be sure that `..` stayed beneath while somebody renamed a directory.
            Err(error)
                if error.raw_os_error() == Some(libc::EAGAIN) && tries < BENEATH_TRIES_MAX =>
            {
                tries += 1;
            }
            result => return result.map_err(PathRefused::explain),
        }
    }
}

/// Why a path beneath a directory was not followed: it leads out of it, or through a link that may not be
/// followed.
///
/// It is inside the [`io::Error`] of kind `PermissionDenied`, whose own
/// [`raw_os_error`](io::Error::raw_os_error) is `None`; the errno is here, and in the
/// [source](Error::source).
///
/// ```
/// # fn errno(error: &std::io::Error) -> Option<i32> {
/// let refused = error.get_ref()?.downcast_ref::<ringway_fs::PathRefused>()?;
/// # Some(
/// refused.raw_os_error()
/// # )
/// # }
/// ```
#[derive(Debug)]
pub struct PathRefused {
    source: io::Error,
}

impl PathRefused {
    /// The errno: EXDEV for a path that leads out, ELOOP for a link that may not be followed (or a circle).
    pub fn raw_os_error(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(libc::EXDEV)
    }

    fn explain(error: io::Error) -> io::Error {
        match error.raw_os_error() {
            Some(libc::EXDEV | libc::ELOOP) => {
                io::Error::new(io::ErrorKind::PermissionDenied, Self { source: error })
            }
            _ => error,
        }
    }
}

impl fmt::Display for PathRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.raw_os_error() {
            libc::ELOOP => "the path leads through a symbolic link that may not be followed",
            _ => "the path leads out of the directory",
        };
        write!(f, "{why}: {}", self.source)
    }
}

impl Error for PathRefused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
