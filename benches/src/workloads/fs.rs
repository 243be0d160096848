//! Files that are in the page cache: what is left is the runtime's own cost and the kernel's.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{on_worker, rt};
use crate::Run;
use rt::io::{AsyncReadExt, AsyncSeekExt};
use tempfile::TempDir;

/// Reads in a batch of every workload of this file.
pub const READS: u64 = 1_000;

/// What a read takes: one page.
pub const BLOCK_BYTES: usize = 4_096;

/// Blocks of the large file: 64 MiB, more than any buffer of a runtime.
const BLOCKS: u64 = 16_384;

/// Small files; a batch reads each once.
const FILES: u64 = READS;

/// One task reads random blocks of a large file as tokio's users do.
pub fn seek_and_read() -> Run {
    let blocks = Blocks::write();
    on_worker(move |batches| {
        let blocks = blocks.clone();
        async move {
            let mut file = rt::fs::File::open(blocks.path()).await.unwrap();
            let mut buffer = vec![0; BLOCK_BYTES];
            for offset in random_offsets(batches * READS) {
                file.seek(SeekFrom::Start(offset)).await.unwrap();
                file.read_exact(&mut buffer).await.unwrap();
            }
        }
    })
}

/// `tasks` tasks read small files, each its share of them.
pub fn small_files(tasks: u64) -> Run {
    let folder = Arc::new(SmallFiles::new());
    on_worker(move |batches| {
        let folder = folder.clone();
        async move {
            let readers = (0..tasks).map(|task| {
                let folder = folder.clone();
                rt::spawn(async move {
                    for number in (0..batches * READS)
                        .skip(task as usize)
                        .step_by(tasks as usize)
                    {
                        let content = rt::fs::read(folder.file(number)).await.unwrap();
                        assert_eq!(content.len(), BLOCK_BYTES);
                    }
                })
            });
            for reader in readers.collect::<Vec<_>>() {
                reader.await.unwrap();
            }
        }
    })
}

/// The large file.
#[derive(Clone, Debug)]
pub struct Blocks {
    folder: Arc<TempDir>,
}

impl Blocks {
    /// Writes it, so that it is in the page cache.
    pub fn write() -> Blocks {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let blocks = Blocks { folder };
        std::fs::write(blocks.path(), vec![7; BLOCKS as usize * BLOCK_BYTES]).unwrap();
        blocks
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("blocks")
    }
}

/// So many offsets of blocks, in an order that no read-ahead foresees, the same in every run.
pub fn random_offsets(count: u64) -> impl Iterator<Item = u64> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    (0..count).map(move |_| {
        // xorshift64; its upper half is the better one.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) % BLOCKS * BLOCK_BYTES as u64
    })
}

/// A folder of small files.
#[derive(Debug)]
struct SmallFiles {
    files: Vec<PathBuf>,
    _folder: TempDir,
}

impl SmallFiles {
    fn new() -> SmallFiles {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..FILES)
            .map(|number| folder.path().join(number.to_string()))
            .collect();
        for file in &files {
            std::fs::write(file, [7; BLOCK_BYTES]).unwrap();
        }
        SmallFiles {
            files,
            _folder: folder,
        }
    }

    fn file(&self, number: u64) -> &Path {
        &self.files[(number % FILES) as usize]
    }
}
