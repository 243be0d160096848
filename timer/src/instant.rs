//! A point in time by the clock of the runtime, which tests can stop.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use crate::seam;

/// A point in time, like [`std::time::Instant`] and made of one, except that [`Instant::now`] follows the clock of
/// the runtime: when that is paused it stands still, and jumps when it is advanced.
///
/// Differences never panic: from an earlier to a later instant they are zero, unless a method says otherwise.
///
/// ```
/// use ringway_timer::{Duration, Instant};
///
/// let start = Instant::now();
/// let later = start + Duration::from_secs(2);
/// assert_eq!(later - start, Duration::from_secs(2));
/// assert_eq!(start - later, Duration::ZERO);
/// assert_eq!(start.checked_duration_since(later), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// The present time: by the paused clock of this thread's runtime, if it has one, otherwise by the system's, which is
    /// monotonic, and stands still while the machine is suspended.
    ///
    /// ```
    /// use ringway_timer::Instant;
    ///
    /// let start = Instant::now();
    /// assert!(Instant::now() >= start);
    /// ```
    pub fn now() -> Instant {
        Instant(seam::source().map_or_else(std::time::Instant::now, |source| source.now()))
    }

    /// The same point in time, from the standard library's type.
    ///
    /// ```
    /// use ringway_timer::Instant;
    ///
    /// let now = std::time::Instant::now();
    /// assert_eq!(Instant::from_std(now).into_std(), now);
    /// ```
    pub fn from_std(std: std::time::Instant) -> Instant {
        Instant(std)
    }

    /// The same point in time, as the standard library's type.
    pub fn into_std(self) -> std::time::Instant {
        self.0
    }

    /// The time from `earlier` to this, or zero if `earlier` is later.
    ///
    /// ```
    /// use ringway_timer::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// let later = start + Duration::from_secs(3);
    /// assert_eq!(later.duration_since(start), Duration::from_secs(3));
    /// assert_eq!(start.duration_since(later), Duration::ZERO);
    /// ```
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// The time from `earlier` to this, or `None` if `earlier` is later.
    ///
    /// ```
    /// use ringway_timer::{Duration, Instant};
    ///
    /// let (start, step) = (Instant::now(), Duration::from_secs(1));
    /// assert_eq!((start + step).checked_duration_since(start), Some(step));
    /// assert_eq!(start.checked_duration_since(start + step), None);
    /// ```
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// The time from `earlier` to this, or zero if `earlier` is later.
    ///
    /// ```
    /// use ringway_timer::{Duration, Instant};
    ///
    /// let (start, step) = (Instant::now(), Duration::from_secs(1));
    /// assert_eq!((start + step).saturating_duration_since(start), step);
    /// assert_eq!(start.saturating_duration_since(start + step), Duration::ZERO);
    /// ```
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time from this to now, or zero if this is still to come.
    ///
    /// ```
    /// use ringway_timer::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// std::thread::sleep(Duration::from_millis(2));
    /// assert!(start.elapsed() >= Duration::from_millis(2));
    /// let later = Instant::now() + Duration::from_secs(3600);
    /// assert_eq!(later.elapsed(), Duration::ZERO);
    /// ```
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    /// The point in time `duration` after this, or `None` if it cannot be represented.
    ///
    /// ```
    /// use ringway_timer::{Duration, Instant};
    ///
    /// let now = Instant::now();
    /// assert_eq!(now.checked_add(Duration::from_secs(1)), Some(now + Duration::from_secs(1)));
    /// assert_eq!(now.checked_add(Duration::MAX), None);
    /// ```
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration).map(Instant)
    }

    /// The point in time `duration` before this, or `None` if it cannot be represented.
    ///
    /// ```
    /// use ringway_timer::{Duration, Instant};
    ///
    /// let now = Instant::now();
    /// let step = Duration::from_millis(1);
    /// assert_eq!((now + step).checked_sub(step), Some(now));
    /// assert_eq!(now.checked_sub(Duration::MAX), None);
    /// ```
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(std: std::time::Instant) -> Instant {
        Instant::from_std(std)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> std::time::Instant {
        instant.into_std()
    }
}

/// Panics when the sum cannot be represented; see [`Instant::checked_add`].
impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// The time between two instants, or zero if the right one is later.
impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Panics when the difference cannot be represented; see [`Instant::checked_sub`].
impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
