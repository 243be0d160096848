//! The numbers that bound this crate, and why they are what they are.

use std::time::Duration;

/// The most that one read or write through the tokio traits moves unless `File::set_max_buf_size` says
/// otherwise; tokio's number.
pub(crate) const MAX_BUF_BYTES: usize = 2 * 1024 * 1024;

/// How many reads, or writes, of one file may in a row be done at once, on the worker. Before the next one the task
/// lets others run: a loop over a cached file is no longer than 64 times the 0.4 µs of a 4 KiB read.
pub(crate) const AT_ONCE_STREAK_MAX: u32 = 64;

/// How many bytes such a streak may move: some 100 µs of copying.
pub(crate) const AT_ONCE_STREAK_BYTES: usize = 1024 * 1024;

/// An owned buffer larger than this is filled or written by a kernel thread: copying it takes longer than the
/// 5 µs that the thread costs, and would hold the worker up.
pub(crate) const ON_WORKER_MAX_BYTES: usize = 1024 * 1024;

/// How much is read at a time from a file whose size is not known (in /proc, say), to begin with.
pub(crate) const UNKNOWN_SIZE_BYTES: usize = 8 * 1024;

/// How much of a large file one read asks for: enough that its own cost does not count, and little enough
/// that a cancelled read is over soon.
pub(crate) const LARGE_READ_BYTES: usize = 8 * 1024 * 1024;

/// How much `fs::write` copies at a time, because its caller's bytes may be borrowed: the copying holds the
/// worker up for some 100 µs.
pub(crate) const WRITE_PIECE_BYTES: usize = 1024 * 1024;

/// Up to here, two gibibytes, every file system has positions. Whether one has others is asked: the file system of many disks
/// ends at 16 TiB, that of memory cards at 4 GiB.
pub(crate) const POSITION_EVERYWHERE_MAX: u64 = i32::MAX as u64;

/// How many entries of a directory are read per trip to the blocking pool: the trip costs as much as some 30 of them.
pub(crate) const READ_DIR_CHUNK: usize = 256;

/// How many entries a trip of a walk to the blocking pool brings, about: some 300 µs of listing, against which the trip
/// does not count.
pub(crate) const ERRAND_ENTRIES: usize = 1024;

/// How many directories such a trip takes with it, so that others are left for the next.
pub(crate) const ERRAND_DIRS_MAX: usize = 64;

/// How many such trips are under way at a time, unless `Walk::breadth` says otherwise: enough for a disk that answers
/// several requests at a time, and few enough that the pool is not taken up.
pub(crate) const WALK_BREADTH: usize = 8;

/// How often a restricted open is tried again after EAGAIN, which says that a rename raced with it.
pub(crate) const BENEATH_TRIES_MAX: u32 = 16;

/// What the pipe of a transfer should hold. Measured on 2 cores with 64 KiB, 128 KiB, 256 KiB and 1 MiB: below,
/// the trips of a file that is not in memory cost more; above, the pages leave the second-level cache.
pub(crate) const PIPE_BYTES: usize = 256 * 1024;

/// So many bytes a transfer sends at a time, and after so many without a wait it lets other tasks run: some 100 µs. With less, a
/// mebibyte takes several calls, of which each ends with a packet that is not full.
pub(crate) const TRANSFER_STREAK_BYTES: usize = 1024 * 1024;

/// How long a part of a file that was found in memory is believed to be there. Pages that are being sent are the last to be
/// taken away, and one that is gone all the same holds up a worker for a disk once in that time.
pub(crate) const SEEN_IS_BELIEVED: Duration = Duration::from_millis(250);

/// Of how many mebibytes of a file that is known at a time: a KiB of memory for a file that is so large.
pub(crate) const SEEN_PARTS_MAX: u64 = 128;

const _: () = assert!(ON_WORKER_MAX_BYTES <= LARGE_READ_BYTES);
const _: () = assert!(PIPE_BYTES <= TRANSFER_STREAK_BYTES);
