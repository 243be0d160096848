//! What the driver says when it cannot: at set-up, and after the runtime has shut down.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a ring could not be made: the kernel's answer, the likely cause and the remedy.
///
/// It reaches the user as the source of the [`io::Error`] that `Builder::build` returns, whose kind is
/// that of the errno.
#[derive(Debug)]
pub struct SetupError {
    step: &'static str,
    source: io::Error,
}

impl SetupError {
    pub(super) fn new(step: &'static str, source: io::Error) -> Self {
        Self { step, source }
    }

    pub(crate) fn of_fork_handler(source: io::Error) -> Self {
        Self::new("register a handler for forks", source)
    }

    /// What probably stands in the way, and what to do about it.
    pub fn hint(&self) -> &'static str {
        match self.source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "io_uring is probably forbidden by the sysctl kernel.io_uring_disabled or by the seccomp \
                 profile of a container; allow it with `sysctl kernel.io_uring_disabled=0`, or run the \
                 container with a profile that permits io_uring_setup, io_uring_enter and \
                 io_uring_register (docker: `--security-opt seccomp=...`)"
            }
            Some(libc::ENOSYS) => {
                "this kernel has no io_uring, or a seccomp profile of a container hides it; use Linux 5.15 \
                 or newer, or a profile that permits io_uring_setup, io_uring_enter and io_uring_register"
            }
            Some(libc::ENOMEM) => {
                "the locked-memory limit is probably too low for one ring per worker; raise it \
                 (`ulimit -l`, LimitMEMLOCK= in systemd) or use fewer worker threads"
            }
            Some(libc::EMFILE | libc::ENFILE) => {
                "no file descriptor is left, and each worker needs two; raise the limit (`ulimit -n`, \
                 LimitNOFILE= in systemd) or use fewer worker threads"
            }
            Some(libc::EINVAL) => {
                "this kernel does not know a flag that the driver needs; use Linux 5.15 or newer"
            }
            _ => {
                "see `man io_uring_setup` and `man io_uring_enter` for this error; it may come from a seccomp profile: \
                 use one that permits io_uring_setup, io_uring_enter and io_uring_register"
            }
        }
    }

    /// Whether the system said no, and not who set up this process.
    pub(super) fn is_by_system(&self) -> bool {
        self.source.raw_os_error().is_some()
    }

    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(self.source.kind(), self)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "could not {}: {}; {}",
            self.step,
            self.source,
            self.hint()
        )
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The error of every operation that the kernel does not take because it refuses to be entered.
pub(super) fn refusal_error(errno: i32) -> io::Error {
    SetupError::new(super::ring::ENTER, io::Error::from_raw_os_error(errno)).into_io()
}

/// tokio's text for what outlives its runtime.
pub(super) const SHUTTING_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";

/// The error of every operation that outlives its runtime. tokio's text.
pub fn shutdown_error() -> io::Error {
    shutdown_error_saying(SHUTTING_DOWN)
}

/// The same with another text.
pub fn shutdown_error_saying(text: &'static str) -> io::Error {
    io::Error::other(Shutdown(text))
}

/// Whether `error` came from an operation whose runtime has shut down.
pub fn is_shutdown(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Shutdown>())
}

/// The error of an operation whose answer the kernel had no memory to keep. Whether it was done is not known.
pub(super) fn lost_error() -> io::Error {
    io::Error::other(Lost)
}

/// Whether `error` says that the kernel has dropped the answer to an operation, for lack of memory: whether the
/// operation was done is not known.
pub fn is_lost(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Lost>())
}

#[derive(Debug)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kernel ran out of memory and dropped the answer to this operation")
    }
}

impl Error for Lost {}

#[derive(Debug)]
struct Shutdown(&'static str);

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Shutdown {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_ring_names_errno_cause_and_remedy() {
        let error = SetupError::new(
            "create an io_uring",
            io::Error::from_raw_os_error(libc::EPERM),
        );
        let io = error.into_io();
        assert_eq!(io.kind(), io::ErrorKind::PermissionDenied);
        let text = io.to_string();
        for part in [
            "os error 1",
            "kernel.io_uring_disabled",
            "seccomp",
            "sysctl",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn a_shutdown_error_is_known_again_and_others_are_not() {
        assert!(is_shutdown(&shutdown_error()));
        assert!(!is_shutdown(&io::Error::other(
            "A Tokio 1.x context was found, but it is being shutdown."
        )));
    }
}
