//! [`read_dir`]: the entries of a directory, on the blocking pool, for the kernel has no asynchronous way.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ringway_runtime::spawn_blocking;
use ringway_runtime::task::JoinHandle;

use crate::limits::READ_DIR_CHUNK;
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
    on_pool(move || {
        let source = std::fs::read_dir(path)?;
        Ok(ReadDir {
            state: State::Ready(
                Chunk {
                    entries: VecDeque::new(),
                    source,
                    ended: false,
                }
                .fill(),
            ),
        })
    })
    .await
}

/// The entries of a directory, read in pieces of 32.
#[derive(Debug)]
#[must_use = "entries are read when they are asked for"]
pub struct ReadDir {
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Chunk),
    Filling(JoinHandle<Chunk>),
    /// The pool shut down while it had the chunk.
    Lost,
}

#[derive(Debug)]
struct Chunk {
    entries: VecDeque<io::Result<DirEntry>>,
    source: std::fs::ReadDir,
    ended: bool,
}

impl Chunk {
    /// Reads the next entries, up to the first error.
    fn fill(mut self) -> Self {
        while self.entries.len() < READ_DIR_CHUNK {
            let Some(entry) = self.source.next() else {
                self.ended = true;
                break;
            };
            let failed = entry.is_err();
            self.entries.push_back(entry.map(DirEntry::new));
            if failed {
                break;
            }
        }
        self
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
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.state {
                State::Ready(chunk) => {
                    if let Some(entry) = chunk.entries.pop_front() {
                        return Poll::Ready(entry.map(Some));
                    }
                    if chunk.ended {
                        return Poll::Ready(Ok(None));
                    }
                    self.refill();
                }
                State::Filling(handle) => {
                    let chunk = ready!(Pin::new(handle).poll(cx));
                    self.state = chunk.map_or(State::Lost, State::Ready);
                }
                State::Lost => return Poll::Ready(Err(io::Error::other("background task failed"))),
            }
        }
    }

    fn refill(&mut self) {
        if let State::Ready(chunk) = std::mem::replace(&mut self.state, State::Lost) {
            self.state = State::Filling(spawn_blocking(move || chunk.fill()));
        }
    }
}

/// An entry of a directory.
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

    /// What std says about the entry, on the blocking pool; of a symbolic link about the link.
    ///
    /// # Errors
    ///
    /// `NotFound` if it was removed meanwhile, and the other errors of stat(2).
    ///
    /// # Cancel safety
    ///
    /// Nothing happens but the asking.
    pub async fn metadata(&self) -> io::Result<Metadata> {
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
    pub async fn file_type(&self) -> io::Result<FileType> {
        if let Some(file_type) = self.file_type {
            return Ok(file_type);
        }
        let std = Arc::clone(&self.std);
        on_pool(move || std.file_type()).await
    }
}
