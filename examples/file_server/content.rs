//! A regular file as it was when it was opened: its state, and its bytes or the open file.
//!
//! 1. A small file may be read once, between two looks at its state. If both looks say the same, and the last change lies
//!    further back than the grain of the file system's clock, then its bytes are those of that state for ever: they are
//!    kept in memory, and the file is closed.
//! 2. Of every other file the open file is kept. Whoever sends from it looks at its state again before: what it has
//!    promised in a head is what the file has at that moment.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringway::fs::File;

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
    pub(crate) fn of(status: &Metadata) -> State {
        State {
            device: status.dev(),
            inode: status.ino(),
            size: status.len(),
            modified: moment(status.mtime(), status.mtime_nsec()),
            changed: moment(status.ctime(), status.ctime_nsec()),
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
    /// Takes a regular file that was opened just now.
    pub(crate) fn of(file: File, state: State) -> Content {
        Content {
            state,
            bytes: Bytes::File(Box::new(file)),
            is_settled: state.is_settled(SystemTime::now()),
        }
    }

    /// The same content in memory, if it may be there.
    pub(crate) async fn in_memory(&self) -> io::Result<Option<Content>> {
        let bytes = match &self.bytes {
            Bytes::File(file) if self.is_settled && self.is_small() => {
                read(file, &self.state).await?
            }
            Bytes::File(_) | Bytes::Memory(_) => None,
        };
        Ok(bytes.map(|bytes| Content {
            bytes: Bytes::Memory(bytes),
            ..*self
        }))
    }

    pub(crate) fn is_small(&self) -> bool {
        self.state.size <= SMALL_BODY_BYTES_MAX
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it may stand for the file until somebody looks at the file again.
    pub(crate) fn may_be_kept(&self) -> bool {
        self.is_settled
    }

    /// Whether an open file is still in the state that was promised. Bytes in memory are for ever.
    pub(crate) async fn is_as_promised(&self) -> bool {
        match &self.bytes {
            Bytes::Memory(_) => true,
            Bytes::File(file) => {
                let status = file.metadata().await;
                status.is_ok_and(|status| State::of(&status) == self.state)
            }
        }
    }
}

/// Seconds and nanoseconds since 1970. There is none that the type cannot say.
fn moment(seconds: i64, nanoseconds: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let moment = match seconds {
        0.. => UNIX_EPOCH.checked_add(whole),
        _ => UNIX_EPOCH.checked_sub(whole),
    };
    let part = Duration::from_nanos(nanoseconds.unsigned_abs());
    moment
        .and_then(|moment| moment.checked_add(part))
        .unwrap_or(UNIX_EPOCH)
}

/// The bytes of a small file, if it stays as it is meanwhile.
async fn read(file: &File, state: &State) -> io::Result<Option<Box<[u8]>>> {
    let size = usize::try_from(state.size).expect("a small file fits into memory");
    if size == 0 {
        return Ok(Some(Box::default()));
    }
    let room = vec![0; size].into_boxed_slice();
    let (result, bytes) = file.read_exact_at(room, 0).await;
    match result {
        Ok(()) if State::of(&file.metadata().await?) == *state => Ok(Some(bytes)),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(()) | Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_standard_library() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for (seconds, nanoseconds) in [(0, 0), (1_000_000_000, 5), (-1, 250_000_000), (-7, 0)] {
            let whole = Duration::from_secs(i64::unsigned_abs(seconds));
            let base = match seconds {
                0.. => UNIX_EPOCH + whole,
                _ => UNIX_EPOCH - whole,
            };
            let time = base + Duration::from_nanos(nanoseconds);
            file.as_file().set_modified(time).expect("its owner may");
            let status = file.as_file().metadata().expect("it is open");
            assert_eq!(State::of(&status).modified, time);
        }
    }

    #[test]
    fn a_state_is_settled_when_both_its_times_lie_behind_the_grain() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let state = |modified, changed| State {
            device: 1,
            inode: 2,
            size: 3,
            modified: UNIX_EPOCH + Duration::from_secs(modified),
            changed: UNIX_EPOCH + Duration::from_secs(changed),
        };
        assert!(state(998, 998).is_settled(now));
        for (modified, changed) in [(999, 5), (5, 999), (1_001, 5), (5, 1_001)] {
            assert!(!state(modified, changed).is_settled(now));
        }
    }
}
