//! A multithreaded, work-stealing async runtime for Linux whose reactor is io_uring.
//!
//! ringway has tokio's face: where it has a module, a function or a feature of tokio's, name,
//! signature, defaults, panics and error texts are tokio's. A program that uses no more than what is
//! [there](#what-is-there) moves over by one line of its `Cargo.toml`:
//!
//! ```toml
//! tokio = { package = "ringway", path = "../ringway", features = ["full"] }
//! ```
//!
//! What is behind the face is different. Each worker thread has an io_uring of its own. What has to
//! wait for a socket or a disk is an operation in that ring, submitted and reaped in batches, and a
//! worker with nothing to do sleeps in the ring itself. The pool of threads is left with what the
//! kernel cannot do asynchronously, and with what programs ask it to do.
//!
//! # First program
//!
//! A server that sends back what it gets, and a client that checks it:
//!
//! ```
//! use ringway::io::{AsyncReadExt, AsyncWriteExt};
//! use ringway::net::{TcpListener, TcpStream};
//!
//! #[ringway::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!
//!     ringway::spawn(async move {
//!         while let Ok((mut stream, _)) = listener.accept().await {
//!             ringway::spawn(async move {
//!                 let (mut reader, mut writer) = stream.split();
//!                 ringway::io::copy(&mut reader, &mut writer).await
//!             });
//!         }
//!     });
//!
//!     let mut stream = TcpStream::connect(address).await?;
//!     stream.write_all(b"once around the ring").await?;
//!     stream.shutdown().await?;
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer).await?;
//!     assert_eq!(answer, "once around the ring");
//!     Ok(())
//! }
//! ```
//!
//! # What is there
//!
//! | module | what is in it |
//! | --- | --- |
//! | `runtime` | `Runtime`, `LocalRuntime`, `Builder` with all flavours and options, task hooks among them, `Handle`, `RuntimeMetrics`; beyond tokio, `Handle::dump` and `Builder::on_blocked_worker` |
//! | `task` | `spawn`, `spawn_blocking`, `yield_now`, `JoinHandle`, `AbortHandle`, `JoinSet`, `Builder` for tasks with a name, `coop`; beyond tokio, `AbortOnDrop`; `LocalSet`, `spawn_local`; `block_in_place` |
//! | `task_local!` | values that belong to a task |
//! | `time` | all of tokio's; beyond it, `DelayQueue`, and a clock that stands in a runtime with several workers too |
//! | `net` | TCP, UDP, Unix sockets, pipes, name lookup; beyond tokio, connections as a stream, a listener for each worker, many UDP messages in one call, splices between sockets |
//! | `fs` | all of tokio's; beyond it, reads and writes of owned buffers at an offset, past the cache too, everything beneath a `Dir`, `walk`, `fallocate`, `advise`, `sync_range`, all of statx(2), transfer from a file to a socket, as a whole or step by step |
//! | `process` | `Command`, `Child` and its standard streams |
//! | `signal` | `ctrl_c`, `unix` |
//! | `axum` | not in tokio: axum's `serve`, and its `Listener` for ours |
//! | `hickory` | not in tokio: what hickory's resolver needs to ask by our sockets |
//! | `hyper` | not in tokio: an executor and a timer for hyper 1 |
//! | `quinn` | not in tokio: what quinn needs for QUIC on our sockets |
//! | `uring` | not in tokio: operations on sockets and files that take a buffer and give it back with the result, `Cancel`, multishot accepts and receives, operations of one's own |
//! | `sync` | tokio's own |
//! | [`io`] | tokio's own; `stdin`, `stdout`, `stderr`; `unix::AsyncFd` |
//!
//! # What comes from tokio
//!
//! What works under any runtime is re-exported from the crate tokio, of whose own runtime nothing
//! runs: the channels and locks in `sync`, the traits and adapters in [`io`], and the macros
//! `select!`, `join!`, `try_join!` and [`pin!`]. They are the same types and traits, not copies, so
//! whatever reads from a tokio `AsyncRead` (TLS, codecs, HTTP) also reads from a socket of ringway.
//!
//! They share one cooperative budget with everything that is ringway's own: a task whose channel,
//! lock, socket or file is ready every time lets others run after 128 such operations (`task::coop`).
//!
//! Some things differ because tokio's runtime is not around them:
//!
//! - `blocking_send`, `blocking_recv` and `blocking_lock` do not notice that they are called in async
//!   code: where tokio panics, they block the worker. With `tokio-compat` they notice.
//! - `mpsc::Sender::send_timeout` needs tokio's own clock and is absent. Put `time::timeout` around
//!   `send`.
//!
//! A library that itself calls `tokio::spawn`, `tokio::net` or `tokio::time` needs tokio's runtime, and
//! does not run on this one by the line above: cargo renames a dependency for one package only. The
//! feature `tokio-compat` has one of tokio's at the side of ours for them.
//!
//! # Features
//!
//! No feature is on by default; `full` is all of them except `axum`, `hickory`, `hyper`, `quinn`, `stream`, `test-util`,
//! `tls`, `tokio-compat`, `tracing` and `uring`. But for `axum`, `hickory`, `hyper`, `quinn`, `stream`, `tls`, `tokio-compat` and `uring` they
//! have tokio's names, so that a list of features written for tokio is understood; and what such a list brings is no more than
//! what tokio has.
//!
//! | feature | what it brings |
//! | --- | --- |
//! | `rt` | `runtime` and `task` |
//! | `rt-multi-thread` | `multi_thread` as the default of `#[main]` |
//! | `macros` | `#[main]`, `#[test]`, `select!`, `join!`, `try_join!` |
//! | `net` | `net`, and `io::{Interest, Ready}` |
//! | `axum` | `axum`, with `net` |
//! | `fs` | `fs` |
//! | `hickory` | `hickory`, with `net` and `time` |
//! | `hyper` | `hyper`, with `time` |
//! | `time` | `time` |
//! | `process` | `process` |
//! | `quinn` | `quinn`, with `net` and `time` |
//! | `signal` | `signal` |
//! | `stream` | `time`, whose `DelayQueue` is a `Stream` |
//! | `sync` | `sync` |
//! | `io-util` | the adapters and extension traits of `io` |
//! | `test-util` | `rt`, `sync` and `time`, and `time::{pause, advance, resume}` |
//! | `tls` | nothing here: HTTPS in the example `file_server` |
//! | `tokio-compat` | `Builder::enable_tokio_compat`: libraries that call tokio themselves run beside |
//! | `tracing` | spans and events of tasks for tokio-console; a warning when a task holds its worker |
//! | `uring` | `uring`, with `net` and `time` |
//! | `io-std` | `io::{stdin, stdout, stderr}` |
//! | `parking_lot` | nothing; it is there to be named |
//!
//! # Requirements
//!
//! Linux. From 5.15 on, and where io_uring is allowed, by rings; elsewhere, as in many containers, by epoll and the blocking
//! pool, with the same results. A line on standard error says so the first time; `Builder::driver` and the environment's
//! `RINGWAY_DRIVER` decide otherwise.

