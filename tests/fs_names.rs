//! Names: directories, links, renaming, metadata by path, and reading and writing whole files.

mod fs_support;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use fs_support::*;
use ringway::fs::{self, DirBuilder};
use ringway::time::timeout;

#[test]
fn whole_files_are_written_and_read() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            // Around the sizes at which the way of reading or writing changes.
            for size in [
                0,
                1,
                4095,
                4096,
                4097,
                1 << 20,
                (1 << 20) + 1,
                (8 << 20) + 3,
            ] {
                let contents = pattern(size);
                fs::write(&path, &contents).await.unwrap();
                assert!(std::fs::read(&path).unwrap() == contents, "written {size}");
                assert!(fs::read(&path).await.unwrap() == contents, "read {size}");
            }
            fs::write(&path, "shorter").await.unwrap();
            assert_eq!(fs::read_to_string(&path).await.unwrap(), "shorter");
            fs::write(&path, [0xff]).await.unwrap();
            let error = fs::read_to_string(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    });
}

/// A pipe by its name, as a shell gives it to a program, and a FIFO whose other end comes later.
///
/// Mutants: reading from the beginning what has none; writing pieces to where they would be in a file; opening for writing as
/// the ring does, which says that there is no reader.
#[test]
fn what_comes_by_a_pipe_is_read_and_written_whole() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        make_fifo(&fifo);
        for size in [0, 5, 100_000, (2 << 20) + 1] {
            let contents = pattern(size);

            let (reader, writer) = pipe();
            let (mut writer, sent) = (std::fs::File::from(writer), contents.clone());
            let writing = std::thread::spawn(move || writer.write_all(&sent));
            let path = format!("/dev/fd/{}", reader.as_raw_fd());
            assert!(fs::read(&path).await.unwrap() == contents, "read {size}");
            writing.join().unwrap().unwrap();

            let (reader, writer) = pipe();
            let mut reader = std::fs::File::from(reader);
            let reading = std::thread::spawn(move || {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map(|_| bytes)
            });
            let path = format!("/dev/fd/{}", writer.as_raw_fd());
            fs::write(&path, &contents).await.unwrap();
            drop(writer);
            assert!(
                reading.join().unwrap().unwrap() == contents,
                "written {size}"
            );

            let mut writing = pin!(fs::write(&fifo, &contents));
            let early = timeout(Duration::from_millis(30), writing.as_mut()).await;
            assert!(early.is_err(), "there is no reader: {early:?}");
            let path = fifo.clone();
            let reading = std::thread::spawn(move || std::fs::read(path));
            writing.await.unwrap();
            assert!(
                reading.join().unwrap().unwrap() == contents,
                "written to a FIFO {size}"
            );
            let (path, sent) = (fifo.clone(), contents.clone());
            let writing = std::thread::spawn(move || std::fs::write(path, sent));
            assert!(fs::read(&fifo).await.unwrap() == contents, "read {size}");
            writing.join().unwrap().unwrap();
        }
    });
}

/// Mutant: believing the size, which is 0 in /proc and 4,096 in /sys.
#[test]
fn files_that_do_not_know_their_size_are_read_whole() {
    on_both_flavours(|| async {
        for path in [
            "/proc/self/mountinfo",
            "/proc/filesystems",
            "/proc/kallsyms",
            "/sys/kernel/mm/transparent_hugepage/enabled",
        ] {
            let Ok(expected) = std::fs::read(path) else {
                continue;
            };
            assert_eq!(fs::read(path).await.unwrap(), expected, "{path}");
        }
        let zeros = fs::read("/dev/null").await.unwrap();
        assert!(zeros.is_empty());
    });
}

#[test]
fn a_file_that_grows_while_it_is_read_is_read_to_a_later_end() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, pattern(64)).unwrap();
            let growing = path.clone();
            let growth = ringway::task::spawn_blocking(move || {
                use std::io::Write;
                let mut file = std::fs::File::options().append(true).open(growing).unwrap();
                for _ in 0..2000 {
                    file.write_all(&[7; 64]).unwrap();
                }
            });
            let mut last = 64;
            while !growth.is_finished() {
                let contents = fs::read(&path).await.unwrap();
                assert!(
                    contents.len() >= last && contents.len() % 64 == 0,
                    "{}",
                    contents.len()
                );
                last = contents.len();
            }
            growth.await.unwrap();
            assert_eq!(fs::read(&path).await.unwrap().len(), 64 * 2001);
        }
    });
}

#[test]
fn directories_are_made_and_removed() {
    on_both_flavours(|| async {
        for folder in folders() {
            let deep = folder.path().join("a/b/c");
            assert_eq!(
                fs::create_dir(&deep).await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
            fs::create_dir_all(&deep).await.unwrap();
            fs::create_dir_all(&deep)
                .await
                .expect("it is there, as wanted");
            assert!(deep.is_dir());
            assert_eq!(
                fs::create_dir(&deep).await.unwrap_err().kind(),
                ErrorKind::AlreadyExists
            );
            assert_eq!(
                fs::remove_dir(folder.path().join("a"))
                    .await
                    .unwrap_err()
                    .kind(),
                ErrorKind::DirectoryNotEmpty
            );
            fs::remove_dir(&deep).await.unwrap();
            assert!(!deep.exists());
            std::fs::write(folder.path().join("a/file"), b"x").unwrap();
            let error = fs::create_dir_all(folder.path().join("a/file"))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            let error = fs::create_dir_all(folder.path().join("a/file/b"))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
            fs::remove_dir_all(folder.path().join("a")).await.unwrap();
            assert!(!folder.path().join("a").exists());
            fs::create_dir_all("")
                .await
                .expect("nothing is to be made, as in std");
        }
    });
}

#[test]
fn a_directory_is_made_by_all_who_make_it_at_once() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let deep = folder.path().join(format!("{round}/a/b/c/d"));
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    let deep = deep.clone();
                    ringway::spawn(async move { fs::create_dir_all(deep).await })
                })
                .collect();
            for maker in makers {
                maker.await.unwrap().unwrap();
            }
            assert!(deep.is_dir());
        }
    });
}

