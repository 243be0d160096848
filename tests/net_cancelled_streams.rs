//! Streams whose reads and writes are cancelled all the time: what arrives is what was sent.

mod net_support;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use net_support::{Numbers, check_pattern, pair, pattern_from};
use ringway::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use ringway::net::UnixStream;
use ringway::net::unix::pipe;
use ringway::time::{sleep, timeout};
use support::{count, within, workers};

/// Streams of a kind at once: their waits overlap, so that a million of them take minutes, not hours.
const STREAMS: usize = 32;
/// Patience of a read or a write: 1 µs to 1 ms, each power of two as likely as the others.
const PATIENCE_POWERS: usize = 11;
/// Bytes of one read or one write at most.
const PIECE_MAX: usize = 4000;
/// The longest run; a stall is found by it.
const RUN_MAX: Duration = Duration::from_secs(3600);

/// How many reads of a kind of stream are cancelled; a hundredth as many writes.
fn wanted() -> usize {
    count("RINGWAY_TEST_CANCELLED_READS", 20_000)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Unix,
    Pipe,
}

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Kind {
    async fn ends(self) -> (Writer, Reader) {
        match self {
            Self::Tcp => {
                let (client, server) = pair().await;
                (Box::new(client), Box::new(server))
            }
            Self::Unix => {
                let (one, other) = UnixStream::pair().expect("a pair");
                (Box::new(one), Box::new(other))
            }
            Self::Pipe => {
                let (sender, receiver) = pipe::pipe().expect("a pipe");
                (Box::new(sender), Box::new(receiver))
            }
        }
    }
}

fn patience(numbers: &mut Numbers) -> Duration {
    let most = 1 << numbers.below(PATIENCE_POWERS);
    Duration::from_micros(1 + numbers.below(most) as u64)
}

/// Mutant: the operation that waits for bytes takes one, in place of polling (`PollOnce::entry`).
#[test]
fn reads_that_time_out_lose_and_double_no_byte_of_a_counter_stream() {
    within(RUN_MAX, || {
        let runtime = workers(2);
        for kind in [Kind::Tcp, Kind::Unix, Kind::Pipe] {
            runtime.block_on(cancel_reads(kind, wanted()));
        }
    });
}

async fn cancel_reads(kind: Kind, wanted: usize) {
    let start = Instant::now();
    let cancelled = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for salt in 0..STREAMS as u64 {
        let (writer, reader) = kind.ends().await;
        streams.push(ringway::spawn(read_impatiently(
            reader,
            salt,
            Arc::clone(&cancelled),
        )));
        streams.push(ringway::spawn(write_now_and_then(
            writer,
            salt,
            Arc::clone(&cancelled),
            wanted,
        )));
    }
    let mut bytes = 0;
    for stream in streams {
        bytes += stream.await.expect("a stream");
    }
    let cancelled = cancelled.load(Ordering::Relaxed);
    println!(
        "{kind:?}: {cancelled} reads cancelled, {} bytes in {:?}",
        bytes / 2,
        start.elapsed()
    );
    assert!(cancelled >= wanted);
    assert_eq!(bytes % 2, 0, "as many bytes were read as were written");
}

/// Reads to the end; how many bytes there were.
async fn read_impatiently(mut reader: Reader, salt: u64, cancelled: Arc<AtomicUsize>) -> u64 {
    let mut numbers = Numbers::new(salt + 1);
    let mut buffer = vec![0; PIECE_MAX];
    let mut received = 0;
    loop {
        let room = 1 + numbers.below(PIECE_MAX);
        let read = reader.read(&mut buffer[..room]);
        match timeout(patience(&mut numbers), read).await {
            Err(_) => {
                cancelled.fetch_add(1, Ordering::Relaxed);
            }
            Ok(count) => {
                let count = count.expect("bytes or the end");
                if count == 0 {
                    return received;
                }
                check_pattern(salt, received, &buffer[..count]);
                received += count as u64;
            }
        }
    }
}