#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("ringway runs on Linux only: its reactor is io_uring");

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "hickory")]
pub mod hickory;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod io;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "quinn")]
pub mod quinn;
#[cfg(feature = "rt")]
pub mod runtime;
#[cfg(feature = "signal")]
pub mod signal;
#[cfg(feature = "rt")]
pub mod task;
#[cfg(feature = "time")]
pub mod time;
#[cfg(feature = "uring")]
pub mod uring;

#[cfg(feature = "rt")]
#[doc(inline)]
pub use ringway_runtime::spawn;

/// # Examples
///
/// ```
/// ringway::task_local! {
///     static USER: String;
/// }
///
/// # #[ringway::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer = USER.scope("ada".to_string(), async {
///     USER.with(|user| format!("hello {user}"))
/// });
/// assert_eq!(ringway::spawn(answer).await.unwrap(), "hello ada");
/// # }
/// ```
///
/// # More
#[cfg(feature = "rt")]
pub use ringway_runtime::task_local;

#[cfg(feature = "sync")]
pub use tokio::sync;

// What the macros expand to, under the path that it has in tokio.
#[doc(hidden)]
pub use tokio::macros;
pub use tokio::pin;
#[cfg(feature = "macros")]
pub use tokio::{join, select, try_join};

/// # Examples
///
/// ```
/// #[ringway::main(flavor = "multi_thread", worker_threads = 2)]
/// async fn main() {
///     let handle = ringway::spawn(async { 6 * 7 });
///     assert_eq!(handle.await.unwrap(), 42);
/// }
/// ```
///
/// # More
#[cfg(all(feature = "macros", feature = "rt-multi-thread"))]
pub use ringway_macros::main;

/// # Examples
///
/// ```
/// #[ringway::test]
/// async fn a_task_returns_its_value() {
///     assert_eq!(ringway::spawn(async { 2 + 2 }).await.unwrap(), 4);
/// }
/// # fn main() {}
/// ```
///
/// # More
#[cfg(all(feature = "macros", feature = "rt-multi-thread"))]
pub use ringway_macros::test;

#[cfg(all(feature = "macros", feature = "rt", not(feature = "rt-multi-thread")))]
#[doc(inline)]
pub use ringway_macros::{main_rt as main, test_rt as test};

#[cfg(all(feature = "macros", not(feature = "rt")))]
#[doc(inline)]
pub use ringway_macros::{main_fail as main, test_fail as test};
