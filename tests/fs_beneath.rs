//! Paths that may not leave a directory.

mod fs_support;

use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fs_support::*;
use ringway::fs::{Dir, File, OpenOptions, PathRefused};
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use tempfile::TempDir;

/// A folder with a base, and a secret beside it.
fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(at("base/sub/deep")).unwrap();
    std::fs::create_dir(at("baselike")).unwrap();
    std::fs::write(at("secret"), b"secret").unwrap();
    std::fs::write(at("baselike/secret"), b"secret").unwrap();
    std::fs::write(at("base/file"), b"inside").unwrap();
    std::fs::write(at("base/sub/deep/file"), b"inside").unwrap();
    folder
}

async fn read_beneath(root: &Dir, path: impl AsRef<Path>) -> std::io::Result<String> {
    let mut file = OpenOptions::new()
        .read(true)
        .open_beneath(root, path)
        .await?;
    let mut text = String::new();
    file.read_to_string(&mut text).await?;
    Ok(text)
}

fn errno(error: &Error) -> Option<i32> {
    error
        .get_ref()?
        .downcast_ref::<PathRefused>()
        .map(PathRefused::raw_os_error)
}

/// Mutants: opening without RESOLVE_BENEATH; checking the path's text instead of where it leads.
#[test]
fn no_spelling_leads_out_of_the_directory() {
    on_both_flavours(|| async {
        let folder = tree();
        let at = |path: &str| folder.path().join(path);
        symlink(at("secret"), at("base/absolute")).unwrap();
        symlink("../secret", at("base/relative")).unwrap();
        symlink("../../../secret", at("base/sub/deep/up")).unwrap();
        symlink("..", at("base/parent")).unwrap();
        symlink("/", at("base/slash")).unwrap();
        symlink("relative", at("base/chain")).unwrap();
        symlink(at("base"), at("base/self-absolute")).unwrap();
        let root = Dir::open(at("base")).await.unwrap();

        let absolute = at("secret");
        let absolute = absolute.to_str().unwrap();
        let through_slash = format!("slash{absolute}");
        let inside_absolute = at("base/file");
        for path in [
            absolute,
            inside_absolute.to_str().unwrap(),
            "/etc/passwd",
            "//etc/passwd",
            "..",
            "../secret",
            "./../secret",
            "sub/../../secret",
            "sub/deep/../../../secret",
            "sub//..//..//secret",
            "../base/file",
            "../baselike/secret",
            "absolute",
            "relative",
            "chain",
            "sub/deep/up",
            "parent/secret",
            "parent/base/file",
            "self-absolute/file",
            &through_slash,
        ] {
            let error = read_beneath(&root, path).await.expect_err(path);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{path}: {error}");
            assert_eq!(errno(&error), Some(libc::EXDEV), "{path}: {error}");
            assert!(
                error.to_string().contains("leads out of the directory"),
                "{error}"
            );
        }
    });
}

/// Mutant: opening without RESOLVE_NO_MAGICLINKS.
#[test]
fn no_magic_link_is_followed() {
    on_both_flavours(|| async {
        let proc = Dir::open("/proc").await.unwrap();
        for path in [
            "self/exe",
            "self/cwd/Cargo.toml",
            "self/cwd",
            "thread-self/fd/0",
        ] {
            let error = read_beneath(&proc, path).await.expect_err(path);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{path}: {error}");
            assert_eq!(errno(&error), Some(libc::ELOOP), "{path}: {error}");
        }
        assert!(
            read_beneath(&proc, "self/status")
                .await
                .unwrap()
                .contains("Pid:")
        );
    });
}

