//! Files whose runtime has ended: a clear error or the work itself, never a hang and never a panic.

mod fs_support;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_support::*;
use ringway::fs::{self, Advice, Allocate, Dir, File, FileTimes, OpenOptions, Walk};
use ringway::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use ringway::runtime::{Builder, Handle, Runtime, is_rt_shutdown_err};

/// Ends each kind of runtime after it has made something of the folder, on each kind of file system, and goes on with
/// that in another thread.
fn after_the_end<T: Send + 'static>(
    before: impl AsyncFn(&Path) -> T,
    after: impl Fn(&Handle, &Path, T) + Copy + Send + 'static,
) {
    for builder in [Builder::new_multi_thread, Builder::new_current_thread] {
        for folder in folders() {
            let runtime: Runtime = builder().enable_all().build().unwrap();
            let left = runtime.block_on(within(before(folder.path())));
            let handle = runtime.handle().clone();
            drop(runtime);
            let path = folder.path().to_owned();
            let (done, is_done) = std::sync::mpsc::channel();
            let other = std::thread::spawn(move || {
                after(&handle, &path, left);
                done.send(()).unwrap();
            });
            let ended = is_done.recv_timeout(WATCHDOG);
            assert!(ended.is_ok() || other.is_finished(), "it hangs");
            other.join().unwrap();
        }
    }
}

#[track_caller]
fn assert_ended<T>(what: &str, result: io::Result<T>) {
    match result {
        Ok(_) => panic!("{what} has an answer"),
        Err(error) => {
            assert!(is_rt_shutdown_err(&error), "{what}: {error:?}");
            assert_eq!(error.to_string(), "background task failed", "{what}");
        }
    }
}

/// Mutants: `open` and `open_now` do not ask whether the runtime is alive; `on_pool` has an error of its own.
#[test]
fn functions_of_paths_say_that_the_runtime_has_ended() {
    let before = async |folder: &Path| fs::write(folder.join("file"), "text").await.unwrap();
    after_the_end(before, |handle, folder, ()| {
        let (file, other) = (folder.join("file"), folder.join("other"));
        let (file, other) = (file.as_path(), other.as_path());
        macro_rules! ended {
            ($($call:expr),+ $(,)?) => {
                $(assert_ended(stringify!($call), handle.block_on($call));)+
            };
        }
        ended!(
            fs::read(file),
            fs::read_to_string(file),
            fs::write(file, "new"),
            fs::metadata(file),
            fs::symlink_metadata(file),
            fs::try_exists(file),
            fs::status(file),
            fs::symlink_status(file),
            fs::copy(file, other),
            fs::rename(file, other),
            fs::hard_link(file, other),
            fs::symlink(file, other),
            fs::read_link(file),
            fs::canonicalize(file),
            fs::create_dir(other),
            fs::create_dir_all(other),
            fs::remove_dir(folder),
            fs::remove_dir_all(folder),
            fs::remove_file(file),
            fs::read_dir(folder),
            fs::set_permissions(file, PermissionsExt::from_mode(0o600)),
            File::open(file),
            File::create(file),
            OpenOptions::new().append(true).open(file),
            Dir::open(folder),
        );
        assert_eq!(std::fs::read(file).unwrap(), b"text", "nothing was done");
        assert!(!other.exists());
    });
}

/// Mutant: `Deliver::on_the_spot` writes nothing.
#[test]
fn an_open_file_does_what_needs_nobody_and_says_what_cannot_be_done() {
    let before = async |folder: &Path| {
        let mut file = File::create_new(folder.join("file")).await.unwrap();
        file.write_all(&pattern(10_000)).await.unwrap();
        file.flush().await.unwrap();
        file
    };
    after_the_end(before, |handle, folder, mut file| {
        handle.block_on(async {
            // In memory.
            file.rewind().await.unwrap();
            let mut read = vec![0; 10_000];
            file.read_exact(&mut read).await.unwrap();
            assert!(read == pattern(10_000));
            let (result, read) = file.read_exact_at(vec![0; 100], 9_900).await;
            result.unwrap();
            assert!(read == pattern(10_000)[9_900..]);
            assert_eq!(file.metadata().await.unwrap().len(), 10_000);
            assert_eq!(file.status().await.unwrap().len(), 10_000);
            assert!(file.try_clone().await.is_ok());
            // What a write has taken must be in the file, and so it is.
            file.write_all(b"late").await.unwrap();
            file.flush().await.unwrap();
            let written = std::fs::read(folder.join("file")).unwrap();
            assert_eq!(&written[10_000..], b"late");
            assert_ended("sync_all", file.sync_all().await);
            assert_ended("sync_data", file.sync_data().await);
            assert_ended("set_len", file.set_len(5).await);
            let reserve = file.fallocate(Allocate::Reserve, 0, 20_000);
            assert_ended("fallocate", reserve.await);
            assert_ended("advise", file.advise(0, 0, Advice::Random).await);
            assert_ended("sync_range", file.sync_range(0, 0).await);
            assert_ended("set_times", file.set_times(FileTimes::new()).await);
            let all = PermissionsExt::from_mode(0o777);
            assert_ended("set_permissions", file.set_permissions(all).await);
            assert_ended("close", file.close().await);
        });
        let length = std::fs::metadata(folder.join("file")).unwrap().len();
        assert_eq!(length, 10_004, "nothing else was done");
    });
}

