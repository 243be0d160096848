//! What the kernel has no asynchronous operation for runs on the blocking pool.

use std::io;

use ringway_runtime::spawn_blocking;

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
        Err(_) => Err(io::Error::other("background task failed")),
    }
}
