//! Where tasks lie: blocks of a few sizes, which threads keep for their next tasks.
//!
//! A task that ends leaves its block to the thread that it ended on, most often the one that spawns the next. What a
//! thread keeps is its own alone: to take a block or to keep one are a few plain loads and stores, where a general
//! allocator has to look for room and to join neighbours. Where tasks end on other threads than they are spawned on, whole
//! *batches* of blocks go from thread to thread through a *depot*. There the allocator would have the threads wait for
//! one another at every block; the depot's lock is taken once a batch.
//!
//! A thread has up to two batches of each size, one that it takes from and one behind it, so that it does not go to the
//! depot back and forth at the edge of a batch (Bonwick and Adams, "Magazines and Vmem", 2001). What threads keep, and
//! what lies in the depot, is bounded; a thread that ends gives its own back to the allocator.
//!
//! Debug builds keep nothing, so that an address sanitizer sees each task come and go.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;

use crate::loom::IS_MODEL;

/// Sizes of blocks are multiples of this.
const STEP_BYTES: usize = 32;
/// Larger tasks are rare, and their allocation is small beside what they do.
const BLOCK_BYTES_MAX: usize = 1024;
/// Of every block.
const ALIGN: usize = 16;
/// Sizes of blocks.
const CLASSES: usize = BLOCK_BYTES_MAX / STEP_BYTES;
/// Blocks in a batch: enough that the depot's lock costs less than a nanosecond for each.
const BATCH: usize = 64;
/// What lies in the depot: some 40,000 small tasks, so that a burst finds the blocks of the one before it.
const DEPOT_BYTES_MAX: usize = 4 << 20;
/// Whether anything is kept at all.
const KEEPS: bool = !cfg!(debug_assertions) && !IS_MODEL;

/// Puts `value` on the heap.
pub(super) fn place<T>(value: T) -> NonNull<T> {
    let place = take(Layout::new::<T>()).cast::<T>();
    // SAFETY: the block has room for a `T`, is aligned for it, and is nobody else's.
    unsafe { place.write(value) };
    place
}

/// Drops the value and lets go of its memory, even if the drop panics.
///
/// # Safety
/// `place` came from [`place`] with the same type, and nobody uses it any more.
pub(super) unsafe fn remove<T>(place: NonNull<T>) {
    struct GiveBack(NonNull<u8>, Layout);
    impl Drop for GiveBack {
        fn drop(&mut self) {
            // SAFETY: the block is of that layout, and what was in it is dropped.
            unsafe { give_back(self.0, self.1) };
        }
    }
    let _block = GiveBack(place.cast(), Layout::new::<T>());
    // SAFETY: the caller hands the value over.
    unsafe { place.drop_in_place() };
}

/// A block that holds no task.
struct Unused {
    /// The next of its chain.
    next: Option<NonNull<Unused>>,
    /// In the first of a batch that lies in the depot: the first of the batch below.
    below: Option<NonNull<Unused>>,
}

const _: () = assert!(size_of::<Unused>() <= STEP_BYTES && align_of::<Unused>() <= ALIGN);

/// Blocks of one size, one behind the other. Nobody else has them.
#[derive(Clone, Copy)]
struct Chain {
    first: Option<NonNull<Unused>>,
    len: usize,
}

impl Chain {
    const EMPTY: Self = Self {
        first: None,
        len: 0,
    };

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = self.first?;
        // SAFETY: a chain's blocks are `Unused`, written by `push`.
        self.first = unsafe { block.as_ref() }.next;
        self.len -= 1;
        Some(block.cast())
    }

    /// # Safety
    /// The caller hands `block` over, which is of the chain's size.
    #[inline]
    unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = block.cast::<Unused>();
        let unused = Unused {
            next: self.first,
            below: None,
        };
        // SAFETY: the block is ours, and every size has room for an `Unused` and is aligned for it.
        unsafe { block.write(unused) };
        self.first = Some(block);
        self.len += 1;
    }

    /// Gives all blocks, of the size of `class`, to the allocator.
    fn free(mut self, class: usize) {
        while let Some(block) = self.pop() {
            // SAFETY: the block was allocated with the layout of its class, and has left the chain.
            unsafe { dealloc(block.as_ptr(), layout_of(class)) };
        }
    }
}

/// What a thread keeps of one size.
struct Shelf {
    /// Blocks are taken from here and put here.
    front: Cell<Chain>,
    /// Empty, or a batch.
    back: Cell<Chain>,
}

impl Shelf {
    const fn new() -> Self {
        Self {
            front: Cell::new(Chain::EMPTY),
            back: Cell::new(Chain::EMPTY),
        }
    }

    #[inline]
    fn take(&self, class: usize, depot: &Depot) -> Option<NonNull<u8>> {
        let mut front = self.front.get();
        if front.len == 0 {
            front = self.back.replace(Chain::EMPTY);
            if front.len == 0 {
                front = depot.take(class);
            }
        }
        let block = front.pop();
        self.front.set(front);
        block
    }

