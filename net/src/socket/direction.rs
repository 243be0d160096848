//! One direction of a socket: reading or writing.
//!
//! Bytes move by plain system calls, which never block. A direction only knows whether such a call is worth a
//! try, and how to wait until it is. As long as none has failed to move all it wanted, it has no state: no
//! lock, no memory.
//!
//! | what is known | the next call |
//! |---|---|
//! | nothing yet, or the last call moved all it wanted | is made at once |
//! | the last call would have blocked, or moved less than it could | waits until the poll tells something |
//! | the poll has told something since | is made |
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
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use ringway_runtime::Offer;
use ringway_runtime::driver::SharedFd;
use ringway_runtime::loom::MutexGuard;
use ringway_runtime::task::coop;

use super::side::wait;
use super::waiters::Ticket;
use super::{Polls, Readiness, Side, SideState, Way, Who};
use crate::op;
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// One direction of a socket.
#[derive(Debug)]
pub(crate) struct Direction {
    interest: Interest,
    way: Way,
    polls: Polls,
    /// What is believed before the first call.
    first_belief: Ready,
    /// Made when a call has failed to move all it wanted, or when somebody must wait.
    side: OnceLock<Side<Readiness>>,
    /// How many answers to who waits for readiness are free until one costs a unit again.
    free_answers: AtomicU8,
}

/// How many waits for readiness that are over at once cost a task one unit of its budget.
///
/// In tokio they cost nothing, and programs that wait and try by turns do so thousands of times in one turn: a try makes
/// the next ones free. But a loop of nothing else must let others run.
const READY_PER_UNIT: u8 = 8;

impl Direction {
    /// The direction that `interest` names, with what is believed of it before the first call.
    pub(crate) fn new(interest: Interest, first_belief: Ready, way: Way) -> Direction {
        Direction {
            interest,
            way,
            polls: Polls::Many,
            first_belief,
            side: OnceLock::new(),
            free_answers: AtomicU8::new(READY_PER_UNIT - 1),
        }
    }

    /// Has its polls tell what is there, and not only what is new: a call that moved less than it could may have left
    /// something.
    pub(crate) fn in_pieces(mut self) -> Direction {
        self.polls = Polls::Once;
        self
    }

    /// Has the first call wait until a poll says that it is worth a try.
    pub(crate) fn wait_first(&self) {
        self.side();
    }

