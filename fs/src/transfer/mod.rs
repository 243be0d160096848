//! [`transfer`] and [`Transfer`]: from a file to a socket, the bytes never passing through the process.
//!
//! 1. What is in memory is sent at once, on the worker, by sendfile(2), if the sink does not block: until it is full. What was found
//!    there a moment ago is believed to be there still ([`seen`]).
//! 2. Otherwise by splice(2): from the file into a pipe, which then refers to the pages of the file,
//!    and from the pipe into the socket, which sends from those pages. A leg that would wait is the ring's. Only
//!    there is a thread of the kernel involved; it costs some 15 µs, as much as 128 KiB of splicing.
//!
//! sendfile(2) could do the second as well, but only by holding up its thread for the disk.

pub(crate) mod pipe;
pub(crate) mod seen;

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use ringway_runtime::driver::{AsSharedFd, Op, SharedFd};
use ringway_runtime::task::yield_now;

use self::pipe::Pipe;
use crate::File;
use crate::file::at::check_offset;
use crate::file::core::is_interrupted;
use crate::limits::TRANSFER_STREAK_BYTES;
use crate::op::now::{self, Now};
use crate::op::splice::{End, Splice};
use crate::op::{Ready, descriptor};

/// Sends `len` bytes of `file`, from `offset` on, to `sink`, and returns how many that were: `len`.
///
/// Neither the position of the file nor what was written to it through tokio's traits, but not flushed,
/// plays a part. The sink refers to the pages of the file until the other side has acknowledged them: who
/// changes the file meanwhile may change what is sent.
///
/// # Errors
///
/// - `UnexpectedEof` with a [`ShortTransfer`] inside, if the file ends before: it says how many bytes were sent;
/// - `InvalidInput` if the stretch goes beyond `i64::MAX`;
/// - EPIPE or ECONNRESET if the other side is gone (SIGPIPE is not raised), and the other errors of sendfile(2) and splice(2): how
///   many bytes were sent is then not known;
/// - EINVAL if the file system, or the sink, cannot splice.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future leaves open how many bytes were sent. The sink can be used after that, but what the
/// other side makes of a stream that breaks off depends on the protocol.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # std::fs::write(&path, b"0123456789")?;
/// use ringway_fs::{File, ShortTransfer, transfer};
///
/// // Any socket or pipe: here a pair of the standard library's, made ours.
/// let (_reader, writer) = std::os::unix::net::UnixStream::pair()?;
/// let writer = ringway_runtime::driver::SharedFd::from(std::os::fd::OwnedFd::from(writer));
/// let file = File::open(&path).await?;
/// assert_eq!(transfer(&file, 2, 5, &writer).await?, 5);
///
/// // A file that ends too early is an error that says how far it came.
/// let error = transfer(&file, 5, 100, &writer).await.unwrap_err();
/// let short = error.get_ref().and_then(|inner| inner.downcast_ref::<ShortTransfer>());
/// assert_eq!(short.map(|short| (short.sent(), short.expected())), Some((5, 100)));
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn transfer(
    file: &File,
    offset: u64,
    len: u64,
    sink: &impl AsSharedFd,
) -> io::Result<u64> {
    let mut transfer = Transfer::new(file, offset, len, sink)?;
    while transfer.left() > 0 {
        transfer.advance().await?;
    }
    Ok(transfer.sent())
}

/// A stretch of a file on its way to a socket, some bytes at a time: [`transfer`] for who wants to know how far it came,
/// or bounds the time of each part of it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// # ringway_runtime::Runtime::new()?.block_on(async {
/// # std::fs::write(&path, b"0123456789")?;
/// # use ringway_fs::{File, Transfer};
/// # let (_reader, writer) = std::os::unix::net::UnixStream::pair()?;
/// # writer.set_nonblocking(true)?;
/// # let writer = ringway_runtime::driver::SharedFd::from(std::os::fd::OwnedFd::from(writer));
/// let file = File::open(&path).await?;
/// let mut transfer = Transfer::new(&file, 2, 5, &writer)?;
/// while transfer.left() > 0 {
///     let count = transfer.advance().await?;
///     println!("{count} bytes more, {} in all", transfer.sent());
/// }
/// # assert_eq!(transfer.sent(), 5);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Transfer<'a> {
    file: &'a File,
    sink: &'a SharedFd,
    offset: u64,
    len: u64,
    sent: u64,
    /// Made when it is first needed; empty between two steps.
    pipe: Option<Box<Pipe>>,
    /// Whether the sink says EAGAIN when it is full.
    sink_answers: bool,
    /// Whether sendfile(2) may be tried.
    sends_file: bool,
    /// Whether a step by the pipe has begun and not ended well: nobody knows how many bytes were sent.
    is_adrift: bool,
    /// Bytes since the task last waited for anything.
    streak: usize,
}

