//! A queue of connections that wait to be accepted.
//!
//! An accept is `accept4(2)` at once. If nobody has connected, a poll operation that belongs to the listener
//! waits, and the accepts that wait are woken one at a time, in the order in which they came. The poll takes
//! nothing from the kernel's queue: a connection leaves the queue only in the call that returns it, so an
//! accept that is dropped can lose none.
//!
//! What is polled is a watch ([`Way::Aside`]), not the listener itself. A listener that stays open after its drop
//! would keep its port: `drop(listener)` followed by `bind` to the same address would fail now and then.
//!
//! Where descriptors or memory are short while somebody has connected, one accept in a second is told; the others
//! wait ([`super::shortage`]).
//!
//! Rejected: an accept operation in the ring. It needs a stash for the connections that nobody waited for any
//! more; under a full descriptor table it fails at once, whether or not anybody connects; and it keeps the port.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use ringway_runtime::Offer;
use ringway_runtime::driver::{Home, SharedFd};
use ringway_runtime::loom::MutexGuard;
use ringway_runtime::task::coop;
use socket2::{SockAddr, SockRef};

use super::shortage::{self, Shortage};
use super::side::{Place, wait};
use super::stash::{Stash, Takers};
use super::{Lent, Polls, Readiness, Side, SideState, Waiters, Wakes, Way, Who};
use crate::op;
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// How many connections the kernel keeps for a listener made by `bind` until they are accepted.
///
/// Enough for a burst of clients between two turns of a busy worker. The kernel caps it at `net.core.somaxconn`
/// (4,096 by default); connections beyond it are dropped, and the clients try again after a second.
pub(crate) const BACKLOG: i32 = 1024;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    side: Side<Queue>,
    at: SharedFd,
}

/// What is known of the kernel's queue of connections, and those that have left it already.
#[derive(Debug, Default)]
pub(super) struct Queue {
    readiness: Readiness,
    shortage: Shortage,
    pub(super) stash: VecDeque<OwnedFd>,
    pub(super) takers: Takers,
    /// The last key of a taker.
    pub(super) keys: u64,
    pub(super) is_open: bool,
}

impl SideState for Queue {
    const WAKES: Wakes = Wakes::One;

    fn waiters(&mut self) -> &mut Waiters {
        self.readiness.waiters()
    }

    fn note_news(&mut self) {
        self.readiness.note_news();
    }

    fn note_told(&mut self, events: u32) {
        self.readiness.note_told(events);
    }
}

impl Listener {
    /// Takes a socket that listens and does not block.
    pub(crate) fn new(at: SharedFd) -> Listener {
        let queue = Queue {
            readiness: Readiness::new(Interest::READABLE, Ready::READABLE, Way::Aside, Polls::Many),
            is_open: true,
            ..Queue::default()
        };
        Listener {
            side: Side::new(queue),
            at,
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.at
    }

    pub(crate) fn stash(&self) -> Stash {
        Stash::new(self.side.downgrade())
    }

    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(self.fd())
    }

    /// Shares an accepted connection in the runtime that this thread is in, or else in the listener's.
    pub(crate) fn adopt(&self, fd: OwnedFd) -> SharedFd {
        SharedFd::at_home(fd, Home::here().or(self.at.home()))
    }

    /// Gives the descriptor away, still non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `dup(2)`, which is needed only where no descriptor was left for a watch.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        drop(self.side);
        self.at
            .try_into_owned()
            .or_else(|fd| fd.as_fd().try_clone_to_owned())
    }

    /// Waits for a connection and takes it.
    pub(crate) async fn accept(&self) -> io::Result<(OwnedFd, SockAddr)> {
        let mut waiting = self.waiting_accept();
        poll_fn(|cx| waiting.poll(cx)).await
    }

    /// An accept with a place of its own among those that wait.
    pub(crate) fn waiting_accept(&self) -> WaitingAccept<'_> {
        WaitingAccept {
            listener: self,
            place: self.side.place(),
        }
    }

    /// Polls for a connection.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        mut who: Who<'_>,
    ) -> Poll<io::Result<(OwnedFd, SockAddr)>> {
        let unit = ready!(coop::poll_proceed(cx));
        let mut offer = Offer::new(cx.waker());
        let mut operations = self.side.lend();
        loop {
            let mut queue = self.side.lock();
            if let Some(fd) = queue.stash.pop_front() {
                drop(queue);
                unit.made_progress();
                return Poll::Ready(with_peer(fd));
            }
            if let Poll::Ready(result) = self.poll_queue(&mut queue, &mut operations) {
                unit.made_progress();
                self.see_to_others(queue, &mut operations);
                return Poll::Ready(result);
            }
            if wait(queue, who.again(), &mut offer) {
                return Poll::Pending;
            }
        }
    }

    /// Whoever still waits was not woken for this event, so somebody must see to the next one, which may be there already.
    fn see_to_others(&self, mut queue: MutexGuard<'_, Queue>, operations: &mut Lent<'_>) {
        let others = queue.waiters().has_futures();
        let readiness = &mut queue.readiness;
        let hands_on =
            others && (readiness.arm(&self.at, operations).is_err() || !readiness.will_tell());
        drop(queue);
        if hands_on {
            self.side.hand_on();
        }
    }

    /// Takes a connection from the kernel's queue, or starts the operation that waits for one.
    fn poll_queue(
        &self,
        queue: &mut Queue,
        operations: &mut Lent<'_>,
    ) -> Poll<io::Result<(OwnedFd, SockAddr)>> {
        let shortage = &mut queue.shortage;
        let queue = &mut queue.readiness;
        queue.settle(operations)?;
        ready!(shortage.poll(&operations.cx));
        loop {
            if !queue.believed().is_empty() {
                match op::accept(self.fd()) {
                    Err(error) if self.is_empty(&error) => queue.note_block(&self.at),
                    Err(error) if shortage::is_one(&error) => {
                        ready!(shortage.note(self.at.home(), &operations.cx));
                        return Poll::Ready(Err(error));
                    }
                    result => {
                        shortage.end();
                        return Poll::Ready(result);
                    }
                }
            }
            if queue.is_armed() {
                return Poll::Pending;
            }
            queue.arm(&self.at, operations)?;
        }
    }

    /// Whether an accept failed because nobody has connected.
    ///
    /// With a full descriptor table the kernel says so before it looks at its queue. That is an error of this
    /// accept only if there is a connection that it would have returned.
    fn is_empty(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => true,
            Some(libc::EMFILE | libc::ENFILE) => {
                matches!(
                    op::poll_now(self.fd(), poll_events(Interest::READABLE)),
                    Ok(0)
                )
            }
            _ => false,
        }
    }
}

/// One accept. When it is dropped its place goes to the next.
#[derive(Debug)]
pub(crate) struct WaitingAccept<'a> {
    listener: &'a Listener,
    place: Place<'a, Queue>,
}

impl WaitingAccept<'_> {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(OwnedFd, SockAddr)>> {
        let accepted = ready!(self.listener.poll_accept(cx, self.place.who()));
        self.place.leave();
        Poll::Ready(accepted)
    }
}

/// A connection with its client's address. One that the client has broken off meanwhile has none, and is refused as
/// accept(2) may refuse it.
fn with_peer(fd: OwnedFd) -> io::Result<(OwnedFd, SockAddr)> {
    let peer = SockRef::from(&fd).peer_addr();
    match peer {
        Ok(address) => Ok((fd, address)),
        Err(_) => Err(io::Error::from_raw_os_error(libc::ECONNABORTED)),
    }
}
