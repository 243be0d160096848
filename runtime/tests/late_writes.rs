//! Long direct reads whose future, and whose runtime, are dropped at any moment: nothing is written to memory that was
//! given up.
//!
//! The disk goes on with such a read for milliseconds after the ring was closed. The buffers tell ([`support::probe`]),
//! under the address sanitizer too, which does not see what the kernel writes.

mod support;

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ringway_runtime::Runtime;
use ringway_runtime::driver::{Completion, Op, Operation, SharedFd, opcode, squeue, types};
use support::kinds::direct_file;
use support::probe::{self, Buffer};
use support::{count, current_thread, workers};

/// Bytes of a read: what is asked of the disk at once, and takes it milliseconds.
const READ_BYTES: usize = 16 << 20;
/// Reads whose buffers are kept until they are looked at together.
const BATCH: usize = 12;
/// The disk has written what it was asked for after this time.
const DISK_LATE: Duration = Duration::from_millis(200);
/// Futures and runtimes are dropped at a random moment within this time, some before the read is submitted, some when it
/// is done.
const MOMENT_MAX: Duration = Duration::from_millis(30);

/// A direct read of all of the file.
struct Read {
    fd: SharedFd,
    buffer: Buffer,
}

// SAFETY: the buffer lies on the heap and is nobody else's; the descriptor is held.
unsafe impl Operation for Read {
    type Output = (io::Result<u32>, Buffer);

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        let (memory, len) = (self.buffer.as_mut_ptr(), self.buffer.len() as u32);
        opcode::Read::new(fd, memory, len).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (completion.result, self.buffer)
    }
}

/// What is dropped, and when.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The future, then the runtime, each at its moment.
    FutureThenRuntime,
    /// The runtime, with the future in a task of it.
    Runtime,
    /// The runtime, and then the future.
    RuntimeThenFuture,
}

const FATES: [Fate; 3] = [
    Fate::FutureThenRuntime,
    Fate::Runtime,
    Fate::RuntimeThenFuture,
];

/// `RINGWAY_TEST_LATE_WRITES` asks for more than 24 reads; 10,000 take some ten minutes.
///
/// Mutants: the slot of an abandoned operation is freed at once; the ring is closed instead of drained.
#[test]
fn no_read_writes_to_memory_that_was_given_up() {
    let reads = count("RINGWAY_TEST_LATE_WRITES", 24);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let fd = SharedFd::from(std::os::fd::OwnedFd::from(direct_file(directory)));
    let mut moments = Moments(0x9e37_79b9);
    let (mut buffers, mut late) = (0, 0);
    for number in 0..reads {
        let fate = FATES[number % FATES.len()];
        let runtime = match number % 2 {
            0 => workers(1),
            _ => current_thread(),
        };
        late += usize::from(drop_at_some_moment(runtime, &fd, fate, &mut moments));
        if (number + 1) % BATCH == 0 {
            buffers += probe::exhume(DISK_LATE);
        }
    }
    buffers += probe::exhume(DISK_LATE);
    println!(
        "{buffers} buffers of {reads} reads, {late} still with the disk when their futures went"
    );
    assert_eq!(buffers, reads, "each buffer was dropped");
    assert!(
        late * 10 > reads,
        "hardly any read was cut off: {late} of {reads}"
    );
}

/// Whether the read was not done when its future was dropped.
fn drop_at_some_moment(runtime: Runtime, fd: &SharedFd, fate: Fate, moments: &mut Moments) -> bool {
    let mut read = Op::new(Read {
        fd: fd.clone(),
        buffer: Buffer::new(READ_BYTES),
    });
    let (first, second) = (moments.next(), moments.next());
    match fate {
        Fate::FutureThenRuntime => {
            let is_pending = runtime.block_on(async {
                let is_pending = poll_once(&mut read).await;
                ringway_timer::sleep(first).await;
                is_pending && poll_once(&mut read).await
            });
            drop(read);
            runtime.block_on(async { ringway_timer::sleep(second / 4).await });
            drop(runtime);
            is_pending
        }
        Fate::Runtime => {
            let task = runtime.spawn(read);
            runtime.block_on(async { ringway_timer::sleep(first).await });
            let is_pending = !task.is_finished();
            drop(runtime);
            is_pending
        }
        Fate::RuntimeThenFuture => {
            let is_pending = runtime.block_on(async {
                let is_pending = poll_once(&mut read).await;
                ringway_timer::sleep(first).await;
                is_pending && poll_once(&mut read).await
            });
            drop(runtime);
            drop(read);
            is_pending
        }
    }
}

/// Polls it; whether it waits.
async fn poll_once(read: &mut Op<Read>) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *read).poll(cx).is_pending())).await
}

/// Moments that look random and are the same in every run.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let nanos = self.0 % MOMENT_MAX.as_nanos() as u64;
        Duration::from_nanos(nanos)
    }
}
