//! Loom models of the protocols of ringway: every interleaving of a few threads, and every stale value that the
//! memory model allows, is tried on the very code that ships.
//!
//! The models are in `tests/`, one file for each protocol; the README has the table of them. This library is what
//! they share: how a model is run, a runtime that consists of a queue (`tasks`), workers that only sleep
//! (`crew`) and a kernel (`kernel`).
//! Without `--cfg loom` the package is empty.

#[cfg(loom)]
mod check;
#[cfg(loom)]
pub mod crew;
#[cfg(loom)]
pub mod device;
#[cfg(loom)]
pub mod kernel;
#[cfg(loom)]
pub mod tasks;
#[cfg(loom)]
mod wake;

#[cfg(loom)]
pub use check::{check, spawn};
#[cfg(loom)]
pub use wake::{Alarm, Count, block_on, block_on_bell};
