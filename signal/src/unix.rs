//! Listeners for any signal: [`signal`], [`SignalKind`] and [`Signal`].

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use ringway_runtime::driver::{self, Op};
use ringway_runtime::task::coop;

use crate::doorbell::Watch;
use crate::source::{Listener, Next, source};

/// A kind of signal, by its number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SignalKind(libc::c_int);

impl SignalKind {
    /// The signal with this number, which may also be one that has no name here, such as a real-time
    /// signal.
    ///
    /// ```
    /// use ringway_signal::unix::SignalKind;
    ///
    /// assert_eq!(SignalKind::from_raw(1), SignalKind::hangup());
    /// // The first of the real-time signals has no name here.
    /// assert_eq!(SignalKind::from_raw(34).as_raw_value(), 34);
    /// ```
    pub const fn from_raw(signum: std::os::raw::c_int) -> Self {
        Self(signum)
    }

    /// The number of the signal.
    pub const fn as_raw_value(&self) -> std::os::raw::c_int {
        self.0
    }

    /// `SIGALRM`: a timer of alarm(2) has expired. Ends the process if nobody listens.
    pub const fn alarm() -> Self {
        Self(libc::SIGALRM)
    }

    /// `SIGCHLD`: a child process has ended, or was stopped or continued. Ignored if nobody listens.
    pub const fn child() -> Self {
        Self(libc::SIGCHLD)
    }

    /// `SIGHUP`: the terminal is gone; by custom, a daemon reads its configuration again. Ends the
    /// process if nobody listens.
    pub const fn hangup() -> Self {
        Self(libc::SIGHUP)
    }

    /// `SIGINT`: ctrl-c was typed. Ends the process if nobody listens.
    pub const fn interrupt() -> Self {
        Self(libc::SIGINT)
    }

    /// `SIGIO`: a descriptor that asked for it is ready. Ends the process if nobody listens.
    pub const fn io() -> Self {
        Self(libc::SIGIO)
    }

    /// `SIGPIPE`: something was written to a pipe or socket that has no reader. Rust programs ignore it
    /// from the start, and get an error from the write instead.
    pub const fn pipe() -> Self {
        Self(libc::SIGPIPE)
    }

    /// `SIGQUIT`: ctrl-\ was typed. Ends the process with a core dump if nobody listens.
    pub const fn quit() -> Self {
        Self(libc::SIGQUIT)
    }

    /// `SIGTERM`: the process is asked to end. It does so at once if nobody listens.
    pub const fn terminate() -> Self {
        Self(libc::SIGTERM)
    }

    /// `SIGUSR1`, without a meaning of its own. Ends the process if nobody listens.
    pub const fn user_defined1() -> Self {
        Self(libc::SIGUSR1)
    }

    /// `SIGUSR2`, without a meaning of its own. Ends the process if nobody listens.
    pub const fn user_defined2() -> Self {
        Self(libc::SIGUSR2)
    }

    /// `SIGWINCH`: the terminal window has another size. Ignored if nobody listens.
    pub const fn window_change() -> Self {
        Self(libc::SIGWINCH)
    }
}

impl From<std::os::raw::c_int> for SignalKind {
    fn from(signum: std::os::raw::c_int) -> Self {
        Self::from_raw(signum)
    }
}

impl From<SignalKind> for std::os::raw::c_int {
    fn from(kind: SignalKind) -> Self {
        kind.as_raw_value()
    }
}

/// Listens to the signals of one kind.
///
/// There may be any number of listeners to the same kind, in any number of runtimes, and each is told
/// of every signal. They share one eventfd per kind, so a listener costs no file descriptor.
///
/// # Caveats
///
/// - The first listener of a kind installs a handler, which takes the place of the default behaviour
///   **for the rest of the life of the process**: once a program has listened to SIGINT, ctrl-c does
///   not end it any more, even when no listener is left. A handler that was there before is still
///   called.
/// - Signals are coalesced, as the kernel does too: between two calls of [`recv`](Signal::recv) any
///   number of signals counts as one.
/// - Signals that come while there is no listener are kept, as one, for the next.
///
/// # Errors
///
/// - The kind is one that cannot or must not be handled: SIGKILL, SIGSTOP, SIGILL, SIGFPE, SIGSEGV.
/// - There is no signal of this number, or the C library reserves it for itself.
/// - No file descriptor was left.
///
/// # Panics
///
/// Panics outside a runtime.
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    driver::assert_context();
    Ok(Signal {
        listener: source(kind.0)?.listen(),
        watch: Mutex::new(None),
    })
}

