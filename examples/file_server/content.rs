//! A regular file as it was when it was opened: its state, and its bytes or the open file.
//!
//! 1. A small file is read once, between two looks at its state. If both looks say the same, and the last change lies
//!    further back than the grain of the file system's clock, then its bytes are those of that state for ever: they are
//!    kept in memory, and the file is closed.
//! 2. Of every other file the open file is kept. Whoever sends from it looks at its state again before: what it has
//!    promised in a head is what the file has at that moment.

use std::io;
use std::time::SystemTime;

use ringway::fs::{File, Status};

use crate::limits::{CLOCK_GRAIN, SMALL_BODY_BYTES_MAX};

#[derive(Debug)]
pub(crate) struct Content {
    state: State,
    bytes: Bytes,
    is_settled: bool,
}

/// Where the bytes are.
#[derive(Debug)]
pub(crate) enum Bytes {
    Memory(Box<[u8]>),
    /// Boxed, because most are small files in memory.
    File(Box<File>),
}

/// What tells one state of a file from another. Every write and every change of owner or permissions changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) changed: SystemTime,
}

impl State {
    pub(crate) fn of(status: &Status) -> State {
        State {
            device: status.dev(),
            inode: status.ino(),
            size: status.len(),
            modified: status.modified(),
            changed: status.changed(),
        }
    }

    /// Whether a change that comes now, or later, gives the file another state: not if its last one was within the same
    /// grain of the clock.
    fn is_settled(&self, now: SystemTime) -> bool {
        let is_past = |time| now.duration_since(time).is_ok_and(|age| age >= CLOCK_GRAIN);
        is_past(self.changed) && is_past(self.modified)
    }
}

impl Content {
    /// Takes a regular file that was opened just now, and reads it if it is small and at rest.
    pub(crate) async fn of(file: File, state: State) -> io::Result<Content> {
        let is_settled = state.is_settled(SystemTime::now());
        let bytes = match is_settled && state.size <= SMALL_BODY_BYTES_MAX {
            true => read(file, &state).await?,
            false => Bytes::File(Box::new(file)),
        };
        Ok(Content {
            state,
            bytes,
            is_settled,
        })
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it may stand for the file until somebody looks at the file again.
    pub(crate) fn may_be_kept(&self) -> bool {
        match self.bytes {
            Bytes::Memory(_) => true,
            // Small and still open: it changed while it was read.
            Bytes::File(_) => self.is_settled && self.state.size > SMALL_BODY_BYTES_MAX,
        }
    }

    /// Whether an open file is still in the state that was promised. Bytes in memory are for ever.
    pub(crate) async fn is_as_promised(&self) -> bool {
        match &self.bytes {
            Bytes::Memory(_) => true,
            Bytes::File(file) => {
                let status = file.status().await;
                status.is_ok_and(|status| State::of(&status) == self.state)
            }
        }
    }
}

/// The bytes of a small file, if it stays as it is meanwhile.
async fn read(file: File, state: &State) -> io::Result<Bytes> {
    let size = usize::try_from(state.size).expect("a small file fits into memory");
    if size == 0 {
        return Ok(Bytes::Memory(Box::default()));
    }
    let (result, bytes) = file
        .read_exact_at(vec![0; size].into_boxed_slice(), 0)
        .await;
    match result {
        Ok(()) if State::of(&file.status().await?) == *state => Ok(Bytes::Memory(bytes)),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(()) | Err(_) => Ok(Bytes::File(Box::new(file))),
    }
}
