//! The workloads, each written once for every peer.
//!
//! `rt` is the runtime under test. Nothing here may ask which one it is.
//!
//! A set-up function builds a runtime with [`WORKERS`] workers, prepares what is not to be measured,
//! and returns a [`Run`] that does so many batches of work and returns when the last operation is done.
//! Those of [`single`] build a runtime that runs on the thread that blocks on it.

use std::future::Future;

use super::{delay_queue, rt};
use crate::Run;

pub mod blocking;
pub mod fs;
pub mod idle;
pub mod latency;
pub mod local;
pub mod memory;
pub mod messages;
pub mod net;
pub mod outside;
pub mod sets;
pub mod single;
pub mod sleeps;
pub mod sockets;
pub mod tasks;
pub mod time;

/// Worker threads of either runtime: the number of cores of the machine that the figures are from.
pub const WORKERS: usize = 2;

/// The runtime that every workload runs on, if its name does not say otherwise.
fn runtime() -> rt::runtime::Runtime {
    runtime_of(WORKERS)
}

fn runtime_of(workers: usize) -> rt::runtime::Runtime {
    rt::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

/// A runtime on the thread that blocks on it.
fn current_thread() -> rt::runtime::Runtime {
    rt::runtime::Builder::new_current_thread()
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

/// Runs `body` as the future of `block_on`, on the main thread.
fn on_root<B, F>(runtime: rt::runtime::Runtime, mut body: B) -> Run
where
    B: FnMut(u64) -> F + 'static,
    F: Future<Output = ()>,
{
    Box::new(move |batches| runtime.block_on(body(batches)))
}
