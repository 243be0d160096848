//! [`OpenOptions`]: how to open a file.

use std::fs::OpenOptions as StdOpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::File;
use crate::dir::Dir;
use crate::op::{Location, Open};
use crate::open::open;
use crate::pool::on_pool;

/// How to open a file: the options of tokio, and two of openat2(2).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("log");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use tokio::io::AsyncWriteExt;
///
/// let mut log = ringway_fs::OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all(b"started\n").await?;
/// log.flush().await?;
/// # assert_eq!(std::fs::read(&path)?, b"started\n");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    kind: Kind,
    no_symlinks: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Ours(Options),
    /// Options of std, which do not say what they are.
    Std(StdOpenOptions),
}

#[derive(Clone, Debug)]
struct Options {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    mode: libc::mode_t,
    custom_flags: libc::c_int,
}

/// Who may do what with a new file, before the umask: everybody may read and write it.
const DEFAULT_MODE: libc::mode_t = 0o666;

impl OpenOptions {
    /// Nothing set: one of `read`, `write` and `append` must follow.
    pub fn new() -> OpenOptions {
        let options = Options {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: DEFAULT_MODE,
            custom_flags: 0,
        };
        OpenOptions {
            kind: Kind::Ours(options),
            no_symlinks: false,
        }
    }

