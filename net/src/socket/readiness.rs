//! What a side is believed to be ready for, and the poll operation that renews the belief.
//!
//! At most one poll operation is under way, see [`super::armed`]. The kernel looks when it gets the operation, so it does
//! not matter what happened before it was armed. One that stays armed tells after that what is new: of each arrival, after
//! it has happened, so that a call that blocked before it is made again. What the call has left behind is not told again.
//! So a belief is cleared only by a call that would block, or by one that moved less than it could where that proves that
//! nothing is left ([`Polls::Once`] is for where it does not). As with epoll's edges, and in tokio, a read of a TCP stream
//! that stops at an urgent byte passes for such a proof: it goes on with the next arrival.
//!
//! # Through a watch
//!
//! An operation in flight keeps the file that it names open. Where that would show after the drop (an address
//! stays taken, a queue of connections stays open) the operation polls a [`Watch`] instead: an epoll instance with
//! the socket as its only member, which does not keep its member open.
//!
//! A watch also ends what would be a busy loop. Some states are reported by poll(2) though the call fails: an
//! error queue that nobody reads, or a Unix datagram socket that has room to send while its receiver has none. A
//! level-triggered poll is over at once then, and the call is made again in vain, for ever. So the second call
//! in vain turns the side to a watch for *edges*, which reports only what is new. A poll that stays armed reports for ever
//! nothing anyway.

use std::io;
use std::mem;

use ringway_runtime::driver::SharedFd;

use super::armed::Told;
use super::{Armed, Lent, Polls, SideState, Waiters, Wakes};
use crate::op::{self, Trigger, Watch};
use crate::ready::poll_events;
use crate::{Interest, Ready};

/// What the poll operations of a side name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The socket itself, which stays open until the operation has gone.
    Direct,
    /// A watch on the socket, if there is a descriptor left for one.
    Aside,
}

/// Beliefs, the operation that renews them, and those who wait for it.
#[derive(Debug)]
pub(crate) struct Readiness {
    interest: Interest,
    way: Way,
    polls: Polls,
    believed: Ready,
    poll: Armed,
    watch: Option<Watch>,
    /// A poll has ended since the last call, so that a call that would block now was made in vain.
    fired: bool,
    /// How often a poll has told something: who calls without the lock learns by it that his result is out of date.
    events: u32,
    waiters: Waiters,
}

impl Readiness {
    pub(crate) fn new(interest: Interest, believed: Ready, way: Way, polls: Polls) -> Readiness {
        Readiness {
            interest,
            way,
            polls,
            believed,
            poll: Armed::default(),
            watch: None,
            fired: false,
            events: 0,
            waiters: Waiters::default(),
        }
    }

    /// What the side is believed ready for, of what it is there for.
    pub(crate) fn believed(&self) -> Ready {
        self.believed & Ready::answering(self.interest)
    }

    /// How often a poll has told something.
    pub(crate) fn events(&self) -> u32 {
        self.events
    }

    /// A call has moved something. `was_short` says that the next one would block.
    pub(crate) fn note_success(&mut self, was_short: bool) {
        self.fired = false;
        if was_short {
            // The queue is empty, or the buffer full; whether the direction is closed does not show.
            self.believed = self.believed - (Ready::READABLE | Ready::WRITABLE);
        }
    }

    /// A call has blocked, or would have. If a poll had promised otherwise, only edges are believed from now on.
    pub(crate) fn note_block(&mut self, at: &SharedFd) {
        self.believed = self.believed - Ready::answering(self.interest);
        let in_vain = mem::take(&mut self.fired);
        if in_vain && !self.watches_edges() && self.is_reported_ready(at) {
            self.poll.disarm();
            self.watch = Watch::new(at, at.home(), poll_events(self.interest), Trigger::Edge).ok();
        }
    }

    fn watches_edges(&self) -> bool {
        matches!(&self.watch, Some(watch) if watch.trigger() == Trigger::Edge)
    }

