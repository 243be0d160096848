//! Reads and writes that are done at once or not at all.
//!
//! A file's bytes mostly lie in memory, and then moving them costs less than asking for it through a ring and
//! being woken for the answer. preadv2(2) and pwritev2(2) with RWF_NOWAIT move them at once, and say EAGAIN where
//! they would have to wait for a disk, a lock or a peer; then the ring does the waiting.

use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::{ptr, slice};

use ringway_runtime::driver::Pieces;
use tokio::io::ReadBuf;

use super::{CALL_BYTES_MAX, IoBuf, IoBufMut, IoBufs, IoBufsMut, descriptor};

/// What came of the attempt.
#[derive(Debug)]
pub(crate) enum Now {
    /// It was done, or failed for a reason that waiting would not cure.
    Done(io::Result<usize>),
    /// It would have to wait.
    Later,
    /// This kind of file never answers without waiting.
    Never,
}

impl Now {
    fn from_return(count: libc::ssize_t) -> Self {
        if let Ok(count) = usize::try_from(count) {
            return Self::Done(Ok(count));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Self::Later,
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => Self::Never,
            _ => Self::Done(Err(error)),
        }
    }
}

/// A descriptor, and what keeps calls on it from waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prompt<'a> {
    fd: BorrowedFd<'a>,
    flags: libc::c_int,
}

impl<'a> Prompt<'a> {
    /// The calls say that they must not wait.
    pub(crate) fn asking(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            flags: libc::RWF_NOWAIT,
        }
    }

    /// They need not: it is a stream with O_NONBLOCK (not all of them know RWF_NOWAIT), or a file in memory.
    pub(crate) fn plain(fd: BorrowedFd<'a>) -> Self {
        Self { fd, flags: 0 }
    }
}

/// Reads at most `limit` bytes at `offset` into the unfilled part of `target`.
pub(crate) fn read_some(
    file: Prompt<'_>,
    target: &mut ReadBuf<'_>,
    limit: usize,
    offset: u64,
) -> Now {
    let len = target.remaining().min(limit);
    // SAFETY: the bytes are handed to the kernel alone, which writes initialised ones.
    let room = unsafe { target.unfilled_mut() };
    let iov = [iovec(room.as_mut_ptr().cast(), len)];
    // SAFETY: the one entry describes `len` writable bytes of `room`.
    let now = unsafe { preadv(file, &iov, offset) };
    if let Now::Done(Ok(count)) = now {
        // SAFETY: the kernel has just written `count` bytes there.
        unsafe { target.assume_init(count) };
        target.advance(count);
    }
    now
}

/// Reads at most `limit` bytes at `offset` into `target`, from its byte `start` on.
///
/// # Panics
///
/// If the first `start` bytes of `target` are not initialised.
pub(crate) fn read_into(
    file: Prompt<'_>,
    target: &mut impl IoBufMut,
    start: usize,
    limit: usize,
    offset: u64,
) -> Now {
    assert!(
        start <= target.initialized(),
        "bytes before the start must be initialised"
    );
    let len = limit.min(target.room() - start);
    let iov = [iovec(target.stable_mut_ptr().wrapping_add(start), len)];
    // SAFETY: the entry describes the room of `target` behind `start`, writable by IoBufMut's contract.
    let now = unsafe { preadv(file, &iov, offset) };
    if let Now::Done(Ok(count)) = now {
        // SAFETY: `start` bytes were initialised before, and the kernel has just written `count` behind.
        unsafe { target.set_initialized(start + count) };
    }
    now
}

/// What a read of the beginning of a file brought.
#[derive(Debug)]
pub(crate) enum Start {
    /// All of it: behind these bytes a read brings nothing.
    Whole(Vec<u8>),
    /// This much, and then either there is more or it would have to wait.
    Part(Vec<u8>),
}

/// Reads a file that is likely small, with no more calls than it takes: one asks where it ends, one brings the bytes.
///
/// A short count alone says nothing: it may as well be that the rest is not in memory. But if more was asked for, and
/// the count is what lseek(2) has said, two witnesses agree on the end.
///
/// lseek(2) leaves the position at the end.
pub(crate) fn read_start(file: Prompt<'_>) -> io::Result<Start> {
    match descriptor::seek(file.fd, io::SeekFrom::End(0)) {
        Ok(size @ 1..=SIZED_BYTES_MAX) => read_sized(file, size as usize),
        // A pipe has no beginning to read from, and nothing is known of when its bytes come.
        Err(_) => Ok(Start::Part(Vec::new())),
        // Files in /proc, say, have no end before they are read, and a large one is worth another look.
        _ => read_unsized(file),
    }
}

/// A larger file is read in steps.
const SIZED_BYTES_MAX: u64 = crate::limits::ON_WORKER_MAX_BYTES as u64;