impl<'a> Transfer<'a> {
    /// A transfer of `len` bytes of `file`, from `offset` on, to `sink`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the stretch goes beyond `i64::MAX`, and those of fcntl(2).
    pub fn new(
        file: &'a File,
        offset: u64,
        len: u64,
        sink: &'a impl AsSharedFd,
    ) -> io::Result<Self> {
        check_offset(offset.saturating_add(len))?;
        let sink = sink.shared_fd();
        let sink_answers = descriptor::open_flags(sink.as_fd())? & libc::O_NONBLOCK != 0;
        Ok(Self {
            file,
            sink,
            offset,
            len,
            sent: 0,
            pipe: None,
            sink_answers,
            sends_file: sink_answers,
            is_adrift: false,
            streak: 0,
        })
    }

    /// How many bytes the sink has taken.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many it is still to take.
    pub fn left(&self) -> u64 {
        self.len - self.sent
    }

    /// Sends some of what is left, as much as the sink takes and a mebibyte at most, and returns how much. It waits until the sink
    /// takes some. 0 if nothing is left.
    ///
    /// After each mebibyte that went without a wait it lets other tasks run.
    ///
    /// # Errors
    ///
    /// As [`transfer`], and of kind `Other` if an earlier step was given up, or failed, at a point where nobody knows what was sent.
    ///
    /// # Cancel safety
    ///
    /// While the file is in memory, and the sink a socket, dropping the future sends nothing that is not counted, and the next step goes
    /// on. Otherwise it may: the next step is an error then.
    pub async fn advance(&mut self) -> io::Result<usize> {
        if self.is_adrift {
            return Err(io::Error::other("nobody knows how much was transferred"));
        }
        if self.left() == 0 {
            return Ok(0);
        }
        let count = match self.send_at_once().await? {
            Some(count) => count,
            None => self.send_by_pipe().await?,
        };
        self.sent += count as u64;
        if count > 0 {
            return Ok(count);
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            ShortTransfer {
                sent: self.sent,
                expected: self.len,
            },
        ))
    }

    /// Sends what is in memory as far as the sink takes it, and waits until it takes some. `None` if that is not to be
    /// had: the pages are elsewhere, or these two ends need a pipe between them.
    async fn send_at_once(&mut self) -> io::Result<Option<usize>> {
        let offset = self.offset + self.sent;
        while self.sends_file {
            self.let_others_run().await;
            let len = self.left_at_most(TRANSFER_STREAK_BYTES - self.streak);
            if !self.is_in_memory(offset, len) {
                return Ok(None);
            }
            match now::send_file(self.file.as_fd(), offset, self.sink.as_fd(), len) {
                Now::Done(result) => {
                    self.streak += result.as_ref().map_or(0, |&count| count);
                    return result.map(Some);
                }
                Now::Never => self.sends_file = false,
                Now::Later => self.wait_for_room().await?,
            }
        }
        Ok(None)
    }

    /// Fills the pipe, and empties it into the sink. 0: the file has ended.
    async fn send_by_pipe(&mut self) -> io::Result<usize> {
        let mut pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => self.file.kept_pipe().take()?,
        };
        self.is_adrift = true;
        let filled = self.fill(&mut pipe).await?;
        self.drain(&pipe, filled, (filled as u64) < self.left())
            .await?;
        self.is_adrift = false;
        self.pipe = Some(pipe);
        Ok(filled)
    }

    /// Whether these bytes of the file are in memory, or were a moment ago.
    fn is_in_memory(&self, offset: u64, len: usize) -> bool {
        let (seen, now) = (self.file.seen(), Instant::now());
        if seen.believes(offset, len, now) {
            return true;
        }
        let is_cached = self.file.core().is_cached(offset, len);
        if is_cached {
            seen.note(offset, len, now);
        }
        is_cached
    }

    fn left_at_most(&self, most: usize) -> usize {
        usize::try_from(self.left()).unwrap_or(usize::MAX).min(most)
    }

    async fn let_others_run(&mut self) {
        if self.streak >= TRANSFER_STREAK_BYTES {
            self.streak = 0;
            yield_now().await;
        }
    }

    async fn wait_for_room(&mut self) -> io::Result<()> {
        self.streak = 0;
        Op::new(Ready::new(self.sink.clone(), libc::POLLOUT)).await?;
        Ok(())
    }

    /// Brings the next bytes of the file into the empty pipe. 0: the file has ended.
    async fn fill(&mut self, pipe: &mut Pipe) -> io::Result<usize> {
        let (offset, len) = (self.offset + self.sent, self.left_at_most(pipe.capacity()));
        let core = self.file.core();
        if core.is_cached(offset, len)
            && let Now::Done(result) =
                now::splice_in(core.as_fd(), offset, pipe.writer.as_fd(), len)
        {
            return result;
        }
        self.streak = 0;
        let to = End::Stream(pipe.writer.clone());
        splice(End::FileAt(core.fd.clone(), offset), to, len, 0).await
    }

    /// Brings all `len` bytes of the pipe into the sink. `more` says that others follow.
    async fn drain(&mut self, pipe: &Pipe, mut len: usize, more: bool) -> io::Result<()> {
        while len > 0 {
            let count = if self.sink_answers {
                self.drain_at_once(pipe, len, more).await?
            } else {
                let from = End::Stream(pipe.reader.clone());
                let flags = if more { libc::SPLICE_F_MORE } else { 0 };
                splice(from, End::Stream(self.sink.clone()), len, flags).await?
            };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            len -= count.min(len);
        }
        Ok(())
    }

    async fn drain_at_once(&mut self, pipe: &Pipe, len: usize, more: bool) -> io::Result<usize> {
        loop {
            self.let_others_run().await;
            let now = now::splice_out(pipe.reader.as_fd(), self.sink.as_fd(), len, more);
            if let Now::Done(result) = now {
                self.streak += result.as_ref().map_or(0, |&count| count);
                return result;
            }
            self.wait_for_room().await?;
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        // Between two steps it is empty; during one it is not here.
        if let Some(pipe) = self.pipe.take() {
            self.file.kept_pipe().keep(pipe);
        }
    }
}

