//! What hyper 1 needs of a runtime: somebody who runs its tasks, and somebody who tells the time.
//!
//! Applications use them as `ringway::hyper`. Sockets need no more than `hyper_util::rt::TokioIo` around them, which
//! knows nothing of tokio but its traits.

#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

/// Runs hyper's tasks, as those of an HTTP/2 connection, as tasks of the runtime that hyper is polled in.
///
/// # Panics
///
/// hyper's call, outside a runtime.
///
/// ```
/// use hyper::rt::Executor as _;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let (send, receive) = std::sync::mpsc::channel();
/// ringway_hyper::Executor.execute(async move { send.send("done") });
/// assert_eq!(receive.recv(), Ok("done"));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        ringway_runtime::spawn(task);
    }
}

/// hyper's timeouts, by the runtime's timers and its clock, which a test may pause.
///
/// # Panics
///
/// hyper's call, outside a runtime and in one without timers.
///
/// ```
/// use std::time::Duration;
///
/// use hyper::rt::Timer as _;
/// use ringway_hyper::Timer;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let begun = Timer.now();
/// Timer.sleep(Duration::from_millis(5)).await;
/// assert!(Timer.now() - begun >= Duration::from_millis(5));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let inner = ringway_timer::sleep(duration);
        Box::pin(Sleep { inner })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let inner = ringway_timer::sleep_until(deadline.into());
        Box::pin(Sleep { inner })
    }

    fn now(&self) -> Instant {
        ringway_timer::Instant::now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            // Its place in the wheel is moved, and nothing is allocated.
            Some(ours) => ours.project().inner.reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

pin_project! {
    /// One of the runtime's sleeps, as hyper knows them.
    struct Sleep {
        #[pin]
        inner: ringway_timer::Sleep,
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().inner.poll(cx)
    }
}

impl hyper::rt::Sleep for Sleep {}
