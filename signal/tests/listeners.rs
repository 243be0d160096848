//! Listeners in runtimes, and signals that the process sends to itself.
//!
//! Signals are the whole process's, and so are these tests: each uses a kind that no other one uses.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringway_runtime::{Builder, Runtime};
use ringway_signal::unix::{Signal, SignalKind, signal};

/// Longer than any of this can take, so that what hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn send(kind: SignalKind) {
    // SAFETY: kill(2) takes no pointer.
    let result = unsafe { libc::kill(libc::getpid(), kind.as_raw_value()) };
    assert_eq!(result, 0);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `body` on a thread of its own and fails if it does not end.
#[track_caller]
fn within_patience<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || sender.send(body()).unwrap());
    let result = receiver.recv_timeout(PATIENCE);
    if result != Err(mpsc::RecvTimeoutError::Timeout) || thread.is_finished() {
        thread.join().unwrap();
    }
    result.expect("it hangs")
}

/// Whether a signal is there to report, without waiting for one.
async fn is_ready(signal: &mut Signal) -> bool {
    poll_fn(|cx| Poll::Ready(signal.poll_recv(cx).is_ready())).await
}
