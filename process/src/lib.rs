//! Child processes, with tokio's face, over the runtime's rings.
//!
//! Applications use them as `ringway::process`.
//!
//! # How the end of a child is heard of
//!
//! ```text
//!   child ends ──► its pidfd is readable ──► poll operation completes ──► waitpid(WNOHANG) reaps, and says how
//! ```
//!
//! [`Command::spawn`] opens a *pidfd* of the child. Whoever waits has a poll operation on it, in the ring of the worker
//! that polls; it belongs to the [`Child`], and takes nothing, so a `wait` that is dropped loses nothing. Nothing is
//! shared among children: the end of one wakes who waits for that one.
//!
//! A [`Child`] that is dropped before its process has ended leaves an *orphan*. A poll operation of which nobody has the
//! future goes on, in the same runtime or in any other that lives, and reaps it (`orphan`).
//!
//! Where no pidfd is to be had (Linux before 5.3, a filter of system calls, no descriptor left), and where it says that a
//! child has ended which cannot be reaped yet, because a debugger holds it, SIGCHLD tells when to look.
//!
//! # Map
//!
//! - `command`: what is to be run, and how. `child`: a process that runs.
//! - `running`: a process that nobody has waited for. `orphan`: one that nobody will.
//! - `pipe`: the child's standard streams.
//! - `op`: the operation on the pidfd, and [`Command::pre_exec`]: all unsafe code of this crate.

#![deny(unsafe_code)]

mod child;
mod command;
#[expect(
    unsafe_code,
    reason = "the kernel is told about descriptors here, and a face of tokio's is an unsafe function"
)]
mod op;
mod orphan;
mod pipe;
mod running;

pub use child::Child;
pub use command::Command;
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
