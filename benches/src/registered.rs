//! A ring without a runtime: what registered buffers and files save at most.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

use io_uring::{IoUring, opcode, squeue, types};

use crate::Run;

/// Reads in a batch.
pub const READS: u64 = 4_096;
/// Messages in a batch.
pub const MESSAGES: u64 = 16_384;
/// Operations under way.
const DEPTH: usize = 32;
/// What one read brings: a page.
const BLOCK_BYTES: usize = 4_096;
/// Blocks of the file.
const BLOCKS: u64 = 8_192;
const MESSAGE_BYTES: usize = 64;

/// What is registered.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    buffers: bool,
    file: bool,
}

impl Reads {
    /// Nothing.
    pub const PLAIN: Self = Self {
        buffers: false,
        file: false,
    };
    /// The buffers.
    pub const FIXED_BUFFERS: Self = Self {
        buffers: true,
        file: false,
    };
    /// The file.
    pub const FIXED_FILE: Self = Self {
        buffers: false,
        file: true,
    };
    /// Both.
    pub const BOTH: Self = Self {
        buffers: true,
        file: true,
    };
}

/// Memory that direct reads take: whole pages.
#[repr(C, align(4096))]
struct Page([u8; BLOCK_BYTES]);

/// Random blocks read with O_DIRECT, 32 at a time.
pub fn read(ways: Reads) -> Run {
    let dir = tempfile::tempdir_in(".").expect("a folder on a disk");
    let path = dir.path().join("blocks");
    let mut file = File::create(&path).unwrap();
    for _ in 0..BLOCKS {
        file.write_all(&[7; BLOCK_BYTES]).unwrap();
    }
    file.sync_all().unwrap();
    let mut options = File::options();
    let options = options.read(true).custom_flags(libc::O_DIRECT);
    let file = options
        .open(&path)
        .expect("a file system that knows O_DIRECT");
    let mut ring = ring();
    let mut pages: Vec<Page> = (0..DEPTH).map(|_| Page([0; BLOCK_BYTES])).collect();
    if ways.file {
        ring.submitter()
            .register_files(&[file.as_raw_fd()])
            .unwrap();
    }
    if ways.buffers {
        let iovecs: Vec<libc::iovec> = pages.iter_mut().map(iovec_of).collect();
        // SAFETY: the pages are kept until the ring is closed, for both are the closure's and the ring goes first.
        unsafe { ring.submitter().register_buffers(&iovecs) }.unwrap();
    }
    let mut place = 1;
    Box::new(move |batches| {
        let _kept = &dir;
        for _ in 0..batches * READS / DEPTH as u64 {
            for (index, page) in pages.iter_mut().enumerate() {
                place = place * 5 % BLOCKS + 1;
                let offset = place % BLOCKS * BLOCK_BYTES as u64;
                let entry = read_entry(ways, file.as_raw_fd(), page, index, offset);
                // SAFETY: the page is not touched before the answer, which is waited for below.
                unsafe { ring.submission().push(&entry) }.unwrap();
            }
            wait_for_all(&mut ring, BLOCK_BYTES);
        }
    })
}

fn read_entry(
    ways: Reads,
    file: RawFd,
    page: &mut Page,
    index: usize,
    offset: u64,
) -> squeue::Entry {
    let (target, len) = (page.0.as_mut_ptr(), BLOCK_BYTES as u32);
    let fixed = types::Fixed(0);
    let plain = types::Fd(file);
    match (ways.buffers, ways.file) {
        (false, false) => opcode::Read::new(plain, target, len).offset(offset).build(),
        (false, true) => opcode::Read::new(fixed, target, len).offset(offset).build(),
        (true, false) => opcode::ReadFixed::new(plain, target, len, index as u16)
            .offset(offset)
            .build(),
        (true, true) => opcode::ReadFixed::new(fixed, target, len, index as u16)
            .offset(offset)
            .build(),
    }
}

fn iovec_of(page: &mut Page) -> libc::iovec {
    libc::iovec {
        iov_base: page.0.as_mut_ptr().cast(),
        iov_len: BLOCK_BYTES,
    }
}

/// Messages sent and received through sockets of this process, 16 each way at a time.
pub fn messages(registered: bool) -> Run {
    let pairs: Vec<(UnixStream, UnixStream)> = (0..DEPTH / 2)
        .map(|_| UnixStream::pair().unwrap())
        .collect();
    let mut ring = ring();
    if registered {
        let files: Vec<RawFd> = pairs
            .iter()
            .flat_map(|(one, two)| [one.as_raw_fd(), two.as_raw_fd()])
            .collect();
        ring.submitter().register_files(&files).unwrap();
    }
    let message = [7_u8; MESSAGE_BYTES];
    let mut room = vec![[0_u8; MESSAGE_BYTES]; pairs.len()];
    Box::new(move |batches| {
        for _ in 0..batches * MESSAGES / (DEPTH as u64 / 2) {
            for (index, (one, two)) in pairs.iter().enumerate() {
                let (source, target) = (message.as_ptr(), room[index].as_mut_ptr());
                let len = MESSAGE_BYTES as u32;
                let index = index as u32;
                let entries = if registered {
                    let (one, two) = (types::Fixed(2 * index), types::Fixed(2 * index + 1));
                    [
                        opcode::Send::new(one, source, len).build(),
                        opcode::Recv::new(two, target, len).build(),
                    ]
                } else {
                    let (one, two) = (types::Fd(one.as_raw_fd()), types::Fd(two.as_raw_fd()));
                    [
                        opcode::Send::new(one, source, len).build(),
                        opcode::Recv::new(two, target, len).build(),
                    ]
                };
                // SAFETY: neither memory is touched before the answers, which are waited for below.
                unsafe { ring.submission().push_multiple(&entries) }.unwrap();
            }
            wait_for_all(&mut ring, MESSAGE_BYTES);
        }
    })
}

fn ring() -> IoUring {
    let mut builder = IoUring::builder();
    builder.setup_coop_taskrun().setup_taskrun_flag();
    builder.build(DEPTH as u32).expect("a ring")
}

fn wait_for_all(ring: &mut IoUring, count: usize) {
    ring.submit_and_wait(DEPTH).unwrap();
    let mut answers = 0;
    for answer in ring.completion() {
        assert_eq!(answer.result(), count as i32);
        answers += 1;
    }
    assert_eq!(answers, DEPTH);
}
