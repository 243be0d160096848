//! [`Status`]: what the kernel says about a file.

use std::fmt;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

/// What statx(2) says about a file.
///
/// It is called status, as in stat, and not metadata, because [`std::fs::Metadata`] can only be made by std,
/// which has no asynchronous way to do it; the functions of that name are there, too.
#[derive(Clone)]
pub struct Status {
    raw: Box<libc::statx>,
}

impl Status {
    pub(crate) fn new(raw: Box<libc::statx>) -> Self {
        Self { raw }
    }

    /// The size in bytes; of a symbolic link the length of its content.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the name of std; emptiness is of no interest"
    )]
    pub fn len(&self) -> u64 {
        self.raw.stx_size
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind() == libc::S_IFREG
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == libc::S_IFDIR
    }

    /// Whether it is a symbolic link. Only `symlink_status` can say so.
    pub fn is_symlink(&self) -> bool {
        self.kind() == libc::S_IFLNK
    }

    /// Whether it is a FIFO.
    pub fn is_fifo(&self) -> bool {
        self.kind() == libc::S_IFIFO
    }

    /// Whether it is a socket.
    pub fn is_socket(&self) -> bool {
        self.kind() == libc::S_IFSOCK
    }

    fn kind(&self) -> u32 {
        self.mode() & libc::S_IFMT
    }

    /// The kind of file and who may do what with it, as `st_mode` has them.
    pub fn mode(&self) -> u32 {
        self.raw.stx_mode.into()
    }

    /// Who may do what with it.
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode())
    }

    /// When its contents were last changed.
    pub fn modified(&self) -> SystemTime {
        time(&self.raw.stx_mtime)
    }

    /// When it was last read, as far as the file system keeps account of it.
    pub fn accessed(&self) -> SystemTime {
        time(&self.raw.stx_atime)
    }

    /// When its contents or its status were last changed.
    pub fn changed(&self) -> SystemTime {
        time(&self.raw.stx_ctime)
    }

    /// When it was made, if the file system knows.
    pub fn created(&self) -> Option<SystemTime> {
        (self.raw.stx_mask & libc::STATX_BTIME != 0).then(|| time(&self.raw.stx_btime))
    }

    /// The number of its inode, unique on its [device](Self::dev).
    pub fn ino(&self) -> u64 {
        self.raw.stx_ino
    }

    /// The device that it lies on.
    pub fn dev(&self) -> u64 {
        libc::makedev(self.raw.stx_dev_major, self.raw.stx_dev_minor)
    }

    /// The device that it is, if it is one.
    pub fn rdev(&self) -> u64 {
        libc::makedev(self.raw.stx_rdev_major, self.raw.stx_rdev_minor)
    }

    /// How many names it has.
    pub fn nlink(&self) -> u64 {
        self.raw.stx_nlink.into()
    }

    /// Who owns it.
    pub fn uid(&self) -> u32 {
        self.raw.stx_uid
    }

    /// Which group owns it.
    pub fn gid(&self) -> u32 {
        self.raw.stx_gid
    }

    /// How much room it takes on the disk, in units of 512 bytes.
    pub fn blocks(&self) -> u64 {
        self.raw.stx_blocks
    }

    /// In pieces of how many bytes it is best read and written.
    pub fn blksize(&self) -> u64 {
        self.raw.stx_blksize.into()
    }
}

fn time(at: &libc::statx_timestamp) -> SystemTime {
    let seconds = Duration::from_secs(at.tv_sec.unsigned_abs());
    let whole = if at.tv_sec < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole.map_or(SystemTime::UNIX_EPOCH, |whole| {
        whole + Duration::from_nanos(at.tv_nsec.into())
    })
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("mode", &format_args!("{:#o}", self.mode()))
            .field("len", &self.len())
            .field("modified", &self.modified())
            .field("dev", &self.dev())
            .field("ino", &self.ino())
            .field("nlink", &self.nlink())
            .field("uid", &self.uid())
            .field("gid", &self.gid())
            .finish_non_exhaustive()
    }
}
