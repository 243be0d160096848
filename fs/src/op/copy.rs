//! Copying a file: by sharing its blocks, where the file system can.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Copies the contents and permissions of the file at `from` to that at `to`. It waits for the disk.
///
/// First by FICLONE, which copies nothing: both files then share their blocks until one of them is written. Where that
/// cannot be had, by what std does: copy_file_range(2), by which the file system or its server copies, sendfile(2), or
/// reading and writing.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    let mut source = File::open(from)?;
    let status = source.metadata()?;
    if !status.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the source path is neither a regular file nor a symlink to a regular file",
        ));
    }
    // It is not emptied before it is known to be another file: who copies a file onto itself loses nothing.
    let mode = status.permissions().mode();
    let mut options = OpenOptions::new();
    let mut target = options.write(true).create(true).mode(mode).open(to)?;
    let old = target.metadata()?;
    if old.is_file() {
        if (old.dev(), old.ino()) == (status.dev(), status.ino()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the source and the target are the same file",
            ));
        }
        // Of a FIFO or a device nothing is changed but what it is written.
        target.set_len(0)?;
        target.set_permissions(status.permissions())?;
        if clone_blocks(&source, &target) {
            return target.metadata().map(|copied| copied.len());
        }
    }
    io::copy(&mut source, &mut target)
}

/// Lets `target` have the blocks of `source`; `false` if they are not on one file system, or it cannot.
fn clone_blocks(source: &File, target: &File) -> bool {
    // SAFETY: no pointer is passed.
    let result = unsafe { libc::ioctl(target.as_raw_fd(), FICLONE, source.as_raw_fd()) };
    result == 0
}

const FICLONE: libc::Ioctl = libc::_IOW::<libc::c_int>(0x94, 9);
