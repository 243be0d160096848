//! [`Status`]: what the kernel says about a file.

use std::fmt;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::kind::FileKind;

/// What statx(2) says about a file.
///
/// It is called status, as in stat, and not metadata, because [`std::fs::Metadata`] can only be made by std,
/// which has no asynchronous way to do it; the functions of that name are there, too.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use std::time::{Duration, SystemTime};
/// use ringway_fs::FileKind;
///
/// # let before = SystemTime::now() - Duration::from_secs(1);
/// std::fs::write(&path, b"hello")?;
/// let status = ringway_fs::status(&path).await?;
/// assert_eq!((status.len(), status.kind()), (5, Some(FileKind::File)));
/// assert!(status.modified() >= before);
/// // Which file it is, whatever it is called.
/// let same = ringway_fs::status(dir.path().join("./file")).await?;
/// assert_eq!((status.dev(), status.ino()), (same.dev(), same.ino()));
/// // What only some file systems know.
/// if let Some(created) = status.created() {
///     assert!(created <= SystemTime::now());
/// }
/// # Ok(())
/// # })
/// # }
/// ```
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

    /// What kind of file it is; `None` for kinds that no kernel has had so far. Only `symlink_status` finds links.
    pub fn kind(&self) -> Option<FileKind> {
        FileKind::of_mode(self.mode())
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind() == Some(FileKind::File)
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == Some(FileKind::Dir)
    }

    /// Whether it is a symbolic link. Only `symlink_status` can say so.
    pub fn is_symlink(&self) -> bool {
        self.kind() == Some(FileKind::Symlink)
    }

    /// Whether it is a FIFO.
    pub fn is_fifo(&self) -> bool {
        self.kind() == Some(FileKind::Fifo)
    }

    /// Whether it is a socket.
    pub fn is_socket(&self) -> bool {
        self.kind() == Some(FileKind::Socket)
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
        self.told(libc::STATX_BTIME)
            .then(|| time(&self.raw.stx_btime))
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

    /// What the file system has told, as `STATX_*` flags.
    pub fn mask(&self) -> u32 {
        self.raw.stx_mask
    }

    /// Further properties of the file.
    pub fn attributes(&self) -> Attributes {
        Attributes {
            set: self.raw.stx_attributes,
            known: self.raw.stx_attributes_mask,
        }
    }

    /// The number of the mount through which the file was reached, as in `/proc/self/mountinfo`. Linux 5.8.
    pub fn mount_id(&self) -> Option<u64> {
        self.told(libc::STATX_MNT_ID).then_some(self.raw.stx_mnt_id)
    }

    /// What O_DIRECT asks of memory and offsets. `None` if the file cannot be read and written past the cache, or the
    /// kernel does not say (before Linux 6.1).
    pub fn direct_alignment(&self) -> Option<DirectAlignment> {
        DirectAlignment::of(&self.raw)
    }

    /// The number of the subvolume that the file is in, on file systems that have them. Linux 6.10.
    pub fn subvolume(&self) -> Option<u64> {
        self.told(libc::STATX_SUBVOL).then_some(self.raw.stx_subvol)
    }

    /// How many bytes one write past the cache can replace so that either all of them are on the disk or none: the least
    /// and the most. `None` if the file system or its disk cannot. Linux 6.11.
    pub fn atomic_write_sizes(&self) -> Option<(u32, u32)> {
        let (min, max) = (
            self.raw.stx_atomic_write_unit_min,
            self.raw.stx_atomic_write_unit_max,
        );
        (self.told(libc::STATX_WRITE_ATOMIC) && max > 0).then_some((min, max))
    }

    fn told(&self, what: u32) -> bool {
        self.raw.stx_mask & what != 0
    }
}

/// Properties of a file that not every file system knows: `None` if it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    set: u64,
    known: u64,
}

macro_rules! attributes {
    ($($(#[doc = $doc:literal])+ $name:ident: $flag:ident;)+) => {
        impl Attributes {
            $(
                $(#[doc = $doc])+
                pub fn $name(self) -> Option<bool> {
                    self.get(libc::$flag as u64)
                }
            )+
        }
    };
}

attributes! {
    /// Whether the file system keeps it compressed.
    is_compressed: STATX_ATTR_COMPRESSED;
    /// Whether it can be neither written, renamed, linked nor removed.
    is_immutable: STATX_ATTR_IMMUTABLE;
    /// Whether it can only be written at its end.
    is_append_only: STATX_ATTR_APPEND;
    /// Whether backups leave it out.
    is_nodump: STATX_ATTR_NODUMP;
    /// Whether the file system encrypts it.
    is_encrypted: STATX_ATTR_ENCRYPTED;
    /// Whether something is mounted there as soon as it is entered.
    is_automount: STATX_ATTR_AUTOMOUNT;
    /// Whether something is mounted there, of which this is the root.
    is_mount_root: STATX_ATTR_MOUNT_ROOT;
    /// Whether what is read is checked against hashes (fs-verity).
    is_verity: STATX_ATTR_VERITY;
    /// Whether it lies in memory that keeps its content, past any cache.
    is_dax: STATX_ATTR_DAX;
}

impl Attributes {
    fn get(self, flag: u64) -> Option<bool> {
        (self.known & flag != 0).then_some(self.set & flag != 0)
    }
}

/// What O_DIRECT asks of reads and writes: [`Status::direct_alignment`], [`File::direct_alignment`](crate::File::direct_alignment).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectAlignment {
    memory: u32,
    offset: u32,
}

impl DirectAlignment {
    /// What to keep to where the kernel does not say: a page, which suffices for all common disks.
    pub(crate) const PAGE: Self = Self {
        memory: 4096,
        offset: 4096,
    };

    #[cfg(test)]
    pub(crate) fn of_parts(memory: u32, offset: u32) -> Self {
        Self { memory, offset }
    }

    pub(crate) fn of(answer: &libc::statx) -> Option<Self> {
        let known = answer.stx_mask & libc::STATX_DIOALIGN != 0;
        (known && answer.stx_dio_offset_align > 0).then_some(Self {
            memory: answer.stx_dio_mem_align,
            offset: answer.stx_dio_offset_align,
        })
    }

    /// What the address of the buffer must be a multiple of, in bytes.
    pub fn memory(self) -> usize {
        self.memory as usize
    }

    /// What the offset in the file, and the number of bytes, must be multiples of, in bytes.
    pub fn offset(self) -> usize {
        self.offset as usize
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