/// A listener to the signals of one kind, made by [`signal`].
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use ringway_signal::unix::{SignalKind, signal};
///
/// let mut reload = signal(SignalKind::hangup())?;
/// # let id = std::process::id().to_string();
/// # std::process::Command::new("kill").args(["-HUP", &id]).status()?;
/// // ... kill -HUP
/// assert_eq!(reload.recv().await, Some(()));
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct Signal {
    listener: Listener,
    /// The operation that waits for the doorbell. It belongs to the listener, not to the future of one
    /// `recv`, and may be in another runtime than the one which polls next. Locked by nobody: the
    /// lock only makes the listener `Sync`, and `poll_recv` has it to itself.
    watch: Mutex<Option<Op<Watch>>>,
}

impl Signal {
    /// Waits for the next signal.
    ///
    /// It never returns `None`; the `Option` is there for compatibility.
    ///
    /// # Panics
    ///
    /// Panics when it has to wait outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next call returns what this one would have.
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv), outside an `async` context.
    ///
    /// # Panics
    ///
    /// Panics when it has to wait outside a runtime.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = ringway_runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_signal::unix::{SignalKind, signal};
    ///
    /// let mut changes = signal(SignalKind::window_change())?;
    /// # let mut child = std::process::Command::new("kill").args(["-WINCH", &std::process::id().to_string()]).spawn()?;
    /// // Somebody says `kill -WINCH`.
    /// assert_eq!(poll_fn(|cx| changes.poll_recv(cx)).await, Some(()));
    /// # child.wait()?;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let unit = ready!(coop::poll_proceed(cx));
        let mut rung = false;
        let mut refused = false;
        loop {
            if self.listener.advance(rung, cx.waker()) == Next::Report {
                unit.made_progress();
                return Poll::Ready(Some(()));
            }
            match self.poll_watch(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => rung = true,
                // The operation was in a runtime that has shut down; perhaps this one has not.
                Poll::Ready(Err(error)) if driver::is_shutdown(&error) && !refused => {
                    refused = true;
                }
                // This one has. As in tokio, the listener waits for ever, or for another runtime.
                Poll::Ready(Err(error)) if driver::is_shutdown(&error) => return Poll::Pending,
                // The kernel had no memory to wait with. Others get their turn before the next try.
                Poll::Ready(Err(_)) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Polls the operation, after making it if there is none.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let slot = self.watch.get_mut();
        let watch = slot.get_or_insert_with(|| Op::new(self.listener.watch()));
        let result = Pin::new(watch).poll(cx);
        if result.is_ready() {
            *slot = None;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_numbers_convert_into_each_other() {
        assert_eq!(SignalKind::from(libc::SIGINT), SignalKind::interrupt());
        assert_eq!(
            std::os::raw::c_int::from(SignalKind::terminate()),
            libc::SIGTERM
        );
        assert_eq!(SignalKind::from_raw(34).as_raw_value(), 34);
    }

    #[test]
    fn kinds_have_the_numbers_of_their_names() {
        let kinds = [
            (SignalKind::alarm(), libc::SIGALRM),
            (SignalKind::child(), libc::SIGCHLD),
            (SignalKind::hangup(), libc::SIGHUP),
            (SignalKind::interrupt(), libc::SIGINT),
            (SignalKind::io(), libc::SIGIO),
            (SignalKind::pipe(), libc::SIGPIPE),
            (SignalKind::quit(), libc::SIGQUIT),
            (SignalKind::terminate(), libc::SIGTERM),
            (SignalKind::user_defined1(), libc::SIGUSR1),
            (SignalKind::user_defined2(), libc::SIGUSR2),
            (SignalKind::window_change(), libc::SIGWINCH),
        ];
        for (kind, number) in kinds {
            assert_eq!(kind.as_raw_value(), number);
        }
    }
}
