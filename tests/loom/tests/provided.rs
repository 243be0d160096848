//! The return of provided buffers: from any thread, against the owner who hands others out, and against the runtime's end.
#![cfg(loom)]

use std::ptr::NonNull;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use ringway_loom_models::{check, spawn};
use ringway_runtime::driver::{PROVIDED_BYTES, Pool, ProvidedBuf};
use ringway_runtime::internals::Lane;

const ROOM: u32 = PROVIDED_BYTES as u32;

/// What an entry says.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    id: u16,
    room: u32,
}

/// What the pool shares with the kernel. Buffers are a number each: who wrote there last.
#[derive(Debug)]
struct Memory {
    entries: Vec<UnsafeCell<Entry>>,
    buffers: Vec<UnsafeCell<u32>>,
    tail: AtomicU16,
    /// Of the memory that was freed.
    frees: AtomicUsize,
}

impl Memory {
    fn new(count: u16) -> Arc<Self> {
        Arc::new(Self {
            entries: (0..count)
                .map(|_| UnsafeCell::new(Entry::default()))
                .collect(),
            buffers: (0..count).map(|_| UnsafeCell::new(0)).collect(),
            tail: AtomicU16::new(0),
            frees: AtomicUsize::new(0),
        })
    }

    fn entry(&self, place: u16) -> &UnsafeCell<Entry> {
        &self.entries[usize::from(place)]
    }

    /// Who holds a buffer reads it.
    fn read(&self, id: u16) -> u32 {
        // SAFETY: loom sees to it that nobody writes there meanwhile.
        self.buffers[usize::from(id)].with(|value| unsafe { *value })
    }

    fn write(&self, id: u16, value: u32) {
        // SAFETY: loom sees to it that nobody is there meanwhile.
        self.buffers[usize::from(id)].with_mut(|place| unsafe { *place = value });
    }
}

/// The pool's end of it. Its drop frees the memory, which is a write to all of it.
#[derive(Debug)]
struct ModelLane(Arc<Memory>);

// SAFETY: loom watches every access.
unsafe impl Send for ModelLane {}
// SAFETY: as above.
unsafe impl Sync for ModelLane {}

impl Lane for ModelLane {
    fn buffer(&self, _: u16) -> NonNull<u8> {
        NonNull::dangling()
    }

    unsafe fn put(&self, place: u16, id: u16) {
        let entry = Entry { id, room: ROOM };
        // SAFETY: loom sees to it that nobody is there meanwhile.
        self.0
            .entry(place)
            .with_mut(|there| unsafe { *there = entry });
    }

    fn publish(&self, tail: u16, ordering: Ordering) {
        self.0.tail.store(tail, ordering);
    }

    unsafe fn room(&self, place: u16) -> u32 {
        // SAFETY: as above.
        self.0.entry(place).with(|entry| unsafe { *entry }.room)
    }
}

