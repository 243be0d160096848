//! A trip to the blocking pool: lists directories until enough was found.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Rules, WalkEntry, WalkError};
use crate::kind::FileKind;
use crate::limits::ERRAND_ENTRIES;
use crate::op::{Found, Listing, c_path, descriptor};
use crate::status::Status;

/// Directories to be listed, and how.
pub(super) struct Errand {
    /// The next one last.
    pub(super) dirs: Vec<Pending>,
    pub(super) rules: Arc<Rules>,
}

/// What an errand has brought.
pub(super) struct Harvest {
    pub(super) found: Vec<Result<WalkEntry, WalkError>>,
    /// To be listed later: what was found, what was not reached, and what was begun.
    pub(super) dirs: Vec<Pending>,
}

/// A directory to be listed.
#[derive(Debug)]
pub(super) struct Pending {
    place: Place,
    state: State,
}

/// Where a directory is.
#[derive(Clone, Debug)]
struct Place {
    path: Arc<Path>,
    depth: usize,
    /// It and the directories above it, if somebody wants to know. (Before it is opened, those above it.)
    above: Option<Arc<Ancestor>>,
}

#[derive(Debug)]
enum State {
    /// Whether a link at the end of the path is followed.
    Closed { follow: bool },
    /// It was begun.
    Open(Listing),
}

/// A directory, by what it is and not by its path.
#[derive(Debug)]
struct Ancestor {
    identity: Identity,
    above: Option<Arc<Ancestor>>,
}

/// Device and inode.
type Identity = (u64, u64);

impl Pending {
    pub(super) fn root(path: PathBuf) -> Self {
        Self {
            place: Place {
                path: path.into(),
                depth: 0,
                above: None,
            },
            state: State::Closed { follow: true },
        }
    }
}

impl Errand {
    /// Lists directories, the last one first, until enough was found.
    pub(super) fn run(mut self) -> Harvest {
        let mut harvest = Harvest {
            found: Vec::new(),
            dirs: Vec::new(),
        };
        while harvest.found.len() < ERRAND_ENTRIES {
            let Some(dir) = self.dirs.pop() else {
                break;
            };
            self.rules.list(dir, &mut harvest);
        }
        // What was not reached goes beneath what was found, so that this is listed first.
        self.dirs.append(&mut harvest.dirs);
        harvest.dirs = self.dirs;
        harvest
    }
}

impl Rules {
    fn list(&self, dir: Pending, harvest: &mut Harvest) {
        let mut place = dir.place;
        let opened = match dir.state {
            State::Open(listing) => Ok(listing),
            State::Closed { follow } => self.begin(&mut place, follow),
        };
        let mut listing = match opened {
            Ok(listing) => listing,
            Err(error) => return harvest.found.push(Err(place.failed(error))),
        };
        let mut entered = Vec::new();
        while harvest.found.len() < ERRAND_ENTRIES {
            match listing.next() {
                None => {
                    harvest.dirs.append(&mut entered);
                    return;
                }
                Some(Err(error)) => harvest.found.push(Err(place.failed(error))),
                Some(Ok(found)) => {
                    let visited = self.visit(&place, listing.dir(), found, &mut entered);
                    harvest.found.push(visited);
                }
            }
        }
        // The rest of this directory waits beneath what was found in it.
        harvest.dirs.push(Pending {
            place,
            state: State::Open(listing),
        });
        harvest.dirs.append(&mut entered);
    }

    /// Opens a directory, and enters it among its own ancestors.
    fn begin(&self, place: &mut Place, follow: bool) -> io::Result<Listing> {
        let dir = open_dir(&place.path, follow)?;
        if self.needs_ancestors() {
            let status = descriptor::status_of_fd(dir.as_fd())?;
            place.above = Some(Arc::new(Ancestor {
                identity: (status.dev(), status.ino()),
                above: place.above.take(),
            }));
        }
        Ok(Listing::new(dir))
    }

