//! Names: making, removing, renaming and linking, through the ring; resolving, on the blocking pool.

use std::fs::Permissions;
use std::io;
use std::path::{Path, PathBuf};

use ringway_runtime::driver::Op;

use crate::dir_builder::DirBuilder;
use crate::op::{NameOp, c_path};
use crate::pool::on_pool;

/// Makes a directory.
///
/// # Errors
///
/// `AlreadyExists`, `NotFound` if its parent does not exist, and the other errors of mkdir(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether it was done.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().create(path).await
}

/// Makes a directory and those of its parents that do not exist.
///
/// # Errors
///
/// As [`create_dir`], but it is no error if the directory exists. Some parents may have been made.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open how many of them were made.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// `DirectoryNotEmpty`, `NotADirectory`, `NotFound` and the other errors of rmdir(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether it was done.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    Op::new(NameOp::RemoveDir(c_path(path.as_ref())?)).await
}

/// Removes a directory and everything in it, following no symbolic link, on the blocking pool.
///
/// # Errors
///
/// As [`std::fs::remove_dir_all`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Once begun it is done, whether or not anybody waits for it.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    on_pool(move || std::fs::remove_dir_all(path)).await
}

/// Removes a name of a file; the last one removes the file.
///
/// # Errors
///
/// `NotFound`, `IsADirectory` and the other errors of unlink(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether it was done.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    Op::new(NameOp::Unlink(c_path(path.as_ref())?)).await
}

/// Renames a file or directory, in one step and over a file that has the new name.
///
/// # Errors
///
/// `NotFound`, `CrossesDevices` and the other errors of rename(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether it was done.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    Op::new(NameOp::Rename(c_path(from.as_ref())?, c_path(to.as_ref())?)).await
}

/// Gives a file another name. A symbolic link is not followed: it gets the other name itself.
///
/// # Errors
///
/// `AlreadyExists`, `CrossesDevices` and the other errors of link(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether it was done.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    Op::new(NameOp::Link(
        c_path(original.as_ref())?,
        c_path(link.as_ref())?,
    ))
    .await
}

/// Makes a symbolic link with the content `original` at `link`.
///
/// # Errors
///
/// `AlreadyExists` and the other errors of symlink(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether it was done.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    Op::new(NameOp::Symlink(
        c_path(original.as_ref())?,
        c_path(link.as_ref())?,
    ))
    .await
}

/// The content of a symbolic link, on the blocking pool.
///
/// # Errors
///
/// EINVAL if there is another kind of file, and the other errors of readlink(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    on_pool(move || std::fs::read_link(path)).await
}

/// The absolute path without symbolic links, `.` and `..`, on the blocking pool.
///
/// # Errors
///
/// As [`std::fs::canonicalize`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    on_pool(move || std::fs::canonicalize(path)).await
}

/// Copies the contents and permissions of a file, on the blocking pool, by copy_file_range(2) where that works.
/// Returns the number of bytes.
///
/// # Errors
///
/// As [`std::fs::copy`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Once begun it is done, whether or not anybody waits for it.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let from = from.as_ref().to_owned();
    let to = to.as_ref().to_owned();
    on_pool(move || std::fs::copy(from, to)).await
}

/// Changes the permissions of a file: chmod(2), on the blocking pool.
///
/// # Errors
///
/// EPERM if the process does not own the file, and the other errors of chmod(2).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Once begun it is done, whether or not anybody waits for it.
pub async fn set_permissions(path: impl AsRef<Path>, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    on_pool(move || std::fs::set_permissions(path, perm)).await
}
