//! [`Entries`]: what is in a directory that is already open.

use std::ffi::{OsStr, OsString};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use crate::chunks::{Chunks, Source};
use crate::kind::FileKind;
use crate::op::{Found, Listing};

/// The entries of a directory: [`Dir::read_dir`](crate::Dir::read_dir).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # std::fs::create_dir_all(path.join("deep"))?;
/// use ringway_fs::{Dir, FileKind};
///
/// let mut entries = Dir::open(&path).await?.read_dir(".").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     assert_eq!(entry.kind(), Some(FileKind::Dir));
///     assert!(entry.ino() > 0);
///     assert_eq!(entry.into_file_name(), "deep");
/// }
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
#[must_use = "entries are read when they are asked for"]
pub struct Entries {
    chunks: Chunks<Listing>,
}

impl Source for Listing {
    type Item = Entry;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        Listing::next(self).map(|found| found.map(Entry))
    }
}

impl Entries {
    pub(crate) async fn of(dir: OwnedFd) -> io::Result<Self> {
        let chunks = Chunks::open(move || Ok(Listing::new(dir))).await?;
        Ok(Self { chunks })
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of getdents(2).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no entry.
    pub async fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// As [`Self::next_entry`]: the task is woken when an entry, the end or an error can be asked for again.
    ///
    /// # Errors
    ///
    /// As [`Self::next_entry`].
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Entry>>> {
        self.chunks.poll_next(cx)
    }
}

/// An entry of a directory beneath a [`Dir`](crate::Dir).
#[derive(Debug)]
pub struct Entry(Found);

impl Entry {
    /// The name of the entry: a path from the directory on.
    pub fn file_name(&self) -> &OsStr {
        &self.0.name
    }

    /// The name of the entry, without a copy.
    pub fn into_file_name(self) -> OsString {
        self.0.name
    }

    /// The number of its inode.
    pub fn ino(&self) -> u64 {
        self.0.ino
    }

    /// What kind of file it is; of a symbolic link, that it is one. `None` if the file system does not say so in the
    /// directory: ask for the [`symlink_metadata`](crate::Dir::symlink_metadata).
    pub fn kind(&self) -> Option<FileKind> {
        self.0.kind
    }
}
