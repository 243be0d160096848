//! Requests on files, and from one descriptor to another.

use ringway_runtime::driver::{AsSharedFd, IoBuf, IoBufMut, IoBufs, IoBufsMut};

use crate::Request;
use crate::op::Goal;
use crate::op::drain::{Drain, Sink};
use crate::op::fill::{Fill, Source};
use crate::op::many::{DrainMany, FillMany};
use crate::op::number::{Order, What};
use crate::op::splice::{End, Splice};

/// Reads at `offset`, as much as `buf` has room for: pread(2). A count of 0 is the end of the file.
///
/// It goes through the ring in any case. `File::read_at` looks first whether the bytes are in memory, and brings them
/// at once if they are, which is faster then.
///
/// ```
/// # use ringway_uring::{self as uring, SharedFd};
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let file = SharedFd::from(std::os::fd::OwnedFd::from(tempfile::tempfile()?));
/// uring::write_all_at(&file, "hello world", 0).await.0?;
/// let (result, buf) = uring::read_at(&file, Vec::with_capacity(5), 6).await;
/// assert_eq!(&buf[..result?], b"world");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of pread(2) (EINVAL if `offset` is larger than `i64::MAX`), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request drops what was read; the file is as before.
pub fn read_at<B: IoBufMut>(file: &impl AsSharedFd, buf: B, offset: u64) -> Request<Fill<B>> {
    let source = Source::File(valid(offset));
    Request::new(Fill::new(file.shared_fd(), buf, source, Goal::Some))
}

/// As [`read_at`], but fills the whole room of `buf`.
///
/// The count is smaller than the room only if the request was cancelled: then it says how many bytes were read.
///
/// # Errors
///
/// `UnexpectedEof` if the file ends before, and as [`read_at`]. What was read until then is in the buffer.
///
/// # Cancel safety
///
/// As [`read_at`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # use ringway_uring::{self as uring, SharedFd};
/// # let file = SharedFd::from(std::os::fd::OwnedFd::from(tempfile::tempfile()?));
/// uring::write_all_at(&file, "hello world", 0).await.0?;
/// let (result, word) = uring::read_exact_at(&file, vec![0; 5], 6).await;
/// assert_eq!((result?, &word[..]), (5, &b"world"[..]));
/// let (result, _word) = uring::read_exact_at(&file, word, 8).await;
/// assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn read_exact_at<B: IoBufMut>(file: &impl AsSharedFd, buf: B, offset: u64) -> Request<Fill<B>> {
    let source = Source::File(valid(offset));
    Request::new(Fill::new(file.shared_fd(), buf, source, Goal::Whole))
}

/// As [`read_at`], into several buffers, the first one first: preadv(2). Costs an allocation for their list.
///
/// # Errors
///
/// As [`read_at`].
///
/// # Cancel safety
///
/// As [`read_at`].
pub fn read_vectored_at<V: IoBufsMut>(
    file: &impl AsSharedFd,
    bufs: V,
    offset: u64,
) -> Request<FillMany<V>> {
    let source = Source::File(valid(offset));
    Request::new(FillMany::new(file.shared_fd(), bufs, source, Goal::Some))
}

/// Writes the initialised bytes of `buf` to `offset`: pwrite(2). The count may be smaller than their number.
///
/// # Errors
///
/// Those of pwrite(2) (EINVAL if `offset` is larger than `i64::MAX`), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether, and how many, bytes were written. Cancelling it tells.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # use ringway_uring::{self as uring, SharedFd};
/// # let file = SharedFd::from(std::os::fd::OwnedFd::from(tempfile::tempfile()?));
/// let (result, text) = uring::write_at(&file, "hello world", 100).await;
/// assert!(result? <= text.len());
/// # Ok(())
/// # })
/// # }
/// ```
pub fn write_at<B: IoBuf>(file: &impl AsSharedFd, buf: B, offset: u64) -> Request<Drain<B>> {
    let sink = Sink::File(valid(offset));
    Request::new(Drain::new(file.shared_fd(), buf, sink, Goal::Some))
}

/// As [`write_at`], but writes all initialised bytes of `buf`.
///
/// The count is smaller than their number only if the request was cancelled: then it says how many were written.
///
/// # Errors
///
/// `WriteZero` if the file takes no more, and as [`write_at`]; how much was written before is not known.
///
/// # Cancel safety
///
/// As [`write_at`].
pub fn write_all_at<B: IoBuf>(file: &impl AsSharedFd, buf: B, offset: u64) -> Request<Drain<B>> {
    let sink = Sink::File(valid(offset));
    Request::new(Drain::new(file.shared_fd(), buf, sink, Goal::Whole))
}

/// As [`write_at`], of several buffers, the first one first: pwritev(2). Costs an allocation for their list.
///
/// # Errors
///
/// As [`write_at`].
///
/// # Cancel safety
///
/// As [`write_at`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # use ringway_uring::{self as uring, SharedFd};
/// # let file = SharedFd::from(std::os::fd::OwnedFd::from(tempfile::tempfile()?));
/// let (result, _) = uring::write_vectored_at(&file, ["head ", "body"], 0).await;
/// assert_eq!(result?, 9);
/// let bufs = [Vec::with_capacity(5), Vec::with_capacity(100)];
/// let (result, [head, body]) = uring::read_vectored_at(&file, bufs, 0).await;
/// assert_eq!(result?, 9);
/// assert_eq!((&head[..], &body[..]), (&b"head "[..], &b"body"[..]));
/// # Ok(())
/// # })
/// # }
/// ```
pub fn write_vectored_at<V: IoBufs>(
    file: &impl AsSharedFd,
    bufs: V,
    offset: u64,
) -> Request<DrainMany<V>> {
    let sink = Sink::File(valid(offset));
    Request::new(DrainMany::new(file.shared_fd(), bufs, sink, Goal::Some))
}

