//! The end of a connection whose client may still be sending, or has not received everything yet.
//!
//! A socket that is closed with bytes that nobody read, or that gets some after it was closed, answers them with a reset, and
//! a reset has both kernels forget what is on its way: the tail of an answer that was handed over long ago. So our side ends first, and
//! the socket is closed when nothing can be lost any more (RFC 9112, 9.6): when the client has ended its side as well, or when its kernel
//! has acknowledged everything, our end too, and it had some time to see that. Until then what it sends is read and forgotten.
//!
//! 1. What is read is bounded; more waits in the kernel, which slows its sender down, and the rest of the answer leaves all the same.
//! 2. The time is bounded as it is for sending: by a least rate as long as something is not acknowledged. At a stop of the
//!    server it is over soon.
//! 3. Meanwhile the connection counts as one, for the server and for its address.

use std::time::Duration;

use ringway::time::{Instant, sleep, timeout};

use crate::limits::{LINGER_BYTES_MAX, LINGER_LOOK, LINGER_TIME, STALL_CHUNK_BYTES};
use crate::transport::Transport;

/// Ends our side of a connection, and waits until it may be closed. Of what was sent, [`STALL_CHUNK_BYTES`] must be acknowledged within
/// `stall`; `room` is for what is forgotten.
pub(crate) async fn linger(
    stream: &mut Transport,
    room: &mut [u8],
    stall: Duration,
    stops: impl Fn() -> bool,
) {
    // TLS says its end by bytes of its own, for which there may be no room yet.
    if !matches!(timeout(stall, stream.shutdown()).await, Ok(Ok(()))) {
        return;
    }
    let mut patience = Patience::new(Instant::now(), stall, stream.unacknowledged());
    let mut readable = LINGER_BYTES_MAX;
    loop {
        let unacknowledged = stream.unacknowledged();
        if patience.is_over(Instant::now(), unacknowledged, stops()) {
            return;
        }
        if readable == 0 {
            if unacknowledged == 0 {
                return;
            }
            sleep(LINGER_LOOK).await;
            continue;
        }
        let bound = readable.min(room.len());
        match timeout(LINGER_LOOK, stream.discard(&mut room[..bound])).await {
            Ok(Ok(count @ 1..)) => readable -= count,
            // The client has ended its side, or is gone.
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

/// For how long a client is waited for.
#[derive(Debug)]
struct Patience {
    begin: Instant,
    stall: Duration,
    /// What was not acknowledged when the current [`STALL_CHUNK_BYTES`] began.
    mark: u64,
    /// When they have to be acknowledged.
    due: Instant,
    /// The end of it all, since the server stops.
    end: Option<Instant>,
}

impl Patience {
    fn new(begin: Instant, stall: Duration, unacknowledged: u64) -> Patience {
        Patience {
            begin,
            stall,
            mark: unacknowledged,
            due: begin + stall,
            end: None,
        }
    }

    fn is_over(&mut self, now: Instant, unacknowledged: u64, stops: bool) -> bool {
        if unacknowledged == 0 {
            return stops || now >= self.begin + LINGER_TIME;
        }
        if self.mark.saturating_sub(unacknowledged) >= STALL_CHUNK_BYTES {
            self.mark = unacknowledged;
            self.due = now + self.stall;
        }
        if stops {
            self.end.get_or_insert(now + LINGER_TIME);
        }
        now >= self.due || self.end.is_some_and(|end| now >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(30);
    const MANY: u64 = 4 * STALL_CHUNK_BYTES;

    /// Mutants: count the time from the begin alone; let any byte begin the time anew.
    #[test]
    fn a_client_is_waited_for_as_long_as_it_receives_at_the_least_rate() {
        let begin = Instant::now();
        let mut patience = Patience::new(begin, STALL, MANY);
        let soon = begin + STALL - Duration::from_millis(1);
        assert!(!patience.is_over(soon, MANY - 1, false));
        assert!(patience.is_over(begin + STALL, MANY - 2, false));
        assert!(!patience.is_over(soon, MANY - STALL_CHUNK_BYTES, false));
        assert!(!patience.is_over(begin + STALL, MANY - STALL_CHUNK_BYTES, false));
        assert!(patience.is_over(soon + STALL, MANY - STALL_CHUNK_BYTES, false));
    }

    /// Mutants: end as soon as everything is acknowledged; wait at a stop for who has everything.
    #[test]
    fn who_has_everything_is_given_some_time_to_end_unless_the_server_stops() {
        let begin = Instant::now();
        let mut patience = Patience::new(begin, STALL, MANY);
        assert!(!patience.is_over(begin, 0, false));
        assert!(patience.is_over(begin, 0, true));
        assert!(patience.is_over(begin + LINGER_TIME, 0, false));
    }

    /// Mutants: end at once at a stop; begin the time anew at each look.
    #[test]
    fn at_a_stop_some_time_is_left_for_what_was_not_acknowledged() {
        let begin = Instant::now();
        let mut patience = Patience::new(begin, STALL, MANY);
        assert!(!patience.is_over(begin, MANY, true));
        assert!(!patience.is_over(begin + LINGER_TIME / 2, MANY, true));
        assert!(patience.is_over(begin + LINGER_TIME, MANY, true));
    }
}
