//! What every kind of socket is made of.
//!
//! A connection has two **directions**, reading and writing; a listener has one queue. Each is a **side**: a small
//! locked state with the poll operation that belongs to the socket and the tasks that wait for it.
//!
//! Rules, which hold for every side:
//!
//! 1. Operations belong to the side, not to the futures. A future that is dropped takes itself off the list of
//!    waiters, and nothing else happens.
//! 2. Operations take nothing from the socket: they wait. Bytes and connections leave the kernel only in the
//!    system call whose result the caller gets.
//! 3. An operation is polled with the side's own waker only. When it fires, the side wakes those who wait.
//!    So any number of tasks may wait for one operation, and a `try_…` call may look at it in passing.
//! 4. A side's lock is held for moments: while its state changes and during a system call that does not block,
//!    never while a task's waker is called or dropped, never while a caller's closure runs. The driver polls
//!    and drops operations without calling wakers, which is what allows that under the lock.
//! 5. Beliefs ([`Ready`](crate::Ready)) are hints. Before anybody waits, a poll is under way in the ring that was armed, or
//!    has told something, after the last call that blocked; so a wrong belief delays nobody. It is level-triggered for
//!    the first waits and then stays armed, see [`armed`].
//!
//! - [`waiters`]: who waits, and in which order he is woken.
//! - [`side`]: the lock, the waker, and a future's place among the waiters.
//! - [`armed`]: the poll operation.
//! - [`readiness`]: beliefs, and the poll operation that renews them.
//! - [`direction`]: trying, waiting and trying again.
//! - [`duplex`]: both directions, over one descriptor.
//! - [`edges`]: the readiness of somebody else's descriptor.
//! - [`listener`]: a queue of connections; [`stash`]: connections that have left it for nobody.
//! - [`face`], [`messages`], [`halves`]: what the public types have in common.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ringway_runtime::driver::{self, SharedFd};
use socket2::SockRef;

mod armed;
mod direction;
mod duplex;
mod edges;
mod face;
mod halves;
mod listener;
mod messages;
mod readiness;
mod shortage;
mod side;
#[cfg(feature = "models")]
mod specimen;
mod stash;
mod waiters;

pub(crate) use armed::{Armed, Polls};
pub(crate) use direction::Direction;
pub(crate) use duplex::Duplex;
pub(crate) use edges::{Edges, Event};
pub(crate) use face::{descriptors, options, readiness, stream_calls, stream_traits};
pub(crate) use halves::halves;
pub(crate) use listener::{BACKLOG, Listener, WaitingAccept};
pub(crate) use messages::messages;
pub(crate) use readiness::{Readiness, Way};
pub(crate) use shortage::is_one as is_shortage;
pub(crate) use side::{Lent, Side, SideState, Wakes};
#[cfg(feature = "models")]
pub use specimen::{Crowd, Deserted, Everybody, OneByOne, Specimen};
pub use stash::{Stash, Taker};
pub(crate) use waiters::{Waiters, Who};

/// Debug builds tell the caller who hands over a blocking socket, which would stall a worker sooner or later.
#[track_caller]
pub(crate) fn check_nonblocking(socket: &impl AsFd) -> io::Result<()> {
    debug_assert!(
        SockRef::from(socket).nonblocking()?,
        "a blocking socket was given to the runtime; call set_nonblocking(true) on it first"
    );
    Ok(())
}

/// Shares the descriptor of a socket that is made here, in this thread's runtime.
///
/// # Errors
///
/// If the runtime has ended.
///
/// # Panics
///
/// Outside a runtime, or in one without I/O.
#[track_caller]
pub(crate) fn adopt(fd: impl Into<OwnedFd>) -> io::Result<SharedFd> {
    driver::check_context()?;
    Ok(SharedFd::from(fd.into()))
}
