//! The provided buffers of a shard: memory into which the kernel receives, chosen by it when bytes arrive.
//!
//! An idle connection holds no buffer: a receive with buffer selection takes one only when there is data.
//! The kernel takes buffers from the head of a ring in memory; we put them back at its tail, under a lock of
//! its own, because a [`ProvidedBuf`] may be dropped on any thread. A socket has at most one receive of this
//! kind in flight or unread, so a flood on one socket holds one buffer.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue};
use parking_lot::Mutex;

use super::shard::Shard;
use super::slots::Answer;

/// The buffer group of every shard's provided buffers.
pub const PROVIDED_GROUP: u16 = 0;
/// Bytes of one provided buffer: a page; larger transfers read straight into the caller's memory.
pub const PROVIDED_BUFFER_BYTES: u32 = 4096;
/// Buffers of a shard: 1 MiB of address space, of which only touched pages become memory.
const PROVIDED_BUFFERS: u16 = 256;

/// From one buffer to the next: a cache line more than a buffer. Buffers that begin at the same place of every page
/// would all have their first bytes, the only ones that short messages use, in the same few lines of the cache.
const STRIDE_BYTES: usize = PROVIDED_BUFFER_BYTES as usize + 64;

/// Memory that a shard lends to the kernel.
pub(super) struct Provided {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    /// The tail as we know it; the kernel reads the one in `entries`.
    tail: Mutex<u16>,
    registered: bool,
}

// SAFETY: the pointers are to memory owned by this value; the ring's tail is written under the lock, and a
// buffer is touched only by who holds its `ProvidedBuf`.
unsafe impl Send for Provided {}
// SAFETY: as above.
unsafe impl Sync for Provided {}

impl Provided {
    /// Lends buffers to `ring`; a kernel that does not know buffer rings gets none, and says ENOBUFS then.
    pub(super) fn register(ring: &IoUring) -> Self {
        let mut this = Self {
            entries: allocate(Self::entries_layout()).cast(),
            bytes: allocate(Self::bytes_layout()),
            tail: Mutex::new(0),
            registered: false,
        };
        let address = this.entries.as_ptr() as u64;
        // SAFETY: the entries are page-aligned, large enough, and freed only after the ring is closed with
        // nothing in flight (`Shard`'s drop).
        let registered = unsafe {
            ring.submitter().register_buf_ring_with_flags(
                address,
                PROVIDED_BUFFERS,
                PROVIDED_GROUP,
                0,
            )
        };
        this.registered = registered.is_ok();
        for id in 0..PROVIDED_BUFFERS {
            this.give_back(id);
        }
        this
    }

    fn entries_layout() -> Layout {
        let bytes = usize::from(PROVIDED_BUFFERS) * size_of::<BufRingEntry>();
        Layout::from_size_align(bytes, PAGE_BYTES).expect("a constant layout")
    }

    fn bytes_layout() -> Layout {
        let bytes = usize::from(PROVIDED_BUFFERS) * STRIDE_BYTES;
        Layout::from_size_align(bytes, PAGE_BYTES).expect("a constant layout")
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        assert!(
            id < PROVIDED_BUFFERS,
            "the kernel chose a buffer that was never provided"
        );
        // SAFETY: `id` was checked, so the offset stays inside the allocation.
        unsafe { self.bytes.add(usize::from(id) * STRIDE_BYTES) }
    }

    fn give_back(&self, id: u16) {
        let address = self.buffer(id).as_ptr() as u64;
        let mut tail = self.tail.lock();
        let place = usize::from(*tail % PROVIDED_BUFFERS);
        // SAFETY: `place` is below the number of entries.
        let entry = unsafe { self.entries.add(place) };
        // SAFETY: entries at and after the tail belong to us, not the kernel, and we hold the lock. Only the
        // three fields are written, for the first entry's spare field is the tail that the kernel reads.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(address);
        entry.set_len(PROVIDED_BUFFER_BYTES);
        entry.set_bid(id);
        *tail = tail.wrapping_add(1);
        // SAFETY: `entries` is the base of the ring.
        let shared = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 in our allocation, aligned, and shared with the kernel only.
        let shared = unsafe { AtomicU16::from_ptr(shared.cast_mut()) };
        // Release: publishes the entry to the kernel, which loads the tail with acquire.
        shared.store(*tail, Ordering::Release);
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with this layout; the owner drops us only when the ring is closed
        // and no operation can use the entries.
        unsafe { dealloc(self.entries.as_ptr().cast(), Self::entries_layout()) };
        // SAFETY: as above, for the buffers.
        unsafe { dealloc(self.bytes.as_ptr(), Self::bytes_layout()) };
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided")
            .field("registered", &self.registered)
            .finish_non_exhaustive()
    }
}

/// Pages are aligned for the kernel, which maps the entries.
const PAGE_BYTES: usize = 4096;

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here is empty.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Bytes that the kernel received into a buffer of the shard. Dropping it gives the buffer back.
pub struct ProvidedBuf {
    shard: Arc<Shard>,
    id: u16,
    len: u32,
}

impl ProvidedBuf {
    /// Takes over the buffer that an answer names, if it names one.
    pub(super) fn adopt(shard: &Arc<Shard>, answer: Answer) -> Option<Self> {
        let id = cqueue::buffer_select(answer.flags)?;
        let len = answer.result.max(0) as u32;
        Some(Self {
            shard: Arc::clone(shard),
            id,
            len: len.min(PROVIDED_BUFFER_BYTES),
        })
    }
}

impl Deref for ProvidedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.shard.provided().buffer(self.id);
        // SAFETY: the kernel wrote `len` bytes there and will not touch the buffer until it is given back,
        // which only our drop does; the shard keeps the memory.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len as usize) }
    }
}

impl Drop for ProvidedBuf {
    fn drop(&mut self) {
        self.shard.provided().give_back(self.id);
    }
}

impl fmt::Debug for ProvidedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidedBuf")
            .field("id", &self.id)
            .field("len", &self.len)
            .finish()
    }
}
