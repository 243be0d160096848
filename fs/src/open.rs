//! Opening through the ring.

use std::io;
use std::os::fd::OwnedFd;

use ringway_runtime::driver::Op;

use crate::file::core::is_interrupted;
use crate::op::Open;

/// Opens what `operation` says, again if a signal came in between.
///
/// # Cancel safety
///
/// Dropping the future leaves open whether a file was made or emptied. A descriptor that was opened is closed.
pub(crate) async fn open(operation: impl Fn() -> io::Result<Open>) -> io::Result<OwnedFd> {
    loop {
        let result = Op::new(operation()?).await;
        if !is_interrupted(&result) {
            return result;
        }
    }
}
