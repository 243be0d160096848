//! The memory that a pool shares with the kernel: the ring of entries, and the buffers themselves.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use super::PROVIDED_BYTES;

/// From one buffer to the next: a cache line more than a buffer. Buffers that began at the same place of every page would
/// have their first bytes, the only ones that short messages use, in the same few lines of the cache.
const STRIDE_BYTES: usize = PROVIDED_BYTES + 64;
/// The kernel wants the entries at the beginning of a page.
const PAGE_BYTES: usize = 4096;

/// What the pool and the kernel both see. There are as many places as buffers.
pub trait Lane: fmt::Debug + Send + Sync {
    /// Where a buffer lies.
    fn buffer(&self, id: u16) -> NonNull<u8>;

    /// Writes an entry: this buffer, with all of its room.
    ///
    /// # Safety
    ///
    /// The place is not in the kernel's hands, nobody else writes entries meanwhile, and the buffer is in no other place.
    unsafe fn put(&self, place: u16, id: u16);

    /// Lets the kernel see the entries before `tail`, which wraps.
    fn publish(&self, tail: u16, ordering: Ordering);

    /// The room of the buffer in that place, which the kernel may have shortened.
    ///
    /// # Safety
    ///
    /// The place is not in the kernel's hands, and nobody writes entries meanwhile.
    unsafe fn room(&self, place: u16) -> u32;
}

/// The lane of a pool.
#[derive(Debug)]
pub(super) enum AnyLane {
    /// Memory that the kernel sees.
    Kernel(KernelLane),
    /// A model of it.
    #[cfg(feature = "models")]
    Model(Box<dyn Lane>),
}

/// The same call of whichever lane it is.
macro_rules! whichever {
    ($any:ident, $inner:ident => $call:expr) => {
        match $any {
            Self::Kernel($inner) => $call,
            #[cfg(feature = "models")]
            Self::Model($inner) => $call,
        }
    };
}

impl Lane for AnyLane {
    fn buffer(&self, id: u16) -> NonNull<u8> {
        whichever!(self, lane => lane.buffer(id))
    }

    unsafe fn put(&self, place: u16, id: u16) {
        // SAFETY: the caller gives the same promise.
        whichever!(self, lane => unsafe { lane.put(place, id) })
    }

    fn publish(&self, tail: u16, ordering: Ordering) {
        whichever!(self, lane => lane.publish(tail, ordering))
    }

    unsafe fn room(&self, place: u16) -> u32 {
        // SAFETY: the caller gives the same promise.
        whichever!(self, lane => unsafe { lane.room(place) })
    }
}

/// A ring of entries as the kernel reads it, and the buffers that they name.
#[derive(Debug)]
pub(super) struct KernelLane {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    count: u16,
}

// SAFETY: the pointers are to memory that this value owns; entries are read and written under the pool's lock, and a buffer
// is touched only by who holds its `ProvidedBuf`, or by the kernel.
unsafe impl Send for KernelLane {}
// SAFETY: as above.
unsafe impl Sync for KernelLane {}

impl KernelLane {
    pub(super) fn new(count: u16) -> Self {
        Self {
            entries: allocate(Self::entries_layout(count)).cast(),
            bytes: allocate(Self::bytes_layout(count)),
            count,
        }
    }

    /// Where the entries begin.
    pub(super) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    fn entries_layout(count: u16) -> Layout {
        let bytes = usize::from(count) * size_of::<BufRingEntry>();
        Layout::from_size_align(bytes, PAGE_BYTES).expect("a layout of at most 512 KiB")
    }

    fn bytes_layout(count: u16) -> Layout {
        let bytes = usize::from(count) * STRIDE_BYTES;
        Layout::from_size_align(bytes, PAGE_BYTES).expect("a layout of at most 136 MiB")
    }

    fn entry(&self, place: u16) -> NonNull<BufRingEntry> {
        debug_assert!(place < self.count, "a place of the ring");
        // SAFETY: places are below the number of entries: `Order` makes them by a remainder.
        unsafe { self.entries.add(usize::from(place)) }
    }
}

impl Lane for KernelLane {
    fn buffer(&self, id: u16) -> NonNull<u8> {
        debug_assert!(id < self.count, "a buffer of the pool");
        // SAFETY: every id is below the count, which `Order::lend` and `Pool::over` see to, so the offset stays inside.
        unsafe { self.bytes.add(usize::from(id) * STRIDE_BYTES) }
    }

    unsafe fn put(&self, place: u16, id: u16) {
        let entry = self.entry(place).as_ptr();
        // SAFETY: the caller has the entry to himself. Only three fields are written, for the first entry's fourth is the
        // tail that the kernel reads.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.buffer(id).as_ptr() as u64);
        entry.set_len(PROVIDED_BYTES as u32);
        entry.set_bid(id);
    }

    fn publish(&self, tail: u16, ordering: Ordering) {
        // SAFETY: `entries` is the base of the ring.
        let shared = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 in our allocation, aligned, and shared with the kernel only.
        let shared = unsafe { AtomicU16::from_ptr(shared.cast_mut()) };
        shared.store(tail, ordering);
    }

    unsafe fn room(&self, place: u16) -> u32 {
        let entry = self.entry(place).as_ptr();
        // SAFETY: the entry is initialised, and the caller says that nobody writes it. What the kernel has written there it
        // wrote before the answer by which we know that it is through with it.
        unsafe { entry.read_volatile() }.len()
    }
}

impl Drop for KernelLane {
    fn drop(&mut self) {
        let entries = self.entries.as_ptr().cast();
        // SAFETY: allocated in `new` with this layout. The device is closed, no operation is left (each holds the pool)
        // and no buffer is out.
        unsafe { dealloc(entries, Self::entries_layout(self.count)) };
        // SAFETY: as above, for the buffers.
        unsafe { dealloc(self.bytes.as_ptr(), Self::bytes_layout(self.count)) };
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here is empty: a pool has a buffer at least.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