/// Mutant: refusing all that has a `..` or a link in it.
#[test]
fn what_stays_beneath_is_opened() {
    on_both_flavours(|| async {
        let folder = tree();
        let at = |path: &str| folder.path().join(path);
        symlink("sub/deep", at("base/short")).unwrap();
        symlink("../../file", at("base/sub/deep/back")).unwrap();
        let root = Dir::open(at("base")).await.unwrap();
        for path in [
            "file",
            "./file",
            "sub/deep/file",
            "sub/../file",
            "sub/deep/../../file",
            "short/file",
            "short/back",
        ] {
            assert_eq!(read_beneath(&root, path).await.unwrap(), "inside", "{path}");
        }
        let error = read_beneath(&root, "nothing").await.unwrap_err();
        assert_eq!((error.kind(), errno(&error)), (ErrorKind::NotFound, None));
        let error = read_beneath(&root, "file/below").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        let error = read_beneath(&root, "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = read_beneath(&root, "a\0b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn links_can_be_refused_altogether() {
    on_both_flavours(|| async {
        let folder = tree();
        let at = |path: &str| folder.path().join(path);
        symlink("file", at("base/link")).unwrap();
        symlink("sub", at("base/way")).unwrap();
        symlink("circle", at("base/circle")).unwrap();
        let root = Dir::open(at("base")).await.unwrap();
        let mut options = OpenOptions::new();
        options.read(true).no_symlinks(true);
        for path in ["link", "way/deep/file", "circle"] {
            let error = options.open_beneath(&root, path).await.expect_err(path);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{path}");
            assert_eq!(errno(&error), Some(libc::ELOOP), "{path}");
        }
        options.open_beneath(&root, "sub/deep/file").await.unwrap();
        options.no_symlinks(false);
        options.open_beneath(&root, "way/deep/file").await.unwrap();
    });
}

#[test]
fn files_are_made_beneath_a_directory_only() {
    on_both_flavours(|| async {
        let folder = tree();
        let at = |path: &str| folder.path().join(path);
        symlink(at("made"), at("base/planted")).unwrap();
        let root = Dir::open(at("base")).await.unwrap();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o640);
        let mut file = options.open_beneath(&root, "sub/new").await.unwrap();
        file.write_all(b"new").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(std::fs::read(at("base/sub/new")).unwrap(), b"new");

        for path in ["planted", "../made", "sub/../../made"] {
            let error = options.open_beneath(&root, path).await.expect_err(path);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{path}");
        }
        assert!(!at("made").exists());
    });
}

#[test]
fn a_directory_is_the_same_after_it_was_renamed() {
    on_both_flavours(|| async {
        let folder = tree();
        let at = |path: &str| folder.path().join(path);
        let root = Dir::open(at("base")).await.unwrap();
        let deep = root.open_beneath("sub/deep").await.unwrap();
        std::fs::rename(at("base"), at("moved")).unwrap();
        symlink(at("baselike"), at("base")).unwrap();
        assert_eq!(read_beneath(&root, "file").await.unwrap(), "inside");
        assert_eq!(read_beneath(&deep, "file").await.unwrap(), "inside");
        assert_eq!(
            errno(&read_beneath(&deep, "../deep/file").await.unwrap_err()),
            Some(libc::EXDEV)
        );
        assert_eq!(
            errno(&root.open_beneath("..").await.unwrap_err()),
            Some(libc::EXDEV)
        );
    });
}

#[test]
fn only_a_directory_is_a_directory() {
    on_both_flavours(|| async {
        let folder = tree();
        let error = Dir::open(folder.path().join("secret")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        let root = Dir::open(folder.path()).await.unwrap();
        let error = root.open_beneath("secret").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);

        // A descriptor that somebody else opened does as well.
        let std = std::fs::File::open(folder.path().join("base")).unwrap();
        let root = Dir::from(OwnedFd::from(std));
        assert_eq!(read_beneath(&root, "file").await.unwrap(), "inside");
        assert!(root.as_fd().try_clone_to_owned().is_ok());
    });
}

#[test]
fn a_fifo_beneath_does_not_hold_anybody_up() {
    on_both_flavours(|| async {
        let folder = tree();
        make_fifo(&folder.path().join("base/fifo"));
        let root = Dir::open(folder.path().join("base")).await.unwrap();
        let mut options = OpenOptions::new();
        options.write(true);
        let error = options.open_beneath(&root, "fifo").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
        options
            .write(false)
            .read(true)
            .custom_flags(libc::O_NONBLOCK);
        let file = options.open_beneath(&root, "fifo").await.unwrap();
        assert!(file.status().await.unwrap().is_fifo());
    });
}

#[test]
fn options_of_std_are_not_used_beneath() {
    on_both_flavours(|| async {
        let folder = tree();
        let root = Dir::open(folder.path()).await.unwrap();
        let mut std = std::fs::OpenOptions::new();
        std.read(true);
        let error = OpenOptions::from(std)
            .open_beneath(&root, "secret")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

/// Goal: somebody who swaps a directory for a link while it is walked through gets nobody out.
/// Method: swap as fast as possible, open as often as possible, and look at what was opened.
#[test]
fn a_race_with_renames_never_leads_out() {
    on_both_flavours(|| async {
        let folder = Arc::new(tree());
        let stop = Arc::new(AtomicBool::new(false));
        let swapper = {
            let (folder, stop) = (Arc::clone(&folder), Arc::clone(&stop));
            std::thread::spawn(move || {
                let at = |path: &str| folder.path().join(path);
                symlink("../baselike", at("base/evil")).unwrap();
                std::fs::create_dir(at("base/good")).unwrap();
                std::fs::write(at("base/good/secret"), b"inside").unwrap();
                while !stop.load(Ordering::Relaxed) {
                    for (from, to) in [
                        ("good", "way"),
                        ("way", "good"),
                        ("evil", "way"),
                        ("way", "evil"),
                    ] {
                        std::fs::rename(at("base").join(from), at("base").join(to)).unwrap();
                    }
                }
            })
        };
        let root = Dir::open(folder.path().join("base")).await.unwrap();
        let mut opened = 0;
        let mut rounds = 0;
        while opened < 20 || rounds < 3000 {
            rounds += 1;
            for path in ["way/secret", "sub/../way/secret"] {
                match read_beneath(&root, path).await {
                    Ok(text) => {
                        assert_eq!(text, "inside");
                        opened += 1;
                    }
                    Err(error) => assert!(
                        error.kind() == ErrorKind::NotFound
                            || error.kind() == ErrorKind::PermissionDenied
                            || error.raw_os_error() == Some(libc::EAGAIN),
                        "{error}"
                    ),
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
    });
}

/// An open file is no way around, either: a handle of it says nothing about where it lies.
#[test]
fn a_file_is_not_taken_for_its_directory() {
    on_both_flavours(|| async {
        let folder = tree();
        let file = File::open(folder.path().join("secret")).await.unwrap();
        let not_a_root = Dir::from(OwnedFd::from(file.into_std().await));
        let error = read_beneath(&not_a_root, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
    });
}
