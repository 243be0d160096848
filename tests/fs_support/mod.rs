//! What the tests of files share: runtimes with a watchdog, places for files, patterns of bytes.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

#[path = "../support/flavours.rs"]
mod flavours;

use std::ffi::CString;
use std::future::{Future, poll_fn};
use std::io::{self, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringway::fs::{File, OpenOptions};
use ringway::io::{AsyncSeek, AsyncSeekExt};
use tempfile::TempDir;

pub(crate) use flavours::{WATCHDOG, on_both_flavours, on_this_thread, on_two_workers, within};

/// Waits, on this thread, until `condition` holds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < WATCHDOG, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Folders on different kinds of file systems: the one for temporary files (where what is in memory is read at
/// once, and the ring reads and writes the rest), and one in memory (where everything is done at once).
pub(crate) fn folders() -> Vec<TempDir> {
    let mut folders = vec![tempfile::tempdir().expect("a folder")];
    if let Ok(folder) = tempfile::tempdir_in("/dev/shm") {
        folders.push(folder);
    }
    folders
}

/// The file at `path`, made if need be, to be read and written.
pub(crate) async fn read_write(path: &Path) -> File {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true);
    options.open(path).await.expect("a file")
}

/// A device that has no room for any write.
pub(crate) async fn full_device() -> File {
    let mut options = OpenOptions::new();
    let opened = options.write(true).open("/dev/full").await;
    opened.expect("the device")
}

/// `len` bytes of which no stretch of eight is like another.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let words =
        (0..len.div_ceil(8) as u64).map(|word| (word + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}

/// Polls `future` once and drops it.
pub(crate) async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Makes the kernel forget what it has in memory of the file at `path`, after writing it to the disk.
pub(crate) fn evict(path: &Path) {
    let file = std::fs::File::open(path).expect("the file");
    file.sync_all().expect("the disk");
    // SAFETY: no pointer is passed.
    let result = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    assert_eq!(result, 0);
}

/// Whether the page at `offset` of a file is in memory.
pub(crate) fn is_resident(file: &std::fs::File, offset: u64) -> bool {
    const PAGE: usize = 4096;
    let (null, fd) = (std::ptr::null_mut(), file.as_raw_fd());
    let (protection, shared) = (libc::PROT_NONE, libc::MAP_SHARED);
    // SAFETY: a mapping of its own, which nobody touches.
    let page = unsafe { libc::mmap(null, PAGE, protection, shared, fd, offset as i64) };
    assert_ne!(page, libc::MAP_FAILED);
    let mut answer = 0_u8;
    // SAFETY: one page is mapped there, and there is room for its answer.
    let result = unsafe { libc::mincore(page, PAGE, &mut answer) };
    // SAFETY: mapped above.
    unsafe { libc::munmap(page, PAGE) };
    assert_eq!(result, 0);
    answer & 1 == 1
}

/// Makes a FIFO.
pub(crate) fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the path ends with a NUL byte and lives for the call.
    let result = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// A pipe whose ends block: reader, writer.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the array is good for two numbers.
    let result = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(result, 0);
    // SAFETY: just made, and nobody else has it.
    let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    (reader, writer)
}

/// Where the file says that it is.
pub(crate) async fn position(file: &mut File) -> u64 {
    file.stream_position().await.expect("a position")
}

/// Moves the file, without waiting for what is in flight.
pub(crate) fn start_seek(file: &mut File, to: SeekFrom) -> io::Result<()> {
    Pin::new(file).start_seek(to)
}