    /// Whether the file is to be read.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.set(|ours| ours.read = read, |std| std.read(read))
    }

    /// Whether the file is to be written.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::write(&path, b"0123456789")?;
    /// use ringway_fs::OpenOptions;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// // The file must be there, and what is not written over stays.
    /// let mut file = OpenOptions::new().write(true).open(&path).await?;
    /// file.write_all(b"abc").await?;
    /// file.flush().await?;
    /// assert_eq!(ringway_fs::read(&path).await?, b"abc3456789");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.set(|ours| ours.write = write, |std| std.write(write))
    }

    /// Whether what is written goes to the end of the file, wherever that is by then.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.set(|ours| ours.append = append, |std| std.append(append))
    }

    /// Whether the file is emptied.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::write(&path, b"0123456789")?;
    /// use ringway_fs::OpenOptions;
    ///
    /// let file = OpenOptions::new().write(true).truncate(true).open(&path).await?;
    /// assert_eq!(file.metadata().await?.len(), 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.set(
            |ours| ours.truncate = truncate,
            |std| std.truncate(truncate),
        )
    }

    /// Whether the file is made if it does not exist.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.set(|ours| ours.create = create, |std| std.create(create))
    }

    /// Whether the file must not exist, and is made.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_fs::OpenOptions;
    ///
    /// let mut options = OpenOptions::new();
    /// options.write(true).create_new(true);
    /// options.open(&path).await?;
    /// let error = options.open(&path).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.set(
            |ours| ours.create_new = create_new,
            |std| std.create_new(create_new),
        )
    }

    /// Who may do what with a new file, before the umask. Without it: `0o666`.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::os::unix::fs::PermissionsExt;
    /// use ringway_fs::OpenOptions;
    ///
    /// let key = OpenOptions::new().write(true).create(true).mode(0o600).open(&path).await?;
    /// assert_eq!(key.metadata().await?.permissions().mode() & 0o777, 0o600);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.set(
            |ours| ours.mode = mode as libc::mode_t,
            |std| std.mode(mode),
        )
    }

    /// More `O_*` flags of open(2), except for the access mode.
    ///
    /// With `O_NONBLOCK` neither opening nor reading a FIFO waits for anybody: opening one for reading succeeds,
    /// opening one for writing that nobody reads fails with ENXIO. Use it for paths that others can make. On
    /// regular files it is taken off again once they are open.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::os::unix::fs::symlink;
    /// use ringway_fs::OpenOptions;
    ///
    /// symlink("elsewhere", &path)?;
    /// let error = OpenOptions::new()
    ///     .read(true)
    ///     .custom_flags(libc::O_NOFOLLOW)
    ///     .open(&path)
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.set(
            |ours| ours.custom_flags = flags,
            |std| std.custom_flags(flags),
        )
    }

    /// Whether reads and writes go past the kernel's cache, straight to the disk and back: O_DIRECT. They must then keep
    /// to the file's [`direct_alignment`](File::direct_alignment); [`File::aligned_buf`] makes buffers that do.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::OpenOptions;
    ///
    /// let mut options = OpenOptions::new();
    /// options.read(true).write(true).create(true).direct(true);
    /// // Not every file system is for it.
    /// if let Ok(file) = options.open(&path).await {
    ///     let mut block = file.aligned_buf(4096);
    ///     block.set_len(block.capacity());
    ///     let (result, _block) = file.write_all_at(block, 0).await;
    ///     result?;
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn direct(&mut self, direct: bool) -> &mut OpenOptions {
        let with = |flags: i32| match direct {
            true => flags | libc::O_DIRECT,
            false => flags & !libc::O_DIRECT,
        };
        self.set(
            |ours| ours.custom_flags = with(ours.custom_flags),
            // Those of std cannot be read: what was set before is lost.
            |std| std.custom_flags(with(0)),
        )
    }

    /// Whether a path that leads through a symbolic link, at its end or before, is refused: RESOLVE_NO_SYMLINKS.
    ///
    /// It has no effect on options that were made from those of std.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::os::unix::fs::symlink;
    /// use ringway_fs::OpenOptions;
    ///
    /// // A link in the middle of the path, which O_NOFOLLOW would not mind.
    /// symlink("/etc", &path)?;
    /// let error = OpenOptions::new()
    ///     .read(true)
    ///     .no_symlinks(true)
    ///     .open(path.join("passwd"))
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn no_symlinks(&mut self, no_symlinks: bool) -> &mut OpenOptions {
        self.no_symlinks = no_symlinks;
        self
    }

    fn resolve(&self) -> u64 {
        match self.no_symlinks {
            true => libc::RESOLVE_NO_SYMLINKS,
            false => 0,
        }
    }

    fn set(
        &mut self,
        ours: impl FnOnce(&mut Options),
        std: impl FnOnce(&mut StdOpenOptions) -> &mut StdOpenOptions,
    ) -> &mut OpenOptions {
        match &mut self.kind {
            Kind::Ours(options) => ours(options),
            Kind::Std(options) => {
                std(options);
            }
        }
        self
    }

    /// Opens the file at `path`.
    ///
    /// A FIFO that is opened for writing waits for a reader, on a thread of the blocking pool. A FIFO that is
    /// opened for reading does not wait: the first read waits for the writer.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the options contradict each other, or `path` has a NUL byte;
    /// - `NotFound`, `PermissionDenied`, `AlreadyExists` and the other errors of open(2);
    /// - ELOOP, if a symbolic link is in the way and [`Self::no_symlinks`] is set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether a file was made or emptied. A file that was opened is closed.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        let options = match &self.kind {
            Kind::Ours(options) => options,
            Kind::Std(options) => return open_by_std(options.clone(), path).await,
        };
        let flags = options.flags()?;
        let resolve = self.resolve();
        let operation =
            || Ok(Open::new(Location::of_path(path)?, flags, options.mode).resolve(resolve));
        match open(operation).await {
            Err(error) if resolve == 0 && lacks_a_reader(&error, flags) => {
                open_by_std(options.to_std(), path).await
            }
            result => result.map(|fd| File::opened(fd, flags)),
        }
    }

    /// Opens the file at `path`, which must lie beneath `dir` and whose path must not lead out of it: neither by
    /// being absolute, nor by `..`, nor by a symbolic link, nor by a magic link such as `/proc/self/exe`. The
    /// kernel watches over it (openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS), so nobody who renames
    /// directories or plants links at the same time can lead it astray. Symbolic links that stay beneath `dir`
    /// are followed, unless [`Self::no_symlinks`] is set.
    ///
    /// Set `O_NONBLOCK` by [`Self::custom_flags`] if somebody else can make FIFOs there. Opening a FIFO for
    /// writing never waits for a reader, but fails with ENXIO.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let temp = tempfile::tempdir()?;
    /// # let root = temp.path();
    /// # std::fs::write(root.join("index.html"), b"hello")?;
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::{Dir, OpenOptions};
    ///
    /// let root = Dir::open(root).await?;
    /// let mut options = OpenOptions::new();
    /// options.read(true).custom_flags(libc::O_NONBLOCK);
    /// assert!(options.open_beneath(&root, "index.html").await.is_ok());
    ///
    /// let error = options.open_beneath(&root, "../../etc/passwd").await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `PermissionDenied` with a [`PathRefused`](crate::PathRefused) inside: the path leads out of `dir` or
    ///   through a link that may not be followed;
    /// - `Unsupported` if the options were made from those of std;
    /// - EAGAIN, if others renamed directories on the way too often while it was tried;
    /// - and as [`Self::open`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::open`].
    pub async fn open_beneath(&self, dir: &Dir, path: impl AsRef<Path>) -> io::Result<File> {
        let Kind::Ours(options) = &self.kind else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "options made from std::fs::OpenOptions cannot be used beneath a directory",
            ));
        };
        let flags = options.flags()?;
        let fd = dir
            .open_raw(path.as_ref(), flags, options.mode, self.resolve())
            .await?;
        Ok(File::opened(fd, flags))
    }
}

