//! How files are opened: the options of tokio, which are those of std, and what io_uring must not change.

mod fs_support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use fs_support::*;
use ringway::fs::{self, File, OpenOptions};
use ringway::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// Goal: each of the 64 combinations of options does what it does in std, to a file that exists and to one that
/// does not. Method: both, side by side.
#[test]
fn every_combination_of_options_does_what_std_does() {
    on_two_workers(async {
        let folder = tempfile::tempdir().unwrap();
        for bits in 0..64u32 {
            for exists in [false, true] {
                let (ours, theirs) = (folder.path().join("ours"), folder.path().join("std"));
                for path in [&ours, &theirs] {
                    let _ = std::fs::remove_file(path);
                    if exists {
                        std::fs::write(path, b"before").unwrap();
                    }
                }
                compare_combination(bits, &ours, &theirs).await;
            }
        }
    });
}

async fn compare_combination(bits: u32, our_path: &Path, std_path: &Path) {
    let is = |bit: u32| bits & (1 << bit) != 0;
    let mut ours = OpenOptions::new();
    ours.read(is(0))
        .write(is(1))
        .append(is(2))
        .truncate(is(3))
        .create(is(4))
        .create_new(is(5));
    let mut theirs = std::fs::OpenOptions::new();
    theirs
        .read(is(0))
        .write(is(1))
        .append(is(2))
        .truncate(is(3))
        .create(is(4))
        .create_new(is(5));
    match (ours.open(our_path).await, theirs.open(std_path)) {
        (Ok(mut file), Ok(mut expected)) => {
            let (mut read, mut expected_read) = (Vec::new(), Vec::new());
            let done = file.read_to_end(&mut read).await.is_ok();
            assert_eq!(
                done,
                expected.read_to_end(&mut expected_read).is_ok(),
                "{ours:?}"
            );
            assert_eq!(read, expected_read, "{ours:?}");
            let written = file.write_all(b"after").await.is_ok() && file.flush().await.is_ok();
            assert_eq!(written, expected.write_all(b"after").is_ok(), "{ours:?}");
            assert_eq!(
                std::fs::read(our_path).unwrap(),
                std::fs::read(std_path).unwrap(),
                "{ours:?}"
            );
        }
        (Err(error), Err(expected)) => {
            assert_eq!(error.to_string(), expected.to_string(), "{ours:?}");
            assert_eq!(error.kind(), expected.kind(), "{ours:?}");
        }
        (ours_result, theirs_result) => panic!("{ours:?}: {ours_result:?}, std: {theirs_result:?}"),
    }
}

#[test]
fn the_mode_and_the_umask_make_the_permissions() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("std"));
        for mode in [0o600, 0o666, 0o777] {
            OpenOptions::new()
                .write(true)
                .create(true)
                .mode(mode)
                .open(&ours)
                .await
                .unwrap();
            std::fs::File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(&theirs)
                .unwrap();
            let modes = [&ours, &theirs].map(|path| std::fs::metadata(path).unwrap().mode());
            assert_eq!(modes[0], modes[1], "{mode:o}");
            std::fs::remove_file(&ours).unwrap();
            std::fs::remove_file(&theirs).unwrap();
        }
    });
}

#[test]
fn a_descriptor_is_not_inherited() {
    on_both_flavours(|| async {
        let file = File::open("/dev/null").await.unwrap();
        // SAFETY: no pointer is passed.
        let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
    });
}

#[test]
fn a_path_with_a_nul_byte_is_refused_in_the_words_of_std() {
    on_both_flavours(|| async {
        let expected = std::fs::File::open("a\0b").unwrap_err();
        for error in [
            File::open("a\0b").await.unwrap_err(),
            fs::metadata("a\0b").await.unwrap_err(),
            fs::remove_file("a\0b").await.unwrap_err(),
            fs::status("a\0b").await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.to_string()),
                (expected.kind(), expected.to_string())
            );
        }
    });
}

