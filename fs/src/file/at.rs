//! Owned buffers at given offsets.

use std::io;

use super::File;
use super::direct::explain;
use crate::op::{IoBuf, IoBufMut, IoBufs, IoBufsMut};

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
        self.read_from(buf, 0, offset).await
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// # std::fs::write(&path, b"hello world")?;
    /// let file = ringway_fs::File::open(&path).await?;
    /// let (result, word) = file.read_exact_at(vec![0; 5], 6).await;
    /// result?;
    /// assert_eq!(word, b"world");
    /// let (result, _word) = file.read_exact_at(word, 8).await;
    /// assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn read_exact_at<B: IoBufMut>(&self, buf: B, offset: u64) -> (io::Result<()>, B) {
        let room = buf.room();
        let step = |buf, done, at| self.read_from(buf, done, at);
        in_full(buf, room, offset, unexpected_end, step).await
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
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::create(&path).await?;
    /// // Both are under way at once, in whatever order.
    /// let (there, here) = tokio::join!(file.write_at("there", 5), file.write_all_at("here ", 0));
    /// assert_eq!(there.0?, 5);
    /// here.0?;
    /// assert_eq!(ringway_fs::read(&path).await?, b"here there");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> (io::Result<usize>, B) {
        self.write_from(buf, 0, offset).await
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
    pub async fn write_all_at<B: IoBuf>(&self, buf: B, offset: u64) -> (io::Result<()>, B) {
        let len = buf.initialized();
        let step = |buf, done, at| self.write_from(buf, done, at);
        in_full(buf, len, offset, takes_no_more, step).await
    }

    /// Reads at `offset` into several buffers, the first one first, as [`Self::read_at`] does into one.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # std::fs::write(&path, b"head body")?;
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::open(&path).await?;
    /// let bufs = [Vec::with_capacity(5), Vec::with_capacity(100)];
    /// let (result, [head, body]) = file.read_vectored_at(bufs, 0).await;
    /// assert_eq!(result?, 9);
    /// assert_eq!((&head[..], &body[..]), (&b"head "[..], &b"body"[..]));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::read_at`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::read_at`].
    pub async fn read_vectored_at<V: IoBufsMut>(
        &self,
        bufs: V,
        offset: u64,
    ) -> (io::Result<usize>, V) {
        self.read_many_from(bufs, 0, offset).await
    }

    /// As [`Self::read_vectored_at`], but fills the whole room of all buffers.
    ///
    /// # Errors
    ///
    /// As [`Self::read_exact_at`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::read_at`].
    pub async fn read_exact_vectored_at<V: IoBufsMut>(
        &self,
        mut bufs: V,
        offset: u64,
    ) -> (io::Result<()>, V) {
        let mut room = 0;
        bufs.for_each_mut(&mut |_, len| room += len);
        let step = |bufs, done, at| self.read_many_from(bufs, done, at);
        in_full(bufs, room, offset, unexpected_end, step).await
    }

    /// Writes the bytes of several buffers, the first one first, to `offset`, as [`Self::write_at`] does those of one.
    ///
    /// # Errors
    ///
    /// As [`Self::write_at`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::write_at`].
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// let file = ringway_fs::File::options().read(true).write(true).create(true).open(&path).await?;
    /// let (result, _) = file.write_vectored_at(["head ", "body"], 0).await;
    /// assert_eq!(result?, 9);
    /// let (result, _) = file.write_all_vectored_at([" and", " tail"], 9).await;
    /// result?;
    /// let bufs = [Vec::with_capacity(5), Vec::with_capacity(13)];
    /// let (result, [head, rest]) = file.read_exact_vectored_at(bufs, 0).await;
    /// result?;
    /// assert_eq!((&head[..], &rest[..]), (&b"head "[..], &b"body and tail"[..]));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn write_vectored_at<V: IoBufs>(
        &self,
        bufs: V,
        offset: u64,
    ) -> (io::Result<usize>, V) {
        self.write_many_from(bufs, 0, offset).await
    }

    /// As [`Self::write_vectored_at`], but writes all bytes of all buffers.
    ///
    /// # Errors
    ///
    /// As [`Self::write_all_at`].
    ///
    /// # Cancel safety
    ///
    /// As [`Self::write_at`].
    pub async fn write_all_vectored_at<V: IoBufs>(
        &self,
        bufs: V,
        offset: u64,
    ) -> (io::Result<()>, V) {
        let len = bufs.total();
        let step = |bufs, done, at| self.write_many_from(bufs, done, at);
        in_full(bufs, len, offset, takes_no_more, step).await
    }
}

