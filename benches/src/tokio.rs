//! The workloads on tokio.

use ::tokio as rt;
use ::tokio_util::time::delay_queue;

#[expect(
    clippy::duplicate_mod,
    reason = "the same source is compiled for each peer"
)]
#[path = "workloads/mod.rs"]
pub mod workloads;
