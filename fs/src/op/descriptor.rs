//! Small calls about a descriptor, none of which waits on a local file system.

use std::io::{self, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Moves the position of the open file description: lseek(2).
pub(crate) fn seek(fd: BorrowedFd<'_>, to: SeekFrom) -> io::Result<u64> {
    let (whence, offset) = match to {
        SeekFrom::Start(offset) => (libc::SEEK_SET, offset as i64),
        SeekFrom::Current(offset) => (libc::SEEK_CUR, offset),
        SeekFrom::End(offset) => (libc::SEEK_END, offset),
    };
    // SAFETY: no pointer is passed.
    let position = unsafe { libc::lseek64(fd.as_raw_fd(), offset, whence) };
    u64::try_from(position).map_err(|_| io::Error::last_os_error())
}

/// Whether the file has a position: pipes, sockets and terminals have none.
pub(crate) fn is_seekable(fd: BorrowedFd<'_>) -> bool {
    seek(fd, SeekFrom::Current(0)).is_ok()
}

/// The `O_*` flags that the file was opened with, or has got since.
pub(crate) fn open_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: no pointer is passed.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(flags)
    }
}

/// Changes those of the flags that can be changed.
pub(crate) fn set_open_flags(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// What can be known about an open file without asking a server for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint {
    /// The `S_IFMT` part of the mode.
    pub(crate) kind: libc::mode_t,
    /// In bytes; what a network file system last knew.
    pub(crate) size: u64,
}

/// Kind and size of an open file. It asks no server, so it does not wait.
pub(crate) fn hint(fd: BorrowedFd<'_>) -> io::Result<Hint> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let mask = libc::STATX_TYPE | libc::STATX_SIZE;
    // SAFETY: the path is a static empty string, and the answer is good for writing.
    let result = unsafe {
        libc::statx(
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            mask,
            answer.as_mut_ptr(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers, zeroed above.
    let answer = unsafe { answer.assume_init() };
    Ok(Hint {
        kind: libc::mode_t::from(answer.stx_mode) & libc::S_IFMT,
        size: answer.stx_size,
    })
}

/// Whether the file lies in memory (in a tmpfs), where nothing waits for a disk or a server. `false` if the
/// kernel does not say (before Linux 6.8).
///
/// statfs(2) would say so, too, but it asks the server of a network file system.
pub(crate) fn is_in_memory(fd: BorrowedFd<'_>) -> bool {
    let magic = mount_of(fd).and_then(magic_of);
    matches!(magic, Some(TMPFS_MAGIC | RAMFS_MAGIC))
}

const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// The number of the mount that the file was opened in, which is never used again.
fn mount_of(fd: BorrowedFd<'_>) -> Option<u64> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let (fd, mask) = (fd.as_raw_fd(), STATX_MNT_ID_UNIQUE);
    // SAFETY: the path is a static empty string, and the answer is good for writing.
    let result = unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, answer.as_mut_ptr()) };
    // SAFETY: plain numbers, zeroed above.
    let answer = unsafe { answer.assume_init() };
    (result == 0 && answer.stx_mask & STATX_MNT_ID_UNIQUE != 0).then_some(answer.stx_mnt_id)
}

const STATX_MNT_ID_UNIQUE: libc::c_uint = 0x4000;

/// The kind of file system that is mounted there.
fn magic_of(mount: u64) -> Option<u64> {
    let request = MountRequest {
        size: size_of::<MountRequest>() as u32,
        spare: 0,
        mount,
        wanted: SB_BASIC,
    };
    let mut answer = MaybeUninit::<MountAnswer>::zeroed();
    // SAFETY: both structures have the kernel's layout and live for the call, which is told their sizes.
    let result = unsafe {
        libc::syscall(
            SYS_STATMOUNT,
            &raw const request,
            answer.as_mut_ptr(),
            size_of::<MountAnswer>(),
            0,
        )
    };
    // SAFETY: plain numbers, zeroed above.
    let answer = unsafe { answer.assume_init() };
    (result == 0 && answer.mask & SB_BASIC != 0).then_some(answer.magic)
}

/// The same number on every architecture: it is younger than the common table.
const SYS_STATMOUNT: libc::c_long = 457;
/// STATMOUNT_SB_BASIC.
const SB_BASIC: u64 = 1;

/// `struct mnt_id_req` as it was first.
#[repr(C)]
struct MountRequest {
    size: u32,
    spare: u32,
    mount: u64,
    wanted: u64,
}

/// `struct statmount`; only the beginning is of interest, but the kernel wants room for the whole.
#[repr(C)]
struct MountAnswer {
    size: u32,
    options: u32,
    mask: u64,
    device: [u32; 2],
    magic: u64,
    rest: [u64; 60],
}

const _: () = assert!(size_of::<MountAnswer>() == 512);

/// A new pipe, reader first.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array is good for two numbers.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: pipe2 has just made this descriptor, and nobody else has it.
    let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((reader, writer))
}

/// Makes the pipe hold `wanted` bytes if the user may have that much, and says how many it holds.
pub(crate) fn grow_pipe(pipe: BorrowedFd<'_>, wanted: usize) -> io::Result<usize> {
    // SAFETY: no pointer is passed.
    let grown = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, wanted as libc::c_int) };
    if let Ok(size) = usize::try_from(grown) {
        return Ok(size);
    }
    // SAFETY: no pointer is passed.
    let size = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_GETPIPE_SZ) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}
