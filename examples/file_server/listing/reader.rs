//! What of a directory can be fetched: files, directories, and symlinks to those that may be followed.

use std::io;
use std::os::fd::AsFd;

use ringway::fs::{Dir, File};
use rustix::fs::{
    AtFlags, DirEntry, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, statat,
};

use super::entries::{Entry, Kind};
use crate::path::{SitePath, is_servable_name};

/// The entries of a directory as the disk has them; an error may come at any of them, and nothing comes after it.
pub(super) type Names = Box<dyn Iterator<Item = rustix::io::Result<DirEntry>> + Send>;

/// What makes [`Names`] of an open directory.
pub(super) type OpenNames = fn(&File) -> io::Result<Names>;

/// See [`OpenNames`]: the kernel's.
pub(super) fn open_names(directory: &File) -> io::Result<Names> {
    Ok(Box::new(rustix::fs::Dir::read_from(directory)?))
}

/// The directory at a path beneath the root, from its first entry on. Its functions block, so they belong on the
/// blocking pool.
pub(super) struct Reader {
    root: Dir,
    resolve: ResolveFlags,
    path: SitePath,
    directory: File,
    names: Names,
}

/// What came of the next entry.
pub(super) enum Next {
    Shown(Found),
    /// It has vanished since, may not be looked at, leads out, or is never served.
    Hidden,
    /// There is none.
    End,
}

/// An entry with its name.
pub(super) struct Found {
    from: DirEntry,
    kind: Kind,
    size: u64,
    modified: i64,
}

impl Reader {
    /// Symlinks in `directory`, which is at `path` beneath `root`, are followed as `resolve` says.
    pub(super) fn open(
        root: Dir,
        resolve: ResolveFlags,
        path: SitePath,
        directory: File,
        names: OpenNames,
    ) -> io::Result<Reader> {
        let names = names(&directory)?;
        Ok(Reader {
            root,
            resolve,
            path,
            directory,
            names,
        })
    }

    /// The next entry, in the order of the disk. One that is not shown is one as well: to look at it takes as long, and a
    /// directory may have nothing else.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let Some(entry) = self.names.next() else {
            return Ok(Next::End);
        };
        Ok(self.look_at(entry?).map_or(Next::Hidden, Next::Shown))
    }

    /// `None` for what has vanished since, may not be looked at, leads out, or is never served.
    fn look_at(&self, entry: DirEntry) -> Option<Found> {
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || !is_servable_name(name) || is_odd(entry.file_type()) {
            return None;
        }
        let stat = statat(
            &self.directory,
            entry.file_name(),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .ok()?;
        let stat = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => self.stat_target(name).ok()?,
            _ => stat,
        };
        Some(Found {
            kind: kind_of(&stat)?,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
            from: entry,
        })
    }

    /// What a symlink leads to, if it may be followed. O_PATH looks at it without opening it: no FIFO and no device
    /// notices.
    fn stat_target(&self, name: &[u8]) -> io::Result<Stat> {
        let path = self.path.join(name);
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let target = openat2(
            self.root.as_fd(),
            path.as_path(),
            flags,
            Mode::empty(),
            self.resolve,
        )?;
        Ok(fstat(target)?)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Reader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Found {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            name: self.from.file_name().to_bytes(),
            kind: self.kind,
            size: self.size,
            modified: self.modified,
        }
    }
}

/// Whether the directory itself says that this is never served.
fn is_odd(file_type: FileType) -> bool {
    use FileType::{BlockDevice, CharacterDevice, Fifo, Socket};
    matches!(file_type, BlockDevice | CharacterDevice | Fifo | Socket)
}

