//! What every kind of socket is made of.
//!
//! A socket has two **sides**, one for reading and one for writing; a listener has one. A side is a small
//! locked state with the operations that belong to the socket and the tasks that wait for them.
//!
//! Rules, which hold for every side:
//!
//! 1. Operations belong to the side, not to the futures. A future that is dropped takes itself off the list of
//!    waiters, and nothing else happens.
//! 2. An operation is polled with the side's own waker only. When it fires, the side wakes those who wait.
//!    So any number of tasks may wait for one operation, and a `try_…` call may look at it in passing.
//! 3. A side's lock is held for moments: while its state changes and during a system call that does not block,
//!    never while a task's waker is called or dropped, never while a caller's closure runs. The driver polls
//!    and drops operations without calling wakers, which is what allows that under the lock.
//! 4. Beliefs ([`Ready`](crate::Ready)) are hints. Before anybody waits, a level-triggered poll or a receive is
//!    under way in the ring, so a wrong belief delays nobody.
//!
//! - [`waiters`]: who waits, and in which order he is woken.
//! - [`side`]: the lock, the waker, and a future's place among the waiters.
//! - [`readiness`]: beliefs, and the poll operation that renews them.
//! - [`read_side`] and [`write_side`]: the two sides of a stream.
//! - [`stream`]: both together, over one descriptor.

mod read_side;
mod readiness;
mod side;
mod sink;
mod stream;
mod waiters;
mod write_side;

pub(crate) use readiness::Readiness;
pub(crate) use side::{Place, Side, SideState, Wakes};
pub(crate) use sink::{Growing, Slices};
pub(crate) use stream::StreamSocket;
pub(crate) use waiters::{Waiters, Who};
