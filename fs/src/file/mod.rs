//! [`File`]: an open file.
//!
//! - [`core`]: the descriptor, and what may be tried at once;
//! - [`traffic`]: reading and writing through tokio's traits, in order and at a position ([`position`]);
//! - [`at`]: reading and writing owned buffers at given offsets, as many at a time as one likes;
//! - [`direct`]: what O_DIRECT asks of them;
//! - [`attributes`]: what is known of it, and may be set;
//! - [`space`]: room on the disk, and what is kept in memory;
//! - [`traits`]: the traits of tokio and std.

pub(crate) mod at;
mod attributes;
mod direct;
mod position;
mod space;
mod traffic;
mod traits;

pub(crate) mod core;

use std::fs::File as StdFile;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ringway_runtime::driver::{Op, SharedFd};
use tokio::sync::Mutex;

use crate::limits::MAX_BUF_BYTES;
use crate::op::{Close, FdOp, descriptor};
use crate::open_options::OpenOptions;
use crate::transfer::pipe::KeptPipe;
use crate::transfer::seen::Seen;

pub use self::direct::Misaligned;
pub use self::space::{Advice, Allocate};

use self::core::Core;
use self::position::Position;
use self::traffic::Traffic;

/// An open file.
///
/// It is read and written in two ways. Through tokio's [`AsyncRead`], [`AsyncWrite`] and [`AsyncSeek`] it has a
/// position, and one thing happens after the other. Through [`read_at`](Self::read_at) and
/// [`write_at`](Self::write_at) any number of operations are in flight at a time, each with its own offset and
/// its own buffer.
///
/// What lies in memory is read at once, and what can be written without waiting is written at once. For the rest, owned
/// buffers and reads go through the ring; a write through [`AsyncWrite`] goes to the blocking pool, which costs less than
/// the thread to which the ring would hand it, or through the ring where it goes past the cache (O_DIRECT) or to a stream.
///
/// # Dropping
///
/// A file is closed when it is dropped, by close(2) and on the spot, unless operations are in flight; then
/// their end closes it. Bytes that [`poll_write`](tokio::io::AsyncWrite::poll_write) has taken are still written after
/// the file was dropped, but nobody hears of their errors: call
/// [`flush`](https://docs.rs/tokio/1/tokio/io/trait.AsyncWriteExt.html#method.flush) first.
///
/// # Who moves the position
///
/// A file that was opened here keeps its position to itself until it is cloned or becomes a file of std: who
/// uses its [descriptor](std::os::fd::AsRawFd) directly finds another one there. A file that was made from a
/// descriptor, and one opened for appending, have the position of the open file description, which others
/// may share. (Except with O_DIRECT, where such a file, too, keeps its own.)
///
/// # Cancel safety
///
/// - Dropping a read loses no byte: what arrives is kept in the file for the next read.
/// - Dropping a write that is pending has written nothing.
/// - Dropping a seek has moved the position or not.
///
/// [`AsyncRead`]: tokio::io::AsyncRead
/// [`AsyncWrite`]: tokio::io::AsyncWrite
/// [`AsyncSeek`]: tokio::io::AsyncSeek
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use std::io::SeekFrom;
/// use ringway_fs::File;
/// use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// let mut file = File::options().read(true).write(true).create(true).open(&path).await?;
/// file.write_all(b"here and there").await?;
/// file.flush().await?;
///
/// file.seek(SeekFrom::Start(9)).await?;
/// let mut rest = String::new();
/// file.read_to_string(&mut rest).await?;
/// assert_eq!(rest, "there");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct File {
    core: Core,
    traffic: Mutex<Traffic>,
    max_buf_size: usize,
    /// Of [`crate::transfer`].
    pipe: KeptPipe,
    seen: Seen,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`].
    ///
    /// # Cancel safety
    ///
    /// As [`OpenOptions::open`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::write(&path, b"all of it")?;
    /// use ringway_fs::File;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut text = String::new();
    /// File::open(&path).await?.read_to_string(&mut text).await?;
    /// assert_eq!(text, "all of it");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        Self::options().read(true).open(path).await
    }

    /// Opens a file for writing: makes it if it does not exist, and empties it if it does.
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`].
    ///
    /// # Cancel safety
    ///
    /// As [`OpenOptions::open`]; the file may have been made or emptied.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// for text in ["at great length", "in short"] {
    ///     let mut file = File::create(&path).await?;
    ///     file.write_all(text.as_bytes()).await?;
    ///     // Or an error of the write goes nowhere.
    ///     file.flush().await?;
    /// }
    /// assert_eq!(ringway_fs::read_to_string(&path).await?, "in short");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        Self::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .await
    }

    /// Makes a file and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is something of that name, and as [`OpenOptions::open`].
    ///
    /// # Cancel safety
    ///
    /// As [`OpenOptions::open`]; the file may have been made.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::io::ErrorKind;
    /// use ringway_fs::File;
    ///
    /// // Who makes it has the lock.
    /// let _lock = File::create_new(&path).await?;
    /// let second = File::create_new(&path).await.unwrap_err();
    /// assert_eq!(second.kind(), ErrorKind::AlreadyExists);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        Self::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .await
    }

    /// The same as [`OpenOptions::new`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// for line in ["one\n", "two\n"] {
    ///     let mut log = File::options().append(true).create(true).open(&path).await?;
    ///     log.write_all(line.as_bytes()).await?;
    ///     log.flush().await?;
    /// }
    /// assert_eq!(ringway_fs::read(&path).await?, b"one\ntwo\n");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file of std. Its position stays shared with all other holders of its open file description.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::write(&path, b"opened elsewhere")?;
    /// use ringway_fs::File;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let std = std::fs::File::open(&path)?;
    /// let mut text = String::new();
    /// File::from_std(std).read_to_string(&mut text).await?;
    /// assert_eq!(text, "opened elsewhere");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn from_std(std: StdFile) -> File {
        let fd = OwnedFd::from(std);
        // It fails for a closed descriptor only, and so will whatever comes next.
        let flags = descriptor::open_flags(fd.as_fd()).unwrap_or(0);
        Self::new(fd, flags, Position::of_shared)
    }

    /// A file that was just opened with these `O_*` flags.
    pub(crate) fn opened(fd: OwnedFd, flags: libc::c_int) -> File {
        Self::new(fd, flags, Position::of_opened)
    }

    fn new(
        fd: OwnedFd,
        flags: libc::c_int,
        position: fn(BorrowedFd<'_>, libc::c_int) -> Position,
    ) -> File {
        let flags = without_nonblock(fd.as_fd(), flags);
        let position = position(fd.as_fd(), flags);
        let core = Core::new(SharedFd::from(fd), flags);
        let traffic = Mutex::new(Traffic::new(position));
        Self {
            core,
            traffic,
            max_buf_size: MAX_BUF_BYTES,
            pipe: KeptPipe::default(),
            seen: Seen::default(),
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn kept_pipe(&self) -> &KeptPipe {
        &self.pipe
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Brings all data and metadata of the file to the disk: fsync(2).
    ///
    /// # Errors
    ///
    /// Those of fsync(2); EIO means that data is lost. The error of an earlier write is not reported here, but
    /// by the next write or flush.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the data is on the disk.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"not to be lost").await?;
    /// // Survives a loss of power, and so does its length and its time.
    /// file.sync_all().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn sync_all(&self) -> io::Result<()> {
        self.settle_write().await;
        Op::new(FdOp::sync_all(self.core.fd.clone())).await
    }

    /// Brings the data of the file, and what is needed to find it, to the disk: fdatasync(2).
    ///
    /// # Errors
    ///
    /// As [`Self::sync_all`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::sync_all`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut journal = File::create(&path).await?;
    /// for entry in [b"first;", b"other;"] {
    ///     journal.write_all(entry).await?;
    ///     journal.sync_data().await?;
    /// }
    /// assert_eq!(journal.metadata().await?.len(), 12);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn sync_data(&self) -> io::Result<()> {
        self.settle_write().await;
        Op::new(FdOp::sync_data(self.core.fd.clone())).await
    }

    async fn settle_write(&self) {
        let mut traffic = self.traffic.lock().await;
        poll_fn(|cx| traffic.poll_settle_write(cx)).await;
    }

    /// Cuts the file to `size` bytes, or extends it with zeros. The position stays where it is.
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2); EINVAL or EBADF if the file is not open for writing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it was done.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"hello, world").await?;
    /// file.set_len(5).await?;
    /// assert_eq!(ringway_fs::read(&path).await?, b"hello");
    /// file.set_len(7).await?;
    /// assert_eq!(ringway_fs::read(&path).await?, b"hello\0\0");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        let mut traffic = self.traffic.lock().await;
        poll_fn(|cx| traffic.poll_quiesce(cx, &self.core)).await?;
        Op::new(FdOp::set_len(self.core.fd.clone(), size)).await
    }

    /// A second handle of the same open file. From now on both share one position.
    ///
    /// # Errors
    ///
    /// EMFILE if no descriptor is left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may give up what was read ahead, not the position.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::write(&path, b"left right")?;
    /// use ringway_fs::File;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let mut file = File::open(&path).await?;
    /// let mut other = file.try_clone().await?;
    /// // They have one position, which either of them moves.
    /// let mut word = [0; 5];
    /// file.read_exact(&mut word).await?;
    /// other.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"right");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn try_clone(&self) -> io::Result<File> {
        let mut traffic = self.traffic.lock().await;
        poll_fn(|cx| traffic.poll_quiesce(cx, &self.core)).await?;
        let fd = self.as_fd().try_clone_to_owned()?;
        let flags = descriptor::open_flags(fd.as_fd())?;
        traffic.share(&self.core, flags);
        let mut clone = Self::new(fd, flags, Position::of_shared);
        clone.max_buf_size = self.max_buf_size;
        Ok(clone)
    }

    /// Turns the file into one of std, at the same position, after all that was written has arrived.
    ///
    /// # Panics
    ///
    /// If an operation whose future was dropped still holds the descriptor, and it cannot be duplicated
    /// because the process has no descriptor left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the file.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use std::io::Write;
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"async, ").await?;
    /// // It waits for what is under way, and so nothing is out of order.
    /// let mut std = file.into_std().await;
    /// std.write_all(b"then not")?;
    /// assert_eq!(std::fs::read(&path)?, b"async, then not");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn into_std(mut self) -> StdFile {
        let traffic = self.traffic.get_mut();
        // An error concerns the position of a file that cannot seek.
        let _ = poll_fn(|cx| traffic.poll_quiesce(cx, &self.core)).await;
        match self.try_into_std() {
            Ok(file) => file,
            Err(file) => StdFile::from(
                file.as_fd()
                    .try_clone_to_owned()
                    .expect("no descriptor is left"),
            ),
        }
    }

    /// Turns the file into one of std, at the same position, if nothing is in flight.
    ///
    /// # Errors
    ///
    /// The file itself, if an operation is in flight.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    ///
    /// let file = File::create(&path).await?;
    /// let std = file.try_into_std().expect("nothing is under way");
    /// assert_eq!(std.metadata()?.len(), 0);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[expect(clippy::result_large_err, reason = "the file comes back, as in tokio")]
    pub fn try_into_std(mut self) -> Result<StdFile, Self> {
        let traffic = self.traffic.get_mut();
        if traffic.is_busy() {
            return Err(self);
        }
        traffic.end_reading();
        // It fails for a file that cannot seek, which has no position to lose.
        let _ = traffic.publish(&self.core);
        let Self {
            core,
            traffic,
            max_buf_size,
            pipe,
            seen,
        } = self;
        match core.try_into_owned() {
            Ok(fd) => Ok(StdFile::from(fd)),
            Err(core) => Err(Self {
                core,
                traffic,
                max_buf_size,
                pipe,
                seen,
            }),
        }
    }

    /// Closes the file, off the worker, and says what close(2) says: on a network file system it is there that
    /// a late write fails. A dropped file is closed, too, but silently.
    ///
    /// # Errors
    ///
    /// The error of a write that was still in flight, and those of close(2). The file is closed in any case; if
    /// an operation whose future was dropped still holds it, its end closes it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the file.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut file = File::create(&path).await?;
    /// file.write_all(b"to the last byte").await?;
    /// // Dropping it would hide what went wrong.
    /// file.close().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn close(mut self) -> io::Result<()> {
        let traffic = self.traffic.get_mut();
        let flushed = poll_fn(|cx| traffic.poll_flush(cx)).await;
        traffic.end_reading();
        let closed = match self.core.try_into_owned() {
            Ok(fd) => Op::new(Close::new(fd)).await,
            Err(_) => Ok(()),
        };
        flushed.and(closed)
    }

    /// Sets how many bytes one read or write through tokio's traits moves at most. Without it: 2 MiB.
    ///
    /// # Panics
    ///
    /// If it is 0.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::File;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut file = File::create(&path).await?;
    /// file.set_max_buf_size(4096);
    /// assert_eq!(file.max_buf_size(), 4096);
    /// // No call takes more than that.
    /// assert!(file.write(&[7; 10_000]).await? <= 4096);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    #[track_caller]
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        assert!(max_buf_size > 0, "`max_buf_size` must be greater than 0");
        self.max_buf_size = max_buf_size;
    }

    /// How many bytes one read or write through tokio's traits moves at most.
    pub fn max_buf_size(&self) -> usize {
        self.max_buf_size
    }
}

/// Takes O_NONBLOCK off a regular file, and says which flags are left. It has no meaning there, but io_uring
/// answers EAGAIN for its sake where it should wait for the disk. Who opens a path of a stranger asks for it
/// because of FIFOs.
fn without_nonblock(fd: BorrowedFd<'_>, flags: libc::c_int) -> libc::c_int {
    let is_regular = || descriptor::hint(fd).is_ok_and(|hint| hint.kind == libc::S_IFREG);
    if flags & libc::O_NONBLOCK == 0 || !is_regular() {
        return flags;
    }
    // If it fails, reads of what is not in memory may say WouldBlock.
    let _ = descriptor::set_open_flags(fd, flags & !libc::O_NONBLOCK);
    flags & !libc::O_NONBLOCK
}
