//! What has happened, in numbers.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use crate::limits::WARNING_INTERVAL;

/// A number that only grows. On a line of the cache of its own, for all workers write to it.
#[derive(Debug, Default)]
pub(crate) struct Counter(CachePadded<AtomicU64>);

impl Counter {
    pub(crate) fn add(&self) {
        // Relaxed: numbers to look at, nothing is read because of them.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_if(&self, condition: bool) {
        if condition {
            self.add();
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// All of them, each named as it is shown.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
            last_warning: Mutex<Option<Instant>>,
        }

        impl fmt::Display for Counters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Relaxed: as in `add`.
                $(write!(f, concat!(" ", stringify!($name), "={}"), self.$name.0.load(Ordering::Relaxed))?;)*
                Ok(())
            }
        }
    };
}

counters! {
    /// Packets that have come.
    udp
    /// Queries that have come by TCP.
    tcp
    /// Connections that were accepted.
    clients
    /// Packets that were dropped because too much was in flight and the answer was not in the cache.
    dropped
    /// Packets that were no queries for us.
    rejected
    /// Answers out of the cache.
    hits
    /// Answers that were not there and that nobody was fetching.
    misses
    /// Answers that somebody else was fetching already.
    coalesced
    /// Answers out of the zone that were not in the cache.
    from_zone
    /// Requests to upstreams by UDP, and those that had to be made again by TCP.
    asked_udp
    asked_tcp
    /// Requests after the first one of a question.
    retries
    timeouts
    /// Replies to something else, and those that make no sense.
    bad_replies
    /// Questions that no upstream has answered.
    failures
    /// Answers that the kernel did not take.
    unsent
}

impl Counters {
    /// Says on standard error what is wrong; at most one line per second.
    pub(crate) fn warn(&self, message: fmt::Arguments<'_>) {
        let now = Instant::now();
        let mut last = self
            .last_warning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now - last < WARNING_INTERVAL) {
            return;
        }
        *last = Some(now);
        drop(last);
        say(message);
    }
}

/// Writes a line to standard error. If that is gone there is nobody left to tell.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "dns_gateway: {message}");
}
