//! [`FileKind`]: what kind of file it is.

/// What kind of file it is.
///
/// [`std::fs::FileType`] says the same, but only calls of std can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl FileKind {
    /// As `st_mode` has it.
    pub(crate) fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Dir,
            libc::S_IFLNK => Self::Symlink,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFCHR => Self::CharDevice,
            libc::S_IFBLK => Self::BlockDevice,
            _ => return None,
        })
    }

    /// As directories have it. None if the file system does not tell.
    pub(crate) fn of_entry(d_type: u8) -> Option<Self> {
        Self::of_mode(u32::from(d_type) << 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: two rows of the table change places.
    #[test]
    fn directories_and_modes_name_the_same_kinds() {
        let kinds = [
            (libc::DT_REG, libc::S_IFREG, FileKind::File),
            (libc::DT_DIR, libc::S_IFDIR, FileKind::Dir),
            (libc::DT_LNK, libc::S_IFLNK, FileKind::Symlink),
            (libc::DT_FIFO, libc::S_IFIFO, FileKind::Fifo),
            (libc::DT_SOCK, libc::S_IFSOCK, FileKind::Socket),
            (libc::DT_CHR, libc::S_IFCHR, FileKind::CharDevice),
            (libc::DT_BLK, libc::S_IFBLK, FileKind::BlockDevice),
        ];
        for (entry, mode, kind) in kinds {
            assert_eq!(FileKind::of_entry(entry), Some(kind));
            assert_eq!(FileKind::of_mode(mode | 0o644), Some(kind));
        }
        assert_eq!(FileKind::of_entry(libc::DT_UNKNOWN), None);
    }
}
