//! One direction of a socket: reading or writing.
//!
//! Bytes move by plain system calls, which never block. A direction only knows whether such a call is worth a
//! try, and how to wait until it is. As long as none has failed to move all it wanted, it has no state: no
//! lock, no memory.
//!
//! # Receiving in the ring, and why not
//!
//! Rejected: a receive in the ring instead of a poll, into a buffer that the kernel chooses when bytes come and
//! that the socket keeps if its reader gives up. It saves the `recv(2)` and costs more than that. Processor time
//! of a server for one echo of 64 bytes, in nanoseconds, by bare loops without a runtime (kernel 6.18, two cores,
//! medians of eight runs, the machine not idle):
//!
//! | connections | poll, then `recv` | receive | receive that polls first | multishot poll, `recv` | epoll, `recv` |
//! |---|---|---|---|---|---|
//! | 1 | 7,090 | 7,420 | 7,410 | 6,810 | 6,460 |
//! | 64 | 4,600 | 4,760 | 4,690 | 4,530 | 4,480 |
//! | 512 | 4,800 | 5,110 | 5,320 | 4,560 | 4,590 |
//!
//! It also takes bytes before anybody reads them: after a read that was dropped, `try_io`, `into_std` and
//! whoever shares the descriptor would find a stream with a hole. A poll takes nothing.

use std::io;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use parking_lot::MutexGuard;
use ringway_runtime::driver::SharedFd;
use ringway_runtime::task::coop;

use super::{Readiness, Side, SideState, Who};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// One direction of a socket.
#[derive(Debug)]
pub(crate) struct Direction {
    interest: Interest,
    /// What is believed before the first call.
    first_belief: Ready,
    /// Made when a call has failed to move all it wanted, or when somebody must wait.
    side: OnceLock<Side<Readiness>>,
}

impl Direction {
    /// The direction that `interest` names, with what is believed of it before the first call.
    pub(crate) fn new(interest: Interest, first_belief: Ready) -> Direction {
        Direction {
            interest,
            first_belief,
            side: OnceLock::new(),
        }
    }

    /// The direction's state, made if need be, for places among its waiters.
    pub(crate) fn side(&self) -> &Side<Readiness> {
        self.side
            .get_or_init(|| Side::new(Readiness::new(self.first_belief)))
    }

