//! What goes wrong, and how often it is said.

mod fs_support;
mod process_support;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use fs_support::*;
use process_support::{Child, End};
use ringway::fs::{self, Dir, File, OpenOptions};
use ringway::io::{AsyncReadExt, AsyncWriteExt};

/// A full disk. Mutant: the error of a write that was reported is kept and said again.
#[test]
fn no_room_is_said_once_and_the_file_can_be_used_on() {
    on_both_flavours(|| async {
        let mut full = full_device().await;
        for _ in 0..3 {
            let written = async {
                full.write_all(b"some bytes").await?;
                full.flush().await
            };
            let error = written.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            full.flush().await.expect("said once");
        }
        let error = full.write_at("x", 0).await.0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        full.flush().await.unwrap();
        let error = fs::write("/dev/full", "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let error = fs::write("/dev/full", vec![0; 3 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        std::fs::write(&from, pattern(10_000)).unwrap();
        let error = fs::copy(&from, "/dev/full").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    });
}

/// A small file system in memory, if one may be mounted here. The bytes that found room are there.
#[test]
fn a_disk_that_fills_up_says_so_once_and_keeps_what_found_room() {
    let Some(mount) = Mount::small() else {
        eprintln!("nothing may be mounted here");
        return;
    };
    let path = mount.0.path().join("file");
    on_both_flavours(|| {
        let path = path.clone();
        async move {
            let mut file = File::create(&path).await.unwrap();
            file.set_max_buf_size(1 << 16);
            let mut accepted = 0;
            let error = loop {
                match file.write(&[7; 1 << 16]).await {
                    Ok(count) => accepted += count,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            file.flush().await.expect("said once");
            let kept = std::fs::read(&path).unwrap();
            assert!(kept.iter().all(|&byte| byte == 7));
            assert!(kept.len() <= accepted && kept.len() >= Mount::BYTES / 2);
            let error = file.allocate(0, 1 << 30).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            file.set_len(0).await.unwrap();
            file.write_all(b"room again").await.unwrap();
            file.flush().await.unwrap();
        }
    });
}

/// A file system in memory of 1 MiB, until it is dropped.
struct Mount(tempfile::TempDir);

impl Mount {
    const BYTES: usize = 1 << 20;

    fn small() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let target = std::ffi::CString::new(folder.path().to_str()?).ok()?;
        let options = std::ffi::CString::new(format!("size={}", Self::BYTES)).ok()?;
        let (kind, options) = (c"tmpfs".as_ptr(), options.as_ptr().cast());
        // SAFETY: all strings live for the call.
        let result = unsafe { libc::mount(kind, target.as_ptr(), kind, 0, options) };
        (result == 0).then(|| Self(folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let target = std::ffi::CString::new(self.0.path().to_str().expect("as above"));
        let target = target.expect("as above");
        // SAFETY: the string lives for the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

/// Mutant: an error that comes with the answer of a ring is dropped with the buffer.
#[test]
fn an_error_of_the_disk_is_said_once_by_whoever_asks_first() {
    on_both_flavours(|| async {
        // What a process may not touch in its own memory: EIO, whether read or written.
        let mut memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/mem")
            .await
            .unwrap();
        let error = memory.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        let error = memory.read_at(vec![0; 8], 0).await.0.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        let written = async {
            memory.write_all(b"x").await?;
            memory.flush().await
        };
        assert_eq!(written.await.unwrap_err().raw_os_error(), Some(libc::EIO));
        memory.flush().await.expect("said once");
    });
}

/// Mutant: the write at the limit is taken for one that wrote nothing.
#[test]
fn a_file_that_may_not_grow_is_an_error_and_not_the_end_of_the_process() {
    let child = Child::fork(|| {
        // As every program that lives with the limit does; std leaves this signal alone, and so do we.
        // SAFETY: an action without a handler.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let limit = libc::rlimit {
            rlim_cur: 8192,
            rlim_max: 8192,
        };
        // SAFETY: the pointer is good for reading.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
        assert_eq!(set, 0);
        on_both_flavours(grow_to_the_limit);
    });
    assert_eq!(child.wait(), End::Passed);
}

async fn grow_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for synchronous in [0, libc::O_DSYNC] {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(synchronous)
            .open(&path)
            .await
            .unwrap();
        let written = async {
            file.write_all(&[7; 16384]).await?;
            file.flush().await
        };
        assert_eq!(written.await.unwrap_err().kind(), ErrorKind::FileTooLarge);
        file.flush().await.expect("said once");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 8192);
        let error = file.write_all_at(vec![7; 16], 8190).await.0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let error = file.set_len(8193).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let error = file.allocate(0, 8193).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
    let error = fs::write(&path, [7; 16384]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
}

/// Mutant: the length is cut to its lower 32 bits: 0 is then taken for the end of the file.
#[test]
fn a_length_beyond_four_gigabytes_is_not_taken_for_another() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"0123456789").unwrap();
            let file = File::open(&path).await.unwrap();
            for room in [1 << 32, (1 << 32) + 5] {
                // Room that nobody touches takes no memory.
                let (result, buf) = file.read_at(Vec::with_capacity(room), 0).await;
                assert_eq!(result.unwrap(), 10);
                assert_eq!(buf, b"0123456789");
                let bufs = [buf, Vec::with_capacity(1 << 32)];
                let (result, [buf, _]) = file.read_vectored_at(bufs, 3).await;
                assert_eq!(result.unwrap(), 7);
                assert_eq!(buf, b"3456789");
            }
            let mut file = file;
            file.set_max_buf_size(usize::MAX);
            let mut target = Vec::with_capacity(1 << 32);
            assert_eq!(file.read_buf(&mut target).await.unwrap(), 10);
        }
    });
}

