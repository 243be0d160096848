//! Owned buffers at given offsets.

use std::io;

use super::File;
use crate::op::{IoBuf, IoBufMut};

impl File {
    /// Reads at `offset` into `buf`, without moving the position, and gives the buffer back with the count.
    ///
    /// The **room** of the buffer is filled from its first byte on: of a `Vec<u8>` or `BytesMut` the whole
    /// capacity, over what was there before, and its length becomes the count; of a `Box<[u8]>` the length. A
    /// count of 0 means that the file ends at or before `offset`, or that the buffer has no room. A count that
    /// is smaller than the room says nothing: read on, or use [`Self::read_exact_at`].
    ///
    /// Any number of these may be in flight at a time. They do not wait for what was written through
    /// tokio's traits: flush first.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # std::fs::write(&path, b"hello world")?;
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::open(&path).await?;
    /// let (result, buf) = file.read_at(Vec::with_capacity(5), 6).await;
    /// assert_eq!(result?, 5);
    /// assert_eq!(buf, b"world");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of pread(2); `InvalidInput` if `offset` is larger than `i64::MAX`. The buffer then has the length
    /// that it had; what is in it is not specified.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the buffer, as soon as the kernel lets go of it, and with it what was
    /// read. The file is as before.
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> (io::Result<usize>, B) {
        let room = buf.room();
        match check_offset(offset) {
            Ok(()) => self.core.read(buf, 0, room, offset).await,
            Err(error) => (Err(error), buf),
        }
    }

    /// As [`Self::read_at`], but fills the whole room of `buf`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before, and as [`Self::read_at`]. The bytes that were read until then
    /// are in the buffer.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::read_at`].
    pub async fn read_exact_at<B: IoBufMut>(&self, mut buf: B, offset: u64) -> (io::Result<()>, B) {
        let room = buf.room();
        let mut done = 0;
        while done < room {
            let at = offset.saturating_add(done as u64);
            if let Err(error) = check_offset(at) {
                return (Err(error), buf);
            }
            let result;
            (result, buf) = self.core.read(buf, done, room - done, at).await;
            match result {
                Ok(0) => {
                    let error =
                        io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer");
                    return (Err(error), buf);
                }
                Ok(count) => done += count,
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Writes the bytes of `buf` to `offset`, without moving the position, and gives the buffer back with the
    /// count, which may be smaller than their number.
    ///
    /// Any number of these may be in flight at a time; the order of those that overlap is open. To a file
    /// that was opened for appending Linux appends, whatever the offset.
    ///
    /// # Errors
    ///
    /// Those of pwrite(2); `InvalidInput` if `offset` is larger than `i64::MAX`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether, and how many, bytes were written. The buffer is dropped as
    /// soon as the kernel lets go of it.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> (io::Result<usize>, B) {
        match check_offset(offset) {
            Ok(()) => self.core.write(buf, 0, offset).await,
            Err(error) => (Err(error), buf),
        }
    }

    /// As [`Self::write_at`], but writes all bytes of `buf`.
    ///
    /// # Errors
    ///
    /// `WriteZero` if the file takes no more, and as [`Self::write_at`]. Some of the bytes may then have been
    /// written.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::write_at`].
    pub async fn write_all_at<B: IoBuf>(&self, mut buf: B, offset: u64) -> (io::Result<()>, B) {
        let len = buf.initialized();
        let mut done = 0;
        while done < len {
            let at = offset.saturating_add(done as u64);
            if let Err(error) = check_offset(at) {
                return (Err(error), buf);
            }
            let result;
            (result, buf) = self.core.write(buf, done, at).await;
            match result {
                Ok(0) => {
                    let error =
                        io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer");
                    return (Err(error), buf);
                }
                Ok(count) => done += count,
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }
}

/// Larger offsets are negative to the kernel, and the largest means "at the position".
pub(crate) fn check_offset(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_ok() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the offset is larger than i64::MAX",
    ))
}
