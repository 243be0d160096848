//! [`walk()`]: everything beneath a directory.
//!
//! The kernel has no asynchronous way to list a directory, and its ring hands statx(2) to a thread of its own each time.
//! So directories are listed, and if wished asked about, in *errands* to the blocking pool, several at a time: each takes
//! its share of the directories that are known, lists them until it has found enough, and comes back with entries and
//! with directories to be listed later ([`errand`]).
//!
//! # How much is held
//!
//! Directories that wait lie on a stack, so that what was found last is listed first. With at most `B` errands under way,
//! each of which finds at most `E` entries ([`ERRAND_ENTRIES`]), there are at any time no more than
//!
//! - `(B + 1) · E` entries that were found and not taken: while `E` wait, no errand is sent;
//! - `B` open descriptors for each level of the tree: a directory that was not listed to its end stays open;
//! - `B · E` directories that wait for each level: those that the errands that were there at one time have found.
//!
//! There are no more than 2,048 levels, for longer paths are refused by the kernel.

mod errand;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use ringway_runtime::spawn_blocking;
use ringway_runtime::task::{JoinHandle, coop};

use self::errand::{Errand, Harvest, Pending};
use crate::kind::FileKind;
use crate::limits::{ERRAND_DIRS_MAX, ERRAND_ENTRIES, WALK_BREADTH};
use crate::pool::has_ended;
use crate::status::Status;

/// Everything beneath the directory at `root`, in no particular order except that a directory comes before what is in it.
///
/// Symbolic links are entries, and not followed unless [`Walk::follow_links`] says so. What cannot be read is an error of
/// its own, and the walk goes on.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let root = dir.path();
/// # std::fs::create_dir_all(root.join("src/net"))?;
/// # std::fs::write(root.join("src/net/tcp.rs"), b"")?;
/// # std::fs::write(root.join("src/lib.rs"), b"mod net;")?;
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let mut walk = ringway_fs::walk(root).with_status(true);
/// let (mut files, mut bytes) = (0, 0);
/// while let Some(entry) = walk.next().await {
///     let entry = entry?;
///     if let Some(status) = entry.status().filter(|status| status.is_file()) {
///         files += 1;
///         bytes += status.len();
///     }
/// }
/// assert_eq!((files, bytes), (2, 8));
/// # Ok(())
/// # })
/// # }
/// ```
pub fn walk(root: impl AsRef<Path>) -> Walk {
    let root = root.as_ref().to_owned();
    Walk {
        rules: Arc::new(Rules {
            follow_links: false,
            with_status: false,
            same_file_system: false,
            depth_max: usize::MAX,
            enters: None,
        }),
        breadth: WALK_BREADTH,
        found: VecDeque::new(),
        waiting: vec![Pending::root(root.clone())],
        errands: Vec::new(),
        root,
    }
}

/// A walk through a tree of directories: [`walk()`]. It is a [`Stream`], too.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # std::fs::create_dir_all(path.join("src/.git/objects"))?;
/// # std::fs::write(path.join("src/lib.rs"), b"")?;
/// # std::os::unix::fs::symlink("lib.rs", path.join("src/link.rs"))?;
/// let mut walk = ringway_fs::walk(&path)
///     .follow_links(true)
///     .same_file_system(true)
///     .max_depth(10)
///     .breadth(2)
///     .enter_if(|directory| !directory.path().ends_with(".git"));
/// let mut names = Vec::new();
/// while let Some(entry) = walk.next().await {
///     let entry = entry?;
///     names.push((entry.depth(), entry.into_path()));
/// }
/// names.sort();
/// let expected = [(1, "src"), (2, "src/.git"), (2, "src/lib.rs"), (2, "src/link.rs")];
/// assert_eq!(names, expected.map(|(depth, name)| (depth, path.join(name))));
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "nothing is read until entries are asked for"]
pub struct Walk {
    rules: Arc<Rules>,
    breadth: usize,
    found: VecDeque<Result<WalkEntry, WalkError>>,
    /// Directories to be listed, the next one last.
    waiting: Vec<Pending>,
    errands: Vec<JoinHandle<Harvest>>,
    /// Where it began.
    root: PathBuf,
}

/// What all errands of a walk keep to.
struct Rules {
    follow_links: bool,
    with_status: bool,
    same_file_system: bool,
    depth_max: usize,
    enters: Option<Box<Enters>>,
}

type Enters = dyn Fn(&WalkEntry) -> bool + Send + Sync;

impl Walk {
    /// Whether symbolic links are followed: an entry then is what the link leads to, and a directory behind it is
    /// entered. A link to a directory in which it lies itself is an error, ELOOP. One that leads nowhere is an entry of
    /// its own.
    pub fn follow_links(self, follow_links: bool) -> Self {
        self.with(|rules| rules.follow_links = follow_links)
    }

    /// Whether each entry comes with its [`Status`]. That is found out in the same trip to the blocking pool, and costs a
    /// third of what it would cost afterwards.
    pub fn with_status(self, with_status: bool) -> Self {
        self.with(|rules| rules.with_status = with_status)
    }

    /// Whether directories on other file systems than the root's are left out (but named).
    pub fn same_file_system(self, same_file_system: bool) -> Self {
        self.with(|rules| rules.same_file_system = same_file_system)
    }

    /// How deep it goes: with 1, no further than what is in the root itself.
    pub fn max_depth(self, depth_max: usize) -> Self {
        self.with(|rules| rules.depth_max = depth_max)
    }

