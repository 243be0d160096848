//! When no descriptor is left. It is alone in its process, whose limit it lowers.

mod fs_support;

use std::io;

use fs_support::*;
use ringway::fs::{self, File};

/// Goal: what needs no descriptor in std needs none here; what does need one says EMFILE and works again later.
///
/// Mutant: handing the EMFILE of the O_PATH descriptor to who asked for metadata.
#[test]
fn without_descriptors_metadata_is_still_known_and_opening_says_why_not() {
    on_two_workers(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        // The pool's first thread, and whatever else opens something for good.
        assert_eq!(fs::read(&path).await.unwrap(), b"12345");
        fs::canonicalize(&path).await.unwrap();

        let before = limit_descriptors(|limit| limit.min(256));
        let mut taken = Vec::new();
        let refused = loop {
            match File::open(&path).await {
                Ok(file) => taken.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
        assert_eq!(fs::metadata(&path).await.unwrap().len(), 5);
        assert!(fs::symlink_metadata(&path).await.unwrap().is_file());
        assert!(fs::try_exists(&path).await.unwrap());
        assert!(!fs::try_exists(folder.path().join("nothing")).await.unwrap());
        assert_eq!(fs::status(&path).await.unwrap().len(), 5);
        assert_eq!(
            taken[0].try_clone().await.unwrap_err().raw_os_error(),
            Some(libc::EMFILE)
        );

        taken.pop();
        assert_eq!(fs::read(&path).await.unwrap(), b"12345");
        drop(taken);
        limit_descriptors(|_| before);
    });
}

/// Changes the soft limit, and says what it was.
fn limit_descriptors(change: impl FnOnce(libc::rlim_t) -> libc::rlim_t) -> libc::rlim_t {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is good for writing.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    let before = limit.rlim_cur;
    limit.rlim_cur = change(before);
    // SAFETY: the pointer is good for reading.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    before
}