/// Writes pieces at random moments until enough reads were cancelled; how many bytes there were.
async fn write_now_and_then(
    mut writer: Writer,
    salt: u64,
    cancelled: Arc<AtomicUsize>,
    wanted: usize,
) -> u64 {
    let mut numbers = Numbers::new(salt + 1000);
    let mut sent = 0;
    while cancelled.load(Ordering::Relaxed) < wanted {
        let piece = pattern_from(salt, sent, 1 + numbers.below(PIECE_MAX));
        writer.write_all(&piece).await.expect("room");
        sent += piece.len() as u64;
        sleep(patience(&mut numbers)).await;
    }
    writer.shutdown().await.expect("the end");
    sent
}

/// A write that times out has written nothing, so the same bytes may be written again.
///
/// Mutant: the whole piece is sent in the ring, which is given up with the future (`uring::send` in `write_impatiently`).
#[test]
fn writes_that_time_out_leave_a_prefix_and_what_follows_fits_to_it() {
    within(RUN_MAX, || {
        let runtime = workers(2);
        for kind in [Kind::Tcp, Kind::Unix, Kind::Pipe] {
            runtime.block_on(cancel_writes(kind, wanted() / 100));
        }
    });
}

async fn cancel_writes(kind: Kind, wanted: usize) {
    let cancelled = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for salt in 0..STREAMS as u64 {
        let (writer, reader) = kind.ends().await;
        streams.push(ringway::spawn(read_slowly(reader, salt)));
        streams.push(ringway::spawn(write_impatiently(
            writer,
            salt,
            Arc::clone(&cancelled),
            wanted,
        )));
    }
    let mut bytes = 0;
    for stream in streams {
        bytes += stream.await.expect("a stream");
    }
    println!(
        "{kind:?}: {} writes cancelled, {} bytes",
        cancelled.load(Ordering::Relaxed),
        bytes / 2
    );
    assert_eq!(bytes % 2, 0, "as many bytes were read as were written");
}

async fn write_impatiently(
    mut writer: Writer,
    salt: u64,
    cancelled: Arc<AtomicUsize>,
    wanted: usize,
) -> u64 {
    /// Larger than what the kernel has room for at once, now and then.
    const WRITE_MAX: usize = 300_000;
    let mut numbers = Numbers::new(salt + 2000);
    let mut sent = 0;
    while cancelled.load(Ordering::Relaxed) < wanted {
        let piece = pattern_from(salt, sent, 1 + numbers.below(WRITE_MAX));
        match timeout(patience(&mut numbers), writer.write(&piece)).await {
            Err(_) => {
                cancelled.fetch_add(1, Ordering::Relaxed);
            }
            Ok(count) => sent += count.expect("room") as u64,
        }
    }
    writer.shutdown().await.expect("the end");
    sent
}

async fn read_slowly(mut reader: Reader, salt: u64) -> u64 {
    let mut numbers = Numbers::new(salt + 3000);
    let mut buffer = vec![0; 100_000];
    let mut received = 0;
    loop {
        let count = reader.read(&mut buffer).await.expect("bytes or the end");
        if count == 0 {
            return received;
        }
        check_pattern(salt, received, &buffer[..count]);
        received += count as u64;
        if numbers.below(4) == 0 {
            sleep(patience(&mut numbers)).await;
        }
    }
}

/// A `write_all` that is given up has written some of it, from the beginning, and nothing twice.
#[test]
fn a_write_of_all_that_is_given_up_leaves_a_prefix() {
    const PIECE: usize = 1 << 20;
    within(RUN_MAX, || {
        let runtime = workers(2);
        runtime.block_on(async {
            let mut numbers = Numbers::new(5);
            for round in 0..count("RINGWAY_TEST_CANCELLED_WRITES", 60) {
                let kind = [Kind::Tcp, Kind::Unix, Kind::Pipe][round % 3];
                let (mut writer, reader) = kind.ends().await;
                let reader = ringway::spawn(read_slowly(reader, 7));
                let piece = pattern_from(7, 0, PIECE);
                let _ = timeout(patience(&mut numbers), writer.write_all(&piece)).await;
                drop(writer);
                let received = reader.await.expect("the reader");
                assert!(received <= PIECE as u64);
            }
        });
    });
}
