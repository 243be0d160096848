//! The workloads on tokio.

use ::tokio as rt;

#[path = "workloads/mod.rs"]
pub mod workloads;
