//! Operations of the user's own.

mod net_support;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use net_support::*;
use ringway::net::UnixStream;
use ringway::uring::{self, AsSharedFd, Completion, Operation, SharedFd, opcode, squeue, types};

/// A receive of bytes into the operation itself.
struct Inside {
    fd: SharedFd,
    bytes: [u8; 32],
    ended: Arc<AtomicUsize>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: the bytes lie in self, which does not move between `entry` and `complete`; the descriptor is held by self.
unsafe impl Operation for Inside {
    type Output = (io::Result<u32>, [u8; 32]);

    fn entry(&mut self) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        opcode::Recv::new(fd, self.bytes.as_mut_ptr(), self.bytes.len() as u32).build()
    }

    fn complete(self, completion: Completion) -> Self::Output {
        (completion.result, self.bytes)
    }
}

fn inside(stream: &UnixStream, ended: &Arc<AtomicUsize>) -> Inside {
    Inside {
        fd: stream.shared_fd().clone(),
        bytes: [0; 32],
        ended: ended.clone(),
    }
}

/// Mutant: `submit` makes the SQE before the operation has its place.
#[test]
fn memory_inside_an_operation_stays_where_its_entry_says() {
    on_both_flavours(|| async {
        let (one, two) = UnixStream::pair().unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        let mut request = uring::submit(inside(&one, &ended));
        assert!(poll_future(pin!(&mut request)).await.is_pending());
        let request = Box::new(request);
        uring::send_all(&two, "moved").await.0.unwrap();
        let (result, bytes) = request.await;
        assert_eq!((result.unwrap(), &bytes[..6]), (5, &b"moved\0"[..]));
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

/// Mutant: `Own` has no `Drop`.
#[test]
fn an_operation_of_ones_own_is_cancelled_and_dropped_like_any_other() {
    on_both_flavours(|| async {
        let (one, _two) = UnixStream::pair().unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        drop(uring::submit(inside(&one, &ended)));
        assert_eq!(ended.load(Ordering::Relaxed), 1, "it was never submitted");
        let mut request = uring::submit(inside(&one, &ended));
        assert!(poll_future(pin!(&mut request)).await.is_pending());
        let (result, _) = request.cancel().await;
        assert!(uring::is_cancelled(&result.unwrap_err()));
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        let mut request = uring::submit(inside(&one, &ended));
        assert!(poll_future(pin!(&mut request)).await.is_pending());
        drop(request);
        until("the kernel gives it up", || {
            ended.load(Ordering::Relaxed) == 3
        })
        .await;
    });
}

struct Flagged(squeue::Flags);

// SAFETY: no memory and no descriptor.
unsafe impl Operation for Flagged {
    type Output = io::Result<u32>;

    fn entry(&mut self) -> squeue::Entry {
        opcode::Nop::new().build().flags(self.0)
    }

    fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.result
    }
}

/// Mutant: one of the flags is missing in `FORBIDDEN`; the request then hangs, or holds up another's.
#[test]
fn flags_that_reach_beyond_the_operation_are_refused() {
    on_both_flavours(|| async {
        for forbidden in [
            squeue::Flags::IO_LINK,
            squeue::Flags::IO_HARDLINK,
            squeue::Flags::IO_DRAIN,
            squeue::Flags::SKIP_SUCCESS,
            squeue::Flags::BUFFER_SELECT,
        ] {
            let refused = std::panic::catch_unwind(|| drop(uring::submit(Flagged(forbidden))));
            let message = *refused.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains("must not set"), "{message}");
        }
        assert_eq!(
            uring::submit(Flagged(squeue::Flags::ASYNC)).await.unwrap(),
            0
        );
    });
}

/// An open descriptor that no other crate of ours knows.
#[test]
fn any_descriptor_can_be_shared_with_requests() {
    on_both_flavours(|| async {
        let (reader, writer) = io::pipe().unwrap();
        let reader = SharedFd::from(OwnedFd::from(reader));
        let writer = SharedFd::from(OwnedFd::from(writer));
        uring::write_all(&writer, "through").await.0.unwrap();
        let (result, buf) = uring::read(&reader, Vec::with_capacity(16)).await;
        assert_eq!((result.unwrap(), &buf[..]), (7, &b"through"[..]));
        drop(writer);
        assert_eq!(uring::read(&reader, buf).await.0.unwrap(), 0);
        assert!(reader.try_into_owned().is_ok(), "nobody else holds it");
    });
}
