//! What can be seen of a runtime.

use std::time::Duration;

use super::Builder;
use crate::metrics::{HistogramConfiguration, HistogramScale};

impl Builder {
    /// Measures every poll of a task, for the histogram in [`RuntimeMetrics`](crate::RuntimeMetrics). The default
    /// is not to: the clock is read twice a poll, some 40 to 80 ns.
    pub fn enable_metrics_poll_time_histogram(&mut self) -> &mut Self {
        self.config.seeing.histogram.enabled = true;
        self
    }

    /// Which buckets the histogram of poll times has. The default is ten, of 100 µs each.
    ///
    /// The histogram must also be [enabled](Self::enable_metrics_poll_time_histogram).
    pub fn metrics_poll_time_histogram_configuration(
        &mut self,
        configuration: HistogramConfiguration,
    ) -> &mut Self {
        self.config.seeing.histogram.configure(configuration);
        self
    }

    /// The old name of [`Self::enable_metrics_poll_time_histogram`].
    #[deprecated(note = "use `enable_metrics_poll_time_histogram`")]
    #[doc(hidden)]
    pub fn enable_metrics_poll_count_histogram(&mut self) -> &mut Self {
        self.enable_metrics_poll_time_histogram()
    }

    /// The scale of the histogram of poll times. The default is linear.
    #[deprecated(note = "use `metrics_poll_time_histogram_configuration`")]
    pub fn metrics_poll_count_histogram_scale(&mut self, scale: HistogramScale) -> &mut Self {
        self.config.seeing.histogram.set_scale(scale);
        self
    }

    /// The width of the first bucket of the histogram of poll times. The default is 100 µs.
    ///
    /// # Panics
    ///
    /// If `resolution` is zero, or longer than a second.
    #[deprecated(note = "use `metrics_poll_time_histogram_configuration`")]
    #[track_caller]
    pub fn metrics_poll_count_histogram_resolution(&mut self, resolution: Duration) -> &mut Self {
        assert!(resolution > Duration::ZERO);
        assert!(resolution <= Duration::from_secs(1));
        self.config.seeing.histogram.set_resolution(resolution);
        self
    }

    /// How many buckets the histogram of poll times has. The default is ten.
    #[deprecated(note = "use `metrics_poll_time_histogram_configuration`")]
    pub fn metrics_poll_count_histogram_buckets(&mut self, buckets: usize) -> &mut Self {
        self.config.seeing.histogram.set_buckets(buckets);
        self
    }
}
