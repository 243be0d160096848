//! What a socket is ready for.
//!
//! Kept by the sides of a socket as a *belief*: a set bit says that a try is worth while, a clear bit that one
//! has just failed. The kernel is asked again by a level-triggered poll operation, so a belief that is cleared
//! too much costs a round trip and never a lost event.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

use crate::Interest;

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const READ_CLOSED: u8 = 1 << 2;
const WRITE_CLOSED: u8 = 1 << 3;
const PRIORITY: u8 = 1 << 4;
const ERROR: u8 = 1 << 5;

/// The events that a socket is ready for, as [`ready`](crate::TcpStream::ready) returns them.
///
/// ```
/// use ringway_net::Ready;
///
/// let ready = Ready::READABLE | Ready::WRITE_CLOSED;
/// assert!(ready.is_readable());
/// assert!(ready.is_writable(), "a closed direction counts as ready: a try will tell");
/// assert!(!ready.is_read_closed());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(u8);

impl Ready {
    /// Ready for nothing.
    pub const EMPTY: Ready = Ready(0);

    /// There may be something to read.
    pub const READABLE: Ready = Ready(READABLE);

    /// There may be room to write.
    pub const WRITABLE: Ready = Ready(WRITABLE);

    /// Nothing more will come: the peer has closed its side, or the connection is gone.
    pub const READ_CLOSED: Ready = Ready(READ_CLOSED);

    /// Nothing more can be sent.
    pub const WRITE_CLOSED: Ready = Ready(WRITE_CLOSED);

    /// There is out-of-band data.
    pub const PRIORITY: Ready = Ready(PRIORITY);

    /// The socket has an error to tell.
    pub const ERROR: Ready = Ready(ERROR);

    /// All of them.
    pub const ALL: Ready =
        Ready(READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED | PRIORITY | ERROR);

    /// The bits that say that a direction is closed.
    pub(crate) const CLOSED: Ready = Ready(READ_CLOSED | WRITE_CLOSED);

    /// Whether the socket is ready for nothing.
    ///
    /// ```
    /// use ringway_net::Ready;
    ///
    /// assert!(Ready::EMPTY.is_empty());
    /// let urgent = Ready::PRIORITY | Ready::ERROR;
    /// assert!(urgent.is_priority() && urgent.is_error() && !urgent.is_empty());
    /// assert!(Ready::ALL.is_read_closed() && Ready::ALL.is_write_closed());
    /// ```
    pub fn is_empty(self) -> bool {
        self == Ready::EMPTY
    }

    /// Whether a read is worth a try. True also when reading is closed.
    pub fn is_readable(self) -> bool {
        self.0 & (READABLE | READ_CLOSED) != 0
    }

    /// Whether a write is worth a try. True also when writing is closed.
    pub fn is_writable(self) -> bool {
        self.0 & (WRITABLE | WRITE_CLOSED) != 0
    }

    /// Whether nothing more will come.
    pub fn is_read_closed(self) -> bool {
        self.0 & READ_CLOSED != 0
    }

    /// Whether nothing more can be sent.
    pub fn is_write_closed(self) -> bool {
        self.0 & WRITE_CLOSED != 0
    }

    /// Whether there is out-of-band data.
    pub fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Whether the socket has an error to tell.
    pub fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// The bits that answer `interest`.
    pub(crate) fn answering(interest: Interest) -> Ready {
        let mut ready = Ready::EMPTY;
        if interest.is_readable() {
            ready |= Ready::READABLE | Ready::READ_CLOSED;
        }
        if interest.is_writable() {
            ready |= Ready::WRITABLE | Ready::WRITE_CLOSED;
        }
        if interest.is_priority() {
            ready |= Ready::PRIORITY | Ready::READ_CLOSED;
        }
        if interest.is_error() {
            ready |= Ready::ERROR;
        }
        ready
    }

