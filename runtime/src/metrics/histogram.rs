//! Histograms of poll times: how their buckets are chosen, and the counts of one worker.

use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::log_histogram::LogHistogram;

/// Which buckets a histogram has.
///
/// ```
/// use std::time::Duration;
/// use ringway_runtime::{Builder, HistogramConfiguration, LogHistogram};
///
/// let even = HistogramConfiguration::linear(Duration::from_micros(50), 20);
/// let growing = HistogramConfiguration::log(LogHistogram::builder().max_error(0.25));
/// for configuration in [even, growing] {
///     let runtime = Builder::new_current_thread()
///         .enable_metrics_poll_time_histogram()
///         .metrics_poll_time_histogram_configuration(configuration)
///         .build()
///         .unwrap();
///     assert!(runtime.metrics().poll_time_histogram_num_buckets() >= 20);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HistogramConfiguration(Scale);

/// The two scales of the old way to configure a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistogramScale {
    /// Buckets of equal width.
    Linear,
    /// Each bucket is twice as wide as the one before.
    Log,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    Linear { width_ns: u64, buckets: usize },
    Doubling { first_ns: u64, buckets: usize },
    Log(LogHistogram),
}

/// What the builder was told about the histogram of poll times.
#[derive(Clone, Debug)]
pub(crate) struct HistogramChoice {
    pub(crate) enabled: bool,
    scale: Scale,
    old: Option<OldChoice>,
}

/// The settings of the old way, which make a scale together.
#[derive(Clone, Copy, Debug)]
struct OldChoice {
    scale: HistogramScale,
    resolution_ns: u64,
    buckets: usize,
}

/// tokio's defaults.
const WIDTH_NS: u64 = 100_000;
const BUCKETS: usize = 10;

impl HistogramConfiguration {
    /// `num_buckets` buckets of equal width. What is longer than all of them falls into the last.
    pub fn linear(bucket_width: Duration, num_buckets: usize) -> Self {
        Self(Scale::Linear {
            width_ns: nanoseconds(bucket_width),
            buckets: num_buckets,
        })
    }

    /// Buckets that grow with the value. See [`LogHistogram`].
    pub fn log(configuration: impl Into<LogHistogram>) -> Self {
        Self(Scale::Log(configuration.into()))
    }
}

impl Scale {
    pub(super) fn buckets(&self) -> usize {
        match self {
            Self::Linear { buckets, .. } | Self::Doubling { buckets, .. } => *buckets,
            Self::Log(log) => log.buckets(),
        }
    }

    pub(super) fn bucket_range(&self, bucket: usize) -> Range<u64> {
        let last = self.buckets() - 1;
        let (start, end) = match *self {
            Self::Linear { width_ns, .. } => {
                let start = width_ns.saturating_mul(bucket as u64);
                (start, start.saturating_add(width_ns))
            }
            Self::Doubling { first_ns, .. } if bucket == 0 => (0, first_ns),
            Self::Doubling { first_ns, .. } => {
                let doubled = |times: usize| first_ns.saturating_mul(1 << times.min(63));
                (doubled(bucket - 1), doubled(bucket))
            }
            Self::Log(log) => return log.bucket_range(bucket),
        };
        start..if bucket == last { u64::MAX } else { end }
    }

    fn bucket_of(&self, value_ns: u64) -> usize {
        let bucket = match *self {
            Self::Linear { width_ns, .. } => (value_ns / width_ns) as usize,
            // How many times the first width must be doubled to be above the value.
            Self::Doubling { first_ns, .. } => (value_ns / first_ns)
                .checked_ilog2()
                .map_or(0, |doublings| doublings as usize + 1),
            Self::Log(log) => return log.bucket_of(value_ns),
        };
        bucket.min(self.buckets() - 1)
    }
}

impl HistogramChoice {
    pub(crate) fn configure(&mut self, configuration: HistogramConfiguration) {
        self.scale = configuration.0;
        self.old = None;
    }

    pub(crate) fn set_scale(&mut self, scale: HistogramScale) {
        self.old().scale = scale;
    }

    pub(crate) fn set_resolution(&mut self, resolution: Duration) {
        self.old().resolution_ns = nanoseconds(resolution);
    }

    pub(crate) fn set_buckets(&mut self, buckets: usize) {
        self.old().buckets = buckets;
    }

    fn old(&mut self) -> &mut OldChoice {
        self.old.get_or_insert(OldChoice {
            scale: HistogramScale::Linear,
            resolution_ns: WIDTH_NS,
            buckets: BUCKETS,
        })
    }

