//! The pool against a kernel that is played: it takes buffers in the order of the ring and answers late.

use std::collections::VecDeque;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::*;

const COUNT: u16 = 8;
const ROOM: u32 = PROVIDED_BYTES as u32;

/// Entries and buffers that the played kernel sees.
#[derive(Debug)]
struct Memory {
    /// Number and room of the buffer in each place.
    entries: Mutex<Vec<(u16, u32)>>,
    tail: AtomicU16,
    bytes: Vec<u8>,
}

impl Memory {
    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<(u16, u32)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Played(Arc<Memory>);

impl Lane for Played {
    fn buffer(&self, id: u16) -> std::ptr::NonNull<u8> {
        let bytes = &self.0.bytes[usize::from(id) * PROVIDED_BYTES..];
        std::ptr::NonNull::from(&bytes[0])
    }

    unsafe fn put(&self, place: u16, id: u16) {
        self.0.entries()[usize::from(place)] = (id, ROOM);
    }

    fn publish(&self, tail: u16, ordering: Ordering) {
        self.0.tail.store(tail, ordering);
    }

    unsafe fn room(&self, place: u16) -> u32 {
        self.0.entries()[usize::from(place)].1
    }
}

/// What an answer says, and the buffers that were filled, with the bytes in each.
#[derive(Debug)]
struct Answer {
    bytes: u32,
    filled: Vec<(u16, u32)>,
}

/// The kernel's side.
struct Kernel {
    memory: Arc<Memory>,
    head: u16,
}

fn played() -> (Pool, Kernel) {
    let memory = Arc::new(Memory {
        entries: Mutex::new(vec![(0, 0); usize::from(COUNT)]),
        tail: AtomicU16::new(0),
        bytes: vec![0; usize::from(COUNT) * PROVIDED_BYTES],
    });
    let lane = Box::new(Played(Arc::clone(&memory)));
    // SAFETY: only the pool and the `Kernel` touch it.
    let pool = unsafe { Pool::of_model(lane, COUNT) };
    (pool, Kernel { memory, head: 0 })
}

impl Kernel {
    fn available(&self) -> u16 {
        // Acquire: pairs with the Release in `Order::put`.
        self.memory
            .tail
            .load(Ordering::Acquire)
            .wrapping_sub(self.head)
    }

    /// Cuts the first buffer as if for a receive of which nothing comes.
    fn shorten(&mut self, room: u32) {
        if self.available() > 0 {
            let place = usize::from(self.head % COUNT);
            self.memory.entries()[place].1 = room;
        }
    }

    /// Receives `bytes` into as many buffers as it takes, as far as there are some.
    fn receive(&mut self, bytes: u32) -> Option<Answer> {
        let (mut left, mut filled) = (bytes, Vec::new());
        while left > 0 && self.available() > 0 {
            let (id, room) = self.memory.entries()[usize::from(self.head % COUNT)];
            let count = left.min(room);
            filled.push((id, count));
            left -= count;
            self.head = self.head.wrapping_add(1);
        }
        let bytes = bytes - left;
        (!filled.is_empty()).then_some(Answer { bytes, filled })
    }
}

impl Answer {
    fn adopt(&self, pool: &Pool) -> ProvidedBufs {
        // IORING_CQE_F_BUFFER, and the number of the first in the upper half.
        let flags = 1 | u32::from(self.filled[0].0) << 16;
        // SAFETY: each answer is handed in once.
        unsafe { pool.adopt(self.bytes as i32, flags) }
    }