    /// Whether it matters which directory is which.
    fn needs_ancestors(&self) -> bool {
        self.follow_links || self.same_file_system
    }

    /// Makes an entry of what was found, and remembers it if it is to be listed.
    fn visit(
        &self,
        place: &Place,
        dir: BorrowedFd<'_>,
        found: Found,
        entered: &mut Vec<Pending>,
    ) -> Result<WalkEntry, WalkError> {
        let path = place.path.join(&found.name);
        let depth = place.depth + 1;
        let failed = |source| WalkError {
            path: path.clone(),
            depth,
            source,
        };
        let status = self.ask(dir, &found).map_err(failed)?;
        let kind = status.as_ref().map_or(found.kind, Status::kind);
        if kind == Some(FileKind::Dir) {
            self.check_loop(place, status.as_ref()).map_err(failed)?;
        }
        let follow = self.follow_links && found.kind != kind;
        let stays = self.stays(place, status.as_ref());
        let entry = WalkEntry {
            ino: status.as_ref().map_or(found.ino, Status::ino),
            status: status.filter(|_| self.with_status),
            path,
            depth,
            kind,
        };
        if entry.is_dir() && stays && self.enters(&entry) {
            entered.push(Pending {
                place: Place {
                    path: entry.path.as_path().into(),
                    depth,
                    above: place.above.clone(),
                },
                state: State::Closed { follow },
            });
        }
        Ok(entry)
    }

    /// Asks about an entry, if more is to be known than the directory says.
    fn ask(&self, dir: BorrowedFd<'_>, found: &Found) -> io::Result<Option<Status>> {
        let is_link = found.kind == Some(FileKind::Symlink);
        let may_loop = self.needs_ancestors() && found.kind == Some(FileKind::Dir);
        let follows = self.follow_links && (is_link || found.kind.is_none());
        if !(self.with_status || may_loop || follows || found.kind.is_none()) {
            return Ok(None);
        }
        let name: CString = c_path(&found.name)?;
        if follows {
            match descriptor::status_at(dir, &name, 0) {
                Ok(status) => return Ok(Some(status)),
                // It leads nowhere, or in a circle: it is an entry itself.
                Err(error) if leads_nowhere(&error) => {}
                Err(error) => return Err(error),
            }
        }
        descriptor::status_at(dir, &name, libc::AT_SYMLINK_NOFOLLOW).map(Some)
    }

    /// Whether a directory is one of those above it, which a followed link, or a mount, can bring about.
    fn check_loop(&self, place: &Place, status: Option<&Status>) -> io::Result<()> {
        let Some(status) = status.filter(|_| self.follow_links) else {
            return Ok(());
        };
        let identity = (status.dev(), status.ino());
        let mut above = place.above.as_ref();
        while let Some(ancestor) = above {
            if ancestor.identity == identity {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            above = ancestor.above.as_ref();
        }
        Ok(())
    }

    /// Whether it lies on the root's file system, if that is wanted.
    fn stays(&self, place: &Place, status: Option<&Status>) -> bool {
        match (&place.above, status) {
            (Some(above), Some(status)) if self.same_file_system => {
                above.identity.0 == status.dev()
            }
            _ => true,
        }
    }

    fn enters(&self, entry: &WalkEntry) -> bool {
        entry.depth < self.depth_max && self.enters.as_ref().is_none_or(|enters| enters(entry))
    }
}

impl Place {
    fn failed(&self, source: io::Error) -> WalkError {
        WalkError {
            path: self.path.to_path_buf(),
            depth: self.depth,
            source,
        }
    }
}

fn leads_nowhere(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ELOOP | libc::ENOTDIR)
    )
}

fn open_dir(path: &Path, follow: bool) -> io::Result<OwnedFd> {
    let no_follow = if follow { 0 } else { libc::O_NOFOLLOW };
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_DIRECTORY | no_follow);
    options.open(path).map(OwnedFd::from)
}
