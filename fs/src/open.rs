//! Opening: at once, if all that is needed is in memory; on the blocking pool, if something is made or emptied; and
//! otherwise through the ring.

use std::io;
use std::os::fd::OwnedFd;

use ringway_runtime::driver::{Op, is_in_live_runtime};
use ringway_runtime::task::coop;

use crate::file::core::is_interrupted;
use crate::op::Open;
use crate::pool::on_pool;

/// Opens what `operation` says, again if a signal came in between.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether a file was made or emptied. A descriptor that was opened is closed.
pub(crate) async fn open(operation: impl Fn() -> io::Result<Open>) -> io::Result<OwnedFd> {
    coop::consume_budget().await;
    loop {
        let attempt = operation()?;
        // Outside a runtime the operation panics, as it should, and in one that has ended it says so.
        if is_in_live_runtime() {
            if let Some(result) = attempt.now() {
                return result;
            }
            if attempt.is_for_the_pool() {
                return on_pool(move || attempt.run()).await;
            }
        }
        let result = Op::new(attempt).await;
        if !is_interrupted(&result) {
            return result;
        }
    }
}