    /// Whether the direction is ready and nothing has ever been waited for: it has no state then.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.first_belief.is_empty() && self.side.get().is_none()
    }

    /// Makes `call` until it does not block, or sees to it that `who` is woken when it may not.
    ///
    /// `wanted` is how many bytes `call` would move if it could; that it moved fewer tells that the next one
    /// would block. Zero if nothing can be told from it. `call` is one of our own system calls: it runs under
    /// the direction's lock.
    pub(crate) fn poll_io(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
        wanted: usize,
        call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let unit = ready!(coop::poll_proceed(cx));
        let moved = self.poll_call(fd, cx, who, wanted, call);
        if moved.is_ready() {
            unit.made_progress();
        }
        moved
    }

    fn poll_call(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        mut who: Who<'_>,
        wanted: usize,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.is_untouched() {
            let result = call();
            if let Some(wrong) = self.proved_wrong(&result, wanted) {
                self.side().lock().doubt(wrong);
            }
            if !would_block(&result) {
                return Poll::Ready(result);
            }
        }
        loop {
            let mut state = ready!(self.poll_state(fd, cx, who.again()))?;
            let result = call();
            if let Some(wrong) = self.proved_wrong(&result, wanted) {
                state.doubt(wrong);
            }
            if !would_block(&result) {
                return Poll::Ready(result);
            }
        }
    }

    /// Makes `call` once, and learns from it if it would block.
    ///
    /// A call that moved less than it could proves nothing here: the caller tries again until one blocks, as he
    /// would with `read(2)`.
    pub(crate) fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let result = call();
        if would_block(&result) {
            self.side().lock().doubt(Ready::answering(self.interest));
        }
        result
    }

    /// Says what the direction is believed ready for, or sees to it that `who` is woken when it is.
    pub(crate) fn poll_ready(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<Ready>> {
        let unit = ready!(coop::poll_proceed(cx));
        if self.is_untouched() {
            unit.made_progress();
            return Poll::Ready(Ok(self.first_belief));
        }
        let state = ready!(self.poll_state(fd, cx, who))?;
        unit.made_progress();
        Poll::Ready(Ok(state.believed() & Ready::answering(self.interest)))
    }

    /// The locked state if the direction is believed ready. Otherwise a poll operation is under way, and `who`
    /// will be woken by it.
    fn poll_state(
        &self,
        fd: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<MutexGuard<'_, Readiness>>> {
        let side = self.side();
        let mut operations = side.context();
        let mut state = side.lock();
        state.settle(&mut operations)?;
        loop {
            if !(state.believed() & Ready::answering(self.interest)).is_empty() {
                return Poll::Ready(Ok(state));
            }
            if state.is_armed() {
                let stale = state.waiters().register(who, cx.waker());
                drop(state);
                drop(stale);
                return Poll::Pending;
            }
            state.arm(fd, poll_events(self.interest), &mut operations)?;
        }
    }

    /// The belief that a call's result disproves, if it disproves one.
    fn proved_wrong(&self, result: &io::Result<usize>, wanted: usize) -> Option<Ready> {
        let bits = Ready::answering(self.interest);
        match result {
            // The queue is empty, or the buffer full; whether the direction is closed does not show.
            Ok(moved) if 0 < *moved && *moved < wanted => {
                Some(bits - Ready::READ_CLOSED - Ready::WRITE_CLOSED)
            }
            _ if would_block(result) => Some(bits),
            _ => None,
        }
    }
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::io::{self, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::task::{Context, Poll, Waker};

    use ringway_runtime::Runtime;
    use ringway_runtime::driver::SharedFd;

    use super::Direction;
    use crate::op;
    use crate::socket::Who;
    use crate::{Interest, Ready};

    /// A descriptor to read from, and the other end.
    fn pair() -> (SharedFd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket takes the flag");
        (SharedFd::from(OwnedFd::from(ours)), theirs)
    }

    /// Receives up to `wanted` bytes, waiting if need be, and counts the system calls.
    async fn receive(
        direction: &Direction,
        fd: &SharedFd,
        wanted: usize,
        calls: &Cell<u32>,
    ) -> usize {
        let receive = || {
            calls.set(calls.get() + 1);
            let mut bytes = Vec::with_capacity(wanted);
            op::recv_buf_mut(fd, &mut bytes)
        };
        poll_fn(|cx| direction.poll_io(fd, cx, Who::Last, wanted, receive))
            .await
            .expect("a receive")
    }

    #[test]
    fn a_direction_that_never_waited_has_no_state() {
        let (fd, _other) = pair();
        let direction = Direction::new(Interest::WRITABLE, Ready::WRITABLE);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let sent = direction.poll_io(&fd, &mut cx, Who::Last, 2, || op::send(&fd, b"ab"));
            assert!(matches!(sent, Poll::Ready(Ok(2))));
        }
        assert!(direction.is_untouched());
    }

    /// Mutant: take no notice of a receive that brought less than there was room for.
    #[test]
    fn after_a_short_receive_the_next_one_waits_before_it_tries() {
        Runtime::new().expect("a runtime").block_on(async {
            let (fd, mut other) = pair();
            let direction = Direction::new(Interest::READABLE, Ready::READABLE);
            let calls = Cell::new(0);
            other.write_all(b"abc").expect("room");
            assert_eq!(receive(&direction, &fd, 64, &calls).await, 3);
            assert_eq!(calls.get(), 1);
            let mut cx = Context::from_waker(Waker::noop());
            let vain = || -> io::Result<usize> { panic!("there is nothing to receive") };
            let early = direction.poll_io(&fd, &mut cx, Who::Last, 64, vain);
            assert!(early.is_pending());
            other.write_all(b"de").expect("room");
            assert_eq!(receive(&direction, &fd, 64, &calls).await, 2);
            assert_eq!(calls.get(), 2);
        });
    }

    #[test]
    fn after_a_full_receive_the_next_one_tries_at_once() {
        Runtime::new().expect("a runtime").block_on(async {
            let (fd, mut other) = pair();
            let direction = Direction::new(Interest::READABLE, Ready::READABLE);
            let calls = Cell::new(0);
            other.write_all(b"abcd").expect("room");
            assert_eq!(receive(&direction, &fd, 2, &calls).await, 2);
            assert_eq!(receive(&direction, &fd, 2, &calls).await, 2);
            assert_eq!(calls.get(), 2);
        });
    }

    #[test]
    fn a_call_that_would_block_makes_the_direction_wait() {
        Runtime::new().expect("a runtime").block_on(async {
            let (fd, mut other) = pair();
            let direction = Direction::new(Interest::READABLE, Ready::READABLE);
            let blocked = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            assert!(direction.try_io(blocked).is_err());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(direction.poll_ready(&fd, &mut cx, Who::Last).is_pending());
            other.write_all(b"x").expect("room");
            let ready = poll_fn(|cx| direction.poll_ready(&fd, cx, Who::Last)).await;
            assert!(ready.expect("a poll").is_readable());
        });
    }
}
