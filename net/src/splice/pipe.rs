//! The pipe of a flow.

use std::io;
use std::os::fd::OwnedFd;

use crate::op;

/// A pipe that one flow fills and empties.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
    /// In bytes: what is asked for at a time.
    pub(super) capacity: usize,
}

impl Pipe {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Those of pipe2(2), above all "too many open files".
    pub(super) fn new() -> io::Result<Pipe> {
        let (reader, writer) = op::pipe()?;
        Ok(Pipe {
            reader,
            writer,
            capacity: PIPE_BYTES,
        })
    }
}

/// What a pipe holds if nobody says otherwise: 16 pages.
const PIPE_BYTES: usize = 64 * 1024;
