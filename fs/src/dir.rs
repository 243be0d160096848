//! [`Dir`]: a directory as the root of a tree that paths may not leave.
//!
//! Only openat2(2) can be told how a path may be resolved. So what has no such flags (mkdirat(2), renameat2(2) and
//! others) is done in two steps: the way to the last name is opened, watched over by the kernel, and the last
//! name, which has no slash and is not followed, is used in what was opened.

use std::error::Error;
use std::fmt;
use std::fs::{File as StdFile, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use ringway_runtime::driver::SharedFd;

use crate::File;
use crate::dir_builder::DEFAULT_MODE;
use crate::entries::Entries;
use crate::limits::BENEATH_TRIES_MAX;
use crate::op::{Location, NameOp, Open, c_path, descriptor, with_std};
use crate::open::open;
use crate::open_options::OpenOptions;
use crate::pool::{change, on_pool};
use crate::status::Status;

/// A handle of a directory, beneath which files are opened, made, renamed and removed, however the directory itself
/// is renamed meanwhile.
///
/// No path leads out of it: neither an absolute one, nor `..`, nor a symbolic link, nor a magic link such as
/// `/proc/self/exe`. The kernel watches over it (openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS), so
/// nobody who renames directories or plants links at the same time can lead a path astray. Symbolic links that stay
/// beneath the directory are followed on the way, unless the handle has [`no_symlinks`](Self::no_symlinks).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let temp = tempfile::tempdir()?;
/// # let path = temp.path();
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_fs::{Dir, OpenOptions};
///
/// let uploads = Dir::open(path).await?;
/// uploads.create_dir("inbox").await?;
/// let options = OpenOptions::new().write(true).create_new(true).clone();
/// uploads.open_with("inbox/letter", &options).await?.close().await?;
/// uploads.rename("inbox/letter", &uploads, "letter").await?;
/// assert!(uploads.metadata("letter").await?.is_file());
///
/// let error = uploads.remove_file("../letter").await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// What goes for all functions with paths beneath a directory:
///
/// - `PermissionDenied` with a [`PathRefused`] inside: the path leads out of the directory, or through a link or mount
///   that may not be followed;
/// - `InvalidInput`: the path has a NUL byte, or does not end in a name where one is needed;
/// - EAGAIN, if others renamed directories on the way too often while it was tried;
/// - and the errors of the system calls, as `NotFound`, ENAMETOOLONG, EMFILE.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: SharedFd,
    resolve: u64,
}

/// The directory itself, not its entries, is of interest.
const HANDLE: libc::c_int = libc::O_PATH | libc::O_DIRECTORY;

