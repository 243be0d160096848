//! Random blocks past the cache, read by one thread with a ring and no runtime: what the kernel and the disk let be done.

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, types};

/// What one read brings.
pub const BLOCK_BYTES: usize = 4_096;
/// Reads under way.
pub const DEPTH: usize = 32;

/// How the loop goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What the reports call it.
    pub name: &'static str,
    /// Whether the ring is one thread's own (SINGLE_ISSUER, DEFER_TASKRUN), or one that others may enter (COOP_TASKRUN).
    pub is_owned: bool,
    /// Whether each read is submitted when there is room for it, or with all others that there is room for.
    pub at_once: bool,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::new("bare, COOP, at once", false, true),
        Self::new("bare, COOP, gathered", false, false),
        Self::new("bare, DEFER, at once", true, true),
        Self::new("bare, DEFER, gathered", true, false),
    ];

    const fn new(name: &'static str, is_owned: bool, at_once: bool) -> Self {
        Self {
            name,
            is_owned,
            at_once,
        }
    }

    fn ring(self) -> IoUring {
        let mut builder = IoUring::builder();
        if self.is_owned {
            builder.setup_single_issuer().setup_defer_taskrun();
        } else {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        builder.build(2 * DEPTH as u32).expect("a ring")
    }
}

/// Offsets of blocks, without order.
#[derive(Clone, Debug)]
pub struct Places {
    state: u64,
    blocks: u64,
}

impl Places {
    /// Of a file of so many blocks; those of two numbers are different.
    pub fn new(number: u64, blocks: u64) -> Self {
        Self {
            state: 0x9E37_79B9_7F4A_7C15 ^ (number << 32 | number),
            blocks,
        }
    }

    /// The next one.
    pub fn next_offset(&mut self) -> u64 {
        // xorshift64; its upper half is the better one.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 32) % self.blocks * BLOCK_BYTES as u64
    }
}

/// Memory that direct reads take: whole pages.
#[repr(C, align(4096))]
struct Page([u8; BLOCK_BYTES]);

/// Reads blocks of `file`, which was opened past the cache and has that many, for `time`. Returns how many.
pub fn read_for(time: Duration, file: &File, blocks: u64, manner: Manner) -> u64 {
    let mut reads = Reads {
        ring: manner.ring(),
        pages: (0..DEPTH).map(|_| Page([0; BLOCK_BYTES])).collect(),
        file: file.as_raw_fd(),
        places: Places::new(1, blocks),
        at_once: manner.at_once,
    };
    let end = Instant::now() + time;
    for page in 0..DEPTH {
        reads.begin(page);
    }
    let mut count = 0;
    while Instant::now() < end {
        count += reads.turn();
    }
    reads.finish();
    count
}

struct Reads {
    ring: IoUring,
    pages: Vec<Page>,
    file: RawFd,
    places: Places,
    at_once: bool,
}

impl Reads {
    fn begin(&mut self, page: usize) {
        let (target, len) = (self.pages[page].0.as_mut_ptr(), BLOCK_BYTES as u32);
        let entry = opcode::Read::new(types::Fd(self.file), target, len)
            .offset(self.places.next_offset())
            .build()
            .user_data(page as u64);
        // SAFETY: the page is not touched before its answer, and is kept until all have come (`finish`).
        unsafe { self.ring.submission().push(&entry) }.expect("room in the queue");
        if self.at_once {
            self.ring.submit().expect("a ring that may be entered");
        }
    }

    /// Waits for an answer, takes those that are there, and begins as many reads.
    fn turn(&mut self) -> u64 {
        if self.ring.completion().is_empty() {
            self.wait_for(1);
        }
        let mut count = 0;
        loop {
            let answer = self.ring.completion().next();
            let Some(answer) = answer else {
                return count;
            };
            assert_eq!(answer.result(), BLOCK_BYTES as i32);
            count += 1;
            self.begin(answer.user_data() as usize);
        }
    }

    fn wait_for(&mut self, answers: usize) {
        self.ring.submit_and_wait(answers).expect("an answer");
    }

    /// Waits until the kernel has let go of all pages.
    fn finish(mut self) {
        self.wait_for(DEPTH);
        assert_eq!(self.ring.completion().count(), DEPTH);
    }
}
