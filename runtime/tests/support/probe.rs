//! Memory that tells whether somebody wrote to it after it was given up.
//!
//! The kernel's writes are invisible to the address sanitizer. So the buffers of the operations are not freed when they
//! are dropped but filled and kept, and looked at later.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::time::Duration;

/// What a dropped buffer holds from then on.
const DEAD: u8 = 0xDD;
/// The alignment that direct I/O asks for.
const ALIGN: usize = 4096;

/// A buffer at an address that direct I/O accepts.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: NonNull<u8>,
    len: usize,
}

// SAFETY: the buffer owns its memory.
unsafe impl Send for Buffer {}

static GRAVES: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        assert_ne!(len, 0, "the layout of a buffer");
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(Self::layout(len)) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(Self::layout(len)));
        Self { memory, len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, ALIGN).expect("a small layout")
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the memory was zeroed when it was made and is as long.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }

    fn is_untouched(&self) -> bool {
        let dead = [DEAD; ALIGN];
        self.as_slice()
            .chunks(ALIGN)
            .all(|page| *page == dead[..page.len()])
    }

    fn free(self) {
        let buffer = std::mem::ManuallyDrop::new(self);
        // SAFETY: the memory came from `alloc_zeroed` with this layout, and is freed once.
        unsafe { std::alloc::dealloc(buffer.memory.as_ptr(), Self::layout(buffer.len)) };
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the memory is ours and as long.
        unsafe { self.memory.as_ptr().write_bytes(DEAD, self.len) };
        let grave = Self {
            memory: self.memory,
            len: self.len,
        };
        GRAVES.lock().expect("nobody panics with it").push(grave);
    }
}

/// Waits for writes that come `late`, and frees the dropped buffers. How many there were.
///
/// # Panics
///
/// If one of them was written to after its drop.
pub(crate) fn exhume(late: Duration) -> usize {
    std::thread::sleep(late);
    let graves = std::mem::take(&mut *GRAVES.lock().expect("nobody panics with it"));
    let all = graves.len();
    let touched = graves.iter().filter(|grave| !grave.is_untouched()).count();
    graves.into_iter().for_each(Buffer::free);
    assert_eq!(
        touched, 0,
        "of {all} buffers were written to after their drop"
    );
    all
}
