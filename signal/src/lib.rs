//! Signals of the operating system, as events in async code.
//!
//! # How a signal reaches a listener
//!
//! ```text
//!   kernel ──► handler: delivered += 1, write(doorbell)
//!                                          │ completes the poll operation of
//!                                          ▼ every listener that waits
//!              Signal::poll_recv: drain the doorbell, dispatched = delivered, wake the other listeners
//! ```
//!
//! Each kind of signal that anybody listens to has one `source::Source` in the process, made by the
//! first listener and never unmade. It owns the handler, the two counts, the doorbell (an eventfd)
//! and the wakers of the listeners. A [`unix::Signal`] owns how far it has read, and, while it
//! waits, one poll operation on the doorbell in the runtime that polls it. So there is no thread and
//! no runtime that all the others depend on: the end of one leaves the listeners elsewhere alone.
//!
//! The handler is async-signal-safe: it adds to an atomic counter and calls write(2), and nothing
//! else of this crate ever runs inside one. Everything else may be called from any thread.

mod doorbell;
#[doc(hidden)]
pub mod seam;
mod source;
#[cfg(feature = "models")]
mod specimen;
pub mod unix;

/// For models.
#[cfg(feature = "models")]
#[doc(hidden)]
pub mod internals {
    pub use crate::specimen::{Ear, Specimen};
}

use std::io;

/// Completes when the process is told to stop by ctrl-c (SIGINT).
///
/// The listener is made when the future is first polled, so a ctrl-c before that is still handled
/// by whoever was responsible then.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use std::future::{Future, poll_fn};
/// use std::pin::pin;
/// use std::task::Poll;
///
/// let mut interrupted = pin!(ringway_signal::ctrl_c());
/// // It listens from its first poll on.
/// let first = poll_fn(|cx| Poll::Ready(interrupted.as_mut().poll(cx))).await;
/// assert!(first.is_pending());
/// # let id = std::process::id().to_string();
/// # std::process::Command::new("kill").args(["-INT", &id]).status()?;
/// // ... ctrl-c
/// interrupted.await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Caveats
///
/// The first listener installs a handler for SIGINT, and from then on ctrl-c no longer ends the
/// process by itself, even when no listener is left. A ctrl-c that comes while nobody listens is kept
/// for the next listener. See [`unix::signal`].
///
/// # Errors
///
/// Those of [`unix::signal`]: no handler could be installed, or no file descriptor was left.
///
/// # Panics
///
/// Panics when polled outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future forgets the listener and loses nothing else: other listeners are not affected,
/// and a ctrl-c which nobody has seen yet is kept for the next one.
pub async fn ctrl_c() -> io::Result<()> {
    unix::signal(unix::SignalKind::interrupt())?.recv().await;
    Ok(())
}
