//! Names beneath a directory that is held by a handle.

mod fs_support;

use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use fs_support::*;
use ringway::fs::{Dir, FileKind, OpenOptions, PathRefused};
use ringway::io::{AsyncReadExt, AsyncWriteExt};

/// What is said of a path that is refused.
fn errno(error: &io::Error) -> Option<i32> {
    let refused = error.get_ref()?.downcast_ref::<PathRefused>()?;
    Some(refused.raw_os_error())
}

#[test]
fn everything_that_names_do_can_be_done_beneath_a_directory() {
    on_both_flavours(|| async {
        for folder in folders() {
            let dir = Dir::open(folder.path()).await.unwrap();
            dir.create_dir("a").await.unwrap();
            dir.create_dir("a/b").await.unwrap();
            let new = OpenOptions::new().write(true).create_new(true).clone();
            let mut file = dir.open_with("a/b/file", &new).await.unwrap();
            file.write_all(b"hello").await.unwrap();
            file.flush().await.unwrap();

            dir.rename("a/b/file", &dir, "a/moved").await.unwrap();
            dir.hard_link("a/moved", &dir, "a/b/second").await.unwrap();
            dir.symlink("../moved", "a/b/link").await.unwrap();
            let link = dir.read_link("a/b/link").await.unwrap();
            assert_eq!(link, Path::new("../moved"));

            let inner = dir.open_dir("a/b").await.unwrap();
            let mut text = String::new();
            let mut file = inner.open_file("second").await.unwrap();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "hello");

            let through = dir.metadata("a/b/link").await.unwrap();
            let direct = std::fs::metadata(folder.path().join("a/moved")).unwrap();
            assert_eq!((through.ino(), through.nlink()), (direct.ino(), 2));
            let link = dir.symlink_metadata("a/b/link").await.unwrap();
            assert!(link.is_symlink());
            let status = dir.status("a/b/link").await.unwrap();
            assert_eq!((status.ino(), status.len()), (direct.ino(), 5));

            inner.remove_file("link").await.unwrap();
            inner.remove_file("second").await.unwrap();
            dir.remove_file("a/moved").await.unwrap();
            dir.remove_dir("a/b").await.unwrap();
            dir.remove_dir("a").await.unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    });
}

/// Mutants: the entries of the working directory are listed; `.` and `..` are entries; one is lost between two trips.
#[test]
fn a_directory_is_listed_to_its_end() {
    on_both_flavours(|| async {
        for folder in folders() {
            std::fs::create_dir(folder.path().join("inner")).unwrap();
            for number in 0..1000 {
                std::fs::write(folder.path().join(format!("inner/{number}")), b"").unwrap();
            }
            symlink("0", folder.path().join("inner/link")).unwrap();
            let dir = Dir::open(folder.path()).await.unwrap();
            let mut entries = dir.read_dir("inner").await.unwrap();
            let mut files = 0;
            while let Some(entry) = entries.next_entry().await.unwrap() {
                let path = folder.path().join("inner").join(entry.file_name());
                assert_eq!(entry.ino(), std::fs::symlink_metadata(&path).unwrap().ino());
                match entry.kind() {
                    Some(FileKind::Symlink) => assert_eq!(entry.into_file_name(), "link"),
                    kind => {
                        assert_eq!(kind, Some(FileKind::File));
                        files += 1;
                    }
                }
            }
            assert_eq!(files, 1000);
            assert!(entries.next_entry().await.unwrap().is_none(), "still");

            let mut entries = dir.read_dir(".").await.unwrap();
            let only = entries.next_entry().await.unwrap().expect("an entry");
            assert_eq!(
                (only.file_name(), only.kind()),
                ("inner".as_ref(), Some(FileKind::Dir))
            );
            let error = dir.read_dir("inner/0").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
        }
    });
}

/// Mutant: an operation takes the path as it is instead of the last name in what was opened beneath.
#[test]
fn no_operation_can_be_led_out_of_the_directory() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), b"").unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        std::fs::write(folder.path().join("root/own"), b"").unwrap();
        symlink(&outside, folder.path().join("root/escape")).unwrap();
        let dir = Dir::open(folder.path().join("root")).await.unwrap();
        let absolute = outside.join("secret");
        let ways = [
            Path::new("../outside/secret"),
            Path::new("escape/secret"),
            &absolute,
        ];
        for way in ways {
            let refusals = [
                dir.create_dir(way).await,
                dir.remove_file(way).await,
                dir.remove_dir(way).await,
                dir.rename(way, &dir, "x").await,
                dir.rename("own", &dir, way).await,
                dir.hard_link(way, &dir, "x").await,
                dir.hard_link("own", &dir, way).await,
                dir.symlink("x", way).await,
                dir.read_link(way).await.map(drop),
                dir.metadata(way).await.map(drop),
                dir.symlink_metadata(way).await.map(drop),
                dir.status(way).await.map(drop),
                dir.read_dir(way).await.map(drop),
                dir.open_dir(way).await.map(drop),
                dir.open_file(way).await.map(drop),
            ];
            for (number, refusal) in refusals.into_iter().enumerate() {
                let error = refusal.expect_err("led out");
                assert_eq!(
                    error.kind(),
                    ErrorKind::PermissionDenied,
                    "{number} {way:?}"
                );
                assert_eq!(
                    errno(&error),
                    Some(libc::EXDEV),
                    "{number} {way:?}: {error}"
                );
            }
        }
        assert!(absolute.exists() && folder.path().join("root/own").exists());
    });
}

#[test]
fn a_path_without_a_last_name_is_refused_where_one_is_needed() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).await.unwrap();
        for path in ["", ".", "..", "a/..", "/"] {
            let error = dir.create_dir(path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
        }
        for path in ["a\0b", "a\0b/c", "c/a\0b"] {
            let error = dir.create_dir(path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
            let error = dir.open_file(path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
        }
    });
}

/// Mutant: the restriction is not handed on to directories that are opened beneath.
#[test]
fn a_handle_without_symlinks_follows_none() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/file"), b"").unwrap();
        symlink("b", folder.path().join("a/link")).unwrap();
        let dir = Dir::open(folder.path()).await.unwrap();
        dir.metadata("a/link/file").await.unwrap();
        let strict = dir.no_symlinks();
        strict.metadata("a/b/file").await.unwrap();
        let inner = strict.open_dir("a").await.unwrap();
        let refusals = [
            strict.metadata("a/link/file").await.map(drop),
            strict.remove_file("a/link/file").await,
            inner.metadata("link/file").await.map(drop),
        ];
        for refusal in refusals {
            let error = refusal.unwrap_err();
            assert_eq!(errno(&error), Some(libc::ELOOP), "{error}");
        }
        inner.remove_file("link").await.unwrap();
        assert!(
            folder.path().join("a/b").exists(),
            "the link itself is gone"
        );
    });
}

/// Mutant: RESOLVE_NO_XDEV is left out. /proc is a mount beneath / wherever this runs.
#[test]
fn a_handle_without_mounts_stays_on_its_own() {
    on_both_flavours(|| async {
        let root = Dir::open("/").await.unwrap();
        root.metadata("proc/version").await.unwrap();
        let error = root.no_mounts().metadata("proc/version").await.unwrap_err();
        assert_eq!(errno(&error), Some(libc::EXDEV), "{error}");
    });
}

#[test]
fn the_directory_may_be_renamed_meanwhile() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::create_dir(&old).unwrap();
        let dir = Dir::open(&old).await.unwrap();
        std::fs::rename(&old, &new).unwrap();
        dir.create_dir("inner").await.unwrap();
        assert!(new.join("inner").is_dir());
    });
}
