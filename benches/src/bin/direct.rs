//! Random reads past the cache, 32 at a time: ringway beside fio's io_uring engine and loops over a bare ring, on one file, by
//! turns.
//!
//!     direct [FOLDER [ROUNDS [SECONDS]]]
//!
//! The folder (the working directory, unless told otherwise) must be on a disk. What counts is the ratio of the best
//! rounds of ringway and fio: a disk has good and bad moments, and both meet them. It ends with an error if the ratio is
//! below the promise. Processor time is that of a whole process, the kernel's work for it included.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringway::fs::{File, OpenOptions};
use ringway::runtime::Builder;
use ringway_benches::direct_loop::{self, BLOCK_BYTES, DEPTH, Manner, Places};
use ringway_benches::meter::Meter;

/// More than the cache of a disk.
const FILE_BYTES: u64 = 1 << 30;
const BLOCKS: u64 = FILE_BYTES / BLOCK_BYTES as u64;

/// What is written at a time to make the file.
const PIECE_BYTES: usize = 1 << 20;

/// The part of fio's reads a second that we promise.
const PROMISE: f64 = 0.95;

/// Who reads.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Fio,
    /// As many tasks as there are reads under way, on so many workers.
    Ringway(usize),
    Bare(Manner),
}

impl Reader {
    fn all() -> Vec<Self> {
        let bare = Manner::ALL.into_iter().map(Self::Bare);
        [Self::Fio, Self::Ringway(2), Self::Ringway(1)]
            .into_iter()
            .chain(bare)
            .collect()
    }

    fn name(self) -> String {
        match self {
            Self::Fio => "fio".into(),
            Self::Ringway(1) => "ringway, 1 worker".into(),
            Self::Ringway(workers) => format!("ringway, {workers} workers"),
            Self::Bare(manner) => manner.name.into(),
        }
    }

    fn read_for(self, seconds: u64, path: &Path) -> Result<Figures, String> {
        let meter = match self {
            Self::Fio => Meter::start_of_children(),
            _ => Meter::start(),
        };
        let time = Duration::from_secs(seconds);
        let begin = Instant::now();
        let rate = match self {
            Self::Fio => by_fio(path, seconds)?,
            Self::Ringway(workers) => {
                by_ringway(path, time, workers) as f64 / begin.elapsed().as_secs_f64()
            }
            Self::Bare(manner) => {
                let mut options = std::fs::File::options();
                let options = options.read(true).custom_flags(libc::O_DIRECT);
                let file = options.open(path).map_err(|error| error.to_string())?;
                let count = direct_loop::read_for(time, &file, BLOCKS, manner);
                count as f64 / begin.elapsed().as_secs_f64()
            }
        };
        let used = meter.read();
        let reads = rate * seconds as f64;
        Ok(Figures {
            rate,
            user: used.user.as_secs_f64() / reads,
            system: used.system.as_secs_f64() / reads,
        })
    }
}

/// Reads a second, and the processor seconds of one.
#[derive(Clone, Copy, Debug)]
struct Figures {
    rate: f64,
    user: f64,
    system: f64,
}

impl Figures {
    const NONE: Self = Self {
        rate: 0.0,
        user: f64::INFINITY,
        system: f64::INFINITY,
    };

    /// The best of both, figure by figure.
    fn best(self, other: Self) -> Self {
        Self {
            rate: self.rate.max(other.rate),
            user: self.user.min(other.user),
            system: self.system.min(other.system),
        }
    }
}

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
    let readers = Reader::all();
    let mut best = vec![Figures::NONE; readers.len()];
    for _ in 0..rounds {
        for (reader, best) in readers.iter().zip(&mut best) {
            *best = best.best(reader.read_for(seconds, &path)?);
        }
    }
    println!("best of {rounds}: reads a second, and processor time of one in user code and kernel");
    for (reader, figures) in readers.iter().zip(&best) {
        let (user, system) = (figures.user * 1e6, figures.system * 1e6);
        let name = reader.name();
        println!(
            "{name:22} {:7.0}   {user:5.2} µs {system:5.2} µs",
            figures.rate
        );
    }
    let (fio, ringway) = (best[0].rate, best[1].rate.max(best[2].rate));
    let ratio = ringway / fio;
    println!("ratio of ringway to fio {ratio:.3}, promised {PROMISE}");
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
fn by_fio(path: &Path, seconds: u64) -> Result<f64, String> {
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

/// How many reads as many tasks as there are reads under way have made.
fn by_ringway(path: &Path, time: Duration, workers: usize) -> u64 {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap();
    let path: PathBuf = path.into();
    runtime.block_on(async move {
        let mut options = OpenOptions::new();
        let file = Arc::new(options.read(true).direct(true).open(path).await.unwrap());
        let count = Arc::new(AtomicU64::new(0));
        let end = Instant::now() + time;
        let readers: Vec<_> = (0..DEPTH as u64)
            .map(|number| ringway::spawn(read_until(end, number, file.clone(), count.clone())))
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
        count.load(Ordering::Relaxed)
    })
}

async fn read_until(end: Instant, number: u64, file: Arc<File>, count: Arc<AtomicU64>) {
    let mut places = Places::new(number, BLOCKS);
    let mut block = file.aligned_buf(BLOCK_BYTES);
    let mut reads = 0;
    while Instant::now() < end {
        let result;
        (result, block) = file.read_at(block, places.next_offset()).await;
        assert_eq!(result.unwrap(), BLOCK_BYTES);
        reads += 1;
    }
    count.fetch_add(reads, Ordering::Relaxed);
}
