//! Walks through trees.

mod fs_support;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fs_support::*;
use futures_util::StreamExt;
use ringway::fs::{FileKind, Walk, WalkEntry, WalkError, walk};

/// Everything that a walk finds, without the root's path, and the errors.
async fn gather(mut walk: Walk, root: &Path) -> (BTreeSet<PathBuf>, Vec<WalkError>) {
    let mut found = BTreeSet::new();
    let mut errors = Vec::new();
    while let Some(entry) = walk.next().await {
        match entry {
            Ok(entry) => {
                let path = entry.path().strip_prefix(root).unwrap().to_owned();
                assert_eq!(path.components().count(), entry.depth());
                assert!(found.insert(path), "{entry:?} comes twice");
            }
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// A tree of `width` directories in each of `depth` levels, and `files` files in each directory; how many entries.
fn grow(root: &Path, depth: usize, width: usize, files: usize) -> usize {
    for file in 0..files {
        std::fs::write(root.join(format!("file{file}")), b"").unwrap();
    }
    let mut count = files;
    for dir in 0..if depth > 0 { width } else { 0 } {
        let inner = root.join(format!("dir{dir}"));
        std::fs::create_dir(&inner).unwrap();
        count += 1 + grow(&inner, depth - 1, width, files);
    }
    count
}

/// Mutants: an errand's directories that were not reached are lost; a directory that was begun is; links are followed.
#[test]
fn everything_is_found_once() {
    on_both_flavours(|| async {
        for folder in folders() {
            let root = folder.path();
            let count = grow(root, 3, 4, 30);
            symlink("dir0", root.join("link")).unwrap();
            for breadth in [1, 3, 8] {
                for with_status in [false, true] {
                    let walk = walk(root).breadth(breadth).with_status(with_status);
                    let (found, errors) = gather(walk, root).await;
                    assert!(errors.is_empty(), "{errors:?}");
                    assert_eq!(found.len(), count + 1);
                }
            }
        }
    });
}

/// A directory of more entries than an errand brings.
#[test]
fn a_large_directory_is_found_in_parts() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let count = grow(root, 1, 2, 1500);
        let (found, errors) = gather(walk(root), root).await;
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(found.len(), count);
    });
}

#[test]
fn an_entry_comes_with_its_status_if_wished() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("file"), b"hello").unwrap();
        symlink("nowhere", root.join("link")).unwrap();
        let mut entries = walk(root).with_status(true);
        while let Some(entry) = entries.next().await {
            let entry = entry.unwrap();
            let status = entry.status().unwrap();
            assert_eq!((status.kind(), status.ino()), (entry.kind(), entry.ino()));
            match entry.kind() {
                Some(FileKind::File) => assert_eq!(status.len(), 5),
                kind => assert_eq!(kind, Some(FileKind::Symlink)),
            }
        }
        let plain = walk(root).next().await.unwrap().unwrap();
        assert!(plain.status().is_none());
    });
}

/// Mutants: no circle is looked for; the directories above are not handed on; links that lead nowhere are errors.
#[test]
fn links_are_followed_once_and_circles_are_errors() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(folder.path().join("other")).unwrap();
        std::fs::write(folder.path().join("other/file"), b"").unwrap();
        symlink("../../..", root.join("a/b/out")).unwrap();
        symlink("../../a", root.join("a/b/up")).unwrap();
        symlink("../other", root.join("side")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        symlink("itself", root.join("itself")).unwrap();
        let walk = walk(&root).follow_links(true).max_depth(5);
        let (found, errors) = gather(walk, &root).await;
        let expected = paths(&[
            "a",
            "a/b",
            "a/b/out",
            "a/b/out/other",
            "a/b/out/other/file",
            "side",
            "side/file",
            "broken",
            "itself",
        ]);
        assert_eq!(found, expected);
        let mut circles: Vec<_> = errors
            .iter()
            .map(|error| {
                assert_eq!(error.io_error().raw_os_error(), Some(libc::ELOOP));
                error.path().strip_prefix(&root).unwrap().to_owned()
            })
            .collect();
        circles.sort();
        assert_eq!(circles, [Path::new("a/b/out/root"), Path::new("a/b/up")]);
    });
}

#[test]
fn depth_and_directories_can_be_chosen() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        grow(root, 2, 2, 1);
        let (found, _) = gather(walk(root).max_depth(1), root).await;
        assert_eq!(found, paths(&["dir0", "dir1", "file0"]));
        let (found, _) = gather(walk(root).max_depth(0), root).await;
        assert_eq!(
            found,
            paths(&["dir0", "dir1", "file0"]),
            "the root is always listed"
        );
        let not_zero = |entry: &WalkEntry| !entry.path().ends_with("dir0");
        let (found, _) = gather(walk(root).enter_if(not_zero), root).await;
        let expected = [
            "dir0",
            "dir1",
            "file0",
            "dir1/dir0",
            "dir1/dir1",
            "dir1/file0",
            "dir1/dir1/file0",
        ];
        assert_eq!(found, paths(&expected));
    });
}

