//! Receiving again and again into provided buffers, by one request.

use std::io;
use std::os::fd::AsRawFd;

use ringway_runtime::driver::{
    Answers, Completion, Home, Operation, PROVIDED_BYTES, Pool, ProvidedBufs, SharedFd, cqueue,
    squeue, types,
};

use super::poll;

/// What one receive of a stream holds at most that nobody has taken yet, in buffers: 128 KiB. When it has so many it is
/// cancelled, and submitted again when they were taken. What the kernel adds before it hears of that is bounded by
/// [`REQUEST_BYTES_MAX`], or by the pool.
pub(crate) const UNREAD_MAX: u32 = 32;
/// What one request brings that takes bundles: then the kernel ends it, and it is made again when all was taken. A socket
/// cannot have more than that of the pool whatever is sent to it, and a request costs little beside so many bytes.
pub(crate) const REQUEST_BYTES_MAX: u32 = UNREAD_MAX * PROVIDED_BYTES as u32;

/// Receives until the kernel ends it. Its outputs are buffers, one or several; one without bytes is the end of a stream.
#[derive(Debug)]
pub(crate) struct RecvMany {
    fd: SharedFd,
    pool: Pool,
}

impl RecvMany {
    /// `pool` is the one of the shard where it will be submitted.
    pub(crate) fn new(fd: &SharedFd, pool: Pool) -> Self {
        Self {
            fd: fd.clone(),
            pool,
        }
    }

    fn item(&self, completion: Completion) -> io::Result<ProvidedBufs> {
        let count = completion.result.as_ref().map_or(-1, |&count| count as i32);
        // SAFETY: `new` was told the pool of the shard where the operation lies, whose answer this is, and which the
        // driver hands in once.
        let bufs = unsafe { self.pool.adopt(count, completion.flags) };
        match completion.result? {
            // Nobody can say where they are; it must not look like the end of the stream.
            1.. if cqueue::buffer_select(completion.flags).is_none() => Err(io::Error::other(
                "the kernel names no buffer of what it has received",
            )),
            _ => Ok(bufs),
        }
    }
}

// SAFETY: the SQE has no pointer: the kernel takes buffers of the pool, which lives as long as self and is written by
// nobody else until they are given back. The descriptor is held by self.
unsafe impl Operation for RecvMany {
    type Output = io::Result<ProvidedBufs>;

    const ANSWERS: Answers<Self> = Answers::Queue {
        item: Self::item,
        limit: UNREAD_MAX,
    };

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn weight(result: i32) -> u32 {
        let bytes = u32::try_from(result).unwrap_or(0);
        bytes.div_ceil(PROVIDED_BYTES as u32).max(1)
    }

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        self.pool.receive(fd, REQUEST_BYTES_MAX)
    }

    fn complete(self, completion: Completion) -> Self::Output {
        self.item(completion)
    }
}

/// Waits until there is something to receive, and takes nothing.
#[derive(Debug)]
pub(crate) struct Readable {
    fd: SharedFd,
}

impl Readable {
    pub(crate) fn new(fd: &SharedFd) -> Self {
        Self { fd: fd.clone() }
    }
}

// SAFETY: the SQE has no pointer, and the descriptor is held by self.
unsafe impl Operation for Readable {
    type Output = io::Result<()>;

    fn home(&self) -> Option<Home> {
        self.fd.home()
    }

    fn entry(&mut self) -> squeue::Entry {
        poll(types::Fd(self.fd.as_raw_fd()), libc::POLLIN)
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use ringway_net::UnixStream;
    use ringway_runtime::Runtime;
    use ringway_runtime::driver::{AsSharedFd, Birth, Use, provided_buffers};

    use super::*;

    /// Mutant: `item` looks at the buffers alone, and they are none, as at the end of a stream.
    #[test]
    fn an_answer_whose_bytes_are_nowhere_is_an_error_and_not_the_end() {
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let (near, _far) = UnixStream::pair().expect("a pair");
            let fd = near.shared_fd();
            let Some(pool) = provided_buffers(fd.home(), Use::Single, Birth::here()) else {
                return;
            };
            let received = RecvMany::new(fd, pool);
            let without_buffer = |count| {
                let result = Ok(count);
                received.item(Completion { result, flags: 0 })
            };
            assert!(without_buffer(1).is_err());
            assert_eq!(without_buffer(0).expect("the end").count(), 0);
        });
    }
}
