//! What a file is, how it is changed as a whole, and how it is closed.

mod fs_support;

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, Instant, SystemTime};

use fs_support::*;
use ringway::fs::{File, FileTimes, OpenOptions};
use ringway::io::AsyncWriteExt;

#[test]
fn metadata_and_status_agree_with_std() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"12345").unwrap();
            let file = File::open(&path).await.unwrap();
            let std = std::fs::metadata(&path).unwrap();
            let metadata = file.metadata().await.unwrap();
            assert_eq!((metadata.len(), metadata.ino()), (5, std.ino()));
            let status = file.status().await.unwrap();
            assert_eq!(
                (status.len(), status.ino(), status.dev()),
                (5, std.ino(), std.dev())
            );
            assert_eq!(
                (status.mode(), status.uid(), status.gid()),
                (std.mode(), std.uid(), std.gid())
            );
            assert_eq!(status.modified(), std.modified().unwrap());
            assert_eq!(status.created(), std.created().ok());
            assert_eq!(
                (status.nlink(), status.blocks()),
                (std.nlink(), std.blocks())
            );
            assert!(status.is_file() && !status.is_dir() && !status.is_symlink());
        }
    });
}

#[test]
fn permissions_times_and_length_can_be_changed() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).await.unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o640))
            .await
            .unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
        file.set_len(777).await.unwrap();
        file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
            .await
            .unwrap();
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        let std = std::fs::metadata(&path).unwrap();
        assert_eq!((std.len(), std.mode() & 0o777), (777, 0o640));
        assert_eq!(
            (std.modified().unwrap(), std.accessed().unwrap()),
            (time, time)
        );

        let reader = File::open(&path).await.unwrap();
        let error = reader.set_len(1).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn room_is_allocated_ahead() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("file")).await.unwrap();
        file.allocate(0, 1 << 20).await.unwrap();
        let status = file.status().await.unwrap();
        assert_eq!(status.len(), 1 << 20);
        assert!(status.blocks() * 512 >= 1 << 20, "{status:?}");
    });
}

#[test]
fn close_waits_for_what_was_written() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut file = File::create(&path).await.unwrap();
            let fd = file.as_raw_fd();
            file.write_all(b"last words").await.unwrap();
            file.close().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"last words");
            assert!(fd > 2);
        }
    });
}

#[test]
fn close_reports_a_write_that_fails() {
    on_both_flavours(|| async {
        let mut full = full_device().await;
        let taken = full.write_all(b"too much").await;
        let closed = full.close().await;
        assert!(taken.is_err() || closed.is_err());
    });
}

/// No child of another thread takes this long to get from its fork to its exec.
const COPY_MAX: Duration = Duration::from_secs(30);

#[test]
fn a_dropped_file_is_closed_when_drop_returns() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("script");
        let is_open = || {
            let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
            let mut names = descriptors.map(|fd| std::fs::read_link(fd.unwrap().path()));
            names.any(|name| name.is_ok_and(|name| name == path))
        };
        for _ in 0..20 {
            let mut file = OpenOptions::new();
            file.write(true).create(true).truncate(true).mode(0o755);
            let mut file = file.open(&path).await.unwrap();
            file.write_all(b"#!/bin/sh\nexit 7\n").await.unwrap();
            file.flush().await.unwrap();
            assert!(is_open());
            drop(file);
            assert!(!is_open());
            // Another thread that forks at this moment has a copy of our descriptors for a while: ETXTBSY.
            let begin = Instant::now();
            let status = loop {
                match std::process::Command::new(&path).status() {
                    Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                        assert!(begin.elapsed() < COPY_MAX, "{error}");
                    }
                    status => break status.unwrap(),
                }
            };
            assert_eq!(status.code(), Some(7));
        }
    });
}

#[test]
fn a_file_comes_from_and_goes_to_numbers() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"hello").unwrap();
        let fd = File::open(&path)
            .await
            .unwrap()
            .into_std()
            .await
            .into_raw_fd();
        // SAFETY: the descriptor was just given up by its owner.
        let file = unsafe { File::from_raw_fd(fd) };
        assert_eq!(file.as_raw_fd(), fd);
        let debug = format!("{file:?}");
        assert!(
            debug.starts_with(&format!("tokio::fs::File {{ std: File {{ fd: {fd}")),
            "{debug}"
        );
        let mut byte = [0];
        file.into_std().await.read_exact_at(&mut byte, 4).unwrap();
        assert_eq!(&byte, b"o");
    });
}
