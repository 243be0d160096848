//! Ticks at regular times.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::Instant;
use crate::timer::{Timer, no_further_than_30_years};

/// Ticks at once and then every `period`. Like [`interval_at`] from now on.
///
/// # Panics
///
/// If `period` is zero; on a thread that is in no runtime, and in a runtime that was built without timers.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, interval};
///
/// let start = Instant::now();
/// let mut ticks = interval(Duration::from_millis(10));
/// for millis in [0, 10, 20] {
///     assert_eq!(ticks.tick().await - start, Duration::from_millis(millis));
/// }
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Interval::new(None, period)
}

/// Ticks at `start` and then every `period`. More than 30 years count as 30 years.
///
/// The times of the ticks follow from the start, not from when somebody asks for them, so an interval does not
/// drift as a loop around [`sleep`](crate::sleep()) does. What happens when nobody asked for a while is decided by
/// the [`MissedTickBehavior`]; at first that is [`Burst`](MissedTickBehavior::Burst).
///
/// # Panics
///
/// If `period` is zero; on a thread that is in no runtime, and in a runtime that was built without timers.
///
/// # Examples
///
/// ```
/// # let runtime = ringway_runtime::Builder::new_current_thread()
/// #     .enable_time()
/// #     .start_paused(true)
/// #     .build()?;
/// # runtime.block_on(async {
/// use ringway_timer::{Duration, Instant, interval_at};
///
/// let start = Instant::now() + Duration::from_millis(5);
/// let mut ticks = interval_at(start, Duration::from_millis(10));
/// assert_eq!(ticks.tick().await, start);
/// assert_eq!(ticks.tick().await, start + Duration::from_millis(10));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(Some(start), period)
}

/// The ticks of [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    timer: Timer,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

impl Interval {
    #[track_caller]
    fn new(start: Option<Instant>, period: Duration) -> Interval {
        assert!(!period.is_zero(), "`period` must be non-zero.");
        Interval {
            timer: Timer::new(start.unwrap_or_else(Instant::now)),
            period: no_further_than_30_years(period),
            missed_tick_behavior: MissedTickBehavior::default(),
        }
    }

