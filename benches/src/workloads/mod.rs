//! The workloads, each written once for every peer.
//!
//! `rt` is the runtime under test. Nothing here may ask which one it is.
//!
//! A set-up function builds a runtime with [`WORKERS`] workers, prepares what is not to be measured,
//! and returns a [`Run`] that does so many batches of work and returns when the last operation is done.

use std::future::Future;

use super::rt;
use crate::Run;

pub mod fs;
pub mod net;
pub mod tasks;
pub mod time;

/// Worker threads of either runtime: the number of cores of the machine that the figures are from.
pub const WORKERS: usize = 2;

/// The runtime that every workload runs on.
fn runtime() -> rt::runtime::Runtime {
    rt::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs `body` as a spawned task, so that it runs on a worker on every peer; `block_on` differs too
/// much between them.
pub(super) fn on_worker<B, F>(mut body: B) -> Run
where
    B: FnMut(u64) -> F + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime();
    Box::new(move |batches| runtime.block_on(runtime.spawn(body(batches))).unwrap())
}
