//! What a slot keeps for others: the waker that waits for its answer, and what the ledger says of it.

use std::task::Waker;

use super::ledger::{Entry, Kind};
use crate::offer::{Offer, Unprepared};

/// What the ledger says of a slot.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) slot: Entry,
    pub(super) operation: Entry,
}

/// A waker that waits for an answer.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) waker: Waker,
    pub(super) entry: Entry,
}

impl Stored {
    pub(super) fn new(waker: Waker, entries: &Entries) -> Self {
        Self {
            waker,
            entry: entries.slot.beside(Kind::Waker),
        }
    }
}

/// Stores the waker that is offered; returns the one that it replaced.
pub(super) fn store(
    stored: &mut Option<Stored>,
    offer: &mut Offer<'_>,
    entries: &Entries,
) -> Result<Option<Waker>, Unprepared> {
    match stored {
        Some(stored) if offer.is_known_as(&stored.waker) => Ok(None),
        _ => {
            let replaced = stored.replace(Stored::new(offer.take()?, entries));
            Ok(replaced.map(|stored| stored.waker))
        }
    }
}
