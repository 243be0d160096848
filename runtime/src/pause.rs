//! [`Pause`]: a moment's wait inside of the runtime's own crates.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ringway_timer::seam::{Registration, TimerSource};

use crate::driver::Home;
use crate::time_source::Source;

/// A timer for our own crates: it works in runtimes whose users have not enabled timers, and ends early where the runtime
/// has ended. It is polled by hand; dropping it disarms it.
#[derive(Debug)]
pub struct Pause {
    runtime: u32,
    deadline: Instant,
    registration: Option<Registration>,
}

impl Pause {
    /// Begins now and lasts for `duration`, by the clock of the runtime `home`.
    pub fn begin(duration: Duration, home: Home) -> Self {
        Self {
            runtime: home.number(),
            deadline: Source.now() + duration,
            registration: None,
        }
    }

    /// Whether it is over; if not, `cx` is woken when it is.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if Source.now() >= self.deadline {
            return Poll::Ready(());
        }
        let armed = self.registration.as_ref();
        if armed.is_some_and(|armed| Source.update(armed, cx.waker())) {
            return Poll::Pending;
        }
        match Source.register(self.runtime, self.deadline, cx.waker()) {
            Ok(registration) => {
                self.registration = Some(registration);
                Poll::Pending
            }
            Err(_) => Poll::Ready(()),
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(registration) = self.registration {
            Source.deregister(registration);
        }
    }
}
