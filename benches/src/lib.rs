//! The workloads by which ringway is measured against its peers, and the means to measure them.
//!
//! Every workload is written once, in `src/workloads/`, against tokio's interface under the name
//! `rt`. That folder is compiled once for each peer: [`mod@ringway`] and [`mod@tokio`] differ in what
//! `rt` stands for, so both runtimes run the same lines. The exceptions are named as such: reading
//! a file at a position into an owned buffer, and walking through a tree, which tokio does not have.
//!
//! * [`WORKLOADS`] lists them, with the size of a batch and the ratio that we promise.
//! * [`gauges`] lists what is not a time per operation: latencies, memory, the noise of an idle runtime.
//! * [`meter`] measures processor time, which is the figure that counts, beside wall time; [`calls`]
//!   counts system calls.
//! * [`clients`] are the other end of the network workloads: this program again, in a process of
//!   its own, so that its work is not counted.
//! * [`descriptors`] makes room for many connections.
//! * [`bare`] is the echo server without a runtime, [`bare_sockets`] the other servers.
//! * [`mod@bench`] hands workloads to criterion (`cargo bench -p ringway-benches`).
//! * [`registered`] is a ring without a runtime, and what can be registered in it; `src/bin/uring.rs`
//!   compares the ways of the completion face.
//! * [`bundles`] moves 64 KiB without a runtime, by ways of giving the kernel the memory.
//! * [`direct_loop`] reads past the cache without a runtime; `src/bin/direct.rs` has fio, ringway and such loops do it by turns.
//! * [`mod@datagrams`] receives messages without a runtime; `src/bin/transfers.rs` compares the ways of sockets that go
//!   beyond tokio's. [`ways`] is how both programs compare.
//! * `src/bin/workload.rs` runs one workload on one peer; `cargo xtask bench` runs it alternately for
//!   both and prints the ratios.

pub mod bare;
pub mod bare_sockets;
pub mod bench;
pub mod bundles;
pub mod calls;
pub mod clients;
pub mod datagrams;
pub mod descriptors;
pub mod direct_loop;
pub mod gauges;
pub mod meter;
pub mod registered;
pub mod ringway;
pub mod tokio;
pub mod ways;

/// Runs the given number of batches of one workload, on the runtime that it owns.
pub type Run = Box<dyn FnMut(u64)>;

/// The runtimes that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This workspace.
    Ringway,
    /// tokio's multi-thread runtime, the version that the workspace's table of versions names.
    Tokio,
    /// No runtime: system calls in a loop. Not every workload can be had so.
    Bare,
}

impl Peer {
    /// The peers of every workload, in the order in which they alternate.
    pub const ALL: [Peer; 2] = [Peer::Ringway, Peer::Tokio];

    /// The name that the command line and the reports use.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Ringway => "ringway",
            Peer::Tokio => "tokio",
            Peer::Bare => "bare",
        }
    }

    /// The peer of that name.
    pub fn by_name(name: &str) -> Option<Peer> {
        let peers = Peer::ALL.into_iter().chain([Peer::Bare]);
        peers.into_iter().find(|peer| peer.name() == name)
    }
}

/// One thing to measure: what an operation is, how many make a batch, and how to start it.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Unique name, used on the command line.
    pub name: &'static str,
    /// What one operation is, for the reader of a report.
    pub operation: &'static str,
    /// Operations in one batch.
    pub batch: u64,
    /// The processor time per operation that we promise, as a part of tokio's.
    pub promise: Option<f64>,
    /// Set-up on ringway.
    ringway: fn() -> Run,
    /// Set-up on tokio.
    tokio: fn() -> Run,
    /// Set-up without a runtime.
    bare: Option<fn() -> Run>,
}

