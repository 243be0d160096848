//! Libraries that call tokio themselves, on a runtime of ringway with one of tokio's at its side: see `tests/`.
//!
//! A package of its own, because these libraries bring many others, and turn on features of tokio that no other test
//! should find turned on.

#![forbid(unsafe_code)]
