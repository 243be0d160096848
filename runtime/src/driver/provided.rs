//! The provided buffers of a shard: memory into which the kernel receives, chosen by it when bytes arrive.
//!
//! A receive that waits holds no buffer, however many connections wait: the kernel takes one when there are bytes. A
//! shard has one [`Pool`] of them, made when the first operation asks for it. The kernel takes buffers from the head of
//! a ring in memory; we put them back at its tail, under a lock of its own, because a [`ProvidedBuf`] may be dropped on
//! any thread, and after the runtime has ended: the memory lives as long as the shard and every buffer that is out.
//!
//! # When there are none
//!
//! A pool that is empty, a kernel without buffer rings (before 5.19), a second driver: whoever receives then waits for
//! readiness and receives into memory of its own, which is a [`ProvidedBuf`] as well. So nobody waits for a buffer that
//! somebody else holds.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use io_uring::cqueue;
use io_uring::types::BufRingEntry;
use parking_lot::Mutex;

use super::buf::IoBuf;
use super::device::Device;
use super::features::Feature;
use super::knobs;

/// The buffer group of every shard's pool. There is no other group in a ring.
const GROUP: u16 = 0;
/// Bytes of one buffer: a page, so that what is not used takes no memory. What is larger comes in several.
pub const PROVIDED_BYTES: usize = 4096;
/// Buffers of a pool, a power of two: 1 MiB of address space, of which only touched pages become memory.
const BUFFERS: u16 = 256;
/// From one buffer to the next: a cache line more than a buffer. Buffers that began at the same place of every page would
/// have their first bytes, the only ones that short messages use, in the same few lines of the cache.
const STRIDE_BYTES: usize = PROVIDED_BYTES + 64;
/// The kernel wants the entries at the beginning of a page.
const PAGE_BYTES: usize = 4096;

/// Memory that a shard lends to the kernel.
pub struct Pool {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    count: u16,
    /// The tail as we know it; the kernel reads the one in `entries`.
    tail: Mutex<u16>,
    /// Buffers that somebody holds.
    out: AtomicUsize,
}

// SAFETY: the pointers are to memory that this value owns; the ring's tail is written under the lock, and a buffer is
// touched only by who holds its `ProvidedBuf`, or by the kernel.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Lends buffers to a device; none if it cannot take them.
    pub(super) fn of_device(device: &impl Device) -> Option<Arc<Self>> {
        if !device.features().has(Feature::BufferRings) {
            return None;
        }
        let pool = Self::new(knobs::provided_buffers().unwrap_or(BUFFERS));
        let address = pool.entries.as_ptr() as u64;
        // SAFETY: the entries begin a page and are as many as is said. The kernel reads them as long as the device is
        // open: the shard keeps the pool longer than its device.
        unsafe { device.lend_buffers(address, pool.count, GROUP) }.ok()?;
        Some(Arc::new(pool))
    }

    fn new(count: u16) -> Self {
        let pool = Self {
            entries: allocate(Self::entries_layout(count)).cast(),
            bytes: allocate(Self::bytes_layout(count)),
            count,
            tail: Mutex::new(0),
            out: AtomicUsize::new(usize::from(count)),
        };
        for id in 0..count {
            pool.give_back(id);
        }
        pool
    }

    /// The group that an operation names whose buffers these are.
    pub fn group(&self) -> u16 {
        GROUP
    }

    /// Whether some are not out, as far as is known: the kernel may have taken more.
    pub fn has_free(&self) -> bool {
        // Relaxed: a hint.
        self.out.load(Ordering::Relaxed) < usize::from(self.count)
    }

    /// Takes over the buffer that an answer of the kernel names, if it names one, with the bytes in it.
    ///
    /// # Safety
    ///
    /// The answer is that of an operation in the shard whose pool this is, and it is handed in once.
    pub unsafe fn adopt(self: &Arc<Self>, result: i32, flags: u32) -> Option<ProvidedBuf> {
        let id = cqueue::buffer_select(flags)?;
        assert!(
            id < self.count,
            "the kernel chose a buffer that was never provided"
        );
        self.out.fetch_add(1, Ordering::Relaxed);
        let len = usize::try_from(result).unwrap_or(0).min(PROVIDED_BYTES);
        let pool = Arc::clone(self);
        Some(ProvidedBuf(Place::Lent { pool, id, len }))
    }

    fn entries_layout(count: u16) -> Layout {
        let bytes = usize::from(count) * size_of::<BufRingEntry>();
        Layout::from_size_align(bytes, PAGE_BYTES).expect("a layout of at most 512 KiB")
    }

    fn bytes_layout(count: u16) -> Layout {
        let bytes = usize::from(count) * STRIDE_BYTES;
        Layout::from_size_align(bytes, PAGE_BYTES).expect("a layout of at most 136 MiB")
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        // SAFETY: every id is below the count, which `adopt` and `new` see to, so the offset stays inside.
        unsafe { self.bytes.add(usize::from(id) * STRIDE_BYTES) }
    }

    fn give_back(&self, id: u16) {
        let address = self.buffer(id).as_ptr() as u64;
        let mut tail = self.tail.lock();
        let place = usize::from(*tail % self.count);
        // SAFETY: `place` is below the number of entries.
        let entry = unsafe { self.entries.add(place) };
        // SAFETY: entries at and after the tail belong to us, not the kernel, and we hold the lock; there are as many
        // entries as buffers, and this buffer is in none of them. Only three fields are written, for the first entry's
        // fourth is the tail that the kernel reads.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(address);
        entry.set_len(PROVIDED_BYTES as u32);
        entry.set_bid(id);
        *tail = tail.wrapping_add(1);
        // SAFETY: `entries` is the base of the ring.
        let shared = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 in our allocation, aligned, and shared with the kernel only.
        let shared = unsafe { AtomicU16::from_ptr(shared.cast_mut()) };
        // Release: publishes the entry; pairs with the kernel's load-acquire of the tail.
        shared.store(*tail, Ordering::Release);
        self.out.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout. The device is closed, no operation is left (each holds the pool)
        // and no buffer is out.
        unsafe {
            dealloc(
                self.entries.as_ptr().cast(),
                Self::entries_layout(self.count),
            )
        };
        // SAFETY: as above, for the buffers.
        unsafe { dealloc(self.bytes.as_ptr(), Self::bytes_layout(self.count)) };
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("count", &self.count)
            .field("out", &self.out)
            .finish_non_exhaustive()
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here is empty: a pool has a buffer at least.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Bytes that were received into memory of the runtime.
///
/// Dropping it gives the memory back, from whichever thread, also when the runtime has ended. It is an
/// [`IoBuf`]: what was received can be sent on as it is.
pub struct ProvidedBuf(Place);

enum Place {
    Lent {
        pool: Arc<Pool>,
        id: u16,
        len: usize,
    },
    Own(Vec<u8>),
}

impl ProvidedBuf {
    /// Bytes in memory of their own, where no buffer was to be had.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Place::Own(bytes))
    }

    /// Whether the bytes lie in one of the shard's buffers, of which there are not many, and not in memory of their own.
    pub fn is_lent(&self) -> bool {
        matches!(self.0, Place::Lent { .. })
    }

    /// The bytes in memory of their own, which they are copied to if they must be.
    pub fn into_vec(mut self) -> Vec<u8> {
        match &mut self.0 {
            Place::Lent { .. } => self.to_vec(),
            Place::Own(bytes) => std::mem::take(bytes),
        }
    }
}