/// Splices through the ring.
async fn splice(from: End, to: End, len: usize, flags: libc::c_uint) -> io::Result<usize> {
    loop {
        let result = Op::new(Splice::new(from.clone(), to.clone(), len, flags)).await;
        if !is_interrupted(&result) {
            return result;
        }
    }
}

impl fmt::Debug for Transfer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, sink) = (self.file.as_raw_fd(), self.sink.as_raw_fd());
        f.debug_struct("Transfer")
            .field("file", &file)
            .field("sink", &sink)
            .field("sent", &self.sent)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The file of a [`transfer`] ended before as many bytes were sent as were asked for: it is shorter than its
/// user believed, or was cut meanwhile.
///
/// It is inside an [`io::Error`] of kind `UnexpectedEof`:
///
/// ```
/// # fn sent(error: &std::io::Error) -> Option<u64> {
/// let short = error.get_ref()?.downcast_ref::<ringway_fs::ShortTransfer>()?;
/// # Some(
/// short.sent()
/// # )
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortTransfer {
    sent: u64,
    expected: u64,
}

impl ShortTransfer {
    /// How many bytes the sink has taken.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many were asked for.
    pub fn expected(&self) -> u64 {
        self.expected
    }
}

impl fmt::Display for ShortTransfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, expected } = self;
        write!(
            f,
            "the file ended after {sent} of the {expected} bytes that were to be transferred"
        )
    }
}

impl Error for ShortTransfer {}
