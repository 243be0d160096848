//! Files that are in the page cache: what is left is the runtime's own cost and the kernel's.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{on_worker, rt};
use crate::Run;
use rt::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tempfile::TempDir;

/// Reads in a batch of every workload of this file.
pub const READS: u64 = 1_000;

/// What a read takes: one page.
pub const BLOCK_BYTES: usize = 4_096;

/// Blocks of the large file: 64 MiB, more than any buffer of a runtime.
const BLOCKS: u64 = 16_384;

/// What a sequential read takes.
pub const PIECE_BYTES: usize = 65_536;

/// Sequential reads of the large file; a batch reads it once.
pub const PIECES: u64 = BLOCKS * BLOCK_BYTES as u64 / PIECE_BYTES as u64;

/// Files that are written and removed in a batch.
pub const WRITES: u64 = 200;

/// What is in the tree.
pub const ENTRIES: u64 = FOLDERS * (1 + FILES_IN_A_FOLDER);

const FOLDERS: u64 = 100;
const FILES_IN_A_FOLDER: u64 = 20;

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

/// One task reads a large file from its beginning to its end, and again.
pub fn sequential() -> Run {
    let blocks = Blocks::write();
    on_worker(move |batches| {
        let blocks = blocks.clone();
        async move {
            let mut buffer = vec![0; PIECE_BYTES];
            for _ in 0..batches {
                let mut file = rt::fs::File::open(blocks.path()).await.unwrap();
                for _ in 0..PIECES {
                    file.read_exact(&mut buffer).await.unwrap();
                }
            }
        }
    })
}

/// One task asks for the metadata of small files, one after the other.
pub fn metadata() -> Run {
    let folder = Arc::new(SmallFiles::new());
    on_worker(move |batches| {
        let folder = folder.clone();
        async move {
            for number in 0..batches * READS {
                let metadata = rt::fs::metadata(folder.file(number)).await.unwrap();
                assert_eq!(metadata.len(), BLOCK_BYTES as u64);
            }
        }
    })
}

/// One task writes small files and removes them.
pub fn write_and_remove() -> Run {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    on_worker(move |batches| {
        let folder = folder.clone();
        async move {
            for number in 0..batches * WRITES {
                let path = folder.path().join(number.to_string());
                rt::fs::write(&path, [7; BLOCK_BYTES]).await.unwrap();
                rt::fs::remove_file(&path).await.unwrap();
            }
        }
    })
}

/// One task makes small files, writes them through a handle and removes them.
pub fn create_and_remove() -> Run {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    on_worker(move |batches| {
        let folder = folder.clone();
        async move {
            for number in 0..batches * WRITES {
                let path = folder.path().join(number.to_string());
                let mut file = rt::fs::File::create(&path).await.unwrap();
                file.write_all(&[7; BLOCK_BYTES]).await.unwrap();
                file.flush().await.unwrap();
                drop(file);
                rt::fs::remove_file(&path).await.unwrap();
            }
        }
    })
}

/// Everything in a tree, with its metadata, as tokio's users ask for it: directory by directory.
pub fn walk_by_hand() -> Run {
    let tree = Arc::new(Tree::new());
    on_worker(move |batches| {
        let tree = tree.clone();
        async move {
            for _ in 0..batches {
                let mut waiting = vec![tree.root().to_owned()];
                let mut count = 0;
                while let Some(folder) = waiting.pop() {
                    let mut entries = rt::fs::read_dir(folder).await.unwrap();
                    while let Some(entry) = entries.next_entry().await.unwrap() {
                        count += 1;
                        if entry.metadata().await.unwrap().is_dir() {
                            waiting.push(entry.path());
                        }
                    }
                }
                assert_eq!(count, ENTRIES);
            }
        }
    })
}

/// Folders beside each other, with files in them.
#[derive(Debug)]
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    /// Makes them.
    pub fn new() -> Tree {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..FOLDERS {
            let within = folder.path().join(number.to_string());
            std::fs::create_dir(&within).unwrap();
            for file in 0..FILES_IN_A_FOLDER {
                std::fs::write(within.join(file.to_string()), []).unwrap();
            }
        }
        Tree { folder }
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
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
