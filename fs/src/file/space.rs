//! Room on the disk, and what the kernel keeps in memory.

use std::io;

use ringway_runtime::driver::Op;

use super::File;
use super::at::check_offset;
use crate::op::{FdOp, PIECE_MAX_BYTES};

/// What [`File::fallocate`] does with a stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocate {
    /// Sees to it that there is room on the disk, so that writing there does not fail for want of it. A file that is
    /// smaller grows.
    Reserve,
    /// As `Reserve`, but the file keeps its length: the room lies behind its end until it grows.
    ReserveKeepingLength,
    /// Gives the room back: the stretch reads as zeros. The file keeps its length.
    PunchHole,
    /// The stretch reads as zeros, mostly without writing any. A file that is smaller grows.
    Zero,
    /// As `Zero`, but the file keeps its length.
    ZeroKeepingLength,
    /// Takes the stretch, which must be whole blocks, out of the file: what lies behind it moves up.
    Collapse,
    /// Makes room for the stretch, which must be whole blocks: what lies there and behind moves down.
    Insert,
    /// Gives the file blocks of its own where it shares some with others.
    Unshare,
}

impl Allocate {
    fn flags(self) -> libc::c_int {
        match self {
            Self::Reserve => 0,
            Self::ReserveKeepingLength => libc::FALLOC_FL_KEEP_SIZE,
            Self::PunchHole => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            Self::Zero => libc::FALLOC_FL_ZERO_RANGE,
            Self::ZeroKeepingLength => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
            Self::Collapse => libc::FALLOC_FL_COLLAPSE_RANGE,
            Self::Insert => libc::FALLOC_FL_INSERT_RANGE,
            Self::Unshare => libc::FALLOC_FL_UNSHARE_RANGE,
        }
    }
}

/// How a stretch of a file is going to be used: [`File::advise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// From the beginning to the end: the kernel reads further ahead. It concerns the whole file.
    Sequential,
    /// Here and there: the kernel does not read ahead. It concerns the whole file.
    Random,
    /// Once.
    NoReuse,
    /// Soon: the kernel begins to read it.
    WillNeed,
    /// Not soon: the kernel gives up the memory of what is on the disk.
    DontNeed,
}

impl Advice {
    fn number(self) -> libc::c_int {
        match self {
            Self::Normal => libc::POSIX_FADV_NORMAL,
            Self::Sequential => libc::POSIX_FADV_SEQUENTIAL,
            Self::Random => libc::POSIX_FADV_RANDOM,
            Self::NoReuse => libc::POSIX_FADV_NOREUSE,
            Self::WillNeed => libc::POSIX_FADV_WILLNEED,
            Self::DontNeed => libc::POSIX_FADV_DONTNEED,
        }
    }
}

impl File {
    /// Sees to it that there is room on the disk for `len` bytes from `offset` on, so that writing them does not
    /// fail for want of it: [`fallocate`](Self::fallocate) with [`Allocate::Reserve`]. The file grows to
    /// `offset + len` if it is smaller.
    ///
    /// # Errors
    ///
    /// As [`Self::fallocate`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether it was done.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::create(&path).await?;
    /// // Not every file system can; those that can have the room now.
    /// if file.allocate(0, 1 << 20).await.is_ok() {
    ///     assert_eq!(file.metadata().await?.len(), 1 << 20);
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.fallocate(Allocate::Reserve, offset, len).await
    }

    /// Reserves room on the disk for `len` bytes from `offset` on, gives it back, or moves what is there: fallocate(2).
    ///
    /// It does not wait for what was written through tokio's traits: flush first.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::{Allocate, File};
    ///
    /// let file = File::create_new(&path).await?;
    /// file.write_all_at(vec![7; 16384], 0).await.0?;
    /// match file.fallocate(Allocate::PunchHole, 4096, 8192).await {
    ///     Ok(()) => {
    ///         let (result, hole) = file.read_exact_at(vec![1; 8192], 4096).await;
    ///         result?;
    ///         assert_eq!(hole, vec![0; 8192]);
    ///     }
    ///     Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::Unsupported),
    /// }
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of fallocate(2): ENOSPC, EOPNOTSUPP where the file system cannot, EINVAL for a length of 0, for more than
    /// `i64::MAX`, and for a stretch that is not made of whole blocks where it must be.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether, and how much of it, was done.
    pub async fn fallocate(&self, what: Allocate, offset: u64, len: u64) -> io::Result<()> {
        let fd = self.core.fd.clone();
        Op::new(FdOp::allocate(fd, what.flags(), offset, len)).await
    }

    /// Tells the kernel how `len` bytes from `offset` on, or with a `len` of 0 all behind `offset`, are going to be used:
    /// posix_fadvise(2). What it makes of it is its own affair.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # std::fs::write(&path, b"hello world")?;
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::{Advice, File};
    ///
    /// let file = File::open(&path).await?;
    /// file.advise(0, 0, Advice::Sequential).await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// ESPIPE for a pipe; `InvalidInput` if `offset + len` is larger than `i64::MAX`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open for how much of the stretch it was done.
    pub async fn advise(&self, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
        let fd = &self.core.fd;
        in_pieces(offset, len, |offset, len| {
            Op::new(FdOp::advise(fd.clone(), offset, len, advice.number()))
        })
        .await
    }

    /// Writes `len` bytes from `offset` on, or with a `len` of 0 all behind `offset`, to the disk, and waits until they
    /// are there: sync_file_range(2).
    ///
    /// Only data that lies on blocks that the disk already knows is safe after that: neither the length of the file nor
    /// where its blocks are is written, and no cache of the disk is emptied. [`Self::sync_data`] does all of it. What
    /// this is for is to have less left to do then.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::create(&path).await?;
    /// for piece in 0..4 {
    ///     file.write_all_at(vec![7; 1 << 16], piece << 16).await.0?;
    ///     file.begin_sync_range(piece << 16, 1 << 16).await?;
    /// }
    /// file.sync_range(0, 0).await?;
    /// file.sync_data().await?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of sync_file_range(2): EIO means that data is lost; ESPIPE for a pipe; `InvalidInput` if `offset + len` is
    /// larger than `i64::MAX`. The error of an earlier write through tokio's traits is not reported here, but by the next
    /// write or flush.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open how much is on the disk.
    pub async fn sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        self.sync_range_with(offset, len, flags).await
    }

    /// As [`Self::sync_range`], but does not wait until the data is on the disk.
    ///
    /// # Errors
    ///
    /// As [`Self::sync_range`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::sync_range`].
    pub async fn begin_sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        self.sync_range_with(offset, len, libc::SYNC_FILE_RANGE_WRITE)
            .await
    }

    async fn sync_range_with(&self, offset: u64, len: u64, flags: u32) -> io::Result<()> {
        self.settle_write().await;
        let fd = &self.core.fd;
        in_pieces(offset, len, |offset, len| {
            Op::new(FdOp::sync_range(fd.clone(), offset, len, flags))
        })
        .await
    }
}

/// Does for a stretch what `operation` does for as much as the ring can be told in one request. A length of 0 goes to
/// the end of the file.
async fn in_pieces<F>(
    offset: u64,
    len: u64,
    mut operation: impl FnMut(u64, u32) -> F,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    let end = offset.saturating_add(len);
    check_offset(end)?;
    let mut at = offset;
    loop {
        let piece = (end - at).min(PIECE_MAX_BYTES);
        operation(at, piece as u32).await?;
        at += piece;
        if at == end {
            return Ok(());
        }
    }
}
