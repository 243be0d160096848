//! hickory's delays and timeouts.

use std::future::Future;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use hickory_net::runtime::Time;

/// hickory's delays and timeouts, by the runtime's timers and its clock. How long an answer may be kept is told by the
/// system's clock.
///
/// # Panics
///
/// hickory's calls, outside a runtime and in one without timers.
///
/// ```
/// use std::io::ErrorKind::TimedOut;
/// use std::time::Duration;
///
/// use hickory_net::runtime::Time;
/// use ringway_hickory::Clock;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let never = Clock::timeout(Duration::from_millis(5), std::future::pending::<()>());
/// assert_eq!(never.await.unwrap_err().kind(), TimedOut);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock;

#[async_trait]
impl Time for Clock {
    async fn delay_for(duration: Duration) {
        ringway_timer::sleep(duration).await;
    }

    async fn timeout<F: Future + Send + 'static>(
        duration: Duration,
        future: F,
    ) -> io::Result<F::Output> {
        let result = ringway_timer::timeout(duration, future).await;
        result.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "future timed out"))
    }
}