    /// A future that will ask this direction.
    pub(crate) fn waiting(&self) -> Waiting<'_> {
        Waiting {
            direction: self,
            ticket: None,
        }
    }

    /// The direction's state, made if need be.
    fn side(&self) -> &Side<Readiness> {
        self.side_believing(self.first_belief)
    }

    /// As [`side`](Self::side), with this belief if it is made now.
    fn side_believing(&self, believed: Ready) -> &Side<Readiness> {
        self.side.get_or_init(|| {
            Side::new(Readiness::new(
                self.interest,
                believed,
                self.way,
                self.polls,
            ))
        })
    }

    /// Whether the direction is ready and nothing has ever been waited for: it has no state then.
    fn is_untouched(&self) -> bool {
        !self.first_belief.is_empty() && self.side.get().is_none()
    }

    /// Whether a call is to be tried before anybody waits. A message may be there before anybody has asked for one, so
    /// the first call for messages is.
    fn is_worth_a_try(&self) -> bool {
        self.side.get().is_none() && (!self.first_belief.is_empty() || self.way == Way::Aside)
    }

    /// Makes `call` until it does not block, or sees to it that `who` is woken when it may not.
    ///
    /// `is_short` says of a result that the next call would block; it may always say no. `call` is one of our own
    /// system calls: it runs under the direction's lock.
    pub(crate) fn poll_io<R>(
        &self,
        at: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
        is_short: impl Fn(&R) -> bool,
        call: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        if self.first_belief.is_empty() && self.is_worth_a_try() {
            // In tokio the first receive waits for its driver. The try in place of that has a price of its own.
            ready!(coop::poll_charge(cx));
        }
        let unit = ready!(coop::poll_proceed(cx));
        let result = self.poll_call(at, cx, who, is_short, call);
        if result.is_ready() {
            unit.made_progress();
        }
        result
    }

    fn poll_call<R>(
        &self,
        at: &SharedFd,
        cx: &mut Context<'_>,
        mut who: Who<'_>,
        is_short: impl Fn(&R) -> bool,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        // Before the guard of any lock, so that it is dropped after it.
        let mut offer = Offer::new(cx.waker());
        if self.is_worth_a_try() {
            let result = call();
            match &result {
                result if would_block(result) => self.side().lock().note_block(at),
                Ok(value) if is_short(value) => self.side().lock().note_success(true),
                Ok(_) if self.first_belief.is_empty() => {
                    self.side_believing(Ready::answering(self.interest) - Ready::CLOSED);
                }
                _ => {}
            }
            if !would_block(&result) {
                return Poll::Ready(result);
            }
        }
        loop {
            let mut state = ready!(self.poll_state(at, &mut offer, who.again()))?;
            let result = call();
            match &result {
                Ok(value) => state.note_success(is_short(value)),
                result if would_block(result) => {
                    state.note_block(at);
                    continue;
                }
                Err(_) => {}
            }
            return Poll::Ready(result);
        }
    }

    /// Makes `call` once, and learns from it if it would block.
    ///
    /// A call that moved less than it could proves nothing here: the caller tries again until one blocks, as he
    /// would with `read(2)`.
    pub(crate) fn try_io<R>(
        &self,
        at: &SharedFd,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.free_answers
            .store(READY_PER_UNIT - 1, Ordering::Relaxed);
        // `call` may be a caller's own: it runs without the lock. If a poll ends meanwhile, what that says is
        // newer than what the call has seen.
        let before = self.side.get().map(|side| side.lock().events());
        let result = call();
        if would_block(&result) {
            let mut state = self.side().lock();
            if before.is_none_or(|before| before == state.events()) {
                state.note_block(at);
            }
        }
        result
    }

    /// Whether a call of a caller's own is worth making: the direction is believed ready, or nobody knows and the kernel
    /// says so now. What has come since a call has blocked counts from the moment when the poll has told of it.
    pub(crate) fn may_be_ready(&self, at: &SharedFd) -> io::Result<bool> {
        if self.is_untouched() {
            return Ok(true);
        }
        if let Some(side) = self.side.get() {
            let mut operations = side.lend();
            let mut state = side.lock();
            state.settle(&mut operations)?;
            if !state.believed().is_empty() || state.is_armed() {
                return Ok(!state.believed().is_empty());
            }
        }
        op::poll_now(at, poll_events(self.interest)).map(|events| events != 0)
    }

    /// Has a poll tell of what comes, though nobody waits for it yet.
    pub(crate) fn expect_news(&self, at: &SharedFd) {
        let side = self.side();
        let mut operations = side.lend();
        // Who waits gets to know why it has failed.
        let _ = side.lock().arm(at, &mut operations);
    }

    /// As [`Direction::poll_readiness`], at the cost of a unit of the task's budget.
    pub(crate) fn poll_ready(
        &self,
        at: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<Ready>> {
        let unit = ready!(coop::poll_proceed(cx));
        let ready = self.poll_readiness(at, cx, who);
        if ready.is_ready() {
            unit.made_progress();
        }
        ready
    }

    /// Says what the direction is believed ready for, or sees to it that `who` is woken when it is. Only one in
    /// [`READY_PER_UNIT`] answers costs a unit of the task's budget.
    pub(crate) fn poll_readiness(
        &self,
        at: &SharedFd,
        cx: &mut Context<'_>,
        who: Who<'_>,
    ) -> Poll<io::Result<Ready>> {
        // Relaxed: a count that two tasks disturb now and then charges early or late, no more.
        let free = self.free_answers.load(Ordering::Relaxed);
        if free == 0 {
            ready!(coop::poll_charge(cx));
        }
        let ready = if self.is_untouched() {
            self.first_belief
        } else {
            let mut offer = Offer::new(cx.waker());
            let state = ready!(self.poll_state(at, &mut offer, who))?;
            state.believed()
        };
        let left = free.checked_sub(1).unwrap_or(READY_PER_UNIT - 1);
        self.free_answers.store(left, Ordering::Relaxed);
        Poll::Ready(Ok(ready))
    }

    /// The locked state if the direction is believed ready. Otherwise a poll operation is under way, and `who`
    /// will be woken by it.
    fn poll_state(
        &self,
        at: &SharedFd,
        offer: &mut Offer<'_>,
        mut who: Who<'_>,
    ) -> Poll<io::Result<MutexGuard<'_, Readiness>>> {
        let side = self.side();
        let mut operations = side.lend();
        let mut state = side.lock();
        state.settle(&mut operations)?;
        loop {
            if !state.believed().is_empty() {
                return Poll::Ready(Ok(state));
            }
            if !state.is_armed() {
                state.arm(at, &mut operations)?;
                continue;
            }
            if wait(state, who.again(), offer) {
                return Poll::Pending;
            }
            state = side.lock();
            state.settle(&mut operations)?;
        }
    }
}

/// A future's place among those who wait at a direction, given up when the future is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    direction: &'a Direction,
    ticket: Option<Ticket>,
}

impl Waiting<'_> {
    /// The future, as one who asks.
    pub(crate) fn who(&mut self) -> Who<'_> {
        Who::Future(&mut self.ticket)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.direction.side().lock().waiters().remove(ticket);
            drop(waker);
        }
    }
}

