//! Connections that were taken from the kernel's queue for somebody who has gone since.
//!
//! A listener's own accepts take nothing that they do not return. Accepts in the ring do: when their future is dropped
//! the kernel may have given them a connection already. That one is put here, and the listener's next accept gets it,
//! before those in the kernel's queue: one of the listener's own, or one in the ring that looks here too, as a [`Taker`].
//! A listener that is gone has no stash any more; then the connection is closed.

use std::mem;
use std::os::fd::OwnedFd;
use std::task::{Context, Waker};

use ringway_runtime::{Offer, Unprepared};

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
        let mut takers = Vec::new();
        self.0.change(|queue| {
            if queue.is_open {
                queue.stash.extend(connection.take());
                takers = mem::take(&mut queue.takers);
            }
            queue.is_open
        });
        // All of them: any one may be gone before it looks.
        for (_, waker) in takers {
            waker.wake();
        }
        // What was not taken is closed here, with no lock held.
    }

    /// For an accept in the ring: looks here beside that.
    pub fn taker(&self) -> Taker {
        Taker {
            stash: self.clone(),
            key: None,
        }
    }
}

/// One who waits for what is put into a stash, until it is dropped.
#[derive(Debug)]
pub struct Taker {
    stash: Stash,
    key: Option<u64>,
}

impl Taker {
    /// A connection, if one is there; otherwise the task is woken when one is put.
    pub fn poll_take(&mut self, cx: &mut Context<'_>) -> Option<OwnedFd> {
        let (connection, replaced) = Offer::until_served(cx.waker(), |offer| {
            let mut found = Ok((None, None));
            self.stash.0.change(|queue| {
                found = match queue.stash.pop_front() {
                    None if queue.is_open => {
                        let key = *self.key.get_or_insert_with(|| queue.next_key());
                        let registered = queue.register_taker(key, offer);
                        registered.map(|replaced| (None, replaced))
                    }
                    connection => Ok((connection, None)),
                };
                false
            });
            found
        });
        drop(replaced);
        connection
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut waker = None;
        self.stash.0.change(|queue| {
            waker = queue.remove_taker(key);
            false
        });
        drop(waker);
    }
}

/// Those who wait for what is put there, by the keys that they were given.
pub(super) type Takers = Vec<(u64, Waker)>;

impl Queue {
    fn next_key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    /// Returns the waker that it replaces.
    fn register_taker(
        &mut self,
        key: u64,
        offer: &mut Offer<'_>,
    ) -> Result<Option<Waker>, Unprepared> {
        match self.takers.iter_mut().find(|(known, _)| *known == key) {
            Some((_, stored)) => offer.renew(stored),
            None => {
                self.takers.push((key, offer.take()?));
                Ok(None)
            }
        }
    }

    fn remove_taker(&mut self, key: u64) -> Option<Waker> {
        let place = self.takers.iter().position(|(known, _)| *known == key)?;
        Some(self.takers.swap_remove(place).1)
    }
}
