//! Names: making, removing, renaming, linking and resolving, on the blocking pool.

use std::fs::Permissions;
use std::io;
use std::path::{Path, PathBuf};

use crate::dir_builder::DirBuilder;
use crate::op::{Location, NameOp, c_path};
use crate::pool::{change, on_pool};

/// Makes a directory.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-create-dir-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let inner = folder.join("inner");
/// ringway_fs::create_dir(&inner).await?;
/// let error = ringway_fs::create_dir(&inner).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
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
/// Once begun it is done, whether or not anybody waits for it.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().create(path).await
}

/// Makes a directory and those of its parents that do not exist.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-create-dir-all-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let deep = folder.join("a/b/c");
/// ringway_fs::create_dir_all(&deep).await?;
/// ringway_fs::create_dir_all(&deep).await?; // it exists, and that is well
/// assert!(ringway_fs::metadata(&deep).await?.is_dir());
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
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
/// Dropping the future leaves open how many of them are made.
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
/// Once begun it is done, whether or not anybody waits for it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use std::io::ErrorKind;
///
/// ringway_fs::create_dir_all(path.join("inner")).await?;
/// let error = ringway_fs::remove_dir(&path).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
/// ringway_fs::remove_dir(path.join("inner")).await?;
/// ringway_fs::remove_dir(&path).await?;
/// assert!(!ringway_fs::try_exists(&path).await?);
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    change(NameOp::RemoveDir(Location::of_path(path.as_ref())?)).await
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
/// Once begun it is done, whether or not anybody waits for it.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    change(NameOp::Unlink(Location::of_path(path.as_ref())?)).await
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
/// Once begun it is done, whether or not anybody waits for it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let next = dir.path().join("next");
/// ringway_fs::write(&path, "old").await?;
/// // Whoever reads it finds the old or the new, and nothing between.
/// ringway_fs::write(&next, "new").await?;
/// ringway_fs::rename(&next, &path).await?;
/// assert_eq!(ringway_fs::read(&path).await?, b"new");
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let from = Location::of_path(from.as_ref())?;
    let to = Location::of_path(to.as_ref())?;
    change(NameOp::Rename(from, to)).await
}

/// Gives a file another name. A symbolic link is not followed: it gets the other name itself.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-hard-link-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let (one, other) = (folder.join("one"), folder.join("other"));
/// ringway_fs::write(&one, "the same").await?;
/// ringway_fs::hard_link(&one, &other).await?;
/// ringway_fs::remove_file(&one).await?;
/// assert_eq!(ringway_fs::read(&other).await?, b"the same");
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
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
/// Once begun it is done, whether or not anybody waits for it.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let original = Location::of_path(original.as_ref())?;
    let link = Location::of_path(link.as_ref())?;
    change(NameOp::Link(original, link)).await
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
/// Once begun it is done, whether or not anybody waits for it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// ringway_fs::symlink("/etc/hostname", &path).await?;
/// assert_eq!(ringway_fs::read_link(&path).await?.to_str(), Some("/etc/hostname"));
/// assert!(ringway_fs::symlink_metadata(&path).await?.is_symlink());
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let content = c_path(original.as_ref().as_os_str())?;
    let link = Location::of_path(link.as_ref())?;
    change(NameOp::Symlink(content, link)).await
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
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-canonicalize-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let root = ringway_fs::canonicalize(&folder).await?;
/// let same = ringway_fs::canonicalize(folder.join("../.").join(root.file_name().unwrap())).await?;
/// assert_eq!(same, root);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
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

/// Copies the contents and permissions of a file, on the blocking pool, and returns the number of bytes.
///
/// Where the file system can, nothing is copied: both files share their blocks until one of them is written (FICLONE).
/// Otherwise the kernel copies (copy_file_range(2)), and where it cannot, the bytes are read and written.
///
/// A file that exists at `to` is replaced, and gets the permissions of the other. Unlike in std and tokio, nothing is lost
/// if both paths lead to one file: that is an error.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let (from, to) = (dir.path().join("from"), dir.path().join("to"));
/// # std::fs::write(&from, b"hello world")?;
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// assert_eq!(ringway_fs::copy(&from, &to).await?, 11);
/// # assert_eq!(std::fs::read(&to)?, b"hello world");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// `InvalidInput` if there is no regular file at `from`, or if it is the file at `to`; and those of open(2), read(2) and
/// write(2). The file at `to` may then be empty, or hold the beginning.
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
    on_pool(move || crate::op::copy(&from, &to)).await
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
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// ringway_fs::write(&path, "read me").await?;
/// let mut permissions = ringway_fs::metadata(&path).await?.permissions();
/// permissions.set_readonly(true);
/// ringway_fs::set_permissions(&path, permissions).await?;
/// assert!(ringway_fs::metadata(&path).await?.permissions().readonly());
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn set_permissions(path: impl AsRef<Path>, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    on_pool(move || std::fs::set_permissions(path, perm)).await
}
