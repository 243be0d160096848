//! What the tests of faults share: a scenario for each operation of the public face, which runs to its end or is cut.
//!
//! A scenario makes what it needs, hands one future to [`Cut::at`], and then uses the same objects once more: nothing may
//! be lost that the documentation says is kept.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod completions;
pub(crate) mod files;
pub(crate) mod more_sockets;
pub(crate) mod sockets;
pub(crate) mod tasks;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringway::time::sleep;

/// A scenario, by name.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Cut) -> Running<'a>,
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

/// Makes a [`Case`] of each function.
macro_rules! cases {
    ($($function:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<crate::fault_support::Case> {
            vec![$(crate::fault_support::Case {
                name: stringify!($function),
                run: |cut| Box::pin($function(cut)),
            }),*]
        }
    };
}
pub(crate) use cases;

/// All scenarios.
pub(crate) fn all_cases() -> Vec<Case> {
    let parts = [
        sockets::cases(),
        more_sockets::cases(),
        files::cases(),
        completions::cases(),
        tasks::cases(),
    ];
    parts.concat()
}

/// Where the future of a scenario is dropped, and what the driver has done between its polls.
#[derive(Debug)]
pub(crate) struct Cut {
    /// After so many polls; never if there is none.
    polls: Option<usize>,
    between: Between,
    /// The future was ready before.
    finished: Cell<bool>,
}

/// What happens between two polls, and before the drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// Nothing: what was asked of the ring is queued.
    Queued,
    /// The worker has been through its ring: it is with the kernel.
    InFlight,
    /// The kernel has had time, but nobody has looked at its answers.
    Completed,
    /// The answers were taken.
    Reaped,
}

impl Between {
    pub(crate) const ALL: [Self; 4] = [Self::Queued, Self::InFlight, Self::Completed, Self::Reaped];

    async fn pass(self) {
        match self {
            Self::Queued => {}
            Self::InFlight => sleep(Duration::from_micros(1)).await,
            Self::Completed => {
                sleep(Duration::from_micros(1)).await;
                std::thread::sleep(KERNEL_TIME);
            }
            Self::Reaped => sleep(KERNEL_TIME).await,
        }
    }
}

/// Most operations are done within this time.
const KERNEL_TIME: Duration = Duration::from_micros(100);

impl Cut {
    /// Nothing is cut.
    pub(crate) fn never() -> Self {
        Self {
            polls: None,
            between: Between::Queued,
            finished: Cell::new(false),
        }
    }

    /// The future is dropped after `polls` polls, unless it is ready before.
    pub(crate) fn after(polls: usize, between: Between) -> Self {
        Self {
            polls: Some(polls),
            between,
            finished: Cell::new(false),
        }
    }

    /// Whether the future was ready before it would have been cut.
    pub(crate) fn has_finished(&self) -> bool {
        self.finished.get()
    }

    /// Polls `future`; none if it was cut. `event` is what it waits for: it happens when the future has waited once, and in
    /// any case before this returns.
    pub(crate) async fn at<F: Future>(&self, future: F, event: impl FnOnce()) -> Option<F::Output> {
        let mut event = Some(event);
        let output = {
            let mut future = pin!(future);
            let mut output = None;
            for poll in 0..self.polls.unwrap_or(1) {
                if let Poll::Ready(ready) = once(future.as_mut()).await {
                    output = Some(ready);
                    break;
                }
                if poll == 0 {
                    event.take().expect("once")();
                }
                self.between.pass().await;
            }
            if output.is_none() && self.polls.is_none() {
                output = Some(future.await);
            }
            output
        };
        self.finished.set(output.is_some());
        if let Some(event) = event.take() {
            event();
        }
        self.between.pass().await;
        output
    }
}

async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Nothing has to happen for the future to be done.
pub(crate) fn nothing() {}

/// What comes after a cut has to come within this time.
pub(crate) async fn soon<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    ringway::time::timeout(SOON, future)
        .await
        .unwrap_or_else(|_| panic!("still not done after {SOON:?}"))
}

/// What a thread returns, while the runtime goes on.
pub(crate) async fn join<T>(thread: std::thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        sleep(KERNEL_TIME).await;
    }
    thread.join().expect("the thread")
}

const SOON: Duration = Duration::from_secs(20);

/// Runs `body` on a thread of its own.
///
/// # Panics
///
/// If it takes longer than `bound`, and with the panic of `body`.
#[track_caller]
pub(crate) fn within<R: Send + 'static>(
    bound: Duration,
    what: &str,
    body: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // The receiver is gone only if the test has failed already.
        let _ = done.send(body());
    });
    match is_done.recv_timeout(bound) {
        Ok(result) => {
            thread.join().expect("it has returned");
            result
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: still not done after {bound:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            eprintln!("{what}: panicked");
            std::panic::resume_unwind(thread.join().expect_err("it returned nothing"))
        }
    }
}

/// Open descriptors of this process, which are as many as before, soon.
#[track_caller]
pub(crate) fn assert_descriptors(before: usize, what: &str) {
    let start = Instant::now();
    while descriptors() > before {
        assert!(
            start.elapsed() < SOON,
            "{what}: {} descriptors, and {before} before",
            descriptors()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    // One of them is the directory that is being read.
    std::fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
}

/// A count from the environment, so that a long run needs no other build, or `ordinary`.
pub(crate) fn count(variable: &str, ordinary: usize) -> usize {
    std::env::var(variable).map_or(ordinary, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
    })
}