/// A page of a file of 4 MB.
const WITHIN: u64 = 700 * 4096;

/// Mutant: `Core::at_once` shuts the gate and gives what was asked for as empty, instead of asking the ring.
#[test]
fn what_is_not_in_memory_cannot_be_read() {
    let before = async |folder: &Path| {
        let path = folder.join("cold");
        fs::write(&path, pattern(4_000_000)).await.unwrap();
        File::open(&path).await.unwrap()
    };
    after_the_end(before, |handle, folder, mut file| {
        evict(&folder.join("cold"));
        let is_cold = !is_resident(&std::fs::File::open(folder.join("cold")).unwrap(), WITHIN);
        let (exact, _) = handle.block_on(file.read_exact_at(vec![0; 8], WITHIN));
        let mut whole = Vec::new();
        let read = handle.block_on(file.read_to_end(&mut whole));
        match is_cold {
            true => assert_ended("read_exact_at", exact),
            // A file system in memory.
            false => assert!(read.is_ok() && whole == pattern(4_000_000)),
        }
    });
}

/// Mutant: `Walk::gather` ends the walk without a word.
#[test]
fn a_directory_is_not_taken_for_empty() {
    let before = async |folder: &Path| {
        let within = folder.join("within");
        std::fs::create_dir(&within).unwrap();
        fill(&within, 1_000);
        let dir = Dir::open(folder).await.unwrap();
        let entries = dir.read_dir("within").await.unwrap();
        (dir, fs::read_dir(&within).await.unwrap(), entries)
    };
    after_the_end(
        before,
        |handle, folder, (dir, mut read_dir, mut entries)| {
            handle.block_on(async {
                let mut found = 0;
                let end = loop {
                    match read_dir.next_entry().await {
                        Ok(Some(_)) => found += 1,
                        end => break end,
                    }
                };
                assert_ended("ReadDir", end);
                assert!(found < 1_000);
                let end = loop {
                    match entries.next_entry().await {
                        Ok(Some(_)) => {}
                        end => break end,
                    }
                };
                assert_ended("Entries", end);
                assert_ended("open_dir", dir.open_dir("within").await);
                assert_ended("open_file", dir.open_file("within/1").await);
                assert_ended("metadata", dir.metadata("within").await);
                assert_ended("status", dir.status("within").await);
                assert_ended("create_dir", dir.create_dir("new").await);
                assert_ended("remove_file", dir.remove_file("within/1").await);
                assert_walk_ended(fs::walk(folder), folder).await;
            });
        },
    );
}

/// Makes so many names of one file, which is sooner done than as many files.
fn fill(folder: &Path, names: usize) {
    let first = folder.join("0");
    std::fs::write(&first, "").unwrap();
    for name in 1..names {
        std::fs::hard_link(&first, folder.join(name.to_string())).unwrap();
    }
}

async fn assert_walk_ended(mut walk: Walk, root: &Path) {
    let error = walk.next().await.unwrap().unwrap_err();
    assert_eq!(error.path(), root);
    assert!(is_rt_shutdown_err(error.io_error()), "{error}");
    assert!(walk.next().await.is_none(), "it is said once");
}

/// A walk is under way when the runtime ends: what was found comes, and then the error.
///
/// Mutant: `end_early` leaves the errands that were not asked yet, each of which says it again.
#[test]
fn a_walk_that_outlives_its_runtime_says_so_once() {
    let before = async |folder: &Path| {
        for number in 0..100 {
            let within = folder.join(number.to_string());
            std::fs::create_dir(&within).unwrap();
            fill(&within, 40);
        }
        let mut walk = fs::walk(folder).breadth(2);
        walk.next().await.unwrap().unwrap();
        walk
    };
    after_the_end(before, |handle, _, mut walk| {
        handle.block_on(async {
            let mut errors = 0;
            while let Some(entry) = walk.next().await {
                if let Err(error) = entry {
                    assert!(is_rt_shutdown_err(error.io_error()), "{error}");
                    errors += 1;
                }
            }
            assert_eq!(errors, 1);
        });
    });
}
