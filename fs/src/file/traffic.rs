//! The traffic of a file through tokio's traits: what is in flight, what was read ahead, and where.
//!
//! tokio's traits lend a buffer for the time of a call, and the kernel wants one until it answers. So what
//! cannot be done at once is read into, or written from, a buffer of the file, and stays **with the file**
//! when the future that asked for it is dropped:
//!
//! 1. Bytes that were read and not taken are the next ones read: none is lost.
//! 2. Bytes that a write has taken are on their way. The next write, a flush, a read or a seek waits for them
//!    and, where it can, reports their error; dropping the file lets them arrive.
//! 3. On a file with a position reading and writing exclude each other: a read waits for the write before it,
//!    and a write or a seek gives up what was read ahead. On a stream ([`Position::Absent`]) they are
//!    independent of one another.

use std::io::{self, IoSlice, SeekFrom};
use std::mem;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use ringway_runtime::driver::{Op, is_in_live_runtime};
use ringway_runtime::spawn_mandatory_blocking;
use ringway_runtime::task::JoinHandle;
use tokio::io::ReadBuf;

use super::core::{Core, is_interrupted};
use super::position::Position;
use crate::gate::Gate;
use crate::op::now::{self, Prompt};
use crate::op::{Deliver, Delivered, Delivery, Read};
use crate::pool::has_ended;

#[derive(Debug)]
pub(super) struct Traffic {
    position: Position,
    reading: Option<Op<Read<Vec<u8>>>>,
    ahead: Ahead,
    writing: Writing,
    write_buf: Vec<u8>,
    write_error: Option<io::Error>,
    last_seek: u64,
}

/// Bytes that were read and not taken: those of `buf` from `taken` on.
#[derive(Debug, Default)]
struct Ahead {
    buf: Vec<u8>,
    taken: usize,
}

impl Ahead {
    fn unread(&self) -> &[u8] {
        &self.buf[self.taken..]
    }

    fn clear(&mut self) {
        self.buf.clear();
        self.taken = 0;
    }
}

/// A write in flight.
#[derive(Debug, Default)]
struct Writing(Option<Way>);

/// Who does it.
#[derive(Debug)]
enum Way {
    Ring(Op<Deliver>),
    /// The blocking pool, for bytes from this offset on. It comes to its end whether or not anybody waits for it.
    Pool(JoinHandle<Delivery>, u64),
}

impl Way {
    /// Sends the bytes on their way.
    ///
    /// A write that could not be done at once is always handed to a thread of the kernel's by the ring, which costs more
    /// than one of the pool's; but those of the kernel keep order among the writers of a device.
    fn start(write: Deliver, by_pool: bool) -> io::Result<Self> {
        // Outside a runtime the operation panics, as it should, and in one that has ended it writes on the spot.
        if !by_pool || !is_in_live_runtime() {
            return Ok(Self::Ring(Op::new(write)));
        }
        let offset = write.offset();
        match spawn_mandatory_blocking(move || write.run()) {
            Some(job) => Ok(Self::Pool(job, offset)),
            None => Err(has_ended()),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        match self {
            Self::Ring(op) => Pin::new(op).poll(cx).map(Delivered::take),
            Self::Pool(job, offset) => Pin::new(job)
                .poll(cx)
                .map(|end| end.unwrap_or_else(|_| Delivery::Failed(has_ended(), *offset))),
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(Way::Ring(op)) = self.0.take() {
            op.detach();
        }
    }
}

impl Traffic {
    pub(super) fn new(position: Position) -> Self {
        Self {
            position,
            reading: None,
            ahead: Ahead::default(),
            writing: Writing::default(),
            write_buf: Vec::new(),
            write_error: None,
            last_seek: 0,
        }
    }

    /// Reads at most `max` bytes.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        max: usize,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if target.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !self.position.is_absent() {
            ready!(self.poll_settle_write(cx));
        }
        loop {
            if self.take_ahead(target) {
                return Poll::Ready(Ok(()));
            }
            if self.reading.is_none() {
                ready!(poll_pause(cx, &core.read_gate));
                if let Some(result) = self.read_at_once(core, max, target) {
                    return Poll::Ready(result.map(drop));
                }
                self.start_read(core, target.remaining().min(max));
            }
            let result = ready!(self.poll_settle_read(cx));
            if !is_interrupted(&result) && self.ahead.unread().is_empty() {
                return Poll::Ready(result);
            }
        }
    }