/// The names that are refused for what they are.
#[test]
fn names_that_cannot_be_are_refused_by_every_function() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good");
        std::fs::write(&good, b"").unwrap();
        std::os::unix::fs::symlink("circle", folder.path().join("circle")).unwrap();
        let cases = [
            (folder.path().join("a\0b"), None),
            (
                folder.path().join("x".repeat(256)),
                Some(libc::ENAMETOOLONG),
            ),
            (PathBuf::from("x/".repeat(2048)), Some(libc::ENAMETOOLONG)),
            (folder.path().join("circle/x"), Some(libc::ELOOP)),
            (folder.path().join("good/x"), Some(libc::ENOTDIR)),
            (PathBuf::new(), Some(libc::ENOENT)),
        ];
        for (bad, errno) in cases {
            for (number, error) in all_errors(&bad, &good).await.into_iter().enumerate() {
                let error = error.expect_err("refused");
                match errno {
                    None => assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}"),
                    Some(errno) => {
                        assert_eq!(error.raw_os_error(), Some(errno), "{number}: {error}")
                    }
                }
            }
        }
        assert!(good.exists());
    });
}

async fn all_errors(bad: &Path, good: &Path) -> Vec<io::Result<()>> {
    vec![
        File::open(bad).await.map(drop),
        File::create(bad).await.map(drop),
        OpenOptions::new().write(true).open(bad).await.map(drop),
        fs::read(bad).await.map(drop),
        fs::read_to_string(bad).await.map(drop),
        fs::write(bad, "").await,
        fs::metadata(bad).await.map(drop),
        fs::symlink_metadata(bad).await.map(drop),
        fs::status(bad).await.map(drop),
        fs::read_dir(bad).await.map(drop),
        fs::create_dir(bad).await,
        fs::remove_dir(bad).await,
        fs::remove_file(bad).await,
        fs::remove_dir_all(bad).await,
        fs::rename(bad, good).await,
        fs::rename(good, bad).await,
        fs::hard_link(bad, good).await,
        fs::hard_link(good, bad).await,
        fs::symlink("x", bad).await,
        fs::read_link(bad).await.map(drop),
        fs::copy(bad, good).await.map(drop),
        fs::copy(good, bad).await.map(drop),
        fs::set_permissions(bad, std::fs::metadata(good).unwrap().permissions()).await,
        Dir::open(bad).await.map(drop),
    ]
}

/// Mutants: the target is emptied before it is known to be another file; the permissions are left out.
#[test]
fn a_copy_has_contents_and_permissions_and_never_eats_its_source() {
    on_both_flavours(|| async {
        use std::os::unix::fs::PermissionsExt;
        for folder in folders() {
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            let contents = pattern(3_000_000);
            std::fs::write(&from, &contents).unwrap();
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            std::fs::set_permissions(&from, PermissionsExt::from_mode(0o640)).unwrap();
            assert_eq!(fs::copy(&from, &to).await.unwrap(), 3_000_000);
            assert!(std::fs::read(&to).unwrap() == contents);
            assert_eq!(mode(&to), 0o640);

            std::fs::write(&from, b"short").unwrap();
            std::fs::set_permissions(&from, PermissionsExt::from_mode(0o600)).unwrap();
            assert_eq!(fs::copy(&from, &to).await.unwrap(), 5);
            assert_eq!(std::fs::read(&to).unwrap(), b"short");
            assert_eq!(mode(&to), 0o600);

            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&from, &link).unwrap();
            for same in [&from, &link] {
                let error = fs::copy(&from, same).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
            assert_eq!(std::fs::read(&from).unwrap(), b"short");
            let error = fs::copy(folder.path(), &to).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        // What has no length beforehand.
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("version");
        let count = fs::copy("/proc/version", &to).await.unwrap();
        assert!(count > 0);
        assert_eq!(
            std::fs::read(&to).unwrap(),
            std::fs::read("/proc/version").unwrap()
        );
    });
}

/// Mutants: what lies in memory (a short count) is taken for all there is; a file is taken to be as long as it says.
#[test]
fn a_whole_file_is_read_to_its_end_whatever_it_is() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            for len in [0, 1, 4095, 4096, 16_383, 16_384, 16_385, 100_000, 3 << 20] {
                let contents = pattern(len);
                std::fs::write(&path, &contents).unwrap();
                assert!(
                    fs::read(&path).await.unwrap() == contents,
                    "{len} bytes in memory"
                );
                evict(&path);
                assert!(
                    fs::read(&path).await.unwrap() == contents,
                    "{len} bytes on the disk"
                );
                // The first page is in memory, the rest is not.
                evict(&path);
                let mut first = [0; 1];
                let file = std::fs::File::open(&path).unwrap();
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
                std::os::unix::fs::FileExt::read_at(&file, &mut first, 0).unwrap();
                assert!(
                    fs::read(&path).await.unwrap() == contents,
                    "{len} bytes in part"
                );
            }
        }
        let (version, read) = (
            "/proc/self/stat",
            fs::read("/proc/self/stat").await.unwrap(),
        );
        assert!(!read.is_empty(), "{version} says that it has no bytes");
        let error = fs::read("/proc").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    });
}