#[test]
fn options_of_std_keep_what_they_say() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"before ").unwrap();
        let mut std = std::fs::OpenOptions::new();
        std.append(true);
        let mut options = OpenOptions::from(std);
        options.read(true);
        let mut file = options.open(&path).await.unwrap();
        file.write_all(b"after").await.unwrap();
        file.rewind().await.unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "before after");
    });
}

#[test]
fn append_only_files_grow_from_all_sides() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut files = Vec::new();
        for _ in 0..8 {
            files.push(
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(&path)
                    .await
                    .unwrap(),
            );
        }
        let writers: Vec<_> = files
            .into_iter()
            .enumerate()
            .map(|(number, mut file)| {
                ringway::spawn(async move {
                    for _ in 0..50 {
                        file.write_all(&[b'a' + number as u8; 100]).await.unwrap();
                        file.flush().await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let log = std::fs::read(&path).unwrap();
        assert_eq!(log.len(), 8 * 50 * 100);
        let whole = |record: &[u8]| record.iter().all(|&byte| byte == record[0]);
        assert!(log.chunks(100).all(whole), "records are not mixed");
    });
}

#[test]
fn a_symbolic_link_can_be_refused() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        let mut options = OpenOptions::new();
        options.read(true);
        options.open(folder.path().join("link")).await.unwrap();
        options.no_symlinks(true);
        let error = options.open(folder.path().join("link")).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    });
}

/// Whether `future` is not ready for some time.
async fn nothing_comes(future: impl Future) -> bool {
    ringway::time::timeout(Duration::from_millis(30), future)
        .await
        .is_err()
}

/// io_uring opens a FIFO as if O_NONBLOCK were set, but the read must not find the end before the beginning.
///
/// Mutant: reading plainly what has no position.
#[test]
fn the_first_read_of_a_fifo_waits_for_its_writer() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let mut reader = File::open(&path).await.unwrap();
        assert!(
            nothing_comes(reader.read(&mut [0; 8])).await,
            "there is no writer"
        );
        let mut writer = std::fs::File::options().write(true).open(&path).unwrap();
        writer.write_all(b"hello").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    });
}

/// Mutant: handing ENXIO, which io_uring gives at once, to the user.
#[test]
fn opening_a_fifo_for_writing_waits_for_a_reader() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let for_writing = path.clone();
        let mut writer = ringway::spawn(async move {
            let mut writer = OpenOptions::new()
                .write(true)
                .open(for_writing)
                .await
                .unwrap();
            writer.write_all(b"hello").await.unwrap();
            writer.flush().await.unwrap();
        });
        assert!(nothing_comes(&mut writer).await, "there is no reader");
        let mut reader = File::open(&path).await.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        writer.await.unwrap();
    });
}

#[test]
fn with_nonblock_nothing_waits_for_the_other_end_of_a_fifo() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        make_fifo(&path);
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        let error = options.open(&path).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));

        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let mut reader = options.open(&path).await.unwrap();
        assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0, "nobody writes");
        let _writer = std::fs::File::options().write(true).open(&path).unwrap();
        let error = reader.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "somebody may write");
    });
}

#[test]
fn opened_files_whose_futures_were_dropped_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, b"x").unwrap();
    let descriptors = {
        let path = path.clone();
        move || {
            let entries = std::fs::read_dir("/proc/self/fd").unwrap();
            let of_ours = |entry: std::io::Result<std::fs::DirEntry>| {
                std::fs::read_link(entry.ok()?.path())
                    .ok()
                    .filter(|target| target == &path)
            };
            entries.filter_map(of_ours).count()
        }
    };
    let counted = descriptors.clone();
    on_two_workers(async move {
        for _ in 0..500 {
            drop(poll_once(File::open(&path)).await);
        }
        let _last = File::open(&path).await.unwrap();
        wait_until("the dropped ones are closed", || counted() == 1);
    });
    assert_eq!(descriptors(), 0);
}