    /// Waits for the next tick. Its result is the time for which the tick was planned.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no tick: the next call waits for the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, interval, timeout};
    ///
    /// let mut ticks = interval(Duration::from_millis(10));
    /// let first = ticks.tick().await;
    /// // Nobody waits for the second tick any more, and it comes all the same.
    /// assert!(timeout(Duration::from_millis(1), ticks.tick()).await.is_err());
    /// assert_eq!(ticks.tick().await - first, Duration::from_millis(10));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Like [`tick`](Interval::tick), for futures written by hand. If the tick is still to come, the task of the
    /// last call is woken when it is time. Takes a unit of the task's cooperative budget.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use std::future::poll_fn;
    /// use ringway_timer::{Duration, interval};
    ///
    /// let mut ticks = interval(Duration::from_millis(10));
    /// let first = poll_fn(|cx| ticks.poll_tick(cx)).await;
    /// assert_eq!(poll_fn(|cx| ticks.poll_tick(cx)).await - first, ticks.period());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.timer.poll(cx));
        let planned = self.timer.deadline();
        self.timer.reset(self.next_after(planned));
        Poll::Ready(planned)
    }

    /// Plans the next tick for one period from now.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, interval, sleep};
    ///
    /// let mut ticks = interval(Duration::from_millis(10));
    /// let first = ticks.tick().await;
    /// sleep(Duration::from_millis(4)).await;
    /// ticks.reset();
    /// assert_eq!(ticks.tick().await - first, Duration::from_millis(14));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset(&mut self) {
        self.timer.reset(Instant::now() + self.period);
    }

    /// Plans the next tick for now.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, interval, sleep};
    ///
    /// let mut ticks = interval(Duration::from_millis(10));
    /// let first = ticks.tick().await;
    /// sleep(Duration::from_millis(4)).await;
    /// ticks.reset_immediately();
    /// assert_eq!(ticks.tick().await - first, Duration::from_millis(4));
    /// assert_eq!(ticks.tick().await - first, Duration::from_millis(14));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset_immediately(&mut self) {
        self.timer.reset(Instant::now());
    }

    /// Plans the next tick for `after` from now. More than 30 years count as 30 years.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, interval};
    ///
    /// let mut ticks = interval(Duration::from_millis(10));
    /// let first = ticks.tick().await;
    /// ticks.reset_after(Duration::from_millis(1));
    /// assert_eq!(ticks.tick().await - first, Duration::from_millis(1));
    /// assert_eq!(ticks.tick().await - first, Duration::from_millis(11));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset_after(&mut self, after: Duration) {
        self.timer
            .reset(Instant::now() + no_further_than_30_years(after));
    }

    /// Plans the next tick for `deadline`. If that has passed, the ticks since then count as missed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, interval};
    ///
    /// let mut ticks = interval(Duration::from_millis(10));
    /// let next = ticks.tick().await + Duration::from_secs(1);
    /// ticks.reset_at(next);
    /// assert_eq!(ticks.tick().await, next);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reset_at(&mut self, deadline: Instant) {
        self.timer.reset(deadline);
    }

    /// What happens when ticks were missed.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Decides what happens from now on when ticks were missed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = ringway_runtime::Builder::new_current_thread()
    /// #     .enable_time()
    /// #     .start_paused(true)
    /// #     .build()?;
    /// # runtime.block_on(async {
    /// use ringway_timer::{Duration, MissedTickBehavior, interval, sleep};
    ///
    /// let mut ticks = interval(Duration::from_millis(50));
    /// ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    /// assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Skip);
    /// let first = ticks.tick().await;
    /// sleep(Duration::from_millis(120)).await;
    /// for millis in [50, 150, 200] {
    ///     assert_eq!(ticks.tick().await - first, Duration::from_millis(millis));
    /// }
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }

    /// The time from one tick to the next.
    pub fn period(&self) -> Duration {
        self.period
    }

    fn next_after(&self, planned: Instant) -> Instant {
        if self.missed_tick_behavior == MissedTickBehavior::Burst {
            // The same whether it was missed or not: the clock need not be read.
            return planned + self.period;
        }
        let now = Instant::now();
        if now > planned + LATE_IS_MISSED {
            self.missed_tick_behavior.next(planned, now, self.period)
        } else {
            planned + self.period
        }
    }
}

/// A tick that is fetched later than this was missed; one that is only a little late is followed by the next as
/// planned, whatever the [`MissedTickBehavior`]. This is the bound that programs know from tokio.
const LATE_IS_MISSED: Duration = Duration::from_millis(5);

/// What an [`Interval`] does after nobody has asked for its ticks for longer than it should have: after they were
/// fetched more than 5 ms late.
///
/// With a period of 50 ms, a tick fetched on time at 50, and the next asked for at 220:
///
/// | | at once | then |
/// |---|---|---|
/// | `Burst` | 100, 150, 200 | 250, 300, 350 |
/// | `Delay` | 100 | 270, 320, 370 |
/// | `Skip` | 100 | 250, 300, 350 |
///
/// ```
/// use std::time::Duration;
/// use ringway_timer::{MissedTickBehavior, interval};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// let mut ticks = interval(Duration::from_millis(10));
/// assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Burst);
/// ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
/// ticks.tick().await;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Every tick comes, those that were missed one right after the other, until the interval has caught up. For
    /// whoever counts ticks.
    #[default]
    Burst,
    /// One missed tick comes at once, and the next one period after that: the ticks are never closer together than
    /// the period, and their times are shifted for good.
    Delay,
    /// One missed tick comes at once, and the next at the next of the planned times: the ticks stay at whole
    /// periods from the start, and those in between are left out.
    Skip,
}

impl MissedTickBehavior {
    /// When to tick after the tick that was `planned` and is fetched `now`, later than it should be.
    fn next(self, planned: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            MissedTickBehavior::Burst => planned + period,
            MissedTickBehavior::Delay => now + period,
            MissedTickBehavior::Skip => {
                let since = (now - planned).as_nanos() % period.as_nanos();
                let since = u64::try_from(since).expect("less than a period, so than 30 years");
                now + (period - Duration::from_nanos(since))
            }
        }
    }
}