fn kind_of(stat: &Stat) -> Option<Kind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Some(Kind::Directory),
        FileType::RegularFile => Some(Kind::File),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::Symlinks;

    /// A reader of the folder at `path` beneath `root`.
    pub(crate) fn reader(root: &Path, path: &str, symlinks: Symlinks) -> Reader {
        reader_of(root, path, symlinks, open_names)
    }

    /// The same with other entries.
    pub(crate) fn reader_of(
        root: &Path,
        path: &str,
        symlinks: Symlinks,
        names: OpenNames,
    ) -> Reader {
        let runtime = ringway::runtime::Builder::new_current_thread().build();
        let site_path = SitePath::parse(path.as_bytes()).expect("valid");
        runtime.expect("a runtime").block_on(async {
            let directory = File::open(root.join(site_path.as_path())).await;
            let root = Dir::open(root).await.expect("opens");
            Reader::open(
                root,
                symlinks.resolve_flags(),
                site_path,
                directory.expect("opens"),
                names,
            )
            .expect("opens")
        })
    }

    /// The next entry that is shown.
    fn next(reader: &mut Reader) -> Option<Found> {
        loop {
            match reader.next().expect("reads") {
                Next::Shown(found) => return Some(found),
                Next::Hidden => {}
                Next::End => return None,
            }
        }
    }

    fn all(mut reader: Reader) -> Vec<(String, Kind, u64)> {
        let mut found = Vec::new();
        while let Some(next) = next(&mut reader) {
            let entry = next.entry();
            let name = String::from_utf8_lossy(entry.name).into_owned();
            found.push((name, entry.kind, entry.size));
        }
        found.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        found
    }

    fn names(found: &[(String, Kind, u64)]) -> Vec<&str> {
        found.iter().map(|(name, ..)| name.as_str()).collect()
    }

    #[test]
    fn files_directories_and_links_that_may_be_followed_are_found_and_nothing_else() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("root/here/dir")).expect("directories");
        std::fs::write(at("outside"), "1").expect("file");
        std::fs::write(at("root/target"), "12345").expect("file");
        std::fs::write(at("root/here/file"), "123").expect("file");
        std::fs::write(at("root/here/back\\slash"), "").expect("file");
        for (target, link) in [
            ("../target", "in"),
            ("../../outside", "out"),
            ("/", "root"),
            ("none", "dangling"),
            ("round", "round"),
        ] {
            std::os::unix::fs::symlink(target, at("root/here").join(link)).expect("symlink");
        }
        let _socket = std::os::unix::net::UnixListener::bind(at("root/here/socket"));
        let found = |symlinks| all(reader(&at("root"), "/here/", symlinks));
        let within = found(Symlinks::Within);
        assert_eq!(names(&within), ["dir", "file", "in"]);
        assert_eq!(within[0].1, Kind::Directory);
        assert_eq!((within[1].1, within[1].2), (Kind::File, 3));
        assert_eq!((within[2].1, within[2].2), (Kind::File, 5));
        assert_eq!(names(&found(Symlinks::Never)), ["dir", "file"]);
        let always = found(Symlinks::Always);
        assert_eq!(names(&always), ["dir", "file", "in", "out", "root"]);
    }

    /// Mutant: an entry that cannot be looked at ends the reading.
    #[test]
    fn an_entry_that_vanishes_while_it_is_read_is_left_out() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for number in 0..40 {
            std::fs::write(folder.path().join(format!("{number:02}")), "").expect("file");
        }
        let mut reader = reader(folder.path(), "/", Symlinks::Within);
        // The first entry brings the names of all.
        let first = next(&mut reader).expect("an entry");
        let first = String::from_utf8(first.entry().name.to_vec()).expect("digits");
        for number in (0..40).filter(|number| number % 2 == 0) {
            std::fs::remove_file(folder.path().join(format!("{number:02}"))).expect("removes");
        }
        let rest = all(reader);
        assert!(rest.iter().all(|(name, ..)| name.as_bytes()[1] % 2 == 1));
        let is_odd = first.as_bytes()[1] % 2 == 1;
        assert_eq!(rest.len(), 20 - usize::from(is_odd));
    }
}