impl Workload {
    /// The workload of that name.
    pub fn by_name(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Whether `peer` can run it.
    pub fn is_for(&self, peer: Peer) -> bool {
        peer != Peer::Bare || self.bare.is_some()
    }

    /// Builds a runtime of `peer` with two workers, or what is there in its place, and prepares the workload on it.
    ///
    /// # Panics
    ///
    /// If the workload is not [for](Self::is_for) the peer.
    pub fn start(&self, peer: Peer) -> Run {
        match peer {
            Peer::Ringway => (self.ringway)(),
            Peer::Tokio => (self.tokio)(),
            Peer::Bare => self.bare.expect("a workload that needs no runtime")(),
        }
    }
}

/// A table row: the same set-up function, of the same source file, for each peer.
macro_rules! workload {
    (
        $name:literal, $promise:expr, $operation:literal,
        $module:ident::$batch:ident, $function:ident($($argument:expr)?)
    ) => {
        workload!($name, $promise, $operation, $module::$batch, in $module, $function($($argument)?))
    };
    (
        $name:literal, $promise:expr, $operation:literal,
        $sizes:ident::$batch:ident, in $module:ident, $function:ident($($argument:expr)?)
    ) => {
        workload!(
            $name, $promise, $operation, $sizes::$batch, in $module, $function($($argument)?), bare None
        )
    };
    (
        $name:literal, $promise:expr, $operation:literal,
        $sizes:ident::$batch:ident, in $module:ident, $function:ident($($argument:expr)?), bare $bare:expr
    ) => {
        Workload {
            name: $name,
            operation: $operation,
            batch: tokio::workloads::$sizes::$batch,
            promise: $promise,
            ringway: || ringway::workloads::$module::$function($($argument)?),
            tokio: || tokio::workloads::$module::$function($($argument)?),
            bare: $bare,
        }
    };
}

/// Every workload, in the order of the report.
#[rustfmt::skip] // One row, one line.
pub const WORKLOADS: &[Workload] = &[
    workload!("spawn_worker", Some(0.15), "a task spawned by a task, 10,000 at once", tasks::MANY, spawn_from_worker()),
    workload!("spawn_root", None, "a task spawned by the future of `block_on`, 10,000 at once", tasks::MANY, spawn_from_root()),
    workload!("spawn_blocked_root", None, "the same, and the root then blocks its thread", outside::MANY, spawn_from_blocking_root()),
    workload!("spawn_outside", Some(0.5), "a task spawned by a foreign thread, 10,000 at once", outside::MANY, spawn_while_idle()),
    workload!("spawn_outside_2", None, "the same by two threads", outside::MANY, spawn_from_threads(2)),
    workload!("spawn_beside_yields", None, "the same by one, beside 4 tasks that compute and yield", outside::MANY, spawn_beside_yields()),
    workload!("spawn_beside_spawns", None, "the same by one, beside 2 tasks that compute and spawn", outside::FEWER, spawn_beside_spawns()),
    workload!("join", Some(0.3), "a task spawned and joined, 1,000 at once", tasks::SPAWNS, join()),
    workload!("join_1", None, "`block_on` of one task that yields once, 1 worker", tasks::SPAWNS, block_on_and_join(1)),
    workload!("join_10", None, "a task of 10 that yield once, in `block_on`, 1 worker", tasks::SPAWNS, block_on_and_join(10)),
    workload!("join_set", None, "a task spawned into a set and awaited, 1,000 at once", sets::TASKS, spawn_then_join()),
    workload!("join_set_16", None, "the same, 16 in the set at a time", sets::PASSING, keep_full()),
    workload!("yield", Some(0.6), "`yield_now`, in 200 tasks at once", tasks::YIELDS, yield_now()),
    workload!("ping_pong", Some(0.6), "two tasks that exchange two oneshots, 1,000 pairs", tasks::SPAWNS, ping_pong()),
    workload!("chained_spawn", Some(0.6), "a task that spawns the next, 1,000 deep", tasks::SPAWNS, chained_spawn()),
    workload!("mpsc", Some(0.9), "a message from one task to another", messages::MESSAGES, one_to_one()),
    workload!("mpsc_5", Some(0.9), "a message from five tasks to a sixth", messages::MESSAGES, five_to_one()),
    workload!("request_root", Some(0.25), "a request of the root to a task, and its answer", messages::REQUESTS, request_from_root(2)),
    workload!("request_root_1", Some(0.25), "the same, 1 worker", messages::REQUESTS, request_from_root(1)),
    workload!("request_task", None, "a request of a task to a task, and its answer", messages::REQUESTS, request_from_task()),
    workload!("spawn_blocking", Some(0.5), "a blocking job, one after the other", blocking::JOBS, one_at_a_time()),
    workload!("spawn_blocking_16", Some(0.5), "a blocking job of 16 at once, 1 task", blocking::JOBS, many_at_once(1)),
    workload!("spawn_blocking_32", Some(0.5), "a blocking job of 16 at once, in each of 2 tasks", blocking::JOBS, many_at_once(2)),
    workload!("single_join", None, "as join, on one thread", tasks::SPAWNS, in single, join()),
    workload!("single_join_1", None, "as join_1, on one thread", tasks::SPAWNS, in single, block_on_and_join(1)),
    workload!("single_join_10", None, "as join_10, on one thread", tasks::SPAWNS, in single, block_on_and_join(10)),
    workload!("single_yield", None, "as yield, on one thread", tasks::YIELDS, in single, yield_now()),
    workload!("single_outside", None, "a task spawned before `block_on`, on one thread", tasks::SPAWNS, in single, spawn_before()),
    workload!("single_busy", None, "the same beside a task that spawns itself", tasks::SPAWNS, in single, spawn_before_beside_spawns()),
    workload!("single_request", None, "as request_root, on one thread", messages::REQUESTS, request_on_one_thread()),
    workload!("local_join", None, "a local task spawned and joined, 1,000 at once", tasks::SPAWNS, in local, join()),
    workload!("local_yield", None, "`yield_now`, in 200 local tasks at once", local::YIELDS, yields()),
    workload!("local_mpsc", None, "a message from a thread to a local task", local::MESSAGES, messages_from_a_thread()),
    workload!("local_echo_64", None, "as echo_64, in local tasks", net::ECHOES, in local, echo(64)),
    workload!("echo_unix_1", Some(0.85), "64 B echoed over a Unix socket, 1 connection", sockets::ECHOES, in sockets, echo_unix(1), bare Some(|| bare::echo_unix(1))),
    workload!("echo_unix_32", Some(0.85), "64 B echoed over Unix sockets, 32 connections", sockets::ECHOES, in sockets, echo_unix(32), bare Some(|| bare::echo_unix(32))),
    workload!("echo_unix_512", Some(0.85), "64 B echoed over Unix sockets, 512 connections", sockets::ECHOES, in sockets, echo_unix(512), bare Some(|| bare::echo_unix(512))),
    workload!("echo_unix_8000", Some(0.85), "64 B echoed over Unix sockets, 8,000 connections", sockets::ECHOES, in sockets, echo_unix(8_000), bare Some(|| bare::echo_unix(8_000))),
    workload!("echo_large_1", None, "64 KiB echoed over TCP, 1 connection", sockets::LARGE_ECHOES, in sockets, echo_large(1), bare Some(|| bare::echo_large(1))),
    workload!("echo_large_32", None, "64 KiB echoed over TCP, 32 connections", sockets::LARGE_ECHOES, in sockets, echo_large(32), bare Some(|| bare::echo_large(32))),
    workload!("echo_large_512", None, "64 KiB echoed over TCP, 512 connections", sockets::LARGE_ECHOES, in sockets, echo_large(512), bare Some(|| bare::echo_large(512))),
    workload!("echo_large_8000", None, "64 KiB echoed over TCP, 8,000 connections, 512 at a time", sockets::LARGE_MANY, in sockets, echo_large(8_000), bare Some(|| bare::echo_large(8_000))),
    workload!("echo_unix_large_1", None, "64 KiB echoed over a Unix socket, 1 connection", sockets::LARGE_ECHOES, in sockets, echo_unix_large(1), bare Some(|| bare::echo_unix_large(1))),
    workload!("echo_unix_large_32", None, "64 KiB echoed over Unix sockets, 32 connections", sockets::LARGE_ECHOES, in sockets, echo_unix_large(32), bare Some(|| bare::echo_unix_large(32))),
    workload!("echo_unix_large_512", None, "64 KiB echoed over Unix sockets, 512 connections", sockets::LARGE_ECHOES, in sockets, echo_unix_large(512), bare Some(|| bare::echo_unix_large(512))),
    workload!("echo_unix_large_8000", None, "64 KiB echoed over Unix sockets, 8,000 connections, 512 at a time", sockets::LARGE_MANY, in sockets, echo_unix_large(8_000), bare Some(|| bare::echo_unix_large(8_000))),
    workload!("accept", Some(0.80), "a TCP connection accepted and closed, 32 at once", sockets::ACCEPTS, in sockets, accept(), bare Some(bare_sockets::accept)),
    workload!("datagrams", Some(0.80), "64 B by UDP, answered in a task of its own, 64 at once", sockets::ECHOES, in sockets, datagrams(), bare Some(bare_sockets::datagrams)),
    workload!("stream", Some(1.0), "64 KiB from one task to another over TCP", sockets::PIECES, in sockets, stream(), bare Some(bare_sockets::stream)),
    workload!("stream_reno", Some(1.0), "the same, with the congestion control `reno`", sockets::PIECES, in sockets, stream_reno(), bare Some(bare_sockets::stream_reno)),
    workload!("timer", Some(0.6), "`sleep` made, polled once and dropped", time::TIMERS, make_and_drop()),
    workload!("timer_64", Some(0.24), "the same, in 64 tasks", time::TIMERS_OF_TASKS, make_and_drop_in_tasks()),
    workload!("timer_among_1m", Some(0.6), "`sleep` made and polled, another dropped, a million pending", time::TIMERS, replace_among_many()),
    workload!("timeout_64", Some(0.6), "`timeout` around one yield, in 64 tasks", time::TIMERS_OF_TASKS, timeout_in_tasks()),
    workload!("reset_later", Some(0.6), "`Sleep::reset` to later", time::TIMERS, in time, reset(true)),
    workload!("reset_earlier", Some(0.6), "`Sleep::reset` to earlier", time::TIMERS, in time, reset(false)),
    workload!("interval", Some(0.6), "a tick of one of 1,000 intervals of 1 ms", time::TICKS, ticks()),
    workload!("delay_queue", Some(0.6), "an element inserted and removed, 10,000 in the queue", time::ELEMENTS, queue_insert_and_remove()),
    workload!("delay_queue_expire", None, "an element inserted and expired within 20 ms", time::ELEMENTS, queue_insert_and_expire()),
    workload!("echo_1", Some(1.0), "64 B echoed over TCP, 1 connection", net::ECHOES, in net, echo(1), bare Some(|| bare::echo(1))),
    workload!("echo_32", Some(0.92), "64 B echoed over TCP, 32 connections", net::ECHOES, in net, echo(32), bare Some(|| bare::echo(32))),
    workload!("echo_64", Some(0.92), "64 B echoed over TCP, 64 connections", net::ECHOES, in net, echo(64), bare Some(|| bare::echo(64))),
    workload!("echo_512", Some(0.92), "64 B echoed over TCP, 512 connections", net::ECHOES, in net, echo(512), bare Some(|| bare::echo(512))),
    workload!("echo_8000", Some(0.92), "64 B echoed over TCP, 8,000 connections", net::MANY, in net, echo(8_000), bare Some(|| bare::echo(8_000))),
    workload!("read_seek", Some(0.08), "4 KiB of a cached file: `seek`, `read_exact`", fs::READS, seek_and_read()),
    Workload {
        name: "read_at",
        operation: "4 KiB of a cached file: `read_at` (tokio: `seek`, `read_exact`)",
        batch: tokio::workloads::fs::READS,
        promise: Some(0.08),
        ringway: ringway::read_at,
        tokio: tokio::workloads::fs::seek_and_read,
        bare: None,
    },
    workload!("read_sequential", Some(0.25), "64 KiB of a cached file, one after the other", fs::PIECES, sequential()),
    workload!("small_files_1", Some(0.25), "`fs::read` of a cached 4 KiB file", fs::READS, small_files(1)),
    workload!("small_files_20", Some(0.25), "`fs::read` of a cached 4 KiB file, 20 at once", fs::READS, small_files(20)),
    workload!("metadata", Some(0.2), "`fs::metadata` of a cached file", fs::READS, metadata()),
    workload!("write_remove", Some(0.7), "`fs::write` of 4 KiB into a new file, and `remove_file`", fs::WRITES, write_and_remove()),
    workload!("create_remove", Some(0.7), "`File::create`, 4 KiB by `write_all` and `flush`, and `remove_file`", fs::WRITES, create_and_remove()),
    workload!("walk_by_hand", None, "an entry of a tree: `read_dir`, `metadata`", fs::ENTRIES, walk_by_hand()),
    Workload {
        name: "walk",
        operation: "an entry of a tree: `walk` with status (tokio: `read_dir`, `metadata`)",
        batch: tokio::workloads::fs::ENTRIES,
        promise: Some(0.25),
        ringway: ringway::walk,
        tokio: tokio::workloads::fs::walk_by_hand,
        bare: None,
    },
];
