//! Random reads past the cache, 32 at a time: ringway beside fio's io_uring engine, on one file, alternately.
//!
//!     direct [FOLDER [ROUNDS [SECONDS]]]
//!
//! The folder (the working directory, unless told otherwise) must be on a disk. What counts is the ratio of the best
//! rounds: a disk has good and bad moments, and both meet them. It ends with an error if the ratio is below the promise.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringway::fs::{File, OpenOptions};
use ringway::runtime::Builder;

/// Reads under way.
const DEPTH: u64 = 32;

/// What one read brings.
const BLOCK_BYTES: u64 = 4_096;

/// More than the cache of a disk.
const FILE_BYTES: u64 = 1 << 30;

/// What is written at a time to make the file.
const PIECE_BYTES: usize = 1 << 20;

/// The part of fio's reads a second that we promise.
const PROMISE: f64 = 0.95;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| match arguments.get(index) {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number")),
        None => Ok(default),
    };
    let folder = arguments.first().map_or(".", String::as_str);
    let (rounds, seconds) = (number(1, 5)?, number(2, 3)?);
    let folder = tempfile::tempdir_in(folder).map_err(|error| error.to_string())?;
    let path = folder.path().join("blocks");
    make(&path).map_err(|error| format!("cannot make a file of 1 GiB: {error}"))?;
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    for round in 1..=rounds {
        let fio = fio(&path, seconds)?;
        let ringway = ringway(&path, seconds);
        println!("round {round}: fio {fio:.0} reads a second, ringway {ringway:.0}");
        (ours, theirs) = (ours.max(ringway), theirs.max(fio));
    }
    let ratio = ours / theirs;
    println!("best: fio {theirs:.0}, ringway {ours:.0}, ratio {ratio:.3}, promised {PROMISE}");
    match ratio >= PROMISE {
        true => Ok(()),
        false => Err("the promise is not kept".into()),
    }
}

/// Writes the file to the disk.
fn make(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    for _ in 0..FILE_BYTES / PIECE_BYTES as u64 {
        std::io::Write::write_all(&mut file, &vec![7; PIECE_BYTES])?;
    }
    file.sync_all()
}

/// Reads a second by fio.
fn fio(path: &Path, seconds: u64) -> Result<f64, String> {
    let output = Command::new("fio")
        .args(["--name=reads", "--ioengine=io_uring", "--rw=randread"])
        .args(["--direct=1", "--norandommap", "--time_based"])
        .args(["--output-format=terse", "--terse-version=3"])
        .arg(format!("--bs={BLOCK_BYTES}"))
        .arg(format!("--iodepth={DEPTH}"))
        .arg(format!("--runtime={seconds}"))
        .arg(format!("--filename={}", path.display()))
        .output()
        .map_err(|error| format!("fio cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split(';')
        .nth(TERSE_READS_A_SECOND)
        .and_then(|field| field.parse().ok())
        .ok_or(format!("fio said: {text}"))
}

/// Where the third version of fio's terse output has them.
const TERSE_READS_A_SECOND: usize = 7;

/// Reads a second by as many tasks as there are reads under way.
fn ringway(path: &Path, seconds: u64) -> f64 {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let path: PathBuf = path.into();
    runtime.block_on(async move {
        let mut options = OpenOptions::new();
        let file = Arc::new(options.read(true).direct(true).open(path).await.unwrap());
        let count = Arc::new(AtomicU64::new(0));
        let begin = Instant::now();
        let end = begin + Duration::from_secs(seconds);
        let readers: Vec<_> = (0..DEPTH)
            .map(|number| ringway::spawn(read_until(end, number, file.clone(), count.clone())))
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
        count.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
    })
}

async fn read_until(end: Instant, number: u64, file: Arc<File>, count: Arc<AtomicU64>) {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (number << 32 | number);
    let mut block = file.aligned_buf(BLOCK_BYTES as usize);
    let mut reads = 0;
    while Instant::now() < end {
        // xorshift64; its upper half is the better one.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let offset = (state >> 32) % (FILE_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
        let result;
        (result, block) = file.read_at(block, offset).await;
        assert_eq!(result.unwrap() as u64, BLOCK_BYTES);
        reads += 1;
    }
    count.fetch_add(reads, Ordering::Relaxed);
}
