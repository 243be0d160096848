//! The cases on tokio.

use ::tokio as rt;

#[expect(
    clippy::duplicate_mod,
    reason = "the same source is compiled for each peer"
)]
#[path = "cases.rs"]
pub(crate) mod cases;