/// As [`read_start`], for a file that probably has this many bytes.
fn read_sized(file: Prompt<'_>, size: usize) -> io::Result<Start> {
    let mut bytes = Vec::<u8>::new();
    bytes.try_reserve_exact(size + 1)?;
    let room = bytes.capacity();
    Ok(match read_into(file, &mut bytes, 0, room, 0) {
        Now::Done(count) => match count? {
            0 => Start::Whole(bytes),
            count if count == size => Start::Whole(bytes),
            _ => Start::Part(bytes),
        },
        Now::Later | Now::Never => Start::Part(bytes),
    })
}

/// As [`read_start`], for a file of which nothing is known: a second read finds the end.
fn read_unsized(file: Prompt<'_>) -> io::Result<Start> {
    let mut start = [MaybeUninit::<u8>::uninit(); START_BYTES];
    let iov = [iovec(start.as_mut_ptr().cast(), START_BYTES)];
    // SAFETY: the entry describes the array.
    let count = match unsafe { preadv(file, &iov, 0) } {
        Now::Done(count) => count?,
        Now::Later | Now::Never => return Ok(Start::Part(Vec::new())),
    };
    let read = &start[..count];
    // SAFETY: the kernel has just written as many bytes.
    let read = unsafe { slice::from_raw_parts(read.as_ptr().cast::<u8>(), count) };
    let at_end = count < START_BYTES
        && (count == 0 || matches!(read_byte(file, count as u64), Now::Done(Ok(0))));
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count)?;
    bytes.extend_from_slice(read);
    Ok(match at_end {
        true => Start::Whole(bytes),
        false => Start::Part(bytes),
    })
}

/// On the stack, where they cost nothing until they are read.
const START_BYTES: usize = 16 * 1024;

/// Fills several buffers behind their first `done` bytes, from `offset` on.
pub(crate) fn read_many(
    file: Prompt<'_>,
    targets: &mut impl IoBufsMut,
    pieces: &mut Pieces,
    done: usize,
    offset: u64,
) -> Now {
    pieces.to_fill(targets, done);
    let (iov, count) = pieces.as_iovecs();
    let fd = file.fd.as_raw_fd();
    // SAFETY: the list was just made of the room of the buffers, writable by IoBufsMut's contract.
    let count = unsafe { libc::preadv2(fd, iov, count as i32, offset as i64, file.flags) };
    let now = Now::from_return(count);
    if let Now::Done(Ok(count)) = now {
        // SAFETY: `done` bytes were filled before, and the kernel has just written `count` behind.
        unsafe { targets.set_initialized(done + count) };
    }
    now
}

/// Writes what is left of several buffers behind their first `done` bytes to `offset`.
pub(crate) fn write_many(
    file: Prompt<'_>,
    sources: &impl IoBufs,
    pieces: &mut Pieces,
    done: usize,
    offset: u64,
) -> Now {
    pieces.to_drain(sources, done);
    let (iov, count) = pieces.as_iovecs();
    let fd = file.fd.as_raw_fd();
    // SAFETY: the list was just made of the buffers' bytes, readable by IoBufs' contract.
    let count = unsafe { libc::pwritev2(fd, iov, count as i32, offset as i64, file.flags) };
    Now::from_return(count)
}

/// Writes the bytes of `source` from `start` on to `offset`.
///
/// # Panics
///
/// If `start` lies behind the last initialised byte.
pub(crate) fn write_from(file: Prompt<'_>, source: &impl IoBuf, start: usize, offset: u64) -> Now {
    write_vectored(file, &[IoSlice::new(bytes_from(source, start))], offset)
}

/// Writes the concatenation of `slices` at `offset`. At most `IOV_MAX` (1,024) slices.
pub(crate) fn write_vectored(file: Prompt<'_>, slices: &[IoSlice<'_>], offset: u64) -> Now {
    let (fd, count) = (file.fd.as_raw_fd(), slices.len() as libc::c_int);
    let slices = slices.as_ptr().cast();
    // SAFETY: IoSlice has the layout of iovec, and lends its bytes for the time of the call.
    Now::from_return(unsafe { libc::pwritev2(fd, slices, count, offset as i64, file.flags) })
}

/// Writes all bytes of `source` from `start` on, and waits for it as long as it takes.
pub(crate) fn write_waiting(
    fd: BorrowedFd<'_>,
    source: &impl IoBuf,
    start: usize,
    offset: u64,
) -> io::Result<usize> {
    let bytes = bytes_from(source, start);
    super::with_std(fd, |mut file| {
        if offset == super::AT_POSITION {
            file.write_all(bytes)
        } else {
            file.write_all_at(bytes, offset)
        }
    })?;
    Ok(bytes.len())
}