impl Drop for ModelLane {
    fn drop(&mut self) {
        for id in 0..self.0.buffers.len() as u16 {
            self.0.write(id, u32::MAX);
        }
        for entry in &self.0.entries {
            // SAFETY: loom sees to it that nobody is there meanwhile.
            entry.with_mut(|entry| unsafe { *entry = Entry::default() });
        }
        // Relaxed: counted by the test when all threads have ended.
        self.0.frees.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pool, the kernel that takes from it, and what they share.
fn shared(count: u16) -> (Pool, Kernel, Arc<Memory>) {
    let memory = Memory::new(count);
    // SAFETY: only the pool and the kernel touch it.
    let pool = unsafe { Pool::of_model(Box::new(ModelLane(Arc::clone(&memory))), count) };
    let kernel = Kernel {
        memory: Arc::clone(&memory),
        head: 0,
    };
    (pool, kernel, memory)
}

/// The kernel's end of it.
struct Kernel {
    memory: Arc<Memory>,
    head: u16,
}

impl Kernel {
    /// Receives `value` into the next buffer, if there is one.
    fn receive(&mut self, value: u32) -> Option<u16> {
        // Acquire: pairs with the Release in `Order::put`.
        if self.memory.tail.load(Ordering::Acquire) == self.head {
            return None;
        }
        let count = self.memory.entries.len() as u16;
        let entry = self.memory.entry(self.head % count);
        // SAFETY: loom sees to it that nobody writes there meanwhile.
        let Entry { id, room } = entry.with(|entry| unsafe { *entry });
        assert_eq!(room, ROOM, "an entry that was not written");
        self.memory.write(id, value);
        self.head = self.head.wrapping_add(1);
        Some(id)
    }
}

/// The buffers of an answer that names `first`, with as many bytes as fill `count` of them.
fn adopt(pool: &Pool, first: u16, count: u32) -> impl Iterator<Item = ProvidedBuf> + use<> {
    // IORING_CQE_F_BUFFER, and the number in the upper half.
    let flags = 1 | u32::from(first) << 16;
    // SAFETY: each answer of the model is handed in once.
    unsafe { pool.adopt((count * ROOM) as i32, flags) }
}

/// Two threads drop a buffer each, of which they have read the bytes; the kernel takes them again as they come, each once, and
/// writes there.
///
/// Mutants in `driver/provided/order.rs`: `put` publishes the tail before the entry is written; it publishes with Relaxed; it notes
/// no neighbour.
#[test]
fn buffers_that_threads_put_back_come_to_the_kernel_whole_and_once() {
    check(|| {
        let (pool, mut kernel, memory) = shared(2);
        let taken = [kernel.receive(1), kernel.receive(2)].map(|id| id.expect("two of them"));
        let mut bufs = adopt(&pool, taken[0], 2);
        let threads = taken.map(|id| {
            let buf = bufs.next().expect("two of them");
            let memory = Arc::clone(&memory);
            spawn(move || {
                let value = memory.read(id);
                drop(buf);
                value
            })
        });
        let mut again: Vec<u16> = (0..2).filter_map(|_| kernel.receive(3)).collect();
        let values = threads.map(|thread| thread.join().expect("no panic"));
        assert_eq!(values, [1, 2], "the bytes of the answer");
        again.extend((again.len()..2).filter_map(|_| kernel.receive(3)));
        again.sort_unstable();
        assert_eq!(again, [0, 1]);
        assert!(kernel.receive(4).is_none());
        drop((pool, bufs));
        assert_eq!(memory.frees.load(Ordering::Relaxed), 1);
    });
}

/// The owner takes a bundle over and hands it out, while another thread puts buffers back, which the kernel takes and a third
/// answer names: the entries of the bundle's own are written anew meanwhile.
///
/// Mutant: in `driver/provided/buf.rs`, `ProvidedBufs` has no drop.
#[test]
fn a_bundle_is_handed_out_rightly_while_others_are_put_back() {
    check(|| {
        let (pool, mut kernel, memory) = shared(4);
        let single = kernel.receive(1).expect("a buffer");
        let other = adopt(&pool, single, 1);
        let bundle = [kernel.receive(2), kernel.receive(3)].map(|id| id.expect("a buffer"));
        let again = {
            let (pool, memory) = (pool.clone(), Arc::clone(&memory));
            spawn(move || {
                assert_eq!(memory.read(single), 1);
                drop(other);
                // The last of the first round, and then what was put back.
                let ids = [kernel.receive(4), kernel.receive(5)].map(|id| id.expect("a buffer"));
                for (id, value) in ids.into_iter().zip([4, 5]) {
                    let bufs = adopt(&pool, id, 1);
                    assert_eq!(memory.read(id), value);
                    drop(bufs);
                }
                kernel
            })
        };
        let mut bufs = adopt(&pool, bundle[0], 2);
        let first = bufs.next().expect("two of them");
        assert_eq!(memory.read(bundle[0]), 2);
        drop(first);
        assert_eq!(memory.read(bundle[1]), 3);
        drop(bufs);
        let mut kernel = again.join().expect("no panic");
        let mut ids: Vec<u16> = (0..4).filter_map(|_| kernel.receive(6)).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1, 2, 3], "each is back once");
    });
}

/// The device is closed and the shard goes, while a thread drops a buffer, and another a bundle of which it has taken one out.
/// The memory goes with the last of them, whoever that is, and once; the kernel is through with it by then.
///
/// Mutants: in `driver/provided/buf.rs`, `ProvidedBufs::next` forgets a pool, which is never freed then; in
/// `driver/provided/order.rs`, `put` publishes with Relaxed.
#[test]
fn the_memory_goes_with_the_last_buffer_after_the_runtime_has_ended() {
    check(|| {
        let (pool, mut kernel, memory) = shared(3);
        let ids: Vec<u16> = (1..4).filter_map(|value| kernel.receive(value)).collect();
        let mut single = adopt(&pool, ids[0], 1);
        let mut bundle = adopt(&pool, ids[1], 2);
        let device = Arc::new(Mutex::new(Some(kernel)));
        let first = {
            let memory = Arc::clone(&memory);
            let buf = single.next().expect("a buffer");
            let id = ids[0];
            spawn(move || {
                assert_eq!(memory.read(id), 1);
                drop(buf);
            })
        };
        let second = {
            let (memory, device) = (Arc::clone(&memory), Arc::clone(&device));
            let id = ids[1];
            spawn(move || {
                let buf = bundle.next().expect("two of them");
                // What is back the kernel may use, as long as there is one.
                if let Some(kernel) = &mut *device.lock().expect("no panic") {
                    kernel.receive(9);
                }
                assert_eq!(memory.read(id), 2);
                drop(bundle);
                drop(buf);
            })
        };
        // As `Shard`'s fields: the device goes first.
        drop(device.lock().expect("no panic").take());
        drop(pool);
        first.join().expect("no panic");
        second.join().expect("no panic");
        drop(single);
        assert_eq!(memory.frees.load(Ordering::Relaxed), 1);
    });
}
