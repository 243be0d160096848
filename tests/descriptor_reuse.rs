//! A descriptor's number is not given to another file while an operation names it: what is read and written belongs to the
//! file that was meant.

mod net_support;
mod support;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use net_support::Numbers;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::UnixStream;
use ringway::time::{sleep, timeout};
use support::{count, within, workers};

/// Tasks that open, use and close sockets and files, all the while.
const TASKS: usize = 8;
/// Threads that open and close descriptors outside of the runtime, so that numbers are taken at once.
const OPENERS: usize = 2;
/// What an opener writes into a file of its own, and nobody else.
const SENTINEL: u8 = 0xEE;
/// No run takes longer.
const RUN_MAX: Duration = Duration::from_secs(3600);

/// Reads and writes are given up at random, their sockets and files closed at once, and the numbers taken by others, whose
/// bytes are theirs alone. `RINGWAY_TEST_CLOSES` asks for more than 8,000.
#[test]
fn operations_never_meet_the_file_that_has_taken_their_number() {
    let closes = count("RINGWAY_TEST_CLOSES", 8000);
    within(RUN_MAX, move || {
        let stop = Arc::<AtomicBool>::default();
        let opened = Arc::<AtomicUsize>::default();
        let openers: Vec<_> = (0..OPENERS)
            .map(|_| {
                let (stop, opened) = (Arc::clone(&stop), Arc::clone(&opened));
                std::thread::spawn(move || take_numbers(&stop, &opened))
            })
            .collect();
        let runtime = workers(2);
        let tasks: Vec<_> = (0..TASKS as u8)
            .map(|mark| runtime.spawn(use_and_close(mark, closes / TASKS)))
            .collect();
        let mut numbers = 0;
        for task in tasks {
            numbers += runtime.block_on(task).expect("no foreign byte");
        }
        stop.store(true, Ordering::Relaxed);
        for opener in openers {
            opener.join().expect("no foreign byte");
        }
        let opened = opened.load(Ordering::Relaxed);
        println!("{closes} closes, {opened} files opened by others, {numbers} numbers met again");
        assert!(numbers > 0, "no number was ever used again");
    });
}

/// Opens pairs and files, marks them, and finds the marks alone.
fn take_numbers(stop: &AtomicBool, opened: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let (mut near, mut far) = StdStream::pair().expect("a pair");
        near.write_all(&[SENTINEL]).expect("room");
        far.write_all(&[SENTINEL]).expect("room");
        std::thread::yield_now();
        for end in [&mut near, &mut far] {
            end.set_nonblocking(true).expect("an option");
            let mut bytes = [0; 16];
            let count = end.read(&mut bytes).expect("the mark is there");
            assert_eq!(&bytes[..count], &[SENTINEL], "somebody has written here");
            let more = end.read(&mut bytes).expect_err("nothing else is there");
            assert_eq!(more.kind(), std::io::ErrorKind::WouldBlock);
        }
        opened.fetch_add(2, Ordering::Relaxed);
    }
}

/// Uses pairs of its own, gives waits up, and closes them; how often a new pair had a number of the one before.
async fn use_and_close(mark: u8, closes: usize) -> usize {
    let mut numbers = Numbers::new(u64::from(mark) + 1);
    let mut again = 0;
    let mut former = -1;
    for _ in 0..closes {
        let (mut near, mut far) = UnixStream::pair().expect("a pair");
        again += usize::from([near.as_raw_fd(), far.as_raw_fd()].contains(&former));
        former = near.as_raw_fd();
        let patience = Duration::from_micros(numbers.below(200) as u64);
        let mut byte = [0; 1];
        // Armed, and with the kernel now and then, when the socket goes.
        let waited = timeout(patience, near.read(&mut byte)).await;
        assert!(waited.is_err(), "nobody has written, and a byte has come");
        match numbers.below(3) {
            0 => drop((near, far)),
            1 => {
                far.write_all(&[mark]).await.expect("room");
                near.read_exact(&mut byte).await.expect("a byte");
                assert_eq!(byte, [mark], "a foreign byte");
            }
            _ => {
                let other = ringway::spawn(async move {
                    let mut byte = [0; 1];
                    let _ = timeout(Duration::from_micros(50), far.read(&mut byte)).await;
                    byte[0]
                });
                drop(near);
                assert_eq!(other.await.expect("the task"), 0, "a foreign byte");
            }
        }
        if numbers.below(16) == 0 {
            sleep(Duration::from_micros(100)).await;
        }
    }
    again
}

/// Files, whose reads and writes the kernel does from the descriptor's number alone.
#[test]
fn files_are_read_and_written_by_those_who_opened_them() {
    /// Bytes of each file: some reads and writes of them are under way when the file is dropped.
    const BYTES: usize = 40_000;
    let rounds = count("RINGWAY_TEST_CLOSES", 8000) / 40;
    within(RUN_MAX, move || {
        let directory = tempfile::tempdir().expect("a directory");
        let runtime = workers(2);
        let tasks: Vec<_> = (1..=TASKS as u8)
            .map(|mark| {
                let path = directory.path().join(format!("file-{mark}"));
                std::fs::write(&path, vec![mark; BYTES]).expect("room");
                runtime.spawn(async move {
                    for round in 0..rounds {
                        let mut options = ringway::fs::OpenOptions::new();
                        let mut file = options
                            .read(true)
                            .write(true)
                            .open(&path)
                            .await
                            .expect("the file");
                        let mut bytes = vec![0; BYTES];
                        let patience = Duration::from_micros((round % 100) as u64);
                        let _ = timeout(patience, file.read_exact(&mut bytes)).await;
                        assert!(bytes.iter().all(|byte| [0, mark].contains(byte)));
                        let _ = timeout(patience, file.write_all(&[mark; 100])).await;
                        drop(file);
                    }
                    let bytes = ringway::fs::read(&path).await.expect("the file");
                    assert!(bytes.iter().all(|byte| *byte == mark), "a foreign byte");
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).expect("no foreign byte");
        }
    });
}