fn bytes_from(source: &impl IoBuf, start: usize) -> &[u8] {
    assert!(
        start <= source.initialized(),
        "bytes to be written must be initialised"
    );
    // SAFETY: IoBuf promises that so many bytes are readable and initialised there, and that they do not
    // change while it is borrowed.
    let bytes = unsafe { slice::from_raw_parts(source.stable_ptr(), source.initialized()) };
    &bytes[start..]
}

/// Looks whether a stretch of the file is in memory, so that reading it waits for no disk: [`Now::Done`] if so,
/// as far as can be seen.
///
/// Some bytes of the stretch are read: readahead brings, and reclaim takes, many pages at a time. (cachestat(2)
/// would count the pages, but those too that are still on their way from the disk, and only for a process
/// that may write the file.)
pub(crate) fn look(file: Prompt<'_>, offset: u64, len: usize) -> Now {
    let last = offset + len.saturating_sub(1) as u64;
    if offset / PAGE_BYTES == last / PAGE_BYTES {
        return read_byte(file, last);
    }
    for at in (offset..last).step_by(SAMPLE_STEP_BYTES) {
        match read_byte(file, at) {
            Now::Done(Ok(_)) => {}
            other => return other,
        }
    }
    read_byte(file, last)
}

/// What is in memory or not as a whole: the smallest page that Linux has.
const PAGE_BYTES: u64 = 4096;

/// What the kernel reads ahead by default.
const SAMPLE_STEP_BYTES: usize = 128 * 1024;

fn read_byte(file: Prompt<'_>, offset: u64) -> Now {
    let mut byte = MaybeUninit::<u8>::uninit();
    let iov = [iovec(byte.as_mut_ptr(), 1)];
    // SAFETY: the entry describes one writable byte.
    unsafe { preadv(file, &iov, offset) }
}

/// Moves at most `len` bytes from the file at `offset` into the pipe. It waits for a disk, if it must:
/// [`look`] before. A full pipe means [`Now::Later`].
pub(crate) fn splice_in(
    file: BorrowedFd<'_>,
    offset: u64,
    pipe: BorrowedFd<'_>,
    len: usize,
) -> Now {
    let mut offset = offset as libc::loff_t;
    let flags = libc::SPLICE_F_NONBLOCK;
    let len = len.min(CALL_BYTES_MAX);
    let (from, to) = (file.as_raw_fd(), pipe.as_raw_fd());
    // SAFETY: the offset is good for reading and writing; the pipe has none.
    Now::from_return(unsafe { libc::splice(from, &mut offset, to, ptr::null_mut(), len, flags) })
}

/// Moves at most `len` bytes from the pipe to a socket that does not block. `more` says that others follow soon.
pub(crate) fn splice_out(
    pipe: BorrowedFd<'_>,
    sink: BorrowedFd<'_>,
    len: usize,
    more: bool,
) -> Now {
    let flags = libc::SPLICE_F_NONBLOCK | if more { libc::SPLICE_F_MORE } else { 0 };
    let (from, to) = (pipe.as_raw_fd(), sink.as_raw_fd());
    super::without_sigpipe(|| {
        // SAFETY: neither end has an offset.
        let count = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), len, flags) };
        Now::from_return(count)
    })
}

/// Moves at most `len` bytes from the file at `offset` to a sink that does not block. It waits for a disk, if it must:
/// [`look`] before. [`Now::Never`] where there is no such way from the one to the other.
pub(crate) fn send_file(
    file: BorrowedFd<'_>,
    offset: u64,
    sink: BorrowedFd<'_>,
    len: usize,
) -> Now {
    let mut offset = offset as libc::off64_t;
    let len = len.min(CALL_BYTES_MAX);
    let (from, to) = (file.as_raw_fd(), sink.as_raw_fd());
    let now = super::without_sigpipe(|| {
        // SAFETY: the offset is good for reading and writing.
        Now::from_return(unsafe { libc::sendfile64(to, from, &mut offset, len) })
    });
    match now {
        Now::Done(Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => Now::Never,
        now => now,
    }
}

fn iovec(base: *mut u8, len: usize) -> libc::iovec {
    libc::iovec {
        iov_base: base.cast(),
        iov_len: len.min(CALL_BYTES_MAX),
    }
}

/// By the bare call: that of the C library first makes the thread one that may be cancelled, which none of ours is,
/// for 20 ns.
///
/// # Safety
/// Each entry describes bytes that may be written.
unsafe fn preadv(file: Prompt<'_>, iov: &[libc::iovec], offset: u64) -> Now {
    let (fd, count) = (file.fd.as_raw_fd(), iov.len());
    let (low, high) = (offset as libc::c_ulong, (offset >> 32) as libc::c_ulong);
    // SAFETY: the caller vouches for the entries. The kernel takes as many bits of `high` as a long has not room for.
    let count = unsafe {
        libc::syscall(
            libc::SYS_preadv2,
            fd,
            iov.as_ptr(),
            count,
            low,
            high,
            file.flags,
        )
    };
    Now::from_return(count as libc::ssize_t)
}
