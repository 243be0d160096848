//! [`read_dir`]: the entries of a directory, on the blocking pool, for the kernel has no asynchronous way.

use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use ringway_runtime::task::coop;

use crate::chunks::{Chunks, Source};
use crate::metadata::metadata_now;
use crate::pool::on_pool;

/// The entries of the directory at `path`, in no particular order.
///
/// # Errors
///
/// `NotFound`, `NotADirectory` and the other errors of opendir(3).
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Nothing remains of it.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let chunks = Chunks::open(move || std::fs::read_dir(path)).await?;
    Ok(ReadDir { chunks })
}

/// The entries of a directory, read in pieces of 256.
#[derive(Debug)]
#[must_use = "entries are read when they are asked for"]
pub struct ReadDir {
    chunks: Chunks<std::fs::ReadDir>,
}

impl Source for std::fs::ReadDir {
    type Item = DirEntry;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        Iterator::next(self).map(|entry| entry.map(DirEntry::new))
    }
}

impl ReadDir {
    /// The next entry; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of readdir(3).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no entry.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// As [`Self::next_entry`]: the task is woken when an entry, the end or an error can be asked for again.
    ///
    /// # Errors
    ///
    /// As [`Self::next_entry`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::create_dir_all(path.join("only"))?;
    /// use std::future::poll_fn;
    ///
    /// let mut entries = ringway_fs::read_dir(&path).await?;
    /// let only = poll_fn(|cx| entries.poll_next_entry(cx)).await?;
    /// assert_eq!(only.unwrap().file_name(), "only");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        self.chunks.poll_next(cx)
    }
}

/// An entry of a directory.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # std::fs::create_dir(&path)?;
/// # std::fs::write(path.join("poem"), b"Tyger Tyger")?;
/// let mut entries = ringway_fs::read_dir(&path).await?;
/// let poem = entries.next_entry().await?.expect("there is one");
/// assert_eq!(poem.file_name(), "poem");
/// assert_eq!(poem.path(), path.join("poem"));
/// assert!(poem.file_type().await?.is_file());
/// assert_eq!(poem.metadata().await?.len(), 11);
/// assert!(poem.ino() > 0);
/// assert!(entries.next_entry().await?.is_none());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct DirEntry {
    file_type: Option<FileType>,
    std: Arc<std::fs::DirEntry>,
}

impl DirEntry {
    fn new(std: std::fs::DirEntry) -> Self {
        Self {
            file_type: std.file_type().ok(),
            std: Arc::new(std),
        }
    }

    /// The path of the directory, as it was given, with the name of the entry.
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// The name of the entry.
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }

    /// The number of its inode.
    pub fn ino(&self) -> u64 {
        self.std.ino()
    }

    /// What std says about the entry; of a symbolic link about the link. At once if it is in memory, and otherwise on the
    /// blocking pool.
    ///
    /// # Errors
    ///
    /// `NotFound` if it was removed meanwhile, and the other errors of stat(2).
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
    /// # std::fs::create_dir_all(path.join("folder"))?;
    /// # std::fs::write(path.join("file"), b"four")?;
    /// let mut entries = ringway_fs::read_dir(&path).await?;
    /// let mut bytes = 0;
    /// while let Some(entry) = entries.next_entry().await? {
    ///     let metadata = entry.metadata().await?;
    ///     bytes += if metadata.is_file() { metadata.len() } else { 0 };
    /// }
    /// assert_eq!(bytes, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn metadata(&self) -> io::Result<Metadata> {
        coop::consume_budget().await;
        let at_once = metadata_now(&self.path());
        // The directory may have been renamed, or something be mounted there, since it was read.
        if let Some(metadata) = at_once.filter(|metadata| metadata.ino() == self.ino()) {
            return Ok(metadata);
        }
        let std = Arc::clone(&self.std);
        on_pool(move || std.metadata()).await
    }

    /// What kind of file the entry is. Most file systems say so in the directory; others are asked, on the
    /// blocking pool.
    ///
    /// # Errors
    ///
    /// As [`Self::metadata`].
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
    /// # std::fs::create_dir_all(path.join("folder"))?;
    /// # std::fs::write(path.join("file"), b"")?;
    /// let mut entries = ringway_fs::read_dir(&path).await?;
    /// let mut folders = Vec::new();
    /// while let Some(entry) = entries.next_entry().await? {
    ///     if entry.file_type().await?.is_dir() {
    ///         folders.push(entry.file_name());
    ///     }
    /// }
    /// assert_eq!(folders, ["folder"]);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn file_type(&self) -> io::Result<FileType> {
        if let Some(file_type) = self.file_type {
            return Ok(file_type);
        }
        let std = Arc::clone(&self.std);
        on_pool(move || std.file_type()).await
    }
}
