//! The scale of a histogram whose buckets grow with the value, so that the relative error is bounded.
//!
//! Values up to 2^(p+1) have a bucket each; from there on every power of two is divided into 2^p buckets of
//! equal width, an error of at most 2^-p (an "H2" histogram). All buckets below the least value of interest are
//! one, and the last one has no upper end.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::histogram::nanoseconds;

/// The buckets of a histogram with a bounded relative error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHistogram {
    buckets: usize,
    /// The error is at most 2^-precision.
    precision: u32,
    /// How many buckets of the full scale are part of the first one.
    merged: usize,
}

/// Makes a [`LogHistogram`].
///
/// Without further settings: from 100 ns to 60 s, with an error of at most 25 %, which takes 119 buckets.
///
/// ```
/// use std::time::Duration;
/// use ringway_runtime::{InvalidHistogramConfiguration, LogHistogram};
///
/// // Coarse: each bucket twice as wide as the one before.
/// let coarse = LogHistogram::builder()
///     .precision_exact(0)
///     .min_value(Duration::from_micros(1))
///     .max_value(Duration::from_secs(1))
///     .build();
/// assert!(coarse.max_value() >= 1_000_000_000);
///
/// // Fine, and then it may be too many.
/// let InvalidHistogramConfiguration::TooManyBuckets { required_bucket_count } =
///     LogHistogram::builder().max_error(0.01).max_buckets(100).unwrap_err();
/// assert!(required_bucket_count > 100);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LogHistogramBuilder {
    max_value: Option<Duration>,
    min_value: Option<Duration>,
    precision: Option<u32>,
}

/// Why a histogram could not be made.
#[derive(Debug)]
pub enum InvalidHistogramConfiguration {
    /// It would need more buckets than were allowed.
    TooManyBuckets {
        /// How many it would need.
        required_bucket_count: usize,
    },
}

/// tokio's defaults.
const MIN_VALUE: Duration = Duration::from_nanos(100);
const MAX_VALUE: Duration = Duration::from_secs(60);
const PRECISION: u32 = 2;
/// 2^-10 is a tenth of a percent; each step more would double the buckets. tokio's bound.
const PRECISION_MAX: u32 = 10;

impl LogHistogram {
    /// A builder with the default settings.
    pub fn builder() -> LogHistogramBuilder {
        LogHistogramBuilder::default()
    }

    /// The least value, in nanoseconds, that falls into the last bucket, which has no end.
    pub fn max_value(&self) -> u64 {
        self.bucket_range(self.buckets - 2).end
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets
    }

    pub(super) fn bucket_of(&self, value: u64) -> usize {
        place(value, self.precision)
            .saturating_sub(self.merged)
            .min(self.buckets - 1)
    }

    pub(super) fn bucket_range(&self, bucket: usize) -> Range<u64> {
        let start = match bucket {
            0 => 0,
            _ => start_of(bucket + self.merged, self.precision),
        };
        let end = if bucket == self.buckets - 1 {
            u64::MAX
        } else {
            start_of(bucket + self.merged + 1, self.precision)
        };
        start..end
    }
}

impl Default for LogHistogram {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl From<LogHistogramBuilder> for LogHistogram {
    fn from(builder: LogHistogramBuilder) -> Self {
        builder.build()
    }
}

impl LogHistogramBuilder {
    /// The relative error that is tolerated: the precision becomes the coarsest 2^-p that is not above it, but
    /// not coarser than 25 % and not finer than 2^-10.
    ///
    /// # Panics
    ///
    /// If `max_error` is not between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn max_error(mut self, max_error: f64) -> Self {
        assert!(max_error > 0.0, "max_error must be greater than 0");
        assert!(max_error < 1.0, "max_error must be less than 1");
        let fits = |precision: &u32| 0.5_f64.powi(*precision as i32) <= max_error;
        self.precision = Some(
            (PRECISION..PRECISION_MAX)
                .find(fits)
                .unwrap_or(PRECISION_MAX),
        );
        self
    }

    /// The precision itself: the relative error is at most 2^-`p`; 0 doubles from bucket to bucket.
    ///
    /// # Panics
    ///
    /// If `p` is greater than 10.
    #[must_use]
    #[track_caller]
    pub fn precision_exact(mut self, p: u32) -> Self {
        assert!(p <= PRECISION_MAX, "precision must be <= {PRECISION_MAX}");
        self.precision = Some(p);
        self
    }

    /// The least value of interest: the first bucket has everything below, and is no wider than this.
    #[must_use]
    pub fn min_value(mut self, duration: Duration) -> Self {
        self.min_value = Some(duration);
        self
    }

    /// The greatest value of interest: what is above falls into the last bucket.
    ///
    /// # Panics
    ///
    /// If `duration` is zero.
    #[must_use]
    #[track_caller]
    pub fn max_value(mut self, duration: Duration) -> Self {
        assert!(!duration.is_zero(), "max value must be greater than 0");
        self.max_value = Some(duration);
        self
    }

    /// Makes the histogram, of at most `max_buckets` buckets.
    ///
    /// # Errors
    ///
    /// If it would need more.
    pub fn max_buckets(
        &mut self,
        max_buckets: usize,
    ) -> Result<LogHistogram, InvalidHistogramConfiguration> {
        let histogram = self.build();
        if histogram.buckets > max_buckets {
            return Err(InvalidHistogramConfiguration::TooManyBuckets {
                required_bucket_count: histogram.buckets,
            });
        }
        Ok(histogram)
    }

    /// Makes the histogram.
    pub fn build(&self) -> LogHistogram {
        let precision = self.precision.unwrap_or(PRECISION);
        let min = nanoseconds(self.min_value.unwrap_or(MIN_VALUE));
        let max = nanoseconds(self.max_value.unwrap_or(MAX_VALUE));
        // One place less, so that the first bucket ends at or below `min`.
        let merged = place(min, precision).max(1) - 1;
        // The first place that begins above `max` is the last bucket; there is one before it in any case.
        let last = (place(max, precision) + 1).max(merged + 1);
        LogHistogram {
            buckets: last - merged + 1,
            precision,
            merged,
        }
    }
}

impl fmt::Display for InvalidHistogramConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TooManyBuckets {
            required_bucket_count,
        } = self;
        write!(
            f,
            "The configuration for this histogram would have required {required_bucket_count} buckets"
        )
    }
}

impl Error for InvalidHistogramConfiguration {}

/// The number of the bucket of the full scale in which `value` lies.
fn place(value: u64, precision: u32) -> usize {
    let Some(exponent) = value.checked_ilog2() else {
        return 0;
    };
    if exponent <= precision {
        return value as usize;
    }
    let width_exponent = exponent - precision;
    let within = (value - (1 << exponent)) >> width_exponent;
    (((width_exponent as usize) + 1) << precision) + within as usize
}

/// Where a bucket of the full scale begins.
fn start_of(place: usize, precision: u32) -> u64 {
    let groups = place >> precision;
    if groups < 2 {
        return place as u64;
    }
    let width_exponent = groups as u32 - 1;
    let within = (place & ((1 << precision) - 1)) as u64;
    ((1 << precision) + within)
        .checked_shl(width_exponent)
        .unwrap_or(u64::MAX)
}
