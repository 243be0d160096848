//! The entries of an open directory: getdents64(2), which may wait for a disk.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use super::answer;
use crate::kind::FileKind;

/// A directory that is being listed.
#[derive(Debug)]
pub(crate) struct Listing {
    dir: OwnedFd,
    /// What the kernel wrote last, and how far it was taken.
    records: Vec<u8>,
    taken: usize,
    ended: bool,
}

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: OsString,
    /// The number of the inode.
    pub(crate) ino: u64,
    /// None if the file system does not tell.
    pub(crate) kind: Option<FileKind>,
}

/// How much the kernel is asked for at a time: some thousand names; what C libraries take, too.
const RECORDS_BYTES: usize = 32 * 1024;

/// Where a record has its parts: `struct linux_dirent64`.
const INO: usize = 0;
const LENGTH: usize = 16;
const KIND: usize = 18;
const NAME: usize = 19;

impl Listing {
    /// Of an open directory, from where its position is.
    pub(crate) fn new(dir: OwnedFd) -> Self {
        Self {
            dir,
            records: Vec::new(),
            taken: 0,
            ended: false,
        }
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The next name other than `.` and `..`; `None` at the end. An error is the end, too.
    pub(crate) fn next(&mut self) -> Option<io::Result<Found>> {
        loop {
            if self.taken == self.records.len() {
                if self.ended {
                    return None;
                }
                let read = self.read_records();
                self.ended = !matches!(read, Ok(1..));
                if let Err(error) = read {
                    return Some(Err(error));
                }
                continue;
            }
            let found = self.take_record();
            if found.name != OsStr::new(".") && found.name != OsStr::new("..") {
                return Some(Ok(found));
            }
        }
    }

    fn read_records(&mut self) -> io::Result<u64> {
        self.taken = 0;
        self.records.clear();
        self.records.reserve_exact(RECORDS_BYTES);
        let target = self.records.as_mut_ptr();
        let fd = self.dir.as_raw_fd();
        // SAFETY: the vector has room for so many bytes.
        let count = unsafe { libc::syscall(libc::SYS_getdents64, fd, target, RECORDS_BYTES) };
        let count = answer(count)?;
        // SAFETY: the kernel has just written as many bytes.
        unsafe { self.records.set_len(count as usize) };
        Ok(count)
    }

    fn take_record(&mut self) -> Found {
        let record = &self.records[self.taken..];
        let length = u16::from_ne_bytes([record[LENGTH], record[LENGTH + 1]]);
        self.taken += usize::from(length);
        let record = &record[..usize::from(length)];
        let mut ino = [0; 8];
        ino.copy_from_slice(&record[INO..INO + 8]);
        let name = record[NAME..].split(|byte| *byte == 0).next();
        Found {
            name: OsString::from_vec(name.unwrap_or_default().to_vec()),
            ino: u64::from_ne_bytes(ino),
            kind: FileKind::of_entry(record[KIND]),
        }
    }
}