#[test]
fn the_mode_of_a_directory_can_be_given() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/private");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .await
            .unwrap();
        for path in [path.as_path(), path.parent().unwrap()] {
            assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        }
        let error = DirBuilder::new()
            .recursive(false)
            .create(&path)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    });
}

#[test]
fn files_are_renamed_linked_copied_and_removed() {
    on_both_flavours(|| async {
        for folder in folders() {
            let at = |name: &str| folder.path().join(name);
            std::fs::write(at("a"), b"contents").unwrap();
            fs::hard_link(at("a"), at("b")).await.unwrap();
            assert_eq!(std::fs::metadata(at("a")).unwrap().nlink(), 2);
            fs::rename(at("b"), at("c")).await.unwrap();
            assert!(!at("b").exists() && at("c").exists());
            fs::symlink("a", at("link")).await.unwrap();
            assert_eq!(fs::read_link(at("link")).await.unwrap(), Path::new("a"));
            let canonical = fs::canonicalize(at("link")).await.unwrap();
            assert_eq!(canonical, at("a").canonicalize().unwrap());
            assert_eq!(fs::copy(at("a"), at("copy")).await.unwrap(), 8);
            assert_eq!(std::fs::read(at("copy")).unwrap(), b"contents");
            fs::set_permissions(at("copy"), std::fs::Permissions::from_mode(0o400))
                .await
                .unwrap();
            assert_eq!(std::fs::metadata(at("copy")).unwrap().mode() & 0o777, 0o400);
            fs::remove_file(at("copy")).await.unwrap();
            assert_eq!(
                fs::remove_file(at("copy")).await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
            assert_eq!(
                fs::remove_file(folder.path()).await.unwrap_err().kind(),
                ErrorKind::IsADirectory
            );
            let error = fs::hard_link(at("a"), at("c")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
    });
}

#[test]
fn metadata_by_path_is_that_of_std() {
    on_both_flavours(|| async {
        for folder in folders() {
            let at = |name: &str| folder.path().join(name);
            std::fs::write(at("file"), b"12345").unwrap();
            std::os::unix::fs::symlink("file", at("link")).unwrap();
            std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
            make_fifo(&at("fifo"));

            for name in ["file", "link", "fifo", ""] {
                let (ours, std) = (
                    fs::metadata(at(name)).await.unwrap(),
                    at(name).metadata().unwrap(),
                );
                assert_eq!(
                    (ours.ino(), ours.mode(), ours.len()),
                    (std.ino(), std.mode(), std.len())
                );
                let status = fs::status(at(name)).await.unwrap();
                assert_eq!(
                    (status.ino(), status.mode(), status.len()),
                    (std.ino(), std.mode(), std.len())
                );
            }
            assert!(fs::symlink_metadata(at("link")).await.unwrap().is_symlink());
            assert!(fs::symlink_status(at("link")).await.unwrap().is_symlink());
            assert!(fs::status(at("fifo")).await.unwrap().is_fifo());
            for error in [
                fs::metadata(at("dangling")).await.unwrap_err(),
                fs::status(at("dangling")).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::NotFound);
            }
            assert!(fs::try_exists(at("link")).await.unwrap());
            assert!(!fs::try_exists(at("dangling")).await.unwrap());
            let error = fs::try_exists(at("file/below")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
        }
    });
}

#[test]
fn all_entries_of_a_directory_are_read_once() {
    on_both_flavours(|| async {
        for folder in folders() {
            // More than two trips to the pool bring.
            let names: BTreeSet<String> = (0..600).map(|number| format!("entry{number}")).collect();
            for name in &names {
                std::fs::write(folder.path().join(name), name).unwrap();
            }
            let mut entries = fs::read_dir(folder.path()).await.unwrap();
            let mut found = BTreeSet::new();
            loop {
                let Some(entry) = entries.next_entry().await.unwrap() else {
                    break;
                };
                let name = entry.file_name().into_string().unwrap();
                assert_eq!(entry.path(), folder.path().join(&name));
                assert!(entry.file_type().await.unwrap().is_file());
                let metadata = entry.metadata().await.unwrap();
                assert_eq!(
                    (metadata.ino(), metadata.len()),
                    (entry.ino(), name.len() as u64)
                );
                assert!(found.insert(name), "an entry came twice");
            }
            assert_eq!(found, names);
            assert!(
                entries.next_entry().await.unwrap().is_none(),
                "the end stays the end"
            );
        }
        let error = fs::read_dir("/nonexistent").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

/// Mutant: losing the chunk with the future.
#[test]
fn a_dropped_next_entry_loses_no_entry() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..1000 {
            std::fs::write(folder.path().join(number.to_string()), b"").unwrap();
        }
        // Until a future was dropped at a time when the pool had the chunk.
        let mut dropped = 0;
        while dropped < 10 {
            let mut entries = fs::read_dir(folder.path()).await.unwrap();
            let mut count = 0;
            loop {
                match poll_once(entries.next_entry()).await {
                    Some(Ok(Some(_))) => count += 1,
                    Some(Ok(None)) => break,
                    Some(Err(error)) => panic!("{error}"),
                    None => {
                        dropped += 1;
                        ringway::task::yield_now().await;
                    }
                }
            }
            assert_eq!(count, 1000);
        }
    });
}