/// What holds for every path beneath a directory.
const BENEATH: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;

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
        let fd = open(|| Ok(Open::new(Location::of_path(path)?, HANDLE, 0))).await?;
        Ok(Dir::from(fd))
    }

    /// A handle of the same directory that follows no symbolic link at all (RESOLVE_NO_SYMLINKS).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir(&path)?;
    /// use std::os::unix::fs::symlink;
    /// use ringway_fs::Dir;
    ///
    /// std::fs::write(path.join("page"), b"")?;
    /// symlink("page", path.join("link"))?;
    /// let dir = Dir::open(&path).await?;
    /// assert!(dir.open_file("link").await.is_ok(), "it stays beneath");
    /// assert!(dir.no_symlinks().open_file("link").await.is_err());
    /// assert!(dir.no_symlinks().open_file("page").await.is_ok());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[must_use]
    pub fn no_symlinks(&self) -> Dir {
        self.restricted(libc::RESOLVE_NO_SYMLINKS)
    }

    /// A handle of the same directory whose paths stay on its mount (RESOLVE_NO_XDEV): what others have mounted beneath
    /// it is refused.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::Dir;
    ///
    /// let root = Dir::open("/").await?;
    /// // It is always mounted.
    /// assert!(root.open_dir("proc/self").await.is_ok());
    /// assert!(root.no_mounts().open_dir("proc/self").await.is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[must_use]
    pub fn no_mounts(&self) -> Dir {
        self.restricted(libc::RESOLVE_NO_XDEV)
    }

    fn restricted(&self, resolve: u64) -> Dir {
        Dir {
            fd: self.fd.clone(),
            resolve: self.resolve | resolve,
        }
    }

    /// Opens a directory that must lie beneath this one, with the same restrictions.
    ///
    /// # Errors
    ///
    /// See [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing remains of it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir_all(path.join("site/css"))?;
    /// use std::io::ErrorKind;
    /// use ringway_fs::Dir;
    ///
    /// let site = Dir::open(path.join("site")).await?;
    /// let css = site.open_dir("css").await?;
    /// // Not beneath `css` any more.
    /// let error = css.open_dir("..").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn open_dir(&self, path: impl AsRef<Path>) -> io::Result<Dir> {
        let fd = self.open_raw(path.as_ref(), HANDLE, 0, 0).await?;
        Ok(Dir {
            fd: SharedFd::from(fd),
            resolve: self.resolve,
        })
    }

    /// The same as [`Self::open_dir`].
    ///
    /// # Errors
    ///
    /// See [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing remains of it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir_all(path.join("users/ada"))?;
    /// use ringway_fs::Dir;
    ///
    /// let users = Dir::open(path.join("users")).await?;
    /// let ada = users.open_beneath("ada").await?;
    /// // What is made there is beneath it.
    /// ada.create_dir("letters").await?;
    /// assert!(path.join("users/ada/letters").is_dir());
    /// assert!(users.open_beneath("/etc").await.is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn open_beneath(&self, path: impl AsRef<Path>) -> io::Result<Dir> {
        self.open_dir(path).await
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// See [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// A file that was opened is closed.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir(&path)?;
    /// # std::fs::write(path.join("page"), b"<p>")?;
    /// use ringway_fs::Dir;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let dir = Dir::open(&path).await?;
    /// let mut text = String::new();
    /// dir.open_file("page").await?.read_to_string(&mut text).await?;
    /// assert_eq!(text, "<p>");
    /// assert!(dir.open_file("../../etc/passwd").await.is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn open_file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(path, OpenOptions::new().read(true)).await
    }

    /// Opens a file: the same as [`OpenOptions::open_beneath`].
    ///
    /// # Errors
    ///
    /// See [`OpenOptions::open_beneath`].
    ///
    /// # Cancel safety
    ///
    /// See [`OpenOptions::open_beneath`].
    pub async fn open_with(
        &self,
        path: impl AsRef<Path>,
        options: &OpenOptions,
    ) -> io::Result<File> {
        options.open_beneath(self, path).await
    }

    /// Makes a directory.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it is done.
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let name = self.name(path.as_ref()).await?;
        change(NameOp::MakeDir(name, DEFAULT_MODE as libc::mode_t)).await
    }

    /// Removes a name of a file. A symbolic link is removed itself.
    ///
    /// # Errors
    ///
    /// `IsADirectory`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it is done.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let name = self.name(path.as_ref()).await?;
        change(NameOp::Unlink(name)).await
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// `DirectoryNotEmpty`, `NotADirectory`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it is done.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir(&path)?;
    /// use ringway_fs::Dir;
    ///
    /// let dir = Dir::open(&path).await?;
    /// dir.create_dir("folder").await?;
    /// dir.remove_dir("folder").await?;
    /// assert!(dir.metadata("folder").await.is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let name = self.name(path.as_ref()).await?;
        change(NameOp::RemoveDir(name)).await
    }

    /// Renames a file, directory or link beneath this directory to `to` beneath `target`, which may be this one, in one
    /// step and over a file that has the new name.
    ///
    /// # Errors
    ///
    /// `CrossesDevices`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it is done.
    pub async fn rename(
        &self,
        from: impl AsRef<Path>,
        target: &Dir,
        to: impl AsRef<Path>,
    ) -> io::Result<()> {
        let from = self.name(from.as_ref()).await?;
        let to = target.name(to.as_ref()).await?;
        change(NameOp::Rename(from, to)).await
    }

    /// Gives a file beneath this directory another name, beneath `target`. A symbolic link is not followed: it gets the
    /// other name itself.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `CrossesDevices`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it is done.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir(&path)?;
    /// # std::fs::write(path.join("one"), b"")?;
    /// use ringway_fs::Dir;
    ///
    /// let dir = Dir::open(&path).await?;
    /// dir.hard_link("one", &dir, "other").await?;
    /// assert_eq!(dir.status("other").await?.nlink(), 2);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn hard_link(
        &self,
        original: impl AsRef<Path>,
        target: &Dir,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        let original = self.name(original.as_ref()).await?;
        let link = target.name(link.as_ref()).await?;
        change(NameOp::Link(original, link)).await
    }

    /// Makes a symbolic link at `link`. Its content, `original`, may be anything: it is where the link is followed that
    /// it may lead out of a directory.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it is done.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir(&path)?;
    /// # std::fs::write(path.join("v2"), b"new")?;
    /// use std::path::Path;
    /// use ringway_fs::Dir;
    ///
    /// let dir = Dir::open(&path).await?;
    /// dir.symlink("v2", "current").await?;
    /// assert_eq!(dir.read_link("current").await?, Path::new("v2"));
    /// assert!(dir.symlink_metadata("current").await?.is_symlink());
    /// assert_eq!(dir.metadata("current").await?.len(), 3);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn symlink(
        &self,
        original: impl AsRef<Path>,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        let content = c_path(original.as_ref().as_os_str())?;
        let link = self.name(link.as_ref()).await?;
        change(NameOp::Symlink(content, link)).await
    }

    /// The content of a symbolic link, on the blocking pool.
    ///
    /// # Errors
    ///
    /// EINVAL if there is another kind of file; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        let name = self.name(path.as_ref()).await?;
        on_pool(move || descriptor::read_link(&name)).await
    }

    /// What std says about the file at `path`, following symbolic links that stay beneath this directory.
    ///
    /// # Errors
    ///
    /// See [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        let fd = self.open_raw(path.as_ref(), libc::O_PATH, 0, 0).await?;
        with_std(fd.as_fd(), StdFile::metadata)
    }

    /// As [`Self::metadata`], but a symbolic link at the end of `path` is not followed.
    ///
    /// # Errors
    ///
    /// See [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    pub async fn symlink_metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let fd = self.open_raw(path.as_ref(), flags, 0, 0).await?;
        with_std(fd.as_fd(), StdFile::metadata)
    }

    /// What the kernel says about the file at `path`, following symbolic links that stay beneath this directory.
    ///
    /// # Errors
    ///
    /// See [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    pub async fn status(&self, path: impl AsRef<Path>) -> io::Result<Status> {
        let fd = self.open_raw(path.as_ref(), libc::O_PATH, 0, 0).await?;
        descriptor::status_of_fd(fd.as_fd())
    }

    /// The entries of the directory at `path`, in no particular order; `.` for this one.
    ///
    /// # Errors
    ///
    /// `NotADirectory`; see [`Dir`].
    ///
    /// # Cancel safety
    ///
    /// Nothing remains of it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir_all(path.join("sub/deep"))?;
    /// use ringway_fs::Dir;
    ///
    /// let dir = Dir::open(&path).await?;
    /// let mut entries = dir.read_dir("sub").await?;
    /// let entry = entries.next_entry().await?.expect("there is one");
    /// assert_eq!(entry.file_name(), "deep");
    /// assert!(entries.next_entry().await?.is_none());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn read_dir(&self, path: impl AsRef<Path>) -> io::Result<Entries> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let fd = self.open_raw(path.as_ref(), flags, 0, 0).await?;
        Entries::of(fd).await
    }

    /// The last name of `path`, in the directory to which the rest leads.
    async fn name(&self, path: &Path) -> io::Result<Location> {
        let name = path.file_name().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path does not end in a name",
            )
        })?;
        let parent = path.parent().unwrap_or(Path::new(""));
        if parent.as_os_str().is_empty() {
            return Location::in_dir(self.fd.clone(), name);
        }
        // The last name is looked at first: a mistake in it should not depend on what is there.
        c_path(name)?;
        let dir = self.open_raw(parent, HANDLE, 0, 0).await?;
        Location::in_dir(SharedFd::from(dir), name)
    }

    /// Opens `path` beneath this directory, with its restrictions and those of `resolve`.
    pub(crate) async fn open_raw(
        &self,
        path: &Path,
        flags: libc::c_int,
        mode: libc::mode_t,
        resolve: u64,
    ) -> io::Result<OwnedFd> {
        let resolve = self.resolve | resolve;
        let operation = || {
            let at = Location::in_dir(self.fd.clone(), path.as_os_str())?;
            Ok(Open::new(at, flags, mode).resolve(resolve))
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
}

impl From<OwnedFd> for Dir {
    /// Takes over a descriptor of a directory.
    fn from(fd: OwnedFd) -> Self {
        Self {
            fd: SharedFd::from(fd),
            resolve: BENEATH,
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
