//! Every bound of the server, with its unit and its reason.
//!
//! A server that faces strangers must know, for each thing a stranger can make it hold, how much of
//! it there can be. What the command line can change is a field of [`Limits`], whose default is a
//! constant here; the rest are constants.

use std::time::Duration;

/// Bytes of a request head: request line, fields and the empty line. Beyond it: 431 (or 414).
/// Browsers with large cookies stay under 8 KiB; hyper and nginx take 16 to 32 KiB.
pub(crate) const HEAD_BYTES_DEFAULT: u32 = 16 * 1024;

/// Header fields in a request. Beyond it: 431. The same number as hyper's.
pub(crate) const HEAD_FIELDS_DEFAULT: u32 = 100;

/// What the command line may raise that to: parsing reserves 8 KiB of stack for so many.
pub(crate) const HEAD_FIELDS_CAP: usize = 256;

/// Bytes of a request target. Beyond it: 414. RFC 9110 (4.1) asks for at least 8,000.
pub(crate) const TARGET_BYTES_DEFAULT: u32 = 8 * 1024;

/// Bytes received and not yet answered that a connection may hold, or one head if that is more. More
/// pipelined requests wait in the kernel, which slows their sender down.
pub(crate) const PIPELINED_BYTES_DEFAULT: u32 = 16 * 1024;

/// What the command line may raise heads, targets and pipelines to: each connection may hold so
/// much.
pub(crate) const RECEIVED_BYTES_CAP: u32 = 1024 * 1024;

/// Mebibytes that the kernel takes of all responses together and cannot send yet, because clients do
/// not read. Each connection may have its share. Without a bound they are megabytes for each, and
/// 1,000 such clients take what the machine has for all connections. What is on its way is not
/// counted.
pub(crate) const UNSENT_MIB_DEFAULT: u32 = 1024;

/// A connection's least share: below it the kernel is asked too often.
pub(crate) const UNSENT_SHARE_BYTES_MIN: u64 = 16 * 1024;

/// Connections at a time, of all addresses together; more wait in the kernel's queue.
pub(crate) const CONNECTIONS_DEFAULT: u32 = 1024;

/// Connections of one address: half of all, so that nobody keeps everybody else out alone, and what
/// a proxy in front of the server keeps open. Beyond it: 503.
pub(crate) const CONNECTIONS_PER_ADDRESS_DEFAULT: u32 = 512;

/// Ranges of one request that are honoured unless the command line says otherwise. Download managers
/// and PDF viewers ask for a few at a time.
pub(crate) const RANGES_MAX_DEFAULT: u32 = 16;

/// What the command line may raise that to: joining the ranges takes time by the square of it.
pub(crate) const RANGES_MAX_CAP: u32 = 256;

/// Bytes of the receive buffer of a new connection; it doubles up to
/// [`Limits::pipelined_bytes`] when a head needs it. curl's heads have 80 bytes, browsers' 500 to 1,500.
pub(crate) const INPUT_BYTES_INITIAL: usize = 2 * 1024;

/// Bytes of a file's part up to which it is read into memory and sent together with its head by one
/// write. Above it two more system calls no longer matter, and the kernel moves the pages without a
/// copy here.
pub(crate) const SMALL_BODY_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of a body in memory up to which it is copied behind its head. A larger one leaves from
/// where it is, together with its head.
pub(crate) const COPIED_BODY_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a body up to which it leaves by one system call if there is room. A larger one is corked: otherwise each call would end
/// with a packet that is not full.
pub(crate) const ONE_SEND_BYTES: u64 = 1024 * 1024;

/// How long ago the last change of a file must lie before what was read of it is kept: the coarsest
/// clock of a file system in use (FAT's) ticks every 2 s, and two changes within a tick look like
/// one.
pub(crate) const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// Bytes that an entry of the cache takes beside its path and its body: fields, states, and the
/// cache's own order.
pub(crate) const CACHE_ENTRY_BYTES: u64 = 640;

/// Bytes that an entry is expected to weigh; the cache makes room for so many at first.
pub(crate) const CACHE_USUAL_BYTES: u64 = 4 * 1024;

/// Bytes of a path up to which it lies within its key. Most are shorter; each entry takes so many.
pub(crate) const KEY_PATH_BYTES: usize = 38;

/// For how long a file stays open that nobody asks for any more, beyond the time that it is believed; and how often such
/// files are looked for. If it was deleted, its room on the disk is taken until then.
pub(crate) const UNUSED_FILE_TIME: Duration = Duration::from_secs(4);

/// Such files that are closed in a row before other tasks run.
pub(crate) const CLOSED_FILES_PER_TURN: usize = 64;

/// Parts of the cache with a lock each. Few, so that the largest body that is kept is a small part
/// of one.
pub(crate) const CACHE_SHARDS: usize = 8;

/// Descriptors that a large file of the cache may need: its own, and those of a pipe for transfers.
pub(crate) const DESCRIPTORS_PER_LARGE_FILE: u64 = 3;

