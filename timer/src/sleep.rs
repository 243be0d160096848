//! Waiting until a point in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::Instant;
use crate::timer::{Timer, no_further_than_30_years};

/// Waits until `duration` has passed from now on. To be awaited.
///
/// Never ready early. Deadlines are rounded up to a tick of 16.4 µs
/// ([`wheel::TICK_NS`](crate::wheel::TICK_NS)), and what is due within a tick is woken together; a worker that sleeps may
/// wait for a second deadline that is no more than 82 µs ([`wheel::COMPANY_TICKS`](crate::wheel::COMPANY_TICKS)) after the
/// first. A worker with more than some 8,000 timers a second that would spend a good part of a processor on waking for
/// them wakes every half millisecond instead, until there is so much to do that it hardly sleeps. More than 30 years count
/// as 30 years.
///
/// The time runs from this call, not from the first poll.
///
/// # Cancel safety
///
/// Dropping the future takes the timer back; nothing else happens.
///
/// # Panics
///
/// On a thread that is in no runtime, and in a runtime that was built without timers.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, sleep};
///
/// let start = Instant::now();
/// sleep(Duration::from_millis(100)).await;
/// assert!(start.elapsed() >= Duration::from_millis(100));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + no_further_than_30_years(duration))
}

/// Waits until `deadline`. Like [`sleep`] in everything else; a deadline that has passed is ready at once.
///
/// # Panics
///
/// On a thread that is in no runtime, and in a runtime that was built without timers.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, sleep_until};
///
/// let deadline = Instant::now() + Duration::from_millis(100);
/// sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        timer: Timer::new(deadline),
    }
}

pin_project! {
    /// The future of [`sleep`] and [`sleep_until`].
    ///
    /// It can be moved to another deadline again and again, which costs no new timer. For that it has to be pinned,
    /// on the stack with `pin!` or on the heap with [`Box::pin`].
    ///
    /// It is ready for as long as its deadline lies in the past, also when it is polled again.
    ///
    /// # Panics
    ///
    /// When it is polled, and would have to wait, after its runtime was shut down.
    ///
    /// # Examples
    ///
    /// A limit that begins anew with whatever happens:
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use std::pin::pin;
    /// use ringway_timer::{Duration, Instant, sleep};
    ///
    /// let idle = Duration::from_secs(30);
    /// let mut limit = pin!(sleep(idle));
    /// // Something has happened.
    /// limit.as_mut().reset(Instant::now() + idle);
    /// // Nothing more happens.
    /// limit.as_mut().await;
    /// assert!(limit.is_elapsed());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[project(!Unpin)]
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Sleep {
        timer: Timer,
    }
}

/// It is part of every future that sleeps or has a timeout: 16 bytes of deadline, 16 to name the entry in the wheel,
/// and what says which of the three states it is in.
const _: () = assert!(size_of::<Sleep>() <= 40);

impl Sleep {
    /// The point in time at which it is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, Instant, sleep};
    ///
    /// let timer = sleep(Duration::from_secs(1));
    /// assert!(timer.deadline() >= Instant::now());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Whether the deadline has come. Before the first poll it has not.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use std::pin::pin;
    /// use ringway_timer::{Duration, sleep};
    ///
    /// let mut timer = pin!(sleep(Duration::from_secs(1)));
    /// assert!(!timer.is_elapsed());
    /// timer.as_mut().await;
    /// assert!(timer.is_elapsed());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Moves the deadline, earlier or later, also after it has come: then the future waits anew. A task that waits
    /// for it is woken at the new deadline, without having to poll again.
    ///
    /// Costs no allocation, and may be called on any thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use std::pin::pin;
    /// use ringway_timer::{Duration, Instant, sleep};
    ///
    /// let start = Instant::now();
    /// let mut timer = pin!(sleep(Duration::from_secs(1)));
    /// timer.as_mut().reset(start + Duration::from_millis(10));
    /// timer.as_mut().await;
    /// assert!(start.elapsed() < Duration::from_secs(1));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().timer.reset(deadline);
    }
}

impl Sleep {
    /// Polls it whatever budget the task has left.
    pub(crate) fn poll_unconstrained(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().timer.poll_unconstrained(cx)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().timer.poll(cx)
    }
}
