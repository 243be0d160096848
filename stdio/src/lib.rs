//! Standard input, output and error for ringway.
//!
//! Applications use them as `ringway::io::{stdin, stdout, stderr}`.
//!
//! They are the standard library's own streams, with its locks and its buffers: what a program reads or writes through
//! `std::io` and what it does through these is one stream. So they cannot go through the ring, which knows nothing of a
//! buffer in this process.
//!
//! - [`Stdin`] is read by a thread of its own, which belongs to the process and to no runtime: `input`.
//! - [`Stdout`] and [`Stderr`] write in the blocking pool: `output`.

#![forbid(unsafe_code)]

mod input;
mod output;

pub use input::{Stdin, stdin};
pub use output::{Stderr, Stdout, stderr, stdout};
