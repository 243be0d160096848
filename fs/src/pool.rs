//! What the kernel has no asynchronous operation for, or does no better than others could, runs on the blocking pool.

use std::io;

use ringway_runtime::driver::shutdown_error_saying;
use ringway_runtime::spawn_blocking;

use crate::op::{NameOp, REFUSED};

/// Runs `call` on the blocking pool.
///
/// # Cancel safety
///
/// Once begun, the call runs to its end, whether or not anybody waits for it.
///
/// # Errors
///
/// Those of `call`; "background task failed" if the pool has shut down or `call` panicked.
pub(crate) async fn on_pool<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match spawn_blocking(call).await {
        Ok(result) => result,
        Err(lost) if lost.is_panic() => Err(io::Error::other(REFUSED)),
        Err(_) => Err(has_ended()),
    }
}

/// The error of what the pool no longer does, because the runtime has ended.
pub(crate) fn has_ended() -> io::Error {
    shutdown_error_saying(REFUSED)
}

/// Changes a name.
///
/// # Cancel safety
///
/// Once begun it is done, whether or not anybody waits for it.
pub(crate) async fn change(name: NameOp) -> io::Result<()> {
    on_pool(move || name.run()).await
}