/// ENXIO is also what open(2) says of a FIFO that nobody reads, if it may not wait. io_uring never waits.
fn lacks_a_reader(error: &io::Error, flags: libc::c_int) -> bool {
    let writes = flags & libc::O_ACCMODE == libc::O_WRONLY;
    error.raw_os_error() == Some(libc::ENXIO) && writes && flags & libc::O_NONBLOCK == 0
}

async fn open_by_std(options: StdOpenOptions, path: &Path) -> io::Result<File> {
    let path = path.to_owned();
    on_pool(move || options.open(path))
        .await
        .map(File::from_std)
}

impl Options {
    /// The `O_*` flags, or what std says of options that contradict each other.
    fn flags(&self) -> io::Result<libc::c_int> {
        Ok(self.access()? | self.creation()? | self.custom_flags & !libc::O_ACCMODE)
    }

    fn access(&self) -> io::Result<libc::c_int> {
        match (self.read, self.write, self.append) {
            (true, false, false) => Ok(libc::O_RDONLY),
            (false, true, false) => Ok(libc::O_WRONLY),
            (true, true, false) => Ok(libc::O_RDWR),
            (false, _, true) => Ok(libc::O_WRONLY | libc::O_APPEND),
            (true, _, true) => Ok(libc::O_RDWR | libc::O_APPEND),
            (false, false, false) => Err(self.invalid()),
        }
    }

    fn creation(&self) -> io::Result<libc::c_int> {
        let makes = self.truncate || self.create || self.create_new;
        let contradicts = if self.append {
            self.truncate && !self.create_new
        } else {
            makes && !self.write
        };
        if contradicts {
            return Err(self.invalid());
        }
        Ok(match (self.create_new, self.create, self.truncate) {
            (true, _, _) => libc::O_CREAT | libc::O_EXCL,
            (false, create, truncate) => {
                (if create { libc::O_CREAT } else { 0 })
                    | (if truncate { libc::O_TRUNC } else { 0 })
            }
        })
    }

    /// The error of std for these options: it is found before anything is opened.
    fn invalid(&self) -> io::Error {
        let error = self.to_std().open("");
        error
            .err()
            .unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
    }

    fn to_std(&self) -> StdOpenOptions {
        let mut options = StdOpenOptions::new();
        options
            .read(self.read)
            .write(self.write)
            .append(self.append);
        options
            .truncate(self.truncate)
            .create(self.create)
            .create_new(self.create_new);
        options.mode(self.mode).custom_flags(self.custom_flags);
        options
    }
}

impl From<StdOpenOptions> for OpenOptions {
    /// Files are then opened on the blocking pool, because the options of std cannot be read.
    fn from(options: StdOpenOptions) -> OpenOptions {
        OpenOptions {
            kind: Kind::Std(options),
            no_symlinks: false,
        }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}