/// Whether a call says that it would have to wait.
pub(super) fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::io::{self, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use ringway_runtime::Runtime;
    use ringway_runtime::driver::SharedFd;
    use ringway_runtime::task::yield_now;

    use super::Direction;
    use crate::op::{self, Filled, Room};
    use crate::socket::{Way, Who};
    use crate::{Interest, Ready};

    /// Runs `test` with a descriptor to read from, and the other end.
    fn with_pair<F: Future<Output = ()>>(test: impl FnOnce(SharedFd, UnixStream) -> F) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket takes the flag");
        Runtime::new().expect("a runtime").block_on(async {
            test(SharedFd::from(OwnedFd::from(ours)), theirs).await;
        });
    }

    fn direction(interest: Interest, belief: Ready) -> Direction {
        Direction::new(interest, belief, Way::Direct)
    }

    /// Receives up to `wanted` bytes, waiting if need be, and counts the system calls.
    async fn receive(
        direction: &Direction,
        at: &SharedFd,
        wanted: usize,
        calls: &Cell<u32>,
    ) -> usize {
        let mut bytes = Vec::with_capacity(wanted);
        let receive = |room: &mut Room| {
            calls.set(calls.get() + 1);
            op::recv(at, room)
        };
        let (count, ()) = poll_fn(|cx| {
            op::fill_buf_mut(&mut bytes, |room| {
                let is_short = |filled: &Filled<()>| filled.is_short_of(wanted);
                direction.poll_io(at, cx, Who::Last, is_short, || receive(&mut room[..wanted]))
            })
        })
        .await
        .expect("a receive");
        count
    }

    #[test]
    fn a_direction_that_never_waited_has_no_state() {
        with_pair(async |at, _other| {
            let direction = direction(Interest::WRITABLE, Ready::WRITABLE);
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..3 {
                let send = || op::send(&at, b"ab");
                let sent = direction.poll_io(&at, &mut cx, Who::Last, |sent| *sent < 2, send);
                assert!(matches!(sent, Poll::Ready(Ok(2))));
            }
            assert!(direction.is_untouched());
        });
    }

    /// Mutant: take no notice of a receive that brought less than there was room for.
    #[test]
    fn after_a_short_receive_the_next_one_waits_before_it_tries() {
        with_pair(async |at, mut other| {
            let direction = direction(Interest::READABLE, Ready::READABLE);
            let calls = Cell::new(0);
            other.write_all(b"abc").expect("room");
            assert_eq!(receive(&direction, &at, 64, &calls).await, 3);
            assert_eq!(calls.get(), 1);
            let mut cx = Context::from_waker(Waker::noop());
            let vain = || -> io::Result<usize> { panic!("there is nothing to receive") };
            let early = direction.poll_io(&at, &mut cx, Who::Last, |_| false, vain);
            assert!(early.is_pending());
            other.write_all(b"de").expect("room");
            assert_eq!(receive(&direction, &at, 64, &calls).await, 2);
            assert_eq!(calls.get(), 2);
        });
    }

    #[test]
    fn after_a_full_receive_the_next_one_tries_at_once() {
        with_pair(async |at, mut other| {
            let direction = direction(Interest::READABLE, Ready::READABLE);
            let calls = Cell::new(0);
            other.write_all(b"abcd").expect("room");
            assert_eq!(receive(&direction, &at, 2, &calls).await, 2);
            assert_eq!(receive(&direction, &at, 2, &calls).await, 2);
            assert_eq!(calls.get(), 2);
        });
    }

    #[test]
    fn a_call_that_would_block_makes_the_direction_wait() {
        with_pair(async |at, mut other| {
            let direction = direction(Interest::READABLE, Ready::READABLE);
            let blocked = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            assert!(direction.try_io(&at, blocked).is_err());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(direction.poll_ready(&at, &mut cx, Who::Last).is_pending());
            other.write_all(b"x").expect("room");
            let ready = poll_fn(|cx| direction.poll_ready(&at, cx, Who::Last)).await;
            assert!(ready.expect("a poll").is_readable());
        });
    }

    /// A call that blocks though the poll says that it would not is made twice, and then no more until there is
    /// news. Mutant: leave out the turn to edges in `Readiness::note_block`.
    #[test]
    fn a_state_that_is_reported_for_ever_does_not_spin() {
        for way in [Way::Direct, Way::Aside] {
            with_pair(async |at, mut other| {
                let direction = Direction::new(Interest::READABLE, Ready::EMPTY, way);
                let calls = Cell::new(0);
                let blocked = || {
                    calls.set(calls.get() + 1);
                    Err::<(), _>(io::ErrorKind::WouldBlock.into())
                };
                other.write_all(b"x").expect("room");
                let waits = poll_fn(|cx| direction.poll_io(&at, cx, Who::Last, |_| false, blocked));
                let mut waits = pin!(waits);
                let mut polls = 0;
                poll_fn(|cx| {
                    polls += 1;
                    assert!(waits.as_mut().poll(cx).is_pending());
                    if polls < 50 && calls.get() < 2 {
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                })
                .await;
                let before = calls.get();
                for _ in 0..50 {
                    yield_now().await;
                    assert!(poll_once(waits.as_mut()).await.is_pending());
                }
                assert!(calls.get() <= before + 1, "{} calls", calls.get());
                let settled = calls.get();
                other.write_all(b"y").expect("room");
                while calls.get() == settled {
                    yield_now().await;
                    assert!(poll_once(waits.as_mut()).await.is_pending());
                }
            });
        }
    }

    async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
