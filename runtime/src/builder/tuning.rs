//! Options of the workers' pace, and what makes tests repeatable.

use super::Builder;
use crate::rand::RngSeed;

impl Builder {
    /// How many polls pass between two looks at the ring and the timers. By default a worker tunes it so that
    /// it looks about every 200 µs. On a current-thread runtime it is also how many polls there are at most between two
    /// turns of the future of `block_on`, by default 61.
    ///
    /// # Panics
    ///
    /// If `polls` is zero.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().event_interval(31).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Self {
        assert!(polls > 0, "event_interval must be greater than 0");
        self.config.event_interval = polls;
        self
    }

    /// How many polls pass between two looks at the queue of tasks from outside. By default at most 61: that queue is
    /// then looked at whenever the ring is, too, and once in a round of the worker's own queue while there is something
    /// in it. On a current-thread runtime at most 31, and when its own queue is empty.
    ///
    /// # Panics
    ///
    /// If `polls` is zero.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().global_queue_interval(31).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn global_queue_interval(&mut self, polls: u32) -> &mut Self {
        assert!(polls > 0, "global_queue_interval must be greater than 0");
        self.config.global_queue_interval = polls;
        self
    }

    /// How many completions of its ring a worker delivers at one look. The others wait in the ring, and the tasks that
    /// were woken run before the next look. The default is 1,024.
    ///
    /// # Panics
    ///
    /// If `completions` is zero.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread().max_io_events_per_tick(256).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, completions: usize) -> &mut Self {
        assert!(completions > 0, "max_io_events_per_tick must be non-zero");
        self.config.events_max = completions;
        self
    }

    /// As [`Self::max_io_events_per_tick`], for the looks of a worker that still has tasks to run. The default is the
    /// same number.
    ///
    /// # Panics
    ///
    /// If `completions` is zero.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread()
    ///     .max_io_events_per_tick(128)
    ///     .max_io_events_per_busy_tick(8)
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, completions: usize) -> &mut Self {
        assert!(
            completions > 0,
            "max_io_events_per_busy_tick must be non-zero"
        );
        self.config.busy_events_max = Some(completions);
        self
    }

    /// No task is given preference because the running one woke it: it goes behind the others in the worker's queue,
    /// from where other workers can take it at once.
    ///
    /// By default a worker runs next what the running task has woken last, a few times in a row, because its data is
    /// warm. On a current-thread runtime tasks run in the order in which they were woken anyway.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread().disable_lifo_slot().build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn disable_lifo_slot(&mut self) -> &mut Self {
        self.config.next_slot = false;
        self
    }

    /// What the scheduler's random numbers begin with: at which worker each worker begins to look for tasks to steal.
    /// By default each runtime has other ones.
    ///
    /// With one worker, or on a current-thread runtime, tasks that wait for nothing outside the runtime run in the same
    /// order every time. Not covered are the times at which the kernel and other threads do things, and the order in
    /// which `select!` looks at its branches, which is tokio's and random for each thread; `biased;` fixes that one.
    ///
    /// ```
    /// use ringway_runtime::{Builder, RngSeed};
    ///
    /// let runtime = Builder::new_multi_thread().rng_seed(RngSeed::from_bytes(b"ingest")).build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rng_seed(&mut self, seed: RngSeed) -> &mut Self {
        self.config.seed = Some(seed);
        self
    }

    /// Whether the clock of timers stands from the start; for tests. It then jumps to the next timer whenever nothing is
    /// left to do, and can be moved by hand: `time::pause` says how.
    ///
    /// A current-thread runtime can be paused at any time. A multi-thread runtime, beyond tokio, can be if it was built
    /// so, and then also resumed and paused again.
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .enable_time()
    ///     .start_paused(true)
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// ```
    /// let runtime = ringway_runtime::Builder::new_current_thread()
    ///     .enable_time()
    ///     .start_paused(true)
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_paused(&mut self, paused: bool) -> &mut Self {
        self.config.start_paused = paused;
        self
    }

    /// Has the rings of the runtime play `script`, for tests of what lives in them.
    ///
    /// By default they play none, or the storm that `RINGWAY_RING_SCRIPT` names by its seed.
    ///
    /// ```
    /// use ringway_runtime::driver::Script;
    ///
    /// let script = Script::storm(7);
    /// let runtime = ringway_runtime::Builder::new_current_thread().ring_script(script.clone()).build()?;
    /// assert_eq!(script.played().failed, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "scripted-ring")]
    #[doc(hidden)]
    pub fn ring_script(&mut self, script: crate::driver::Script) -> &mut Self {
        self.config.ring_script = Some(script);
        self
    }
}
