//! Small calls about a descriptor, none of which waits on a local file system unless it says so.

use std::ffi::{CStr, OsString};
use std::io::{self, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::answer;
use super::location::Location;
use crate::status::{DirectAlignment, Status};

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
    let answer = statx(fd, libc::STATX_TYPE | libc::STATX_SIZE)?;
    Ok(Hint {
        kind: libc::mode_t::from(answer.stx_mode) & libc::S_IFMT,
        size: answer.stx_size,
    })
}

/// What memory and offsets have to be multiples of for O_DIRECT, if the file system says so (since Linux 6.1).
pub(crate) fn direct_alignment(fd: BorrowedFd<'_>) -> Option<DirectAlignment> {
    let answer = statx(fd, libc::STATX_DIOALIGN).ok()?;
    DirectAlignment::of(&answer)
}

/// What is known of an open file without asking a server.
fn statx(fd: BorrowedFd<'_>, mask: libc::c_uint) -> io::Result<libc::statx> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    statx_at(fd.as_raw_fd(), c"", flags, mask)
}

/// All that is to be known of what is at `at`. It may wait for a disk or a server.
pub(crate) fn status(at: &Location, flags: libc::c_int) -> io::Result<Status> {
    status_of(at.raw_dir(), at.path(), flags)
}

/// All that is to be known of the name `path` in the directory `dir`. It may wait for a disk or a server.
pub(crate) fn status_at(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
) -> io::Result<Status> {
    status_of(dir.as_raw_fd(), path, flags)
}

/// All that is to be known of an open file. On a local file system it does not wait.
pub(crate) fn status_of_fd(fd: BorrowedFd<'_>) -> io::Result<Status> {
    status_of(fd.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

fn status_of(dir: RawFd, path: &CStr, flags: libc::c_int) -> io::Result<Status> {
    statx_at(dir, path, flags, WANTED).map(|raw| Status::new(Box::new(raw)))
}

/// Everything that statx(2) knows by Linux 6.15. Older kernels leave out what they do not know.
const WANTED: u32 = libc::STATX_BASIC_STATS
    | libc::STATX_BTIME
    | libc::STATX_MNT_ID
    | libc::STATX_DIOALIGN
    | libc::STATX_SUBVOL
    | libc::STATX_WRITE_ATOMIC;

fn statx_at(
    dir: RawFd,
    path: &CStr,
    flags: libc::c_int,
    mask: libc::c_uint,
) -> io::Result<libc::statx> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let path = path.as_ptr();
    // SAFETY: the path ends with a NUL byte, and the answer is good for writing.
    if unsafe { libc::statx(dir, path, flags, mask, answer.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers, zeroed above.
    Ok(unsafe { answer.assume_init() })
}

/// The content of a symbolic link: readlinkat(2). It may wait for a disk.
pub(crate) fn read_link(link: &Location) -> io::Result<PathBuf> {
    let mut content = Vec::<u8>::with_capacity(LINK_BYTES);
    loop {
        let (room, target) = (content.capacity(), content.as_mut_ptr());
        // SAFETY: the path ends with a NUL byte, and the vector has that much room.
        let count = unsafe { libc::readlinkat(link.raw_dir(), link.as_ptr(), target.cast(), room) };
        let count = answer(count as libc::c_long)? as usize;
        if count < room {
            // SAFETY: the kernel has just written as many bytes.
            unsafe { content.set_len(count) };
            return Ok(PathBuf::from(OsString::from_vec(content)));
        }
        // It may have been cut short.
        content.reserve(2 * room);
    }
}

/// Most symbolic links are shorter.
const LINK_BYTES: usize = 256;

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
    let answer = statx(fd, libc::STATX_MNT_ID_UNIQUE).ok()?;
    (answer.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).then_some(answer.stx_mnt_id)
}

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