impl Deref for ProvidedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Own(bytes) => bytes,
            Place::Lent { pool, id, len } => {
                let start = pool.buffer(*id).as_ptr();
                // SAFETY: the buffer has room for `len`, of which the kernel wrote every byte (all others are zero), and
                // it does not touch the buffer until that is given back, which only our drop does.
                unsafe { std::slice::from_raw_parts(start, *len) }
            }
        }
    }
}

impl AsRef<[u8]> for ProvidedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the bytes are in a pool or on the heap, where nothing moves or writes them until self is dropped.
unsafe impl IoBuf for ProvidedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn initialized(&self) -> usize {
        self.len()
    }
}

impl Drop for ProvidedBuf {
    fn drop(&mut self) {
        if let Place::Lent { pool, id, .. } = &self.0 {
            pool.give_back(*id);
        }
    }
}

impl fmt::Debug for ProvidedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidedBuf")
            .field("len", &self.len())
            .field("is_lent", &self.is_lent())
            .finish()
    }
}

/// As many bytes as there are in a datagram or a stream, as far as a provided buffer has room, received now into memory of
/// their own.
///
/// # Errors
///
/// Those of recv(2): `WouldBlock` if there are none.
pub fn receive_now(fd: &impl std::os::fd::AsRawFd) -> io::Result<ProvidedBuf> {
    let mut bytes = Vec::<u8>::with_capacity(PROVIDED_BYTES);
    let target = bytes.as_mut_ptr().cast();
    // SAFETY: the vector has room for so many bytes.
    let count = unsafe { libc::recv(fd.as_raw_fd(), target, PROVIDED_BYTES, libc::MSG_DONTWAIT) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has just written `count` bytes there.
    unsafe { bytes.set_len(count) };
    Ok(ProvidedBuf::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags_of(id: u16) -> u32 {
        // IORING_CQE_F_BUFFER, and the id in the upper half.
        1 | u32::from(id) << 16
    }

    /// Mutants: `Drop` gives nothing back; `adopt` counts nothing.
    #[test]
    fn a_buffer_is_out_until_it_is_dropped_on_whichever_thread() {
        let pool = Arc::new(Pool::new(2));
        assert!(pool.has_free());
        // SAFETY: the kernel has chosen nothing, so each id is handed in once.
        let one = unsafe { pool.adopt(3, flags_of(0)) }.expect("a buffer");
        // SAFETY: as above.
        let two = unsafe { pool.adopt(5000, flags_of(1)) }.expect("a buffer");
        assert_eq!((one.len(), two.len()), (3, PROVIDED_BYTES));
        assert!(!pool.has_free());
        std::thread::spawn(move || drop(one))
            .join()
            .expect("no panic");
        assert!(pool.has_free());
        drop(pool);
        assert!(two.iter().all(|&byte| byte == 0), "it outlives its pool");
    }

    #[test]
    fn an_answer_without_a_buffer_brings_none() {
        let pool = Arc::new(Pool::new(1));
        // SAFETY: there is no buffer in it.
        assert!(unsafe { pool.adopt(-libc::ENOBUFS, 0) }.is_none());
        assert_eq!(*pool.tail.lock(), 1);
    }

    #[test]
    fn what_is_taken_out_as_a_vector_is_copied_only_from_the_pool() {
        let own = ProvidedBuf::from_vec(b"own".to_vec());
        let address = own.stable_ptr();
        let vec = own.into_vec();
        assert_eq!((vec.as_ptr(), &vec[..]), (address, &b"own"[..]));
        let pool = Arc::new(Pool::new(1));
        // SAFETY: handed in once.
        let lent = unsafe { pool.adopt(2, flags_of(0)) }.expect("a buffer");
        assert_eq!(lent.into_vec(), [0, 0]);
        assert!(pool.has_free());
    }
}
