//! Opening: at once, if all that is needed is in memory, and otherwise through the ring.

use std::io;
use std::os::fd::OwnedFd;

use ringway_runtime::driver::{Home, Op};
use ringway_runtime::task::coop;

use crate::file::core::is_interrupted;
use crate::op::Open;

/// Opens what `operation` says, again if a signal came in between.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether a file was made or emptied. A descriptor that was opened is closed.
pub(crate) async fn open(operation: impl Fn() -> io::Result<Open>) -> io::Result<OwnedFd> {
    coop::consume_budget().await;
    loop {
        let attempt = operation()?;
        // Outside a runtime the operation panics, as it should.
        if Home::here().is_some()
            && let Some(result) = attempt.now()
        {
            return result;
        }
        let result = Op::new(attempt).await;
        if !is_interrupted(&result) {
            return result;
        }
    }
}
