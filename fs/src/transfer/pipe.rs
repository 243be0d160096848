//! The pipe of a file's transfers, kept with the file for the next one.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringway_runtime::driver::SharedFd;

use crate::limits::PIPE_BYTES;
use crate::op::descriptor;

/// An empty pipe.
///
/// It is closed when it is dropped: a transfer that was given up or failed may have left bytes in it, or an
/// operation that is about to put some there. Only who knows that it is empty may [keep](KeptPipe::keep) it.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(super) reader: SharedFd,
    pub(super) writer: SharedFd,
    capacity: usize,
}

/// The place for one empty pipe. It is part of a file, and closed with it: a server that sends files piece by
/// piece makes one pipe for each file, and none outlives its transfers.
#[derive(Debug, Default)]
pub(crate) struct KeptPipe(Mutex<Option<Box<Pipe>>>);

impl KeptPipe {
    /// The kept pipe, or a new one.
    pub(super) fn take(&self) -> io::Result<Box<Pipe>> {
        let kept = self.place().take();
        kept.map_or_else(|| Pipe::new().map(Box::new), Ok)
    }

    /// Keeps the pipe for the next transfer. The caller has taken out of it all that was put in.
    pub(super) fn keep(&self, pipe: Box<Pipe>) {
        // Transfers at the same time have a pipe each, of which the last is kept. The other is closed unlocked.
        let former = self.place().replace(pipe);
        drop(former);
    }

    fn place(&self) -> MutexGuard<'_, Option<Box<Pipe>>> {
        // Nothing can panic between two valid states.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_pipe_is_taken_again_and_a_dropped_one_is_not() {
        use std::os::fd::AsRawFd;

        let place = KeptPipe::default();
        let pipe = place.take().unwrap();
        assert!(pipe.capacity() >= 4096);
        let kept = pipe.writer.as_raw_fd();
        place.keep(pipe);
        let again = place.take().unwrap();
        assert_eq!(again.writer.as_raw_fd(), kept);
        drop(again);
        assert!(place.place().is_none());
    }

    #[test]
    fn a_file_keeps_one_pipe() {
        let place = KeptPipe::default();
        let (one, other) = (place.take().unwrap(), place.take().unwrap());
        let (reader, writer) = (one.reader.clone(), one.writer.clone());
        place.keep(one);
        place.keep(other);
        assert!(
            reader.try_into_owned().is_ok(),
            "the first pipe is still held"
        );
        assert!(writer.try_into_owned().is_ok());
    }
}
