//! The present time as text, written anew only when the second changes.
//!
//! Each worker has a clock of its own for all connections that it serves: so it stays in the processor's cache, and no other worker
//! writes there.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringway::time::Instant;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::default();
}

/// Calls `read` with this thread's clock, as it is at `now` or was told later. `read` does not ask for the clock itself.
pub(crate) fn at<R>(now: Instant, read: impl FnOnce(&Clock) -> R) -> R {
    CLOCK.with_borrow_mut(|clock| {
        clock.tick_at(now);
        read(clock)
    })
}

#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// When the next second begins, as far as is known.
    until: Option<Instant>,
    /// What was left of the second at the last tick.
    left: Duration,
    second: u64,
    http: String,
    log: String,
}

impl Clock {
    /// Reads the system's clock.
    fn tick(&mut self) {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.set(since_epoch.as_secs());
        self.left = Duration::from_nanos(1_000_000_000 - u64::from(since_epoch.subsec_nanos()));
    }

    /// As [`tick`](Self::tick), but asks the system only if, at `now`, a second has passed: who has read one clock need
    /// not read the other. A clock that somebody sets is followed within a second.
    fn tick_at(&mut self, now: Instant) {
        if self.until.is_none_or(|until| now >= until) {
            self.tick();
            self.until = Some(now + self.left);
        }
    }

    /// The last tick in seconds since 1970.
    pub(crate) fn second(&self) -> u64 {
        self.second
    }

    /// The last tick as in `Date`.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// A second as in the access log: usually that of the last tick.
    pub(crate) fn log(&self, second: u64) -> Cow<'_, str> {
        match second == self.second {
            true => Cow::Borrowed(&self.log),
            false => Cow::Owned(log_text(second)),
        }
    }

    fn set(&mut self, second: u64) {
        let second = second.min(HTTP_SECONDS_MAX);
        if second == self.second && !self.http.is_empty() {
            return;
        }
        self.second = second;
        let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
        self.http.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.http, "{date}");
        self.log = log_text(second);
    }
}

fn log_text(second: u64) -> String {
    iso_date(i64::try_from(second).unwrap_or(i64::MAX)).unwrap_or_default()
}

/// The last second of the year 9999: HTTP's dates have four digits for the year.
pub(crate) const HTTP_SECONDS_MAX: u64 = 253_402_300_799;

/// `2001-09-09T01:46:40Z`, unless the year needs more than four digits.
pub(crate) fn iso_date(second: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(second)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_follow_the_second() {
        let mut clock = Clock::default();
        for (second, http, log) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"),
            (
                1_000_000_000,
                "Sun, 09 Sep 2001 01:46:40 GMT",
                "2001-09-09T01:46:40Z",
            ),
            (
                1_000_000_000,
                "Sun, 09 Sep 2001 01:46:40 GMT",
                "2001-09-09T01:46:40Z",
            ),
            (
                999_999_999,
                "Sun, 09 Sep 2001 01:46:39 GMT",
                "2001-09-09T01:46:39Z",
            ),
            (
                u64::MAX,
                "Fri, 31 Dec 9999 23:59:59 GMT",
                "9999-12-31T23:59:59Z",
            ),
        ] {
            clock.set(second);
            assert_eq!((clock.http(), &*clock.log(clock.second())), (http, log));
        }
        assert_eq!(
            clock.log(1_000_000_000),
            "2001-09-09T01:46:40Z",
            "of a request that took long"
        );
        clock.tick();
        assert!(clock.second() > 1_700_000_000);
    }

    /// Mutant: believe for a second from the tick on, wherever in its second that was.
    #[test]
    fn a_second_is_believed_until_it_ends() {
        let mut clock = Clock::default();
        let begin = Instant::now();
        clock.tick_at(begin);
        let second = clock.second();
        let left = clock.left;
        assert!(!left.is_zero() && left <= Duration::from_secs(1));
        clock.set(0);
        let still = begin + left.saturating_sub(Duration::from_nanos(1));
        clock.tick_at(still);
        assert_eq!(clock.second(), 0, "nobody was asked");
        clock.tick_at(begin + left);
        assert!(clock.second() >= second);
    }

    #[test]
    fn dates_of_files_from_odd_disks_are_none_and_no_panic() {
        assert_eq!(iso_date(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(iso_date(i64::MAX), None);
        assert_eq!(iso_date(i64::MIN), None);
    }
}
