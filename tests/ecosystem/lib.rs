//! Libraries that are generic over tokio's I/O traits, on the sockets, tasks and timers of ringway, with no runtime of
//! tokio's anywhere: see `tests/`.
//!
//! A package of its own, because these libraries bring many others.

#![forbid(unsafe_code)]