    fn is_reported_ready(&self, at: &SharedFd) -> bool {
        !matches!(op::poll_now(at, poll_events(self.interest)), Ok(0))
    }

    /// Takes all that the poll operation has told, if there is one and it has: it may have told of something, and be over as
    /// well. Who waits after this waits for an operation that is not.
    ///
    /// # Errors
    ///
    /// The operation's own, above all that the runtime is shutting down. Nothing is under way then.
    pub(crate) fn settle(&mut self, operations: &mut Lent<'_>) -> io::Result<()> {
        while let Some(Told { events, is_last }) = self.poll.poll(operations)? {
            // One that goes on tells only what is new: nothing is told for ever.
            self.fired = is_last;
            self.events = self.events.wrapping_add(1);
            self.believed |= self.news(events)?;
            if !self.poll.has_news() {
                break;
            }
        }
        Ok(())
    }

    /// What a poll that has told `events` says of the socket.
    fn news(&self, events: u32) -> io::Result<Ready> {
        match &self.watch {
            None => Ok(Ready::from_poll(events)),
            Some(watch) => match watch.trigger() {
                Trigger::Edge => watch.take_events().map(Ready::from_poll),
                // The watch has something to tell. What, the next call will show.
                Trigger::Level => Ok(Ready::answering(self.interest) - Ready::CLOSED),
            },
        }
    }

    /// Whether somebody who waits now will be woken.
    pub(crate) fn is_armed(&self) -> bool {
        self.poll.is_armed()
    }

    /// Whether the operation under way will tell all that the side is ready for: one that stays armed tells only of what
    /// has come since a call has blocked.
    pub(crate) fn will_tell(&self) -> bool {
        self.poll.tells_of_what_is_there() || self.believed().is_empty()
    }

    /// Starts a poll operation if none is under way. Look at the belief again after it: it may be over at once.
    ///
    /// # Errors
    ///
    /// As [`settle`](Readiness::settle).
    pub(crate) fn arm(&mut self, at: &SharedFd, operations: &mut Lent<'_>) -> io::Result<()> {
        if !self.poll.is_armed() {
            let events = poll_events(self.interest);
            if self.way == Way::Aside && self.watch.is_none() {
                self.watch = Watch::new(at, at.home(), events, Trigger::Level).ok();
            }
            let (at, events) = match &self.watch {
                Some(watch) => watch.polled(),
                None => (at.clone(), events),
            };
            self.poll.arm(at, events, self.polls, operations);
            self.settle(operations)?;
        }
        Ok(())
    }
}

impl Default for Readiness {
    fn default() -> Readiness {
        Readiness::new(Interest::READABLE, Ready::EMPTY, Way::Direct, Polls::Once)
    }
}

impl SideState for Readiness {
    const WAKES: Wakes = Wakes::All;

    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }

    fn note_news(&mut self) {
        self.poll.note_news();
    }

    fn note_told(&mut self, events: u32) {
        self.poll.note_told(events, self.waiters.is_anybody());
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use ringway_runtime::Runtime;
    use ringway_runtime::driver::SharedFd;

    use super::super::Side;
    use super::*;

    /// More than the waits after which an operation stays armed.
    const WAITS: usize = 4;

    /// Mutant: take one of the two, what was told and the end, and leave the other for the next look, which may come after the wait
    /// that it should end.
    #[test]
    fn an_operation_that_has_told_and_is_over_is_not_taken_for_armed() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket takes the flag");
        let at = SharedFd::from(OwnedFd::from(ours));
        let readiness = Readiness::new(Interest::READABLE, Ready::EMPTY, Way::Direct, Polls::Many);
        let side = Side::new(readiness);
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            for _ in 0..WAITS {
                let mut state = side.lock();
                state.poll.disarm();
                state.arm(&at, &mut side.lend()).expect("it is armed");
            }
        });
        side.lock().note_told(libc::POLLIN as u32);
        // It ends all operations.
        drop(runtime);
        let settled = side.lock().settle(&mut side.lend());
        assert!(!side.lock().is_armed(), "{settled:?}");
    }
}
