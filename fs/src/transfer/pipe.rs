//! The pipes of transfers, kept for the next one.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringway_runtime::driver::SharedFd;

use crate::limits::{PIPE_BYTES, PIPES_KEPT_MAX};
use crate::op::descriptor;

/// An empty pipe.
///
/// It is closed when it is dropped: a transfer that was given up or failed may have left bytes in it, or an
/// operation that is about to put some there. Only who knows that it is empty may [keep](Self::keep) it.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: SharedFd,
    pub(super) writer: SharedFd,
    capacity: usize,
}

static KEPT: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<Pipe>> {
    // Nothing can panic between two valid states of the list.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipe {
    /// A kept pipe, or a new one.
    pub(super) fn take() -> io::Result<Self> {
        let pipe = kept().pop();
        pipe.map_or_else(Self::new, Ok)
    }

    fn new() -> io::Result<Self> {
        let (reader, writer) = descriptor::pipe()?;
        let capacity = descriptor::grow_pipe(writer.as_fd(), PIPE_BYTES)?;
        Ok(Self {
            reader: reader.into(),
            writer: writer.into(),
            capacity,
        })
    }

    /// How many bytes it holds.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Keeps the pipe for the next transfer. The caller has taken out of it all that was put in.
    pub(super) fn keep(self) {
        let mut kept = kept();
        if kept.len() < PIPES_KEPT_MAX {
            kept.push(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_pipe_is_taken_again_and_a_dropped_one_is_not() {
        use std::os::fd::AsRawFd;

        let pipe = Pipe::take().unwrap();
        assert!(pipe.capacity() >= 4096);
        let kept = pipe.writer.as_raw_fd();
        pipe.keep();
        let again = Pipe::take().unwrap();
        assert_eq!(again.writer.as_raw_fd(), kept);
        drop(again);
        assert!(
            super::kept()
                .iter()
                .all(|pipe| pipe.writer.as_raw_fd() != kept)
        );
    }
}
