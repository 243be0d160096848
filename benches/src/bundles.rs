//! A ring without a runtime: what it costs to move 64 KiB through a connection of this process, by ways of giving the kernel
//! the memory.

use std::alloc::{Layout, alloc_zeroed};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{IoUring, cqueue, opcode, squeue, types};

use crate::Run;

/// Transfers in a batch.
pub const TRANSFERS: u64 = 256;
/// Bytes of one.
const BYTES: usize = 1 << 16;
/// Bytes of a provided buffer, and of a piece of what is sent.
const PIECE_BYTES: usize = 4096;
/// From one buffer to the next, as in the runtime.
const STRIDE_BYTES: usize = PIECE_BYTES + 64;
const BUFFERS: usize = 256;
const GROUP: u16 = 0;
const ENTRIES: u32 = 8;

/// How 64 KiB are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// By recv(2), into one buffer.
    Call,
    /// By the ring, into one buffer.
    Whole,
    /// By one request that goes on, a provided buffer for each answer.
    Each,
    /// The same, as many buffers for each answer as it takes.
    Bundle,
    /// The same, and the request ends after 64 KiB.
    Bounded,
}

/// How 16 pieces of 4 KiB are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// As one piece that lies together, for comparison.
    Whole,
    /// By sendmsg with a list of them.
    Vectored,
    /// By a bundle of provided buffers.
    Bundle,
}

/// Buffers that the kernel takes in the order in which they were put.
struct Provided {
    entries: *mut BufRingEntry,
    bytes: Vec<u8>,
    tail: u16,
}

impl Provided {
    fn new(ring: &IoUring) -> Provided {
        let layout = Layout::from_size_align(BUFFERS * size_of::<BufRingEntry>(), 4096).unwrap();
        // SAFETY: the layout is not empty.
        let entries = unsafe { alloc_zeroed(layout) }.cast::<BufRingEntry>();
        let submitter = ring.submitter();
        // SAFETY: the entries are whole pages, and are never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, BUFFERS as u16, GROUP, 0) }
            .expect("Linux 5.19");
        Provided {
            entries,
            bytes: vec![7; BUFFERS * STRIDE_BYTES],
            tail: 0,
        }
    }

    /// Puts the buffer back that was put first.
    fn put_next(&mut self) {
        let place = usize::from(self.tail) % BUFFERS;
        let entry = self.entries.wrapping_add(place);
        // SAFETY: the place is below the number of entries, and the kernel has not got this one.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.bytes[place * STRIDE_BYTES..].as_ptr() as u64);
        entry.set_len(PIECE_BYTES as u32);
        entry.set_bid(place as u16);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the entries are a ring of buffers, which begins here.
        let tail = unsafe { BufRingEntry::tail(self.entries) }.cast_mut();
        // SAFETY: the tail lies in the first entry, which is never freed, and the kernel reads it as an atomic.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // Release: publishes the entry; the kernel's own load of the tail is its partner.
        tail.store(self.tail, Ordering::Release);
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (two, _) = listener.accept().unwrap();
    (one, two)
}

fn ring() -> IoUring {
    let mut builder = IoUring::builder();
    builder.setup_coop_taskrun().setup_taskrun_flag();
    builder.build(ENTRIES).expect("a ring")
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: what the entry names lives as long as the ring, and is not touched before the answer.
    unsafe { ring.submission().push(entry) }.unwrap();
}

/// 64 KiB are written, and received.
pub fn receive(way: Receive) -> Run {
    let (mut one, mut two) = pair();
    let mut ring = ring();
    let mut provided = Provided::new(&ring);
    (0..BUFFERS).for_each(|_| provided.put_next());
    let source = vec![7; BYTES];
    let mut target = vec![0; BYTES];
    let mut is_armed = false;
    Box::new(move |batches| {
        for _ in 0..batches * TRANSFERS {
            one.write_all(&source).unwrap();
            if way == Receive::Call {
                two.read_exact(&mut target).unwrap();
                continue;
            }
            let mut left = BYTES;
            while left > 0 {
                if !is_armed {
                    push(&mut ring, &receive_entry(way, &two, &mut target, left));
                    is_armed = true;
                }
                ring.submit_and_wait(1).unwrap();
                let answers: Vec<cqueue::Entry> = ring.completion().collect();
                for answer in answers {
                    is_armed = cqueue::more(answer.flags());
                    if answer.result() == -libc::ENOBUFS {
                        continue;
                    }
                    let count = usize::try_from(answer.result()).expect("bytes");
                    if cqueue::buffer_select(answer.flags()).is_some() {
                        (0..count.div_ceil(PIECE_BYTES)).for_each(|_| provided.put_next());
                    }
                    left -= count;
                }
            }
        }
    })
}

fn receive_entry(
    way: Receive,
    socket: &TcpStream,
    target: &mut [u8],
    left: usize,
) -> squeue::Entry {
    let fd = types::Fd(socket.as_raw_fd());
    match way {
        Receive::Call => unreachable!("without a ring"),
        Receive::Whole => opcode::Recv::new(fd, target.as_mut_ptr(), left as u32).build(),
        Receive::Each => opcode::RecvMulti::new(fd, GROUP).build(),
        Receive::Bundle => opcode::RecvMultiBundle::new(fd, GROUP).build(),
        Receive::Bounded => {
            let mut entry = opcode::RecvMultiBundle::new(fd, GROUP).build();
            let words = (&raw mut entry).cast::<u32>();
            // SAFETY: an entry has sixteen words; the twelfth is `optlen`, for which the crate has no name.
            let optlen = unsafe { words.add(11) };
            // SAFETY: as above.
            unsafe { optlen.write(BYTES as u32) };
            entry
        }
    }
}

/// 64 KiB in pieces are sent, and read.
pub fn send(way: Send) -> Run {
    let (one, mut two) = pair();
    let mut ring = ring();
    let mut provided = Provided::new(&ring);
    let pieces = BYTES / PIECE_BYTES;
    let mut list: Vec<libc::iovec> = (0..pieces)
        .map(|piece| libc::iovec {
            iov_base: provided.bytes[piece * STRIDE_BYTES..].as_mut_ptr().cast(),
            iov_len: PIECE_BYTES,
        })
        .collect();
    // SAFETY: all zeros are a message without anything.
    let mut header = Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() });
    (header.msg_iov, header.msg_iovlen) = (list.as_mut_ptr(), pieces);
    let whole = vec![7; BYTES];
    let mut target = vec![0; BYTES];
    Box::new(move |batches| {
        let _alive = &list;
        let fd = types::Fd(one.as_raw_fd());
        for _ in 0..batches * TRANSFERS {
            let entry = match way {
                Send::Whole => opcode::Send::new(fd, whole.as_ptr(), BYTES as u32).build(),
                Send::Vectored => opcode::SendMsg::new(fd, &raw const *header).build(),
                Send::Bundle => {
                    (0..pieces).for_each(|_| provided.put_next());
                    opcode::SendBundle::new(fd, GROUP).build()
                }
            };
            push(&mut ring, &entry);
            let mut left = BYTES;
            while left > 0 {
                ring.submit_and_wait(1).unwrap();
                let answers = ring.completion().map(|answer| answer.result());
                left -= answers
                    .map(|count| usize::try_from(count).unwrap())
                    .sum::<usize>();
            }
            two.read_exact(&mut target).unwrap();
        }
    })
}