    /// # Safety
    /// The caller hands `block` over, which is of this class.
    #[inline]
    unsafe fn keep(&self, block: NonNull<u8>, class: usize, depot: &Depot) {
        let mut front = self.front.get();
        if front.len == BATCH {
            let batch = self.back.replace(front);
            front = Chain::EMPTY;
            if batch.len > 0 && !depot.put(batch, class) {
                batch.free(class);
            }
        }
        // SAFETY: the caller hands the block over.
        unsafe { front.push(block) };
        self.front.set(front);
    }

    fn free(&self, class: usize) {
        self.front.replace(Chain::EMPTY).free(class);
        self.back.replace(Chain::EMPTY).free(class);
    }
}

/// Where threads leave batches for one another.
struct Depot {
    stacks: [Mutex<Stack>; CLASSES],
    bytes: AtomicUsize,
}

/// Batches of one size: the first block of the uppermost.
struct Stack(Option<NonNull<Unused>>);

// SAFETY: the batches in a stack are nobody else's, and memory may be used and freed on any thread.
unsafe impl Send for Stack {}

impl Depot {
    const fn new() -> Self {
        Self {
            stacks: [const { Mutex::new(Stack(None)) }; CLASSES],
            bytes: AtomicUsize::new(0),
        }
    }

    /// A batch, or an empty chain if there is none.
    #[cold]
    fn take(&self, class: usize) -> Chain {
        let mut stack = self.stacks[class].lock();
        let Some(first) = stack.0 else {
            return Chain::EMPTY;
        };
        // SAFETY: the first block of a batch is `Unused`, and the stack's alone.
        stack.0 = unsafe { first.as_ref() }.below;
        drop(stack);
        // Relaxed, here and below: the number bounds what is kept, and says nothing of the batches.
        self.bytes.fetch_sub(batch_bytes(class), Relaxed);
        Chain {
            first: Some(first),
            len: BATCH,
        }
    }

    /// Leaves a batch here; `false` if enough lies here, and the batch is still the caller's.
    #[cold]
    fn put(&self, batch: Chain, class: usize) -> bool {
        debug_assert_eq!(batch.len, BATCH, "only whole batches are left");
        let Some(mut first) = batch.first else {
            return false;
        };
        let bytes = batch_bytes(class);
        if self.bytes.fetch_add(bytes, Relaxed) + bytes > DEPOT_BYTES_MAX {
            self.bytes.fetch_sub(bytes, Relaxed);
            return false;
        }
        let mut stack = self.stacks[class].lock();
        // SAFETY: the batch is ours.
        unsafe { first.as_mut() }.below = stack.0;
        stack.0 = Some(first);
        true
    }
}

const fn batch_bytes(class: usize) -> usize {
    BATCH * layout_of(class).size()
}

static DEPOT: Depot = Depot::new();

/// What a thread keeps.
struct Kept([Shelf; CLASSES]);

impl Drop for Kept {
    fn drop(&mut self) {
        for (class, shelf) in self.0.iter().enumerate() {
            shelf.free(class);
        }
    }
}

thread_local! {
    static KEPT: Kept = const { Kept([const { Shelf::new() }; CLASSES]) };
}

#[inline]
fn take(layout: Layout) -> NonNull<u8> {
    let Some(class) = class_of(layout) else {
        return allocate(layout);
    };
    let kept = KEPT.try_with(|kept| kept.0[class].take(class, &DEPOT));
    kept.ok()
        .flatten()
        .unwrap_or_else(|| allocate(layout_of(class)))
}

/// # Safety
/// `block` came from [`take`] with the same layout, and nobody uses it any more.
#[inline]
unsafe fn give_back(block: NonNull<u8>, layout: Layout) {
    let layout = match class_of(layout) {
        None => layout,
        Some(class) => {
            // SAFETY: the caller hands the block over, and it is of this class.
            if KEPT.try_with(|kept| unsafe { kept.0[class].keep(block, class, &DEPOT) }) == Ok(()) {
                return;
            }
            layout_of(class)
        }
    };
    // SAFETY: the block was allocated with this layout, by `take`.
    unsafe { dealloc(block.as_ptr(), layout) };
}

