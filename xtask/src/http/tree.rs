//! The tree that all servers serve: one file of each size, and 10,000 small ones.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::case::FILES;
use crate::chore::{Result, target_folder};

/// Small files, in folders of [`FOLDER_FILES`].
pub(super) const MIX_FILES: u32 = 10_000;
const FOLDER_FILES: u32 = 100;

/// The small files' bytes: between these, each power of two as likely as the next, as files of the web are.
const MIX_BYTES_LEAST: f64 = 200.0;
const MIX_BYTES_MOST: f64 = 16_384.0;

pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Writes the tree, unless an earlier run did, below the target folder.
    pub(super) fn make() -> Result<Tree> {
        let root = target_folder("bench-http");
        let complete = root.join("complete");
        let describe = |error| format!("cannot write {}: {error}", root.display());
        if !complete.exists() {
            write(&root).map_err(describe)?;
            fs::write(&complete, "").map_err(describe)?;
        }
        Ok(Tree {
            root: root.join("root"),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

/// The path of a file of the mix; the script of `wrk` makes the same.
fn mix_path(number: u32) -> String {
    format!(
        "mix/{}/{}.html",
        number / FOLDER_FILES,
        number % FOLDER_FILES
    )
}

fn mix_bytes(number: u32) -> u64 {
    // The golden ratio spreads the sizes evenly over the numbers.
    let place = (f64::from(number) * 0.618_033_988_749_894_9).fract();
    (MIX_BYTES_LEAST * (MIX_BYTES_MOST / MIX_BYTES_LEAST).powf(place)) as u64
}

fn write(root: &Path) -> std::io::Result<()> {
    let root = root.join("root");
    fs::create_dir_all(&root)?;
    for (name, bytes) in FILES {
        write_file(&root.join(name), bytes)?;
    }
    for number in 0..MIX_FILES {
        let path = root.join(mix_path(number));
        if number % FOLDER_FILES == 0 {
            fs::create_dir_all(path.parent().expect("in a folder"))?;
        }
        write_file(&path, mix_bytes(number))?;
    }
    Ok(())
}

/// Bytes that differ, so that nothing on the way can make them fewer.
fn write_file(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let (mut left, mut word) = (bytes, 0u64);
    while left > 0 {
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let count = left.min(8);
        file.write_all(&word.to_le_bytes()[..count as usize])?;
        left -= count;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_has_small_files_of_every_size() {
        let sizes: Vec<u64> = (0..MIX_FILES).map(mix_bytes).collect();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!(*least < 210 && *most > 16_000 && *most <= 16_384);
        let mean = sizes.iter().sum::<u64>() / sizes.len() as u64;
        assert!((3_000..4_500).contains(&mean), "{mean}");
        assert_eq!(mix_path(1_234), "mix/12/34.html");
    }
}