/// Bytes of a file up to which it goes into memory when it is first asked for, as long as there is room. A hit in memory
/// saves the same calls whatever the size, so room is best spent on many that are small.
pub(crate) const UNPROVEN_BYTES_MAX: u64 = 8 * 1024;

/// Any other small file that is kept open moves into memory, where others may have to go for it, at one use of so many for
/// each [`MOVE_UNIT_BYTES`] that it has: soon if it is asked for all the time, and hardly ever if thousands are
/// asked for as often.
pub(crate) const USES_PER_MOVE: u64 = 64;
pub(crate) const MOVE_UNIT_BYTES: u64 = 4 * 1024;

/// Of the descriptors that may be open, where they are short, one in so many is for the cache.
pub(crate) const CACHE_DESCRIPTORS_PART: u64 = 8;

/// Bytes of finished responses that may wait for the rest of a pipelined batch before they are
/// written. With a small body on top, a connection holds at most this plus [`SMALL_BODY_BYTES_MAX`]
/// plus a head.
pub(crate) const OUTPUT_FLUSH_BYTES: usize = 32 * 1024;

/// Bytes of a buffer for output that a worker keeps from one flush to the next; a larger one is given back to the system.
pub(crate) const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that must move within one [`Limits::stall`]. Together they are the least rate of a
/// download: 256 KiB in 30 s, about 9 KB/s.
pub(crate) const STALL_CHUNK_BYTES: u64 = 256 * 1024;

/// Requests that a connection answers in a row before it lets other tasks run. A flood of pipelined
/// requests that need no file would otherwise never wait for anything.
pub(crate) const REQUESTS_PER_TURN: u32 = 64;

/// Entries, and bytes of their names, up to which a listing is made and sent as one piece. An entry takes about 170 bytes
/// of the page, and its name up to eight times its bytes: so the page has at most 180 KiB, and usually less than 48.
pub(crate) const LISTING_PAGE_ENTRIES: usize = 256;
pub(crate) const LISTING_PAGE_NAME_BYTES: usize = 16 * 1024;

/// Levels of a directory's path, from the directory upwards, that are links in its listing. A link takes a step for each level
/// below it: with all 2,047 that a path may have, the links of an empty directory would take 6 MB.
pub(crate) const LISTING_LINKED_LEVELS: usize = 64;

/// Bytes of a larger listing that are made at a time, and sent before the next are made.
pub(crate) const LISTING_PIECE_BYTES: usize = 32 * 1024;

/// Entries that are read from the disk before the thread is given back: a few milliseconds' work.
pub(crate) const LISTING_TURN_ENTRIES: usize = 4_096;

/// Threads that read directories, and make pages of them, at a time; other listings wait for their next turn. With a thread for each
/// listing the workers would get too little of the processors, and nothing else would be served.
pub(crate) const LISTING_THREADS_MAX: usize = 4;

/// Bytes of memory that the entries of one listing may take to be put in order: 100,000 take 4 to 8 MiB. Beyond it they
/// come as the disk has them.
pub(crate) const LISTING_SORTED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The same for all listings together, or many clients could take what the machine has.
pub(crate) const LISTINGS_SORTED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes that are read of what a client still sends at the end of its connection: what a browser has on its way when
/// an upload is refused. More waits in the kernel.
pub(crate) const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How long a client that has acknowledged everything may take to end its side: some ways there and back on a slow line. At a stop, as
/// long for what it has not acknowledged.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);

/// How often the kernel is asked meanwhile what was acknowledged, for it tells nobody. A client that ends is seen at once.
pub(crate) const LINGER_LOOK: Duration = Duration::from_millis(250);

/// Of the connections that there may be, one in so many may linger after it was turned away. Those beyond are closed at once, or who has
/// too many connections would take those of others.
pub(crate) const TURNED_AWAY_PART: usize = 16;

/// How long `accept` rests when the process or the machine is out of descriptors or memory. Short
/// enough that a freed descriptor is used at once, long enough that the wait costs no processor
/// time.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Least time between two warnings about the same trouble.
pub(crate) const WARNING_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of access log that may wait for the writer; lines beyond it are dropped and counted.
pub(crate) const LOG_BYTES_MAX: usize = 1024 * 1024;

/// How long the log gathers lines before it writes them: at most 20 writes per second.
pub(crate) const LOG_GATHER_TIME: Duration = Duration::from_millis(50);

/// How long the end of the program waits for a standard output that does not take the last lines.
pub(crate) const LOG_FLUSH_TIME: Duration = Duration::from_secs(1);

/// Bytes of a request target that the access log shows.
pub(crate) const LOG_TARGET_BYTES_MAX: usize = 1024;

/// Descriptors that one connection may need at a time: its socket, and those of a transfer.
pub(crate) const DESCRIPTORS_PER_CONNECTION: u64 = 1 + DESCRIPTORS_PER_TRANSFER;

/// Descriptors that a transfer by the kernel needs: a file, and both ends of a pipe.
pub(crate) const DESCRIPTORS_PER_TRANSFER: u64 = 3;

/// Of the descriptors that may be open, where they are short, one in so many is for transfers and
/// not for sockets. A large body that finds none is copied through memory.
pub(crate) const TRANSFER_DESCRIPTORS_PART: u64 = 4;