    /// The buffers as they came out.
    #[track_caller]
    fn check(&self, bufs: &[ProvidedBuf], memory: &Memory) {
        let expected = self.filled.iter().map(|(id, len)| {
            let start = &memory.bytes[usize::from(*id) * PROVIDED_BYTES];
            (std::ptr::from_ref(start), *len as usize)
        });
        let found: Vec<(*const u8, usize)> = bufs.iter().map(|b| (b.as_ptr(), b.len())).collect();
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

/// Answers wait while others' buffers go round, buffers come back in any order, bundles are dropped when some of them are
/// taken, and the kernel shortens what it then does not use.
///
/// Mutants, in `order.rs`: `put` does not note which buffer comes behind; `put` notes the position modulo 2^16; `keep_room` keeps nothing; `room` says `PROVIDED_BYTES` whatever the entry says; `lend` lends the first alone.
#[test]
fn the_buffers_of_every_bundle_are_those_that_the_kernel_filled() {
    let rounds = 600_000;
    let (pool, mut kernel) = played();
    let mut random: u32 = 7;
    let mut below = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % limit
    };
    let (mut waiting, mut held) = (VecDeque::new(), Vec::new());
    for _ in 0..rounds {
        match below(6) {
            0 | 1 => waiting.extend(kernel.receive(1 + below(4 * ROOM))),
            2 => kernel.shorten(1 + below(ROOM)),
            // Answers are taken in any order: they are of several operations.
            3 if !waiting.is_empty() => {
                let answer: Answer = waiting
                    .remove(below(waiting.len() as u32) as usize)
                    .expect("one");
                let mut bufs = answer.adopt(&pool);
                let taken: Vec<ProvidedBuf> = match below(4) {
                    0 => bufs.by_ref().take(1).collect(),
                    _ => bufs.by_ref().collect(),
                };
                if taken.len() == answer.filled.len() {
                    answer.check(&taken, &kernel.memory);
                }
                held.extend(taken);
            }
            4 if !held.is_empty() => drop(held.swap_remove(below(held.len() as u32) as usize)),
            5 if held.len() > 3 => held.clear(),
            _ => {}
        }
        assert_eq!(pool.has_free(), held.len() < usize::from(COUNT));
    }
    for answer in waiting {
        let bufs: Vec<ProvidedBuf> = answer.adopt(&pool).collect();
        answer.check(&bufs, &kernel.memory);
    }
    held.clear();
    assert_eq!(kernel.available(), COUNT, "all are back");
}

/// Mutants: `Drop` gives nothing back; `lend` counts nothing.
#[test]
fn a_buffer_is_out_until_it_is_dropped_on_whichever_thread() {
    let (pool, mut kernel) = played();
    let answer = kernel
        .receive(u32::from(COUNT) * ROOM - 1)
        .expect("buffers");
    assert!(pool.has_free());
    let mut bufs: Vec<ProvidedBuf> = answer.adopt(&pool).collect();
    assert!(!pool.has_free());
    assert!(kernel.receive(1).is_none());
    let one = bufs.pop().expect("a buffer");
    assert_eq!(one.len(), PROVIDED_BYTES - 1);
    std::thread::spawn(move || drop(one))
        .join()
        .expect("no panic");
    assert!(pool.has_free());
    assert_eq!(kernel.available(), 1);
    drop(pool);
    assert!(
        bufs.iter().all(|buf| buf.iter().all(|&byte| byte == 0)),
        "they outlive it"
    );
}

/// The first of two is dropped, and put back, before the second is asked for. Mutant: `ProvidedBufs::next` asks which buffer
/// comes next only when it is asked for that one.
#[test]
fn a_bundle_goes_on_when_its_first_buffer_is_back_in_the_ring() {
    let (pool, mut kernel) = played();
    let answer = kernel.receive(3 * ROOM).expect("buffers");
    let mut bufs = answer.adopt(&pool);
    for (id, _) in &answer.filled {
        let start = &kernel.memory.bytes[usize::from(*id) * PROVIDED_BYTES];
        let buf = bufs.next().expect("three of them");
        assert_eq!(buf.as_ptr(), std::ptr::from_ref(start));
        drop(buf);
    }
    assert!(bufs.next().is_none());
    assert_eq!(kernel.available(), COUNT);
}

#[test]
fn an_answer_without_a_buffer_brings_none() {
    let (pool, kernel) = played();
    // SAFETY: there is no buffer in it.
    assert!(unsafe { pool.adopt(-libc::ENOBUFS, 0) }.next().is_none());
    assert_eq!(kernel.available(), COUNT);
}

/// Mutant: `lend` does not look whether a buffer is lent.
#[test]
#[should_panic(expected = "the kernel chose a buffer that is lent")]
fn an_answer_that_comes_twice_is_not_believed() {
    let (pool, mut kernel) = played();
    let answer = kernel.receive(ROOM).expect("a buffer");
    let _first = answer.adopt(&pool);
    let _second = answer.adopt(&pool);
}

#[test]
fn what_is_taken_out_as_a_vector_is_copied_only_from_the_pool() {
    use crate::driver::IoBuf;
    let own = ProvidedBuf::from_vec(b"own".to_vec());
    let address = own.stable_ptr();
    let vec = own.into_vec();
    assert_eq!((vec.as_ptr(), &vec[..]), (address, &b"own"[..]));
    let (pool, mut kernel) = played();
    let lent = kernel.receive(2).expect("a buffer").adopt(&pool).next();
    assert_eq!(lent.expect("a buffer").into_vec(), [0, 0]);
    assert_eq!(kernel.available(), COUNT);
}

/// Mutant: `KernelLane::put` writes another field, or another place.
#[test]
fn the_kernel_reads_entries_where_the_lane_writes_them() {
    let lane = KernelLane::new(COUNT);
    for id in 0..COUNT {
        // SAFETY: no kernel knows of the lane.
        unsafe { lane.put(COUNT - 1 - id, id) };
    }
    lane.publish(COUNT, Ordering::Release);
    let entry_bytes = 16;
    for place in 0..usize::from(COUNT) {
        let id = COUNT - 1 - place as u16;
        let entry = lane.address() as usize + place * entry_bytes;
        // SAFETY: the lane's entries begin there, and nobody writes them now.
        let words = unsafe { std::ptr::with_exposed_provenance::<[u64; 2]>(entry).read() };
        assert_eq!(words[0], lane.buffer(id).as_ptr() as u64);
        assert_eq!(
            words[1] & 0xffff_ffff_ffff,
            u64::from(ROOM) | u64::from(id) << 32
        );
        // SAFETY: as above.
        assert_eq!(unsafe { lane.room(place as u16) }, ROOM);
    }
    let base = lane.address() as usize;
    // SAFETY: as above.
    let first = unsafe { std::ptr::with_exposed_provenance::<[u64; 2]>(base).read() };
    assert_eq!(first[1] >> 48, u64::from(COUNT), "the tail");
}

/// Mutants, in `receive.rs`: `bundles` bounds one answer alone, or all answers alone.
#[test]
fn a_request_for_bundles_says_how_much_one_answer_and_all_may_bring() {
    let entry = receive::bundles(types::Fd(3), 1, 70_000);
    // SAFETY: an entry is the kernel's structure of sixteen plain numbers, all of them written.
    let words = unsafe { std::mem::transmute::<squeue::Entry, [u32; 16]>(entry) };
    // In the kernel's interface they are at bytes 24 and 44.
    assert_eq!((words[24 / 4], words[44 / 4]), (70_000, 70_000));
}

/// Set for a process of its own, whose report is read.
const LOSES: &str = "RINGWAY_TEST_LOSES_BUFFERS";

/// One buffer was lent and does not come back; another was taken before it, and its answer did not get to anybody.
fn lose_two_buffers() -> u32 {
    let (pool, mut kernel) = played();
    kernel.receive(1).expect("a buffer");
    let lent = kernel.receive(1).expect("a buffer");
    let (birth, line) = (Birth::here(), line!());
    let Shared { lane, order, .. } = &*pool.shared;
    order.lock().lend(lane, lent.filled[0].0, 1, birth);
    line
}

/// The mutant that it stands for: `ProvidedBuf` has no drop.
#[test]
#[cfg(any(debug_assertions, feature = "ledger"))]
fn a_pool_that_goes_names_the_buffers_that_are_missing_and_where_they_were_born() {
    use crate::driver::internals::mismatches;
    if std::env::var_os(LOSES).is_some() {
        let line = lose_two_buffers();
        assert_eq!(mismatches(), 2);
        eprintln!("born at line {line}");
        return;
    }
    let name = "driver::provided::tests::a_pool_that_goes_names_the_buffers_that_are_missing_and_where_they_were_born";
    let test = std::env::current_exe().expect("this program");
    let mut child = Command::new(test);
    let child = child.args(["--exact", name, "--nocapture"]).env(LOSES, "1");
    let output = child.output().expect("the test again");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    let line = report
        .lines()
        .find_map(|line| line.strip_prefix("born at line "));
    let birth = format!(
        "of a pool for bundles, born at {}:{}:",
        file!(),
        line.expect("a line")
    );
    for what in [
        "that was not put back",
        "that was filled and no answer has named",
    ] {
        let text = format!("ledger: provided buffer {what}: {birth}");
        assert_eq!(report.matches(&text).count(), 1, "{text:?} in {report}");
    }
}
