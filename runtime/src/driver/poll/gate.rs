//! Answers on their way to who reaps them, and whose turn it is to sleep in the poller.
//!
//! A thread that enters to wait sleeps in the poller until a descriptor is ready, and is called out of it by a *bell*,
//! which is sticky: rung before the sleep, it ends the sleep. Answers come from elsewhere too, from the threads of the
//! blocking pool, and so does the doorbell.
//!
//! 1. Who posts an answer, or rings the doorbell, leaves it here under the lock, and rings the bell if a thread sleeps.
//! 2. Who wants to sleep looks here under the same lock, and sleeps only if nothing is here. So one of the two sees the
//!    other.
//! 3. One thread at a time is in the poller. A second one that wants to sleep calls the first out and waits for its turn,
//!    which is short: the first one leaves.
//! 4. What was left here stays until it is reaped: a thread that was called out and has no use for it takes nothing
//!    away.

use std::collections::VecDeque;

use super::super::slots::{Answer, DOORBELL};
use crate::loom::{Condvar, Mutex};

/// Calls the thread that sleeps in the poller, or the next one that will, out of it.
pub trait Bell {
    /// Rings. Rung twice before it is heard, it is heard once.
    fn ring(&self);
}

/// The answers of one device, and the turn. See the module.
#[derive(Debug, Default)]
pub struct Gate {
    inner: Mutex<Inner>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    answers: VecDeque<(u64, Answer)>,
    /// The doorbell was rung, and nobody has reaped that.
    rung: bool,
    /// A thread has the turn.
    taken: bool,
    /// It sleeps, or is about to, and nobody has called it yet.
    asleep: bool,
    /// The poller was looked at since the last [`Gate::was_looked_at`].
    looked: bool,
}

/// What a thread that enters has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// Sleep in the poller, then say [`Gate::wake`], and at the end [`Gate::leave`].
    Sleep,
    /// Look into the poller without waiting, and say [`Gate::leave`].
    Look,
    /// Nothing: another thread has the turn.
    Away,
}

impl Gate {
    /// A gate without answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves answers to be reaped.
    pub fn post(&self, answers: &mut Vec<(u64, Answer)>, bell: &impl Bell) {
        if answers.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        inner.answers.extend(answers.drain(..));
        let call = std::mem::take(&mut inner.asleep);
        drop(inner);
        if call {
            bell.ring();
        }
    }

    /// Rings the doorbell, which is heard by who reaps.
    pub fn ring_doorbell(&self, bell: &impl Bell) {
        let mut inner = self.inner.lock();
        inner.rung = true;
        let call = std::mem::take(&mut inner.asleep);
        drop(inner);
        if call {
            bell.ring();
        }
    }

    /// Takes the turn: to sleep if there is nothing here, or to look.
    pub fn enter(&self, sleeps: bool, bell: &impl Bell) -> Turn {
        let mut inner = self.inner.lock();
        while inner.taken {
            if !sleeps || inner.has_news() {
                return Turn::Away;
            }
            if std::mem::take(&mut inner.asleep) {
                bell.ring();
            }
            self.left.wait(&mut inner);
        }
        inner.taken = true;
        if !sleeps || inner.has_news() {
            return Turn::Look;
        }
        inner.asleep = true;
        Turn::Sleep
    }

    /// The thread that has the turn is out of the poller, and has still to deal with what it found.
    pub fn wake(&self) {
        self.inner.lock().asleep = false;
    }

    /// Gives the turn up.
    pub fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.taken = false;
        inner.looked = true;
        drop(inner);
        self.left.notify_one();
    }

    /// Hands out `left` answers at most, and takes from `left` what it handed out.
    pub fn reap(&self, left: &mut usize, visit: &mut dyn FnMut(u64, Answer)) {
        let mut inner = self.inner.lock();
        if *left > 0 && std::mem::take(&mut inner.rung) {
            *left -= 1;
            visit(
                DOORBELL,
                Answer {
                    result: 0,
                    flags: 0,
                },
            );
        }
        let count = inner.answers.len().min(*left);
        *left -= count;
        for (user_data, answer) in inner.answers.drain(..count) {
            visit(user_data, answer);
        }
    }

    /// Whether there is something to reap.
    pub fn has_news(&self) -> bool {
        self.inner.lock().has_news()
    }

    /// Whether somebody has looked into the poller since the last call.
    pub fn was_looked_at(&self) -> bool {
        std::mem::take(&mut self.inner.lock().looked)
    }
}

impl Inner {
    fn has_news(&self) -> bool {
        self.rung || !self.answers.is_empty()
    }
}
