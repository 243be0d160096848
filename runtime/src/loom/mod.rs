//! The only home of `cfg(loom)`: the same names from the standard library or from the model checker.
//!
//! Files that hold a protocol (the state word of a task, the idle counters, the park word, the table of
//! operations) import their atomics, cells and locks from here, so that the very code that ships is what
//! the models explore. Everything else uses the standard library directly: a name that is missing here is
//! a name that no model looks at.
//!
//! Two things are beyond loom's sight and have stand-ins: `crossbeam_deque` (see [`deque`]) and the kernel, which
//! in a model is one more thread that takes submissions and posts completions.

#[cfg(loom)]
mod model;
#[cfg(not(loom))]
mod real;

#[cfg(loom)]
pub use model::*;
#[cfg(not(loom))]
pub use real::*;