/// Writes a file's data and metadata to its disk: fsync(2).
///
/// # Errors
///
/// Those of fsync(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether it was done.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # use ringway_uring::{self as uring, SharedFd};
/// # let file = SharedFd::from(std::os::fd::OwnedFd::from(tempfile::tempfile()?));
/// uring::write_all_at(&file, "not to be lost", 0).await.0?;
/// uring::sync_data(&file).await?;
/// uring::sync_all(&file).await?;
/// # Ok(())
/// # })
/// # }
/// ```
pub fn sync_all(file: &impl AsSharedFd) -> Request<Order> {
    Request::new(Order::new(file.shared_fd(), What::SyncAll))
}

/// Writes a file's data to its disk, and what is needed to find it: fdatasync(2).
///
/// # Errors
///
/// Those of fdatasync(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether it was done.
pub fn sync_data(file: &impl AsSharedFd) -> Request<Order> {
    Request::new(Order::new(file.shared_fd(), What::SyncData))
}

/// Reserves room on the disk for a stretch of a file, or, with `FALLOC_FL_*` flags in `mode`, does something else to it:
/// fallocate(2).
///
/// # Errors
///
/// Those of fallocate(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether it was done.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # use ringway_uring::{self as uring, SharedFd};
/// # let file = SharedFd::from(std::os::fd::OwnedFd::from(tempfile::tempfile()?));
/// // Not every file system can.
/// if uring::allocate(&file, libc::FALLOC_FL_KEEP_SIZE, 0, 1 << 16).await.is_ok() {
///     uring::write_all_at(&file, vec![7; 1 << 16], 0).await.0?;
/// }
/// // It is going to be read once, from the beginning.
/// uring::advise(&file, 0, 0, libc::POSIX_FADV_SEQUENTIAL).await?;
/// # Ok(())
/// # })
/// # }
/// ```
pub fn allocate(file: &impl AsSharedFd, mode: i32, offset: u64, len: u64) -> Request<Order> {
    let what = What::Allocate { mode, offset, len };
    Request::new(Order::new(file.shared_fd(), what))
}

/// Tells the kernel how a stretch of a file (at most 4 GiB; 0 for all behind `offset`) is going to be used, by one of
/// `POSIX_FADV_*`: posix_fadvise(2).
///
/// # Errors
///
/// Those of posix_fadvise(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open whether it was done.
pub fn advise(file: &impl AsSharedFd, offset: u64, len: u32, advice: i32) -> Request<Order> {
    let what = What::Advise {
        offset,
        len,
        advice,
    };
    Request::new(Order::new(file.shared_fd(), what))
}

/// Moves at most `len` bytes from one descriptor to another, of which one is a pipe, without copying them: splice(2).
///
/// An offset is that of a file; `None` is for what has none, or for a file's own position. Returns how many bytes were
/// moved; 0 is the end of the source. The kernel does this on threads of its own, so it pays for large pieces.
///
/// For a file to a socket there is `fs::transfer`, which needs no pipe of the caller's.
///
/// ```
/// # use ringway_net::{UnixStream, unix::pipe};
/// # use ringway_uring as uring;
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// let (sender, receiver) = pipe::pipe()?;
/// let (ours, theirs) = UnixStream::pair()?;
/// uring::write_all(&sender, "not copied").await.0?;
/// assert_eq!(uring::splice(&receiver, None, &ours, None, 4096).await?, 10);
/// let (result, buf) = uring::recv(&theirs, Vec::with_capacity(16)).await;
/// assert_eq!(&buf[..result?], b"not copied");
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// Those of splice(2) (EINVAL if neither is a pipe), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// Dropping the request leaves open how many bytes were moved. Cancelling it tells.
pub fn splice(
    from: &impl AsSharedFd,
    from_offset: Option<u64>,
    to: &impl AsSharedFd,
    to_offset: Option<u64>,
    len: usize,
) -> Request<Splice> {
    let from = End::new(from.shared_fd(), from_offset);
    let to = End::new(to.shared_fd(), to_offset);
    Request::new(Splice::new(from, to, len))
}

/// Copies at most `len` bytes from one pipe to another, and leaves them in the first: tee(2).
///
/// # Errors
///
/// Those of tee(2), and if the runtime is shutting down.
///
/// # Cancel safety
///
/// As [`splice`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// use ringway_net::unix::pipe;
/// use ringway_uring as uring;
///
/// let (sender, receiver) = pipe::pipe()?;
/// let (copy, reader) = pipe::pipe()?;
/// uring::write_all(&sender, "twice").await.0?;
/// assert_eq!(uring::tee(&receiver, &copy, 4096).await?, 5);
/// for end in [&receiver, &reader] {
///     let (result, buf) = uring::read(end, Vec::with_capacity(16)).await;
///     assert_eq!(&buf[..result?], b"twice");
/// }
/// # Ok(())
/// # })
/// # }
/// ```
pub fn tee(from: &impl AsSharedFd, to: &impl AsSharedFd, len: usize) -> Request<Splice> {
    let from = End::new(from.shared_fd(), None);
    let to = End::new(to.shared_fd(), None);
    Request::new(Splice::new(from, to, len).copying())
}

/// Offsets beyond `i64::MAX` are negative to the kernel, which refuses them; but the largest means "at the position",
/// and they have to stay where they are when the bytes of earlier rounds are added.
fn valid(offset: u64) -> u64 {
    offset.min(OFFSET_REFUSED)
}

/// The smallest offset that is negative to the kernel.
const OFFSET_REFUSED: u64 = 1 << 63;