    /// Which directories are entered. The others are named, but what is in them is left out. Called on threads of the
    /// blocking pool; if it panics, the walk does.
    pub fn enter_if(self, enters: impl Fn(&WalkEntry) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.enters = Some(Box::new(enters)))
    }

    /// How many errands are under way at a time, at most: 8 without it. More than there are processors help where
    /// directories have to be read from a disk or a server.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn breadth(mut self, breadth: usize) -> Self {
        assert!(breadth > 0, "a walk needs a breadth of at least 1");
        self.breadth = breadth;
        self
    }

    fn with(mut self, set: impl FnOnce(&mut Rules)) -> Self {
        match Arc::get_mut(&mut self.rules) {
            Some(rules) => set(rules),
            // Errands are under way, which keep to the rules that they know.
            None => debug_assert!(false, "the rules are made before the walk begins"),
        }
        self
    }

    /// The next entry; `None` when there are no more.
    ///
    /// # Errors
    ///
    /// What could not be read, with its path. The walk goes on after it; but if the runtime has ended, the walk ends with an
    /// error that says so, with the path of the root.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and if the function of [`Self::enter_if`] has panicked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no entry.
    pub async fn next(&mut self) -> Option<Result<WalkEntry, WalkError>> {
        poll_fn(|cx| self.poll_entry(cx)).await
    }

    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WalkEntry, WalkError>>> {
        let unit = ready!(coop::poll_proceed(cx));
        loop {
            self.send_errands();
            if self.poll_errands(cx) {
                continue;
            }
            if let Some(entry) = self.found.pop_front() {
                unit.made_progress();
                return Poll::Ready(Some(entry));
            }
            if self.errands.is_empty() {
                return Poll::Ready(None);
            }
            return Poll::Pending;
        }
    }

    /// Sends as many errands as there may and need be. While many entries wait to be taken, none.
    fn send_errands(&mut self) {
        while self.errands.len() < self.breadth
            && self.found.len() < ERRAND_ENTRIES
            && !self.waiting.is_empty()
        {
            let idle = self.breadth - self.errands.len();
            let share = self.waiting.len().div_ceil(idle).min(ERRAND_DIRS_MAX);
            let errand = Errand {
                dirs: self.waiting.split_off(self.waiting.len() - share),
                rules: Arc::clone(&self.rules),
            };
            self.errands.push(spawn_blocking(|| errand.run()));
        }
    }

    /// Takes what errands have brought, if there is nothing else to hand out; whether one has come back.
    fn poll_errands(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.found.is_empty() {
            return false;
        }
        let mut index = 0;
        let mut any = false;
        while index < self.errands.len() {
            match Pin::new(&mut self.errands[index]).poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(harvest) => {
                    drop(self.errands.swap_remove(index));
                    self.gather(harvest);
                    any = true;
                }
            }
        }
        any
    }

    fn gather(&mut self, harvest: Result<Harvest, ringway_runtime::task::JoinError>) {
        match harvest {
            Ok(harvest) => {
                self.found.extend(harvest.found);
                self.waiting.extend(harvest.dirs);
            }
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => self.end_early(),
            },
        }
    }
}

/// When the runtime ends.
impl Walk {
    /// Says once that the walk ends before everything was found.
    fn end_early(&mut self) {
        self.waiting.clear();
        self.abort();
        self.found.push_back(Err(WalkError {
            path: self.root.clone(),
            depth: 0,
            source: has_ended(),
        }));
    }

    /// Errands that have not begun never do; others come to their end unheard.
    fn abort(&mut self) {
        for errand in self.errands.drain(..) {
            errand.abort();
        }
    }
}

impl Stream for Walk {
    type Item = Result<WalkEntry, WalkError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_entry(cx)
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("breadth", &self.breadth)
            .field("found", &self.found.len())
            .field("waiting", &self.waiting.len())
            .field("errands", &self.errands.len())
            .finish_non_exhaustive()
    }
}

/// Something beneath the root of a walk.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # std::fs::create_dir_all(path.join("src"))?;
/// use ringway_fs::FileKind;
///
/// let mut walk = ringway_fs::walk(&path).with_status(true);
/// let entry = walk.next().await.expect("there is one")?;
/// assert_eq!((entry.depth(), entry.kind()), (1, Some(FileKind::Dir)));
/// assert!(entry.is_dir() && entry.path().ends_with("src"));
/// assert_eq!(entry.status().unwrap().ino(), entry.ino());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WalkEntry {
    path: PathBuf,
    depth: usize,
    ino: u64,
    kind: Option<FileKind>,
    status: Option<Status>,
}

impl WalkEntry {
    /// The path of the root, as it was given, and the way from there.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path, without a copy.
    pub fn into_path(self) -> PathBuf {
        self.path
    }

    /// How far it is from the root: 1 for what is in the root itself.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The number of its inode; of a link that was followed that of where it leads.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// What kind of file it is; `None` if nobody knows.
    pub fn kind(&self) -> Option<FileKind> {
        self.kind
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Some(FileKind::Dir)
    }

    /// What the kernel says about it, with [`Walk::with_status`].
    pub fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }
}

/// What could not be read in a walk.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let mut walk = ringway_fs::walk(&path);
/// let error = walk.next().await.expect("an error is told").unwrap_err();
/// assert_eq!((error.path(), error.depth()), (path.as_path(), 0));
/// assert_eq!(error.io_error().kind(), std::io::ErrorKind::NotFound);
/// assert!(walk.next().await.is_none());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct WalkError {
    path: PathBuf,
    depth: usize,
    source: io::Error,
}

impl WalkError {
    /// What could not be read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far it is from the root.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Why.
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl Error for WalkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<WalkError> for io::Error {
    /// An error of the same kind, with the path inside.
    fn from(error: WalkError) -> Self {
        Self::new(error.source.kind(), error)
    }
}