    /// Hands out what was read ahead. `false` if there is nothing.
    fn take_ahead(&mut self, target: &mut ReadBuf<'_>) -> bool {
        let unread = self.ahead.unread();
        let count = unread.len().min(target.remaining());
        target.put_slice(&unread[..count]);
        self.ahead.taken += count;
        self.position.advance(count);
        count > 0
    }

    fn read_at_once(
        &mut self,
        core: &Core,
        max: usize,
        target: &mut ReadBuf<'_>,
    ) -> Option<io::Result<usize>> {
        let offset = self.position.offset();
        let attempt = |file: Prompt<'_>| now::read_some(file, target, max, offset);
        let result = core.at_once(&core.read_gate, attempt)?;
        self.position
            .advance(result.as_ref().map_or(0, |&count| count));
        Some(result)
    }

    fn start_read(&mut self, core: &Core, len: usize) {
        self.ahead.clear();
        let mut buf = mem::take(&mut self.ahead.buf);
        buf.reserve_exact(len);
        let operation = Read::new(core.fd.clone(), buf, 0, len, self.position.offset());
        self.reading = Some(Op::new(operation));
    }

    /// Waits for the read in flight, and keeps what it brings.
    fn poll_settle_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(op) = &mut self.reading else {
            return Poll::Ready(Ok(()));
        };
        let (result, buf) = ready!(Pin::new(op).poll(cx));
        self.reading = None;
        self.ahead = Ahead { buf, taken: 0 };
        Poll::Ready(result.map(drop))
    }

    /// Sees to it that no read is in flight where it would be in the way of a write or a seek. What was read
    /// ahead stays.
    fn poll_stop_reading(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.position {
            // Nothing was taken from the file yet, so the read can simply be given up.
            Position::Ours(_) => self.reading = None,
            // The kernel moves the position when the read ends; its error would come again.
            Position::Shared => drop(ready!(self.poll_settle_read(cx))),
            Position::Absent => {}
        }
        Poll::Ready(())
    }

    fn discard_ahead(&mut self, core: &Core) -> io::Result<()> {
        if self.position.is_absent() {
            return Ok(());
        }
        let unread = self.ahead.unread().len();
        self.ahead.clear();
        self.position.discard(core.as_fd(), unread)
    }

    /// Writes at most `max` of the bytes of `slices`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        max: usize,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        ready!(self.poll_stop_reading(cx));
        self.discard_ahead(core)?;
        let Some(first) = slices.iter().find(|slice| !slice.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        ready!(poll_pause(cx, &core.write_gate));
        if let Some(result) = self.write_at_once(core, max, first, slices) {
            return Poll::Ready(result);
        }
        let count = self.start_write(core, max, slices)?;
        // Submit it now; nobody is to be woken for it, since whoever asks next will look.
        let _ = self.poll_settle_write(&mut Context::from_waker(Waker::noop()));
        Poll::Ready(Ok(count))
    }

    fn write_at_once(
        &mut self,
        core: &Core,
        max: usize,
        first: &[u8],
        slices: &[IoSlice<'_>],
    ) -> Option<io::Result<usize>> {
        let total = slices
            .iter()
            .map(|slice| slice.len())
            .fold(0, usize::saturating_add);
        let short = [IoSlice::new(&first[..first.len().min(max)])];
        let slices = if total <= max && slices.len() <= SLICES_MAX {
            slices
        } else {
            &short
        };
        let offset = self.position.offset();
        let attempt = |file: Prompt<'_>| now::write_vectored(file, slices, offset);
        let result = core.at_once(&core.write_gate, attempt)?;
        self.position
            .advance(result.as_ref().map_or(0, |&count| count));
        Some(result)
    }

    fn start_write(
        &mut self,
        core: &Core,
        max: usize,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut buf = mem::take(&mut self.write_buf);
        buf.clear();
        for slice in slices {
            let count = slice.len().min(max - buf.len());
            buf.extend_from_slice(&slice[..count]);
        }
        let count = buf.len();
        let write = Deliver::new(core.fd.clone(), buf, self.position.offset());
        let by_pool = !self.position.is_absent() && !core.is_direct();
        self.writing.0 = Some(Way::start(write, by_pool)?);
        self.position.advance(count);
        Ok(count)
    }

    /// Waits for the write in flight. Its error is kept for the next flush or write.
    pub(super) fn poll_settle_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(way) = &mut self.writing.0 {
            let delivery = ready!(way.poll(cx));
            self.writing.0 = None;
            match delivery {
                Delivery::Done(buf) => self.write_buf = buf,
                Delivery::Rest(rest) => self.writing.0 = Some(Way::Ring(Op::new(rest))),
                Delivery::Failed(error, offset) => {
                    self.write_error = Some(error);
                    self.position.retreat_to(offset);
                }
            }
        }
        Poll::Ready(())
    }

    /// Waits for the write in flight and reports its error.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settle_write(cx));
        Poll::Ready(self.write_error.take().map_or(Ok(()), Err))
    }

    /// Waits until nothing is in flight that a seek could not go along with, and says where the last one led.
    pub(super) fn poll_seek(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        ready!(self.poll_settle_write(cx));
        ready!(self.poll_stop_reading(cx));
        Poll::Ready(self.last_seek)
    }

    /// Moves the position.
    pub(super) fn seek(&mut self, core: &Core, to: SeekFrom) -> io::Result<()> {
        if self.is_busy() {
            return Err(io::Error::other(
                "other file operation is pending, call poll_complete before start_seek",
            ));
        }
        let unread = self.ahead.unread().len();
        self.last_seek = self.position.seek(core.as_fd(), to, unread)?;
        self.reading = None;
        self.ahead.clear();
        Ok(())
    }

    /// Whether something is in flight that moves the position, or whose bytes must not be lost.
    pub(super) fn is_busy(&self) -> bool {
        let reading = self.reading.is_some();
        self.writing.0.is_some() || reading && matches!(self.position, Position::Shared)
    }

    /// Waits for what is in flight, gives up what was read ahead, and lets the kernel's position be this one.
    /// What was read from a stream is kept.
    pub(super) fn poll_quiesce(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_settle_write(cx));
        ready!(self.poll_stop_reading(cx));
        Poll::Ready(self.publish(core))
    }

    /// As [`Self::poll_quiesce`], when nothing is in flight.
    pub(super) fn publish(&mut self, core: &Core) -> io::Result<()> {
        debug_assert!(!self.is_busy());
        self.discard_ahead(core)?;
        self.position.publish(core.as_fd())
    }

    /// From now on somebody else has the open file description, too.
    pub(super) fn share(&mut self, core: &Core, flags: libc::c_int) {
        self.position = Position::of_shared(core.as_fd(), flags);
    }

    /// Gives up reading altogether, so that no operation holds the descriptor.
    pub(super) fn end_reading(&mut self) {
        self.reading = None;
    }
}

/// Lets other tasks run if this one has had its share of what is done at once.
fn poll_pause(cx: &Context<'_>, gate: &Gate) -> Poll<()> {
    if gate.admits() {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// `IOV_MAX`: how many slices one call takes.
const SLICES_MAX: usize = 1024;
