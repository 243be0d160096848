//! What can be seen of a runtime.

use std::sync::Arc;
use std::time::Duration;

use super::Builder;
use crate::metrics::{HistogramConfiguration, HistogramScale};
use crate::scheduler::{BlockedWorker, Watchdog};

impl Builder {
    /// Measures every poll of a task, for the histogram in [`RuntimeMetrics`](crate::RuntimeMetrics). The default
    /// is not to: the clock is read twice a poll, some 40 to 80 ns.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_runtime::{Builder, HistogramConfiguration};
    ///
    /// let two = HistogramConfiguration::linear(Duration::from_millis(1), 2);
    /// let runtime = Builder::new_current_thread()
    ///     .enable_metrics_poll_time_histogram()
    ///     .metrics_poll_time_histogram_configuration(two)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.poll_time_histogram_num_buckets(), 2);
    /// assert_eq!(metrics.poll_time_histogram_bucket_range(0), Duration::ZERO..Duration::from_millis(1));
    /// ```
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

    /// Has `callback` called when one poll of a task, or of the root future of `block_on`, has held a worker for
    /// `threshold`, which is to say that code blocks or computes where it should await.
    ///
    /// It is called once for each such poll, while that still goes on: within a few milliseconds of the threshold, and
    /// never before. A poll inside [`block_in_place`](crate::block_in_place) holds no worker. The callback runs on a thread of
    /// its own, with no lock held, so it may take its time; while it does, further reports wait, up to 64 of them,
    /// and those after that are dropped. A call that goes on when the runtime ends is not waited for.
    ///
    /// Polls pay nothing for it. A current-thread runtime, which has no thread of its own otherwise, gets one that
    /// looks at it once a millisecond while it works.
    ///
    /// Without this, and with the feature `tracing`, a multi-thread runtime warns through `tracing` of polls that
    /// take 100 ms.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (alarm, alarms) = mpsc::channel();
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_blocked_worker(Duration::from_millis(20), move |blocked| {
    ///         let _ = alarm.send(blocked.to_string());
    ///     })
    ///     .build()?;
    /// runtime.spawn(async { std::thread::sleep(Duration::from_millis(100)) });
    /// let alarm = alarms.recv().unwrap();
    /// assert!(alarm.contains("by one poll of task"), "{alarm}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `threshold` is zero.
    #[track_caller]
    pub fn on_blocked_worker<F>(&mut self, threshold: Duration, callback: F) -> &mut Self
    where
        F: Fn(&BlockedWorker) + Send + Sync + 'static,
    {
        assert!(!threshold.is_zero(), "threshold must be greater than 0");
        self.config.seeing.watchdog = Some(Watchdog {
            threshold,
            callback: Arc::new(callback),
        });
        self
    }
}
