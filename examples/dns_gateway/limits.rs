//! Every bound of the gateway, with its unit and its reason.
//!
//! A server that faces strangers must know, for each thing a stranger can make it hold, how much of
//! it there can be. What the command line can change is a field of [`Limits`]; the rest are constants.

use std::time::Duration;

/// Bytes of an answer that we take by UDP, and the most that we send so. The number of the DNS Flag Day
/// of 2020: with headers it fits the least MTU of IPv6, so that no answer is fragmented.
pub(crate) const EDNS_BYTES: u16 = 1232;

/// Bytes of an answer by UDP to who does not say how much he takes (RFC 1035, 2.3.4), and the least
/// that counts of what one says (RFC 6891, 6.2.3).
pub(crate) const UDP_BYTES_MIN: u16 = 512;

/// Bytes of a query by UDP. Nobody may send more than we have said we take; a longer one is cut, and so
/// is no query.
pub(crate) const QUERY_BYTES_MAX: usize = EDNS_BYTES as usize;

/// Bytes of a reply that is read from an upstream by UDP: some send more than they were told to.
pub(crate) const REPLY_BYTES_MAX: usize = 4096;

/// Bytes of a message by TCP: its length has 16 bits.
pub(crate) const TCP_BYTES_MAX: usize = u16::MAX as usize;

/// How long a record is kept at most, whatever its TTL says: a mistake in a zone is over after a day.
pub(crate) const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long we believe that a name or its records do not exist. RFC 2308 (5) advises one to three hours.
pub(crate) const NEGATIVE_LIFETIME_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// How long a failure of the upstreams is remembered. RFC 9520 (3.2) asks for a second at least, five
/// minutes at most; clients try again after some seconds.
pub(crate) const FAILURE_LIFETIME: Duration = Duration::from_secs(5);

/// How often an upstream is asked by UDP before the answer is a failure. With a timeout of 1.5 s that is
/// 4.5 s: dig gives up after 5.
pub(crate) const TRIES: usize = 3;

/// Replies to a query that are looked at although they are no answer to it. Somebody who sends forged
/// ones has that many guesses of 16 bits at one port, and then the query is tried anew from another.
pub(crate) const STRAY_REPLIES_MAX: usize = 16;

/// CNAMEs that are followed within a zone.
pub(crate) const CNAMES_MAX: usize = 8;

/// Queries that a TCP client may have under way. More wait in the kernel, which slows him down.
pub(crate) const PIPELINED_MAX: u32 = 64;

/// Bytes that are read of a TCP client at a time: some pipelined queries, and little for ten thousand who
/// are idle.
pub(crate) const READ_BYTES: usize = 512;

/// For the rest of a query of which the first byte has come by TCP, and for an answer to leave.
pub(crate) const TCP_STALL: Duration = Duration::from_secs(5);

/// Bytes of the kernel's buffer for packets that have come: a burst of some thousand queries while all
/// workers are busy. The kernel caps it at `net.core.rmem_max`.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// How long a socket rests that cannot receive or accept. Short enough that nobody notices, long enough
/// that it costs no processor time.
pub(crate) const REST: Duration = Duration::from_millis(50);

/// Least time between two warnings.
pub(crate) const WARNING_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of memory that an answer in the cache costs beside its message and its question: the entry of
/// the map, the counts of the `Arc`, and what the allocator adds to three blocks.
pub(crate) const ENTRY_BYTES: usize = 192;

/// Bytes of a usual answer, from which the cache guesses how many there will be.
pub(crate) const USUAL_ANSWER_BYTES: usize = 128;

const _: () = assert!(UDP_BYTES_MIN <= EDNS_BYTES);
const _: () = assert!(FAILURE_LIFETIME.as_secs() >= 1 && FAILURE_LIFETIME.as_secs() <= 300);

/// The bounds that the command line can change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Packets and TCP queries that are being answered; packets beyond it are dropped, unless the answer is in the cache.
    pub(crate) in_flight: usize,
    /// Questions that upstreams are being asked; others wait, and fail if they wait too long.
    pub(crate) upstream: usize,
    /// TCP connections; more wait in the kernel's queue.
    pub(crate) clients: usize,
    /// Bytes that the cache may take.
    pub(crate) cache_bytes: u64,
    /// For a reply of an upstream, each time it is asked.
    pub(crate) reply: Duration,
    /// For the next query of a TCP client that waits for no answer.
    pub(crate) idle: Duration,
    /// For what is in flight to be answered once the gateway was told to stop.
    pub(crate) drain: Duration,
}
