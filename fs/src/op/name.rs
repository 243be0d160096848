//! Changes of names: unlink, rmdir, rename, mkdir, link, symlink. All of them may wait for a disk.
//!
//! The ring has operations for them, but hands each to a thread of its own, whom it wakes and who wakes the worker. The
//! threads of the blocking pool do the same for a quarter of it, because they look out for the next job for a while.

use std::ffi::CString;
use std::io;

use super::answer;
use super::location::Location;

/// One such change.
#[derive(Debug)]
pub(crate) enum NameOp {
    /// unlinkat(2) of a file.
    Unlink(Location),
    /// unlinkat(2) of an empty directory.
    RemoveDir(Location),
    /// mkdirat(2).
    MakeDir(Location, libc::mode_t),
    /// renameat(2): the target is replaced.
    Rename(Location, Location),
    /// linkat(2): the second path becomes another name of the first.
    Link(Location, Location),
    /// symlinkat(2): the second path becomes a symbolic link with the first as its content.
    Symlink(CString, Location),
}

impl NameOp {
    /// Makes the change, again if a signal came in between.
    pub(crate) fn run(&self) -> io::Result<()> {
        loop {
            match answer(self.call().into()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(drop),
            }
        }
    }

    fn call(&self) -> libc::c_int {
        match self {
            // SAFETY: the path ends with a NUL byte and lives for the call, as in all that follow.
            Self::Unlink(name) => unsafe { libc::unlinkat(name.raw_dir(), name.as_ptr(), 0) },
            Self::RemoveDir(name) => {
                let (dir, path) = (name.raw_dir(), name.as_ptr());
                // SAFETY: as above.
                unsafe { libc::unlinkat(dir, path, libc::AT_REMOVEDIR) }
            }
            Self::MakeDir(name, mode) => {
                // SAFETY: as above.
                unsafe { libc::mkdirat(name.raw_dir(), name.as_ptr(), *mode) }
            }
            Self::Rename(from, to) => {
                let (from_dir, to_dir) = (from.raw_dir(), to.raw_dir());
                // SAFETY: as above.
                unsafe { libc::renameat(from_dir, from.as_ptr(), to_dir, to.as_ptr()) }
            }
            Self::Link(from, to) => {
                let (from_dir, to_dir) = (from.raw_dir(), to.raw_dir());
                // SAFETY: as above.
                unsafe { libc::linkat(from_dir, from.as_ptr(), to_dir, to.as_ptr(), 0) }
            }
            Self::Symlink(content, link) => {
                // SAFETY: as above.
                unsafe { libc::symlinkat(content.as_ptr(), link.raw_dir(), link.as_ptr()) }
            }
        }
    }
}