    /// What a poll operation's `revents` mean.
    ///
    /// An error without anything else counts as readable and writable: it is the next read or write that
    /// takes it from the socket, and nobody must wait for ever beside it.
    pub(crate) fn from_poll(events: u32) -> Ready {
        let has = |event: libc::c_short| events & event as u32 != 0;
        let mut ready = Ready::EMPTY;
        if has(libc::POLLIN) || has(libc::POLLERR) {
            ready |= Ready::READABLE;
        }
        if has(libc::POLLOUT) || has(libc::POLLERR) {
            ready |= Ready::WRITABLE;
        }
        if has(libc::POLLHUP) || (has(libc::POLLIN) && has(libc::POLLRDHUP)) {
            ready |= Ready::READ_CLOSED;
        }
        if has(libc::POLLHUP) || (has(libc::POLLOUT) && has(libc::POLLERR)) {
            ready |= Ready::WRITE_CLOSED;
        }
        if has(libc::POLLPRI) {
            ready |= Ready::PRIORITY;
        }
        if has(libc::POLLERR) {
            ready |= Ready::ERROR;
        }
        ready
    }

    /// What the events of a watch for edges mean to the user of a descriptor: to the letter, as in tokio. Who waits for
    /// reading is not told of an error alone.
    pub(crate) fn from_edge(events: u32) -> Ready {
        let has = |event: libc::c_short| events & event as u32 != 0;
        let closes_both = has(libc::POLLHUP);
        let is_error_alone = events == libc::POLLERR as u32;
        let bits = [
            (has(libc::POLLIN) || has(libc::POLLPRI), Ready::READABLE),
            (has(libc::POLLOUT), Ready::WRITABLE),
            (
                closes_both || (has(libc::POLLIN) && has(libc::POLLRDHUP)),
                Ready::READ_CLOSED,
            ),
            (
                closes_both || (has(libc::POLLOUT) && has(libc::POLLERR)) || is_error_alone,
                Ready::WRITE_CLOSED,
            ),
            (has(libc::POLLPRI), Ready::PRIORITY),
            (has(libc::POLLERR), Ready::ERROR),
        ];
        let present = bits.into_iter().filter(|(present, _)| *present);
        present.fold(Ready::EMPTY, |ready, (_, bit)| ready | bit)
    }
}

/// The poll events that answer `interest`. `POLLERR` and `POLLHUP` need not be asked for.
pub(crate) fn poll_events(interest: Interest) -> u32 {
    let mut events = 0;
    if interest.is_readable() {
        events |= libc::POLLIN | libc::POLLRDHUP;
    }
    if interest.is_writable() {
        events |= libc::POLLOUT;
    }
    if interest.is_priority() {
        events |= libc::POLLPRI;
    }
    events as u32
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Ready;

    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.is_readable())
            .field("is_writable", &self.is_writable())
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_error", &self.is_error())
            .field("is_priority", &self.is_priority())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ready, poll_events};
    use crate::Interest;

    #[test]
    fn a_hang_up_closes_both_directions() {
        let ready = Ready::from_poll(libc::POLLHUP as u32);
        assert!(ready.is_read_closed() && ready.is_write_closed());
        assert!(!ready.is_error());
    }

    #[test]
    fn a_half_close_closes_reading_only() {
        let ready = Ready::from_poll((libc::POLLIN | libc::POLLRDHUP) as u32);
        assert!(ready.is_read_closed());
        assert!(!ready.is_writable());
    }

    #[test]
    fn an_error_alone_wakes_readers_and_writers() {
        let ready = Ready::from_poll(libc::POLLERR as u32);
        assert!(ready.is_readable() && ready.is_writable() && ready.is_error());
    }

    #[test]
    fn each_interest_is_answered_by_its_own_bits() {
        assert_eq!(
            Ready::ALL & Ready::answering(Interest::READABLE),
            Ready::READABLE | Ready::READ_CLOSED
        );
        assert_eq!(Ready::answering(Interest::ERROR), Ready::ERROR);
        assert_eq!(poll_events(Interest::ERROR), 0);
        assert_eq!(poll_events(Interest::WRITABLE), libc::POLLOUT as u32);
    }
}
