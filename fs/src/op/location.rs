//! Where a name is: a path, and the directory where it begins if it is relative.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ringway_runtime::driver::{SharedFd, types};

/// A path on the heap, and a directory that is held.
#[derive(Debug)]
pub(crate) struct Location {
    /// None: the working directory of the process.
    dir: Option<SharedFd>,
    path: CString,
}

impl Location {
    /// `path`, from the working directory on.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with the text of std, if `path` has a NUL byte.
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: None,
            path: c_path(path.as_os_str())?,
        })
    }

    /// `path`, from `dir` on.
    ///
    /// # Errors
    ///
    /// As [`Self::of_path`].
    pub(crate) fn in_dir(dir: SharedFd, path: &OsStr) -> io::Result<Self> {
        Ok(Self {
            dir: Some(dir),
            path: c_path(path)?,
        })
    }

    pub(super) fn as_ptr(&self) -> *const libc::c_char {
        self.path.as_ptr()
    }

    pub(super) fn path(&self) -> &CStr {
        &self.path
    }

    pub(super) fn raw_dir(&self) -> RawFd {
        self.dir.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd)
    }

    pub(super) fn dir(&self) -> types::Fd {
        types::Fd(self.raw_dir())
    }
}

/// `path` as the kernel wants it.
pub(crate) fn c_path(path: &OsStr) -> io::Result<CString> {
    CString::new(path.as_bytes()).map_err(|_| has_nul())
}

/// Lends `path` to `call` as the kernel wants it, without memory of its own if it is as short as most are.
///
/// # Errors
///
/// As [`Location::of_path`].
pub(crate) fn with_c_path<R>(path: &Path, call: impl FnOnce(&CStr) -> R) -> io::Result<R> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= SHORT_PATH_BYTES {
        return Ok(call(&c_path(path.as_os_str())?));
    }
    let mut copy = [0; SHORT_PATH_BYTES];
    copy[..bytes.len()].copy_from_slice(bytes);
    let path = CStr::from_bytes_with_nul(&copy[..=bytes.len()]).map_err(|_| has_nul())?;
    Ok(call(path))
}

/// On the stack: longer paths are rare, and cleared memory costs.
const SHORT_PATH_BYTES: usize = 256;

fn has_nul() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "file name contained an unexpected NUL byte",
    )
}
