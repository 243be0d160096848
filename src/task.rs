//! Tasks: spawning them, waiting for them, ending them, and closures that may block.
//!
//! ```
//! # #[ringway::main]
//! # async fn main() {
//! use ringway::task;
//!
//! // Runs beside the caller, on whichever worker is free.
//! let hash = task::spawn(async { 17 });
//! // Runs on a thread of its own, because it may take long.
//! let file = task::spawn_blocking(|| std::fs::read("Cargo.toml").unwrap().len());
//! // Runs until it is told to stop.
//! let endless = task::spawn(std::future::pending::<()>());
//! endless.abort();
//!
//! assert_eq!(hash.await.unwrap(), 17);
//! assert!(file.await.unwrap() > 0);
//! assert!(endless.await.unwrap_err().is_cancelled());
//! # }
//! ```

#[doc(inline)]
pub use ringway_runtime::join_set::{self, JoinSet};
#[doc(inline)]
pub use ringway_runtime::task::coop;
#[doc(inline)]
pub use ringway_runtime::task::coop::{Unconstrained, consume_budget, unconstrained};
#[doc(inline)]
pub use ringway_runtime::task::{
    AbortHandle, AbortOnDrop, AccessError, Id, JoinError, JoinHandle, LocalKey, futures, id,
    try_id, yield_now,
};
#[doc(inline)]
pub use ringway_runtime::task_builder::Builder;
#[doc(inline)]
pub use ringway_runtime::{
    LocalEnterGuard, LocalSet, block_in_place, spawn, spawn_blocking, spawn_local,
};
