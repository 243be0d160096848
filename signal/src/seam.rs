//! What the crate of child processes needs of signals. Nobody else should use it.

use std::io;

use parking_lot::Mutex;
use ringway_runtime::driver::SharedFd;

use crate::doorbell::{Doorbell, Ring};

/// Rung by every SIGCHLD, from when it is first asked for. It has one listener, in which it differs from a
/// [`Signal`](crate::unix::Signal): who makes it silent has heard for all.
#[derive(Debug)]
pub struct Bell(Doorbell);

static BELL: Mutex<Option<&'static Bell>> = Mutex::new(None);

impl Bell {
    /// The bell, with its handler installed.
    ///
    /// # Errors
    ///
    /// If no descriptor was left, or the handler could not be installed.
    pub fn of_children() -> io::Result<&'static Self> {
        let mut place = BELL.lock();
        if let Some(bell) = *place {
            return Ok(bell);
        }
        let bell: &Self = Box::leak(Box::new(Self(Doorbell::new()?)));
        // SAFETY: ringing is async-signal-safe: it allocates nothing, takes no lock, cannot panic, and the bell is never
        // freed. The registry keeps errno as it was.
        unsafe { signal_hook_registry::register(libc::SIGCHLD, || bell.0.ring()) }?;
        Ok(place.insert(bell))
    }

    /// Readable when it has been rung.
    pub fn fd(&self) -> &SharedFd {
        self.0.fd()
    }

    /// Makes it silent again.
    pub fn drain(&self) {
        self.0.drain();
    }
}
