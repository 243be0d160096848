//! The descriptors that the poller watches, one registration each, however many wait for it.
//!
//! A number is registered with what all its waiters want together. By default a registration is *one shot*: its event
//! disarms it, and it is armed again when somebody waits; arming looks at what is there already, so nothing is missed.
//! It is for *edges*, and stays armed, while a multishot poll waits, and when somebody was told of an event that was of
//! no use to him: to be told of it again and again would keep the worker busy.
//!
//! # Numbers that come again
//!
//! A request holds its descriptor open, so a number means the same file as long as somebody waits for it. Between two
//! requests the file may be closed, and the number be another's. The kernel forgets a registration with the last
//! descriptor of its file; so a change may find none (and adds it), and an addition may find one (and changes it). If
//! the file lives on by another number, so does the registration by the old one; its events come with the *generation*
//! in which it was made, and are not taken for those of the file that has the number now.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use polling::{Event, PollMode, Poller};

/// Maps whose keys are numbers of our own, or of the kernel's: no stranger picks them to make them collide.
pub(super) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// One number multiplied (Knuth's golden ratio).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 << 8 | u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The table takes the place from the low bits and a tag from the high ones.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }

    fn write_i32(&mut self, number: i32) {
        self.write_u64(number as u64);
    }
}

/// Where descriptors are registered: the poller of a running program, or a model's. It forgets a descriptor that is
/// closed.
pub(crate) trait Registry {
    fn add(&self, fd: RawFd, interest: Event, mode: PollMode) -> io::Result<()>;

    fn change(&self, source: BorrowedFd<'_>, interest: Event, mode: PollMode) -> io::Result<()>;

    fn delete(&self, source: BorrowedFd<'_>) -> io::Result<()>;
}

impl Registry for Poller {
    fn add(&self, fd: RawFd, interest: Event, mode: PollMode) -> io::Result<()> {
        // SAFETY: the poller is an epoll instance, which forgets a descriptor that is closed by itself.
        unsafe { self.add_with_mode(fd, interest, mode) }
    }

    fn change(&self, source: BorrowedFd<'_>, interest: Event, mode: PollMode) -> io::Result<()> {
        self.modify_with_mode(source, interest, mode)
    }

    fn delete(&self, source: BorrowedFd<'_>) -> io::Result<()> {
        Self::delete(self, source)
    }
}

/// The state of one registration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Registration {
    /// The poller knows the number, as far as we know.
    known: bool,
    /// It comes back with each event.
    generation: u32,
    /// It stays armed.
    pub(super) is_for_edges: bool,
    armed: u32,
}

/// Events of which the poller tells that there is something to read, and to write.
const READABLE: u32 = (libc::POLLIN | libc::POLLRDNORM | libc::POLLRDBAND | libc::POLLRDHUP) as u32;
const WRITABLE: u32 = (libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND) as u32;
const PRIORITY: u32 = libc::POLLPRI as u32;

/// The lower half of a poller's key is the number, the upper the generation, where there is room for one.
const GENERATION_SHIFT: u32 = 32;

impl Registration {
    /// Arms it for `events`: if they are there already, that is an event.
    ///
    /// # Errors
    ///
    /// `EPERM` if the descriptor is one that is never waited for, as a file; `EBADF`; or a lack of memory.
    pub(super) fn arm(
        &mut self,
        poller: &dyn Registry,
        fd: RawFd,
        events: u32,
        edges: bool,
        next_generation: &mut u32,
    ) -> io::Result<()> {
        if fd < 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let mode = if edges {
            PollMode::Edge
        } else {
            PollMode::Oneshot
        };
        let armed = if self.known {
            match self.change(poller, fd, events, mode) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    self.add(poller, fd, events, mode, next_generation)
                }
                armed => armed,
            }
        } else {
            match self.add(poller, fd, events, mode, next_generation) {
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                    self.change(poller, fd, events, mode)
                }
                armed => armed,
            }
        };
        self.known = armed.is_ok();
        self.is_for_edges = edges;
        self.armed = events;
        armed
    }

    /// Whether it stays armed for all of `events`.
    pub(super) fn stays_armed_for(&self, events: u32) -> bool {
        self.known && self.is_for_edges && events & !self.armed == 0
    }

    fn change(
        &self,
        poller: &dyn Registry,
        fd: RawFd,
        events: u32,
        mode: PollMode,
    ) -> io::Result<()> {
        // SAFETY: the number is not -1, and the call makes an error of one that names no descriptor. The request that
        // waits holds the descriptor open.
        let source = unsafe { BorrowedFd::borrow_raw(fd) };
        poller.change(source, self.interest(fd, events), mode)
    }

    fn add(
        &mut self,
        poller: &dyn Registry,
        fd: RawFd,
        events: u32,
        mode: PollMode,
        next_generation: &mut u32,
    ) -> io::Result<()> {
        self.generation = *next_generation;
        *next_generation = next_generation.wrapping_add(1);
        poller.add(fd, self.interest(fd, events), mode)
    }

    /// Nobody waits any more. One that stays armed would go on telling.
    pub(super) fn retire(&mut self, poller: &dyn Registry, fd: RawFd) {
        if self.known && self.is_for_edges {
            // SAFETY: as in `change`; who waited last still holds the descriptor.
            let source = unsafe { BorrowedFd::borrow_raw(fd) };
            // If it is not there, all the better.
            let _ = poller.delete(source);
            self.known = false;
        }
    }

    fn interest(&self, fd: RawFd, events: u32) -> Event {
        let generation = (self.generation as usize)
            .checked_shl(GENERATION_SHIFT)
            .unwrap_or(0);
        let readable = events & READABLE != 0;
        let writable = events & WRITABLE != 0;
        let mut event = Event::new(generation | fd as usize, readable, writable);
        event.set_priority(events & PRIORITY != 0);
        event
    }

    /// Whether an event with this key is this registration's.
    pub(super) fn is_meant_by(&self, key: usize, fd: RawFd) -> bool {
        self.interest(fd, 0).key == key
    }
}

/// The number in a key.
pub(super) fn fd_of(key: usize) -> RawFd {
    key as u32 as RawFd
}

/// What a poller has told of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// `POLL…` bits, of those that it was registered for.
    events: u32,
    /// There is more to it, or may be: an error, a hang-up, something urgent.
    more: bool,
}

const ERROR: u32 = (libc::POLLERR | libc::POLLHUP) as u32;

impl Told {
    pub(super) fn by(event: &Event) -> Self {
        let mut events = 0;
        if event.readable {
            events |= libc::POLLIN as u32;
        }
        if event.writable {
            events |= libc::POLLOUT as u32;
        }
        Self {
            events,
            more: event.is_interrupt() || event.is_priority() || event.is_err() != Some(false),
        }
    }

    pub(super) fn exact(events: u32) -> Self {
        Self {
            events,
            more: events & (ERROR | PRIORITY) != 0,
        }
    }

    /// Whether a call that waits for `events` is worth trying.
    pub(super) fn concerns(self, events: u32) -> bool {
        let of = |kind: u32| self.events & kind != 0 && events & kind != 0;
        self.more || of(READABLE) || of(WRITABLE)
    }

    /// Which of `events` there are, if that is all that is told.
    pub(super) fn exactly(self, events: u32) -> Option<u32> {
        const PLAIN: u32 = (libc::POLLIN | libc::POLLOUT) as u32;
        (!self.more && events & !PLAIN == 0).then_some(self.events & events)
    }
}

/// Which of the `events` of a waiter are among what was found for all.
pub(super) fn of_those_found(found: u32, events: u32) -> u32 {
    found & (events | ERROR)
}
