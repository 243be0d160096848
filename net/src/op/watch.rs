//! Watches: epoll instances with one member.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use ringway_runtime::driver::{Home, SharedFd};

use super::sys::{checked, uninterrupted};

/// When a watch has something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// As long as its member has one of the events.
    Level,
    /// When its member gets one of the events, until [`Watch::take_events`].
    Edge,
}

/// A descriptor that is readable when its member has an event. It does not keep the member's file open.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: SharedFd,
    trigger: Trigger,
}

impl Watch {
    /// Watches `fd` for `events`, which are `POLL…` bits; they are the `EPOLL…` bits too. Operations on the
    /// watch belong to `home`.
    ///
    /// # Errors
    ///
    /// Those of epoll_create1(2) and epoll_ctl(2): no descriptor left, or an `fd` that cannot be waited for.
    pub(crate) fn new(
        fd: &impl AsRawFd,
        home: Option<Home>,
        events: u32,
        trigger: Trigger,
    ) -> io::Result<Watch> {
        // SAFETY: no pointer is passed.
        let epoll = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `epoll_create1` has just made this descriptor, and nobody else knows its number.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        let edge = match trigger {
            Trigger::Level => 0,
            Trigger::Edge => libc::EPOLLET as u32,
        };
        let mut event = libc::epoll_event {
            events: events | edge,
            u64: 0,
        };
        // SAFETY: `event` is valid for the call, which copies it. A number that names no descriptor is an error.
        checked(unsafe {
            libc::epoll_ctl(
                epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd.as_raw_fd(),
                &mut event,
            )
        })?;
        Ok(Watch {
            epoll: SharedFd::at_home(epoll, home),
            trigger,
        })
    }

    pub(crate) fn trigger(&self) -> Trigger {
        self.trigger
    }

    /// What to poll, and for which events, to be told when the watch has something to tell.
    pub(crate) fn polled(&self) -> (SharedFd, u32) {
        (self.epoll.clone(), libc::POLLIN as u32)
    }

    /// What the member's events are now; none if there is nothing to tell. Does not block.
    ///
    /// # Errors
    ///
    /// Those of epoll_wait(2), which has none here.
    pub(crate) fn take_events(&self) -> io::Result<u32> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let count = uninterrupted(|| {
            // SAFETY: `event` is room for one event, and the timeout of zero keeps the call from blocking.
            checked(unsafe { libc::epoll_wait(self.epoll.as_fd().as_raw_fd(), &mut event, 1, 0) })
        })?;
        Ok(if count == 0 { 0 } else { event.events })
    }
}