/// Bytes that such a copy holds at a time: many may have to wait for their readers.
pub(crate) const COPY_BYTES: usize = 16 * 1024;

/// Descriptors that are no connection's: rings, wake-ups, the root, standard streams, a few files
/// of a directory being listed.
pub(crate) const DESCRIPTORS_RESERVED: u64 = 128;

/// The shortest and the longest time of a response that the status page tells apart from shorter and longer ones, and
/// to how many digits: 24 KiB of memory for each worker.
pub(crate) const LATENCY_MIN: Duration = Duration::from_nanos(100);
pub(crate) const LATENCY_MAX: Duration = Duration::from_secs(60);
pub(crate) const LATENCY_DIGITS: u8 = 2;

/// How long one poll may hold a worker before the status page tells of it. Everything that may wait does so elsewhere: a
/// poll takes microseconds.
pub(crate) const BLOCKED_AFTER: Duration = Duration::from_millis(100);

/// Reports of that which are kept; the oldest goes first.
pub(crate) const BLOCKED_REPORTS_MAX: usize = 16;

/// From one reading for the status page to the next.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Readings that are kept, for whoever opens the page: some KiB each.
pub(crate) const SAMPLES_KEPT: usize = 120;

/// Who may watch the status page at a time; more get a 503.
pub(crate) const WATCHERS_MAX: usize = 16;

/// Connections to the status page at a time, those of watchers included; more wait in the kernel's queue.
pub(crate) const STATUS_CONNECTIONS_MAX: usize = 32;

/// How long one answer or event of the status page may take to leave; then its reader is let go.
pub(crate) const WATCHER_STALL: Duration = Duration::from_secs(10);

/// How long a word to the service manager may take to leave: its socket may be full.
pub(crate) const NOTIFY_TIME: Duration = Duration::from_secs(1);

const _: () = assert!(WATCHERS_MAX < STATUS_CONNECTIONS_MAX);
const _: () = assert!(
    TARGET_BYTES_DEFAULT < HEAD_BYTES_DEFAULT,
    "a target that is too long must be seen before its head is"
);
const _: () = assert!(
    PIPELINED_BYTES_DEFAULT as usize + OUTPUT_FLUSH_BYTES + SMALL_BODY_BYTES_MAX as usize
        <= 128 * 1024,
    "a pipelining connection holds at most 128 KiB"
);
const _: () = assert!(SMALL_BODY_BYTES_MAX <= STALL_CHUNK_BYTES);
const _: () = assert!(
    LINGER_LOOK.as_nanos() < LINGER_TIME.as_nanos(),
    "who lingers is looked at before its time is over"
);

/// The bounds that the command line can change.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a head to its last, however the bytes are spread: 408 beyond it.
    pub(crate) head: Duration,
    /// From a response to the first byte of the next request; the connection is closed beyond it.
    pub(crate) idle: Duration,
    /// For [`STALL_CHUNK_BYTES`] of a response to leave; the connection is closed beyond it.
    pub(crate) stall: Duration,
    /// For the running responses to end once the server was told to stop.
    pub(crate) drain: Duration,
    /// Connections at a time; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// Connections of one address at a time; more are turned away with 503.
    pub(crate) connections_per_address: u32,
    /// Bytes of all responses that the kernel may hold for clients that do not read.
    pub(crate) unsent_bytes: u64,
    /// Large bodies that the kernel moves at a time, if descriptors are too short for one to each
    /// connection; the others are copied.
    pub(crate) transfers: Option<usize>,
    /// What a request's head may have.
    pub(crate) head_size: HeadLimits,
    /// Bytes received and not yet answered that a connection may hold; at least a head.
    pub(crate) pipelined_bytes: usize,
    pub(crate) cache: CacheLimits,
}

impl Limits {
    /// What one connection may have of [`Self::unsent_bytes`].
    pub(crate) fn unsent_share(&self) -> u32 {
        let share = self.unsent_bytes / self.connections.max(1) as u64;
        u32::try_from(share.max(UNSENT_SHARE_BYTES_MIN)).unwrap_or(u32::MAX)
    }
}

/// What a request's head may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// In all: 431 beyond it.
    pub(crate) bytes: usize,
    /// Fields, up to [`HEAD_FIELDS_CAP`]: 431 beyond it.
    pub(crate) fields: usize,
    /// Bytes of the target: 414 beyond it.
    pub(crate) target_bytes: usize,
}

#[cfg(test)]
impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits {
            bytes: HEAD_BYTES_DEFAULT as usize,
            fields: HEAD_FIELDS_DEFAULT as usize,
            target_bytes: TARGET_BYTES_DEFAULT as usize,
        }
    }
}

/// What is kept of files between requests, and for how long it is believed.
#[derive(Clone, Debug)]
pub(crate) struct CacheLimits {
    /// For how long what a path led to is believed without another look; with none nothing is kept.
    pub(crate) time: Duration,
    /// Bytes of small files, with what it takes to find them.
    pub(crate) bytes: u64,
    /// Descriptors of files that are kept open.
    pub(crate) descriptors: u64,
}
