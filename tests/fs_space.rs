//! Room on the disk, advice, parts to the disk, and what is known of a file.

mod fs_support;

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use fs_support::*;
use ringway::fs::{self, Advice, Allocate, File, FileKind, OpenOptions};

const BLOCK: u64 = 1 << 16;

/// A file of four blocks, each of its own byte.
async fn blocks(path: &std::path::Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.open(path).await.unwrap();
    for number in 0..4 {
        let block = vec![number as u8 + 1; BLOCK as usize];
        file.write_all_at(block, number * BLOCK).await.0.unwrap();
    }
    file
}

/// The first byte of each block.
fn first_bytes(path: &std::path::Path) -> Vec<u8> {
    let contents = std::fs::read(path).unwrap();
    contents
        .chunks(BLOCK as usize)
        .map(|block| block[0])
        .collect()
}

/// Mutant: two of the modes change places. Where a file system does not know one, it says so.
#[test]
fn each_way_to_allocate_does_what_it_says() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let ways = [
                (Allocate::Reserve, 3, 2, vec![1, 2, 3, 4, 0]),
                (Allocate::ReserveKeepingLength, 3, 2, vec![1, 2, 3, 4]),
                (Allocate::PunchHole, 1, 2, vec![1, 0, 0, 4]),
                (Allocate::Zero, 3, 2, vec![1, 2, 3, 0, 0]),
                (Allocate::ZeroKeepingLength, 3, 2, vec![1, 2, 3, 0]),
                (Allocate::Collapse, 1, 1, vec![1, 3, 4]),
                (Allocate::Insert, 1, 1, vec![1, 0, 2, 3, 4]),
                (Allocate::Unshare, 0, 4, vec![1, 2, 3, 4]),
            ];
            let mut done = 0;
            for (way, from, count, expected) in ways {
                let file = blocks(&path).await;
                match file.fallocate(way, from * BLOCK, count * BLOCK).await {
                    Ok(()) => {
                        assert_eq!(first_bytes(&path), expected, "{way:?}");
                        done += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unsupported, "{way:?}: {error}");
                        assert_eq!(first_bytes(&path), [1, 2, 3, 4], "{way:?}");
                    }
                }
            }
            assert!(done >= 3, "every file system here knows some");
        }
    });
}

#[test]
fn room_that_was_reserved_is_on_the_disk() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let file = File::create(&path).await.unwrap();
            file.allocate(0, 10 * BLOCK).await.unwrap();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!(metadata.len(), 10 * BLOCK);
            assert!(metadata.blocks() * 512 >= 10 * BLOCK);
            let error = file.allocate(0, 0).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let error = file.allocate(u64::MAX, 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

/// Mutants: the advice is another one; the stretch is another one.
#[test]
fn what_is_not_needed_leaves_the_memory() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir_in(".").unwrap(); // On a disk.
        let path = folder.path().join("file");
        let file = blocks(&path).await;
        file.sync_all().await.unwrap();
        assert_eq!(resident(&path), [true; 4]);
        let dropped = async |offset, len| {
            // A page may be busy; the kernel is asked again then.
            for _ in 0..100 {
                file.advise(offset, len, Advice::DontNeed).await.unwrap();
            }
        };
        dropped(BLOCK, BLOCK).await;
        if resident(&path) == [true; 4] {
            return; // A file system that keeps everything.
        }
        assert_eq!(resident(&path), [true, false, true, true]);
        dropped(2 * BLOCK, 0).await;
        assert_eq!(resident(&path), [true, false, false, false]);
        for advice in [
            Advice::Normal,
            Advice::Sequential,
            Advice::Random,
            Advice::NoReuse,
            Advice::WillNeed,
        ] {
            file.advise(0, 0, advice).await.unwrap();
        }
    });
}

/// Which blocks have their first page in memory.
fn resident(path: &std::path::Path) -> [bool; 4] {
    let file = std::fs::File::open(path).unwrap();
    [0, 1, 2, 3].map(|block| is_resident(&file, block * BLOCK))
}

/// Mutant: a length beyond what one request can say is cut to its lower half.
#[test]
fn a_stretch_may_be_longer_than_four_gigabytes() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = blocks(&path).await;
        file.set_len(5 << 30).await.unwrap();
        let far = 5 << 30;
        file.write_all_at(b"end".to_vec(), far).await.0.unwrap();
        file.sync_range(0, far + 3).await.unwrap();
        file.begin_sync_range(1, 1 << 32).await.unwrap();
        file.advise(0, 1 << 32, Advice::DontNeed).await.unwrap();
        for offset in [u64::MAX, i64::MAX as u64] {
            let error = file.sync_range(offset, 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let error = file.advise(offset, 1, Advice::Normal).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(
            fs::read_link(&path).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn a_status_has_all_that_the_kernel_says() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"hello").unwrap();
            let std = std::fs::metadata(&path).unwrap();
            let status = fs::status(&path).await.unwrap();
            assert_eq!((status.len(), status.ino()), (5, std.ino()));
            assert_eq!((status.dev(), status.nlink()), (std.dev(), std.nlink()));
            assert_eq!((status.uid(), status.gid()), (std.uid(), std.gid()));
            assert_eq!((status.mode(), status.blocks()), (std.mode(), std.blocks()));
            assert_eq!(status.modified(), std.modified().unwrap());
            assert_eq!(status.created(), std.created().ok());
            assert_eq!(status.kind(), Some(FileKind::File));
            assert_ne!(status.mask() & libc::STATX_BASIC_STATS, 0);
            assert_eq!(status.attributes().is_mount_root(), Some(false));
            let mount = status.mount_id().expect("Linux 5.8");
            assert!(mounts().contains(&mount), "{mount}");
            let file = File::open(&path).await.unwrap();
            assert_eq!(file.status().await.unwrap().ino(), std.ino());
            assert_eq!(file.direct_alignment(), status.direct_alignment());
            if let Some(alignment) = status.direct_alignment() {
                assert!(alignment.offset().is_power_of_two());
            }
        }
        let root = fs::status("/proc").await.unwrap();
        assert_eq!(root.attributes().is_mount_root(), Some(true));
    });
}

/// The numbers of the mounts that this process sees.
fn mounts() -> Vec<u64> {
    let list = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let number = |line: &str| {
        line.split(' ')
            .next()
            .and_then(|number| number.parse().ok())
    };
    list.lines().filter_map(number).collect()
}
