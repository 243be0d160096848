//! Timers: a timing wheel as plain data, and `sleep`, `timeout` and `interval` over it.

#![forbid(unsafe_code)]

pub mod seam;
pub mod wheel;
