//! Connections that were taken from the kernel's queue for somebody who has gone since.
//!
//! A listener's own accepts take nothing that they do not return. Accepts in the ring do: when their future is dropped
//! the kernel may have given them a connection already. That one is put here, and the listener's next accept gets it,
//! before those in the kernel's queue. A listener that is gone has no stash any more; then the connection is closed.

use std::os::fd::OwnedFd;

use super::listener::Queue;
use super::side::WeakSide;

/// Where a listener's connections go whom nobody waits for any more.
#[derive(Clone, Debug)]
pub struct Stash(WeakSide<Queue>);

impl Stash {
    pub(super) fn new(queue: WeakSide<Queue>) -> Stash {
        Stash(queue)
    }

    /// Leaves a connection for the listener's next accept, and wakes who waits for one.
    pub fn put(&self, connection: OwnedFd) {
        let mut connection = Some(connection);
        self.0.change(|queue| {
            if queue.is_open {
                queue.stash.extend(connection.take());
            }
            queue.is_open
        });
        // What was not taken is closed here, with no lock held.
    }
}