/// /proc is a mount beneath /. Mutant: the device of the root is not compared.
#[test]
fn other_file_systems_are_named_and_left_out() {
    on_both_flavours(|| async {
        let near = |entry: &WalkEntry| entry.path() == Path::new("/proc");
        let all = walk("/").max_depth(2).enter_if(near);
        let (found, _) = gather(all, Path::new("/")).await;
        assert!(found.contains(Path::new("proc/version")));
        let one = walk("/").max_depth(2).enter_if(near).same_file_system(true);
        let (found, errors) = gather(one, Path::new("/")).await;
        assert!(errors.is_empty(), "{errors:?}");
        assert!(found.contains(Path::new("proc")));
        assert!(!found.contains(Path::new("proc/version")));
    });
}

#[test]
fn what_cannot_be_read_is_an_error_of_its_own() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("missing");
        let (found, errors) = gather(walk(&root), &root).await;
        assert!(found.is_empty());
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].path(), errors[0].depth()), (&*root, 0));
        let text = errors[0].to_string();
        assert!(text.contains("missing: No such file"), "{text}");
        let error = io::Error::from(errors.into_iter().next().unwrap());
        assert_eq!(error.kind(), ErrorKind::NotFound);

        // A directory that becomes a link before it is entered is not entered, and its neighbours are.
        let root = folder.path();
        grow(root, 1, 3, 1);
        let victim = root.join("dir1");
        let swap = move |entry: &WalkEntry| {
            if entry.path() == victim {
                std::fs::rename(&victim, victim.with_extension("old")).unwrap();
                symlink("dir0", &victim).unwrap();
            }
            true
        };
        let (found, errors) = gather(walk(root).enter_if(swap), root).await;
        assert!(found.contains(Path::new("dir0/file0")));
        assert!(found.contains(Path::new("dir2/file0")));
        assert!(!found.contains(Path::new("dir1/file0")));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].path(), root.join("dir1"));
    });
}

/// Mutants: errands are sent while many entries wait; an errand lists all that it has taken.
#[test]
fn a_slow_taker_bounds_what_is_found() {
    on_both_flavours(|| async {
        let folder = folders().pop().unwrap();
        let root = folder.path();
        let count = grow(root, 1, 30, 250);
        let listed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&listed);
        let count_dirs = move |_: &WalkEntry| {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        };
        let mut entries = walk(root).breadth(2).with_status(true).enter_if(count_dirs);
        let mut taken = 0;
        while taken < 1000 {
            entries.next().await.unwrap().unwrap();
            taken += 1;
        }
        let text = format!("{entries:?}");
        let found = number_behind(&text, "found: ");
        // What waits, and what two errands may bring: the documented bound.
        assert!(found <= 3 * 1024, "{text}");
        while let Some(entry) = entries.next().await {
            entry.unwrap();
            taken += 1;
        }
        assert_eq!(taken, count);
        assert_eq!(listed.load(Ordering::Relaxed), 30);
    });
}

fn number_behind(text: &str, mark: &str) -> usize {
    let (_, rest) = text.split_once(mark).unwrap();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

#[test]
fn a_walk_is_a_stream_and_loses_nothing_with_a_dropped_future() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let count = grow(root, 2, 3, 50);
        assert_eq!(StreamExt::count(walk(root)).await, count);
        let mut entries = walk(root);
        let mut taken = 0;
        loop {
            match poll_once(entries.next()).await {
                Some(Some(entry)) => {
                    entry.unwrap();
                    taken += 1;
                }
                Some(None) => break,
                None => ringway::task::yield_now().await,
            }
        }
        assert_eq!(taken, count);
    });
}

#[test]
fn a_walk_lets_other_tasks_run() {
    on_two_workers(async {
        let folder = tempfile::tempdir().unwrap();
        let count = grow(folder.path(), 0, 0, 900);
        let mut entries = walk(folder.path());
        entries.next().await.unwrap().unwrap();
        // All entries are there; without a budget the task would take them in one poll.
        let mut rest = std::pin::pin!(async {
            let mut taken = 1;
            while let Some(entry) = entries.next().await {
                entry.unwrap();
                taken += 1;
            }
            taken
        });
        let mut polls = 0;
        let taken = std::future::poll_fn(|cx| {
            polls += 1;
            rest.as_mut().poll(cx)
        })
        .await;
        assert_eq!(taken, count);
        assert!(polls > 5, "{polls} polls for {count} entries");
    });
}