/// The number of the size for `layout`; none if it is too large or too peculiar, or if nothing is kept.
const fn class_of(layout: Layout) -> Option<usize> {
    if !KEEPS || layout.size() == 0 || layout.size() > BLOCK_BYTES_MAX || layout.align() > ALIGN {
        return None;
    }
    Some((layout.size() - 1) / STEP_BYTES)
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * STEP_BYTES, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("the sizes are small and the alignment is a power of two"),
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    assert_ne!(layout.size(), 0, "a task has a header");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: usize = 2;

    fn keep_new_blocks(shelf: &Shelf, count: usize, depot: &Depot) -> Vec<NonNull<u8>> {
        let blocks: Vec<_> = (0..count).map(|_| allocate(layout_of(CLASS))).collect();
        for &block in &blocks {
            // SAFETY: the block was just allocated, with the layout of the class.
            unsafe { shelf.keep(block, CLASS, depot) };
        }
        blocks
    }

    fn take_all(shelf: &Shelf, depot: &Depot) -> Vec<NonNull<u8>> {
        std::iter::from_fn(|| shelf.take(CLASS, depot)).collect()
    }

    fn free(blocks: Vec<NonNull<u8>>) {
        for block in blocks {
            // SAFETY: it was allocated with the layout of its class, and is in no chain.
            unsafe { dealloc(block.as_ptr(), layout_of(CLASS)) };
        }
    }

    /// Mutants: `put` forgets what lay below; `keep` loses the front or the back; `take` forgets the back.
    #[test]
    fn every_block_that_was_kept_is_taken_once() {
        for count in [0, 1, BATCH, BATCH + 1, 2 * BATCH + 1, 5 * BATCH + 7] {
            let (shelf, depot) = (Shelf::new(), Depot::new());
            let mut kept = keep_new_blocks(&shelf, count, &depot);
            let mut taken = take_all(&shelf, &depot);
            kept.sort();
            taken.sort();
            assert_eq!(kept, taken);
            assert_eq!(depot.bytes.load(Relaxed), 0);
            free(taken);
        }
    }

    #[test]
    fn whole_batches_go_to_other_threads_and_the_rest_stays() {
        let (here, there, depot) = (Shelf::new(), Shelf::new(), Depot::new());
        keep_new_blocks(&here, 4 * BATCH + 1, &depot);
        assert_eq!(depot.bytes.load(Relaxed), 3 * batch_bytes(CLASS));
        let taken = take_all(&there, &depot);
        assert_eq!(taken.len(), 3 * BATCH);
        free(taken);
        let rest = take_all(&here, &depot);
        assert_eq!(rest.len(), BATCH + 1);
        free(rest);
    }

    /// Mutant: `put` does not mind the bound.
    #[test]
    fn what_lies_in_the_depot_is_bounded() {
        let (shelf, depot) = (Shelf::new(), Depot::new());
        let batches = DEPOT_BYTES_MAX / batch_bytes(CLASS);
        keep_new_blocks(&shelf, (batches + 5) * BATCH, &depot);
        assert_eq!(depot.bytes.load(Relaxed), batches * batch_bytes(CLASS));
        let taken = take_all(&shelf, &depot);
        assert_eq!(taken.len(), (batches + 2) * BATCH);
        free(taken);
    }

    /// One thread makes blocks and takes them, others keep them: each holder writes its number into the block, and finds
    /// it there when it lets go.
    ///
    /// Mutant: `take` leaves the batch that it hands out in the stack.
    #[test]
    fn a_block_has_one_holder_at_a_time_while_batches_go_from_thread_to_thread() {
        const ROUNDS: usize = 20_000;
        struct Sent(NonNull<u8>);
        // SAFETY: the block is the sender's, who does not use it any more.
        unsafe impl Send for Sent {}
        let depot = Depot::new();
        let (blocks, arrived) = std::sync::mpsc::sync_channel::<(Sent, u64)>(2 * BATCH);
        let arrived = Mutex::new(arrived);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let shelf = Shelf::new();
                    loop {
                        let next = arrived.lock().recv();
                        let Ok((Sent(block), number)) = next else {
                            break;
                        };
                        // SAFETY: the block is ours, and its sender has written a number.
                        assert_eq!(unsafe { block.cast::<u64>().read() }, number);
                        // SAFETY: the block is of the class, and nobody else has it.
                        unsafe { shelf.keep(block, CLASS, &depot) };
                    }
                    shelf.free(CLASS);
                });
            }
            let shelf = Shelf::new();
            for number in 0..ROUNDS as u64 {
                let kept = shelf.take(CLASS, &depot);
                let block = kept.unwrap_or_else(|| allocate(layout_of(CLASS)));
                // SAFETY: the block is ours, and has room for the number.
                unsafe { block.cast::<u64>().write(number) };
                blocks.send((Sent(block), number)).unwrap();
            }
            drop(blocks);
            shelf.free(CLASS);
        });
        free(take_all(&Shelf::new(), &depot));
        assert_eq!(depot.bytes.load(Relaxed), 0);
    }

    #[test]
    fn a_value_of_any_size_and_alignment_is_kept_whole() {
        #[repr(align(64))]
        struct Peculiar([u8; 3000]);
        let small = place(7_u8);
        let large = place(Peculiar([9; 3000]));
        assert!(large.cast::<u8>().as_ptr().addr().is_multiple_of(64));
        // SAFETY: the value is ours until it is removed.
        assert!(unsafe { large.as_ref() }.0.iter().all(|&byte| byte == 9));
        // SAFETY: as above.
        assert_eq!(unsafe { small.read() }, 7);
        // SAFETY: placed above, and not used any more.
        unsafe { remove(small) };
        // SAFETY: placed above, and not used any more.
        unsafe { remove(large) };
    }
}