    /// The scale, if there is to be a histogram.
    ///
    /// # Panics
    ///
    /// If a linear scale has no bucket, or buckets of no width.
    #[track_caller]
    pub(crate) fn scale(&self) -> Option<Scale> {
        if !self.enabled {
            return None;
        }
        let scale = match self.old {
            None => self.scale,
            Some(OldChoice {
                scale,
                resolution_ns,
                buckets,
            }) => match scale {
                HistogramScale::Linear => Scale::Linear {
                    width_ns: resolution_ns,
                    buckets,
                },
                HistogramScale::Log => Scale::Doubling {
                    first_ns: resolution_ns.next_power_of_two(),
                    buckets,
                },
            },
        };
        assert!(scale.buckets() > 0, "a histogram has at least one bucket");
        let has_width = !matches!(scale, Scale::Linear { width_ns: 0, .. });
        assert!(has_width, "the buckets of a histogram have a width");
        Some(scale)
    }
}

impl Default for HistogramChoice {
    fn default() -> Self {
        Self {
            enabled: false,
            scale: Scale::Linear {
                width_ns: WIDTH_NS,
                buckets: BUCKETS,
            },
            old: None,
        }
    }
}

/// The counts of one worker.
#[derive(Debug)]
pub(crate) struct Histogram {
    scale: Scale,
    counts: Box<[AtomicU64]>,
    /// Polls at whose end the task's budget was used up.
    forced_yields: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(scale: Scale) -> Self {
        Self {
            scale,
            counts: (0..scale.buckets()).map(|_| AtomicU64::new(0)).collect(),
            forced_yields: AtomicU64::new(0),
        }
    }

    /// Calls `poll`, and counts it by its time.
    pub(crate) fn time(&self, poll: impl FnOnce()) {
        let begin = Instant::now();
        poll();
        let took = begin.elapsed();
        let count = &self.counts[self.scale.bucket_of(nanoseconds(took))];
        // Relaxed: only the number counts. Not a load and a store as for other counters: the poll may have given the core
        // up, and another thread counts here too.
        count.fetch_add(1, Relaxed);
    }

    /// The poll has used up the task's budget.
    pub(crate) fn note_forced_yield(&self) {
        self.forced_yields.fetch_add(1, Relaxed);
    }

    pub(super) fn forced_yields(&self) -> u64 {
        self.forced_yields.load(Relaxed)
    }

    pub(super) fn count(&self, bucket: usize) -> u64 {
        self.counts[bucket].load(Relaxed)
    }
}

/// 2^64 nanoseconds are 584 years.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_sound(scale: Scale) {
        let mut end = 0;
        for bucket in 0..scale.buckets() {
            let range = scale.bucket_range(bucket);
            assert_eq!(
                range.start, end,
                "{scale:?}: bucket {bucket} begins where the last ended"
            );
            assert!(
                range.start < range.end,
                "{scale:?}: bucket {bucket} is empty"
            );
            assert_eq!(scale.bucket_of(range.start), bucket, "{scale:?}");
            assert_eq!(scale.bucket_of(range.end - 1), bucket, "{scale:?}");
            end = range.end;
        }
        assert_eq!(end, u64::MAX);
    }

    /// Mutants: `bucket_of` of the doubling scale rounds to the nearest power; `start_of` forgets `within`.
    #[test]
    fn every_value_lies_in_the_range_of_its_bucket_and_the_ranges_follow_one_another() {
        assert_sound(Scale::Linear {
            width_ns: 50_000,
            buckets: 3,
        });
        assert_sound(Scale::Doubling {
            first_ns: 65_536,
            buckets: 20,
        });
        for precision in 0..=10 {
            for (min, max) in [
                (1, 1),
                (100, 60_000_000_000),
                (20_000, 4_000_000),
                (7, 1 << 40),
            ] {
                let log = LogHistogram::builder()
                    .precision_exact(precision)
                    .min_value(Duration::from_nanos(min))
                    .max_value(Duration::from_nanos(max));
                let scale = Scale::Log(log.build());
                assert_sound(scale);
                assert!(scale.bucket_range(0).end <= min.max(1));
                assert!(scale.bucket_range(scale.buckets() - 1).start > max);
                let widths = (1..scale.buckets() - 1).map(|bucket| scale.bucket_range(bucket));
                for range in widths {
                    let error = (range.end - range.start - 1) as f64 / range.start.max(1) as f64;
                    assert!(error <= 0.5_f64.powi(precision as i32), "{range:?}");
                }
            }
        }
    }

    #[test]
    fn the_default_histogram_has_tokios_buckets() {
        let scale = Scale::Log(LogHistogram::default());
        assert_eq!(scale.buckets(), 119);
        assert_eq!(scale.bucket_range(0), 0..96);
        assert_eq!(scale.bucket_range(1), 96..112);
        let error = LogHistogram::builder().max_buckets(100).unwrap_err();
        assert!(
            error.to_string().contains("required 119 buckets"),
            "{error}"
        );
    }

    #[test]
    fn the_coarsest_precision_within_the_error_is_chosen() {
        for (max_error, precision) in [(0.9, 2), (0.25, 2), (0.24, 3), (0.1, 4), (1e-9, 10)] {
            let log = LogHistogram::builder().max_error(max_error).build();
            let exact = LogHistogram::builder().precision_exact(precision).build();
            assert_eq!(log, exact);
        }
    }
}
