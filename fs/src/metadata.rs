//! What a file is, by its path.
//!
//! [`metadata`] speaks the type of std, which only a call of std can make, and such a call may wait for a disk.
//! So the path is opened with O_PATH first: at once, if it lies in memory, and otherwise by the ring, which does the waiting:
//! it looks the path up, and reads the inode in. What is left for std is fstat(2) on that descriptor, which only copies
//! numbers out of memory.
//!
//! [`status`] does the same, with statx(2) on that descriptor, in a type of our own. (The ring has statx(2), too, but hands
//! it to a thread of its own, which costs more.)

use std::fs::{File as StdFile, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::op::{Location, Open, descriptor, with_std};
use crate::open::open;
use crate::pool::on_pool;
use crate::status::Status;

/// What std says about the file at `path`, following symbolic links.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-metadata-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let path = folder.join("five bytes");
/// ringway_fs::write(&path, "12345").await?;
/// let metadata = ringway_fs::metadata(&path).await?;
/// assert!(metadata.is_file());
/// assert_eq!(metadata.len(), 5);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of stat(2); `InvalidInput` if `path` has a NUL byte.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    look_up(path.as_ref(), 0, by_std, |path| std::fs::metadata(path)).await
}

/// As [`metadata`], but a symbolic link at the end of `path` is not followed.
///
/// # Errors
///
/// As [`metadata`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let by_path = |path: &Path| std::fs::symlink_metadata(path);
    look_up(path.as_ref(), libc::O_NOFOLLOW, by_std, by_path).await
}

/// Whether there is a file at `path`. A symbolic link that leads nowhere counts as nothing.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-try-exists-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// assert!(ringway_fs::try_exists(&folder).await?);
/// let link = folder.join("link");
/// ringway_fs::symlink("nowhere", &link).await?;
/// assert!(!ringway_fs::try_exists(&link).await?);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of stat(2) other than `NotFound`: it is not known then.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    match look_up(path.as_ref(), 0, |_| Ok(true), |path| std::fs::exists(path)).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => result,
    }
}

/// What the kernel says about the file at `path`, following symbolic links: statx(2).
///
/// # Errors
///
/// Those of statx(2); `InvalidInput` if `path` has a NUL byte.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let status = ringway_fs::status("/dev/null").await?;
/// assert!(!status.is_file() && !status.is_dir());
/// assert_eq!(status.permissions().readonly(), false);
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn status(path: impl AsRef<Path>) -> io::Result<Status> {
    let by_path = |path: &Path| descriptor::status(&Location::of_path(path)?, 0);
    look_up(path.as_ref(), 0, descriptor::status_of_fd, by_path).await
}

/// As [`status`], but a symbolic link at the end of `path` is not followed.
///
/// # Errors
///
/// As [`status`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing happens but the asking.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// std::os::unix::fs::symlink("nowhere", &path)?;
/// assert!(ringway_fs::symlink_status(&path).await?.is_symlink());
/// assert!(ringway_fs::status(&path).await.is_err());
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn symlink_status(path: impl AsRef<Path>) -> io::Result<Status> {
    let by_path =
        |path: &Path| descriptor::status(&Location::of_path(path)?, libc::AT_SYMLINK_NOFOLLOW);
    let flags = libc::O_NOFOLLOW;
    look_up(path.as_ref(), flags, descriptor::status_of_fd, by_path).await
}

/// What std says about the file at `path`, a symbolic link not being followed, if it can be known without waiting.
pub(crate) fn metadata_now(path: &Path) -> Option<Metadata> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let open = Open::new(Location::of_path(path).ok()?, flags, 0);
    let fd = open.now()?.ok()?;
    with_std(fd.as_fd(), StdFile::metadata).ok()
}

/// What std says about an open file.
fn by_std(fd: BorrowedFd<'_>) -> io::Result<Metadata> {
    with_std(fd, StdFile::metadata)
}

/// Looks `path` up and asks about what is there; `by_path` does both, if no descriptor is left.
async fn look_up<T: Send + 'static>(
    path: &Path,
    flags: libc::c_int,
    ask: fn(BorrowedFd<'_>) -> io::Result<T>,
    by_path: fn(&Path) -> io::Result<T>,
) -> io::Result<T> {
    match open(|| Ok(Open::new(Location::of_path(path)?, libc::O_PATH | flags, 0))).await {
        Ok(fd) => ask(fd.as_fd()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            let path = path.to_owned();
            on_pool(move || by_path(&path)).await
        }
        Err(error) => Err(error),
    }
}