/// One step, behind the first `done` bytes, and what is wrong if the kernel refuses it.
impl File {
    async fn read_from<B: IoBufMut>(&self, buf: B, done: usize, at: u64) -> (io::Result<usize>, B) {
        if let Err(error) = check_offset(at) {
            return (Err(error), buf);
        }
        let len = buf.room() - done;
        let (result, buf) = self.core.read(buf, done, len, at).await;
        let result = self.explain(result, at, &buf, (done, len));
        (result, buf)
    }

    async fn write_from<B: IoBuf>(&self, buf: B, done: usize, at: u64) -> (io::Result<usize>, B) {
        if let Err(error) = check_offset(at) {
            return (Err(error), buf);
        }
        let (result, buf) = self.core.write(buf, done, at).await;
        let len = buf.initialized() - done;
        let result = self.explain(result, at, &buf, (done, len));
        (result, buf)
    }

    async fn read_many_from<V: IoBufsMut>(
        &self,
        bufs: V,
        done: usize,
        at: u64,
    ) -> (io::Result<usize>, V) {
        if let Err(error) = check_offset(at) {
            return (Err(error), bufs);
        }
        let (result, mut bufs) = self.core.read_many(bufs, done, at).await;
        let result = explain(&self.core, result, at, |visit| {
            bufs.for_each_mut(&mut |address, len| visit(address.addr(), len));
        });
        (result, bufs)
    }

    async fn write_many_from<V: IoBufs>(
        &self,
        bufs: V,
        done: usize,
        at: u64,
    ) -> (io::Result<usize>, V) {
        if let Err(error) = check_offset(at) {
            return (Err(error), bufs);
        }
        let (result, bufs) = self.core.write_many(bufs, done, at).await;
        let result = explain(&self.core, result, at, |visit| {
            bufs.for_each(&mut |address, len| visit(address.addr(), len));
        });
        (result, bufs)
    }

    /// What is wrong with a read or write of the bytes of `buf` from `stretch.0` on, `stretch.1` of them.
    fn explain<T>(
        &self,
        result: io::Result<T>,
        offset: u64,
        buf: &impl IoBuf,
        stretch: (usize, usize),
    ) -> io::Result<T> {
        explain(&self.core, result, offset, |visit| {
            visit(buf.stable_ptr().addr() + stretch.0, stretch.1);
        })
    }
}

/// Moves `len` bytes from `offset` on, in as many steps as it takes. A step gets the buffer, how much was moved, and
/// where the next byte goes; one that moves nothing is the error of `stuck`.
async fn in_full<B, F>(
    mut buf: B,
    len: usize,
    offset: u64,
    stuck: fn() -> io::Error,
    mut step: impl FnMut(B, usize, u64) -> F,
) -> (io::Result<()>, B)
where
    F: Future<Output = (io::Result<usize>, B)>,
{
    let mut done = 0;
    while done < len {
        let result;
        (result, buf) = step(buf, done, offset.saturating_add(done as u64)).await;
        match result {
            Ok(0) => return (Err(stuck()), buf),
            Ok(count) => done += count,
            Err(error) => return (Err(error), buf),
        }
    }
    (Ok(()), buf)
}

fn unexpected_end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer")
}

/// Of a write that wrote nothing.
pub(crate) fn takes_no_more() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer")
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
