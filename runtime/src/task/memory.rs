//! Where tasks lie: blocks of a few sizes, which each thread keeps for its next tasks.
//!
//! A task that ends leaves its block to the thread that it ended on, most often the one that spawns the next. The
//! list of kept blocks is that thread's alone: to take one or to keep one are a few plain loads and stores, where a
//! general allocator has to look for room and to join neighbours. What a thread keeps is bounded, and goes back to
//! the allocator when the thread ends.
//!
//! Debug builds keep nothing, so that an address sanitizer sees each task come and go.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

use crate::loom::IS_MODEL;

/// Sizes of blocks are multiples of this.
const STEP_BYTES: usize = 32;
/// Larger tasks are rare, and their allocation is small beside what they do.
const BLOCK_BYTES_MAX: usize = 1024;
/// Of every block.
const ALIGN: usize = 16;
/// What one thread keeps: some 10,000 small tasks, so that a burst finds the blocks of the one before it.
const KEPT_BYTES_MAX: usize = if cfg!(debug_assertions) || IS_MODEL {
    0
} else {
    1 << 20
};

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

/// The blocks that a thread keeps, a list for each size.
struct Kept {
    lists: [Cell<Option<NonNull<Unused>>>; BLOCK_BYTES_MAX / STEP_BYTES],
    bytes: Cell<usize>,
    bytes_max: usize,
}

/// A block that holds no task.
struct Unused {
    next: Option<NonNull<Unused>>,
}

thread_local! {
    static KEPT: Kept = const { Kept::new(KEPT_BYTES_MAX) };
}

fn take(layout: Layout) -> NonNull<u8> {
    let Some(class) = class_of(layout) else {
        return allocate(layout);
    };
    let kept = KEPT.try_with(|kept| kept.take(class)).ok().flatten();
    kept.unwrap_or_else(|| allocate(layout_of(class)))
}

/// # Safety
/// `block` came from [`take`] with the same layout, and nobody uses it any more.
unsafe fn give_back(block: NonNull<u8>, layout: Layout) {
    let layout = match class_of(layout) {
        None => layout,
        Some(class) => {
            // SAFETY: the caller hands the block over, and it is of this class.
            if KEPT.try_with(|kept| unsafe { kept.keep(block, class) }) == Ok(true) {
                return;
            }
            layout_of(class)
        }
    };
    // SAFETY: the block was allocated with this layout, by `take`.
    unsafe { dealloc(block.as_ptr(), layout) };
}

/// The list in which blocks for `layout` are, unless it is too large or too peculiar.
const fn class_of(layout: Layout) -> Option<usize> {
    if layout.size() == 0 || layout.size() > BLOCK_BYTES_MAX || layout.align() > ALIGN {
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

impl Kept {
    const fn new(bytes_max: usize) -> Self {
        Self {
            lists: [const { Cell::new(None) }; BLOCK_BYTES_MAX / STEP_BYTES],
            bytes: Cell::new(0),
            bytes_max,
        }
    }

    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<u8>> {
        let list = &self.lists[class];
        let block = list.get()?;
        // SAFETY: the list holds blocks that `keep` has made `Unused`, and nobody else has them.
        list.set(unsafe { block.as_ref() }.next);
        self.bytes.set(self.bytes.get() - layout_of(class).size());
        Some(block.cast())
    }

    /// `false` if enough is kept, and the block is still the caller's.
    ///
    /// # Safety
    /// `block` is of this class, and the caller hands it over.
    #[inline]
    unsafe fn keep(&self, block: NonNull<u8>, class: usize) -> bool {
        let bytes = self.bytes.get() + layout_of(class).size();
        if bytes > self.bytes_max {
            return false;
        }
        let list = &self.lists[class];
        let block = block.cast::<Unused>();
        // SAFETY: the block is ours, and every class has room for an `Unused` and is aligned for it.
        unsafe { block.write(Unused { next: list.get() }) };
        list.set(Some(block));
        self.bytes.set(bytes);
        true
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for class in 0..self.lists.len() {
            while let Some(block) = self.take(class) {
                // SAFETY: the block was allocated with the layout of its class, and left the list just now.
                unsafe { dealloc(block.as_ptr(), layout_of(class)) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_block(class: usize) -> NonNull<u8> {
        allocate(layout_of(class))
    }

    #[test]
    fn a_block_that_was_kept_is_taken_by_the_next_of_its_size() {
        let kept = Kept::new(1000);
        let class = class_of(Layout::new::<[u64; 12]>()).unwrap();
        let block = new_block(class);
        // SAFETY: the block was just allocated, with the layout of the class.
        assert!(unsafe { kept.keep(block, class) });
        assert_eq!(kept.take(class + 1), None);
        assert_eq!(kept.take(class), Some(block));
        assert_eq!((kept.take(class), kept.bytes.get()), (None, 0));
        // SAFETY: the block was taken out.
        assert!(unsafe { kept.keep(block, class) });
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = Kept::new(100);
        for expected in [true, true, true, false] {
            let block = new_block(0);
            // SAFETY: the block was just allocated, with the layout of the class.
            let is_kept = unsafe { kept.keep(block, 0) };
            assert_eq!(is_kept, expected);
            if !is_kept {
                // SAFETY: the block is still ours, and has the layout of its class.
                unsafe { dealloc(block.as_ptr(), layout_of(0)) };
            }
        }
        assert_eq!(kept.bytes.get(), 3 * STEP_BYTES);
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
