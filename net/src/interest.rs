//! What a caller wants to wait for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;
const ERROR: u8 = 1 << 3;

/// The events that somebody waits for: never none, often one, sometimes several.
///
/// ```
/// use ringway_net::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable());
/// assert_eq!(both.remove(Interest::READABLE), Some(Interest::WRITABLE));
/// assert_eq!(Interest::READABLE.remove(Interest::READABLE), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Bytes to read, a connection to accept, or the peer's end of writing.
    pub const READABLE: Interest = Interest(READABLE);

    /// Room to write, or the knowledge that no write can succeed any more.
    pub const WRITABLE: Interest = Interest(WRITABLE);

    /// Out-of-band data, and what else the kernel calls priority.
    pub const PRIORITY: Interest = Interest(PRIORITY);

    /// An error of the socket, which is otherwise told only together with another event.
    pub const ERROR: Interest = Interest(ERROR);

    /// Whether reading is among the events.
    pub const fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Whether writing is among the events.
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether priority events are among the events.
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Whether errors are among the events.
    pub const fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// Both sets of events together.
    ///
    /// ```
    /// use ringway_net::Interest;
    ///
    /// let all = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY).add(Interest::ERROR);
    /// assert!(all.is_readable() && all.is_writable() && all.is_priority() && all.is_error());
    /// assert_eq!(Interest::READABLE.add(Interest::READABLE), Interest::READABLE);
    /// ```
    #[must_use = "the result is the return value; `self` stays as it was"]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// The events of `self` without those of `other`; `None` if none is left.
    #[must_use = "the result is the return value; `self` stays as it was"]
    pub fn remove(self, other: Interest) -> Option<Interest> {
        let left = self.0 & !other.0;
        (left != 0).then_some(Interest(left))
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = self.add(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
            (self.is_error(), "ERROR"),
        ];
        let mut first = true;
        for (_, name) in names.into_iter().filter(|(present, _)| *present) {
            if !first {
                f.write_str(" | ")?;
            }
            f.write_str(name)?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Interest;

    #[test]
    fn debug_joins_the_names_with_bars() {
        let all = Interest::ERROR | Interest::PRIORITY | Interest::WRITABLE | Interest::READABLE;
        assert_eq!(format!("{all:?}"), "READABLE | WRITABLE | PRIORITY | ERROR");
        assert_eq!(format!("{:?}", Interest::WRITABLE), "WRITABLE");
    }

    #[test]
    fn removing_the_last_event_leaves_nothing() {
        let both = Interest::READABLE | Interest::ERROR;
        assert_eq!(both.remove(Interest::ERROR), Some(Interest::READABLE));
        assert_eq!(both.remove(both), None);
        assert_eq!(both.remove(Interest::PRIORITY), Some(both));
    }
}
